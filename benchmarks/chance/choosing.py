"""How often a gate passes on labels that are coins: what an end of an interval promises, by the rows it is judged on.

Labels are drawn without a look at the inputs, so 0.5 is the true ROC AUC and balanced accuracy of every model, and a
gate `roc_auc.low >= 0.5` should pass in 1 of 40 trainings (2.5 %). On rows that chose the epoch, the temperature or the
threshold `mlp train` refuses such a gate; here the refusal is left out, to show what it spares.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.printing import markdown_table
from mlpcli.config.loading import config_from_mapping
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.expectations import chosen_on_validation
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

N_ROWS, N_INPUTS, N_REPEATS, FEW = 200, 8, 200, 10
GATES = ("roc_auc.low", "balanced_accuracy.low")
PROMISED = 0.025

Count = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """Rows that are judged, and what chooses on them; `has_test` judges 200 further rows."""

    name: str
    metric: str | None = None  # of early stopping
    members: dict[str, Any] = field(default_factory=dict)
    postprocess: dict[str, Any] = field(default_factory=dict)
    has_test: bool = False

    def config(self, seed: int) -> dict[str, Any]:
        """Of t.csv and test.csv in the current directory."""
        validation = None if self.members else 0.2
        data = {"train": "t.csv", "target": "k", "validation": validation}
        return {
            "data": data | ({"test": "test.csv"} if self.has_test else {}),
            "model": {"layers": ["auto", 32, "auto"]} | ({"members": self.members} if self.members else {}),
            "training": {
                "optimizer": {"name": "adam", "learning_rate": 0.01},
                "epochs": 60 if self.metric else 20,
                "early_stopping": {"metric": self.metric} if self.metric else None,
                "seed": seed,
                "threads": 1,
                "engine": "numpy",
            },
            "postprocess": self.postprocess,
        }


FOLDS = {"count": 4, "rows": "folds"}
FITTED = {"calibration": "temperature", "threshold": "balanced_accuracy"}
SETTINGS = (
    Setting("a test file", "roc_auc", postprocess=FITTED, has_test=True),
    Setting("validation rows that choose nothing"),
    Setting("folds that choose nothing", members=FOLDS),
    Setting("validation rows that choose the epoch", "roc_auc"),
    Setting("validation rows that choose epoch, temperature and threshold", "balanced_accuracy", postprocess=FITTED),
    Setting("folds that choose the epoch", "roc_auc", FOLDS),
    Setting("folds that choose epoch, temperature and threshold", "balanced_accuracy", FOLDS, FITTED),
)


def run(quick: bool, only: str | None) -> list[Count]:
    """A count for each setting: the share of the trainings in which each gate passes; `only` names a setting."""
    n_repeats = FEW if quick else N_REPEATS
    settings = [setting for setting in SETTINGS if only in (None, setting.name)]
    return [{"rows": one.name, "repeats": n_repeats, **measure(one, n_repeats)} for one in settings]


def table(counts: Sequence[Count]) -> str:
    """A row for each setting."""
    header = ["gates checked on", *(f"`{gate}` >= 0.5" for gate in GATES), "mean AUC", "mean bal. acc."]
    rows = [
        [one["rows"], *(f"{one[gate]:.1%}" for gate in GATES), *(f"{one[f'mean {gate}']:.3f}" for gate in GATES)]
        for one in counts
    ]
    return markdown_table(header, rows)


def measure(setting: Setting, n_repeats: int, first_seed: int = 0) -> dict[str, Any]:
    """How often each gate passes, what the rows chose, and the mean of each score."""
    passed = dict.fromkeys(GATES, 0)
    scores: dict[str, list[float]] = {gate: [] for gate in GATES}
    chosen: tuple[str, ...] = ()
    with tempfile.TemporaryDirectory() as folder, blas_threads(1):
        for seed in range(first_seed, first_seed + n_repeats):
            config = _written(setting, Path(folder), seed)
            loaded = config_from_mapping(config)
            chosen = () if setting.has_test else chosen_on_validation(loaded)
            prepared = prepare(loaded)
            gated = config_from_mapping(config | {"expect": {"min": dict.fromkeys(GATES, 0.5)}})
            prepared = replace(prepared, loaded=gated)  # past the check that refuses it
            state = initial_state(prepared)
            for _ in epochs(prepared, state, lambda: False):
                pass
            outcome = finalize(prepared, state)
            for result in outcome.gate_results:
                passed[result.gate.metric] += result.passed
            last = outcome.scores[prepared.splits[-1].name]
            for gate in GATES:
                scores[gate].append(last[gate.removesuffix(".low")])
    means = {f"mean {gate}": float(np.mean(values)) for gate, values in scores.items()}
    return {"chosen": ", ".join(chosen), **{gate: n / n_repeats for gate, n in passed.items()}, **means}


def _written(setting: Setting, folder: Path, seed: int) -> dict[str, Any]:
    """The config of a setting, whose files are now in the folder."""
    rng = np.random.default_rng(seed)
    config = setting.config(seed)
    for key in ("train", "test"):
        x = rng.normal(size=(N_ROWS, N_INPUTS)).round(3).tolist()
        coins = np.where(rng.random(N_ROWS) < 0.5, "yes", "no").tolist()
        if key not in config["data"]:
            continue
        cells = [[*"abcdefgh", "k"], *([*map(str, row), coin] for row, coin in zip(x, coins, strict=True))]
        lines = [",".join(row) for row in cells]
        path = folder / config["data"][key]
        path.write_text("\n".join(lines) + "\n")
        config["data"][key] = str(path)
    return config
