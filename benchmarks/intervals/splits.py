"""Real tables: what is held of the test rows, how wide intervals are and how many labels sets have."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import mlpcli
from benchmarks.quality.splits import Split, find_splits

LEVELS = (0.8, 0.9, 0.95)
WAYS: dict[str, dict[str, Any]] = {
    "validation rows": {},
    "folds": {"members": {"count": 5, "rows": "folds"}},
    "rows set apart": {"rows": 0.2},
    "three quantiles": {"loss": {"name": "quantile", "quantile": [0.05, 0.5, 0.95]}},
}


def run(folder: Path, quick: bool, only: str | None) -> list[dict[str, Any]]:
    """`folder` holds NAME/{train,test}.csv.gz; `only` names one of them."""
    splits, left_out = find_splits(folder, [only] if only else [])
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    return [
        one
        for split in (splits[:1] if quick else splits)
        for way, asked in WAYS.items()
        if "loss" not in asked or split.task == "regression"
        for one in _measured(split, way, quick)
    ]


def _measured(split: Split, way: str, quick: bool) -> list[dict[str, Any]]:
    train, test = pd.read_csv(split.train), pd.read_csv(split.test)
    asked = WAYS[way]
    config = {
        "data": {"target": split.target, "validation": None if "members" in asked else 0.2},
        "task": split.task,
        "model": {"layers": ["auto", 64, 64, "auto"], **({"members": asked["members"]} if "members" in asked else {})},
        "training": {
            "epochs": 2 if quick else 20,
            "optimizer": "adam",
            "batch_size": "auto",
            "threads": 1,
            "loss": asked.get("loss", "auto"),
        },
        "intervals": {"rows": asked.get("rows", "auto")},
    }
    model = mlpcli.train(config, train)
    found = []
    for level in LEVELS:
        scores = model.evaluate(test, level=level).scores
        size = "mean_width" if split.task == "regression" else "mean_set_size"
        coverage = scores.loc["coverage"]
        found.append(
            {
                "table": split.name,
                "rows": len(test),
                "way": way,
                "level": level,
                "coverage": float(coverage.score),
                "low": float(coverage.low),
                "high": float(coverage.high),
                "size": float(scores.score[size]),
                "of": size,
            }
        )
    print(f"{split.name} · {way} · {' '.join(format(one['coverage'], '.3f') for one in found)}", flush=True)
    return found


def rows_of(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row for each table and way: the share that is held at each level, and the size at 0.9."""
    found: dict[tuple[str, str], dict[float, Mapping[str, Any]]] = {}
    for one in results:
        found.setdefault((one["table"], one["way"]), {})[one["level"]] = one
    return [
        [
            name,
            f"{of[0.9]['rows']}",
            way,
            *(f"{of[level]['coverage']:.3f}" for level in LEVELS),
            f"{of[0.9]['size']:.3g}{' labels' if of[0.9]['of'] == 'mean_set_size' else ''}",
        ]
        for (name, way), of in found.items()
    ]
