"""Trainings on rows whose law is known: what is held of many new rows, over many draws of the training rows.

The promise is about the mean over such draws. Each setting says which rows calibrate and what they have chosen before.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import mlpcli

LEVEL, REPEATS, N_NEW = 0.9, 20, 4000
FEW = 3  # repeats of a quick run
FOLDS = {"count": 5, "rows": "folds"}
EARLY = {"metric": "auto"}


@dataclass(frozen=True)
class Setting:
    """Which rows calibrate, and what a training chooses or fits on them."""

    name: str
    n_rows: int
    task: str = "regression"
    epochs: int = 60
    chooses: bool = True
    members: Mapping[str, Any] = field(default_factory=dict)
    intervals: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    loss: Any = "auto"

    def config(self, seed: int) -> dict[str, Any]:
        """The config of a training on a data frame."""
        training = {
            "epochs": self.epochs,
            "optimizer": {"name": "adam", "learning_rate": 0.01},
            "early_stopping": EARLY if self.chooses else None,
            "loss": self.loss,
            "seed": seed,
            "threads": 1,
            "engine": "numpy",
        }
        return {
            "data": {"target": "y", "validation": None if self.members else 0.2},
            "task": self.task,
            "preprocess": dict(self.preprocess),
            "model": {"layers": ["auto", 16, "auto"], **({"members": dict(self.members)} if self.members else {})},
            "training": training,
            "postprocess": dict(self.postprocess),
            "intervals": dict(self.intervals),
        }


BINS = {"encoding": {"name": "piecewise_linear", "edges": "target"}}
QUANTILES = {"name": "quantile", "quantile": [0.05, 0.5, 0.95]}
FITTED = {"calibration": "temperature"}
SETTINGS = tuple(
    setting
    for n_rows in (100, 500)
    for setting in (
        Setting("validation rows that choose nothing", n_rows, epochs=20, chooses=False),
        Setting("validation rows that chose the epoch of 60", n_rows),
        Setting("rows set apart", n_rows, intervals={"rows": 0.2}),
        Setting("folds that chose the epoch of 60", n_rows, members=FOLDS),
        Setting("folds, with bin edges that see targets", n_rows, members=FOLDS, preprocess=BINS),
        Setting("a quantile, rows that chose the epoch", n_rows, loss={"name": "quantile", "quantile": 0.9}),
        Setting("three quantiles, rows that chose the epoch", n_rows, loss=QUANTILES),
        Setting("three quantiles, folds that chose the epoch", n_rows, members=FOLDS, loss=QUANTILES),
        Setting("sets, rows that chose epoch and temperature", n_rows, "classification", postprocess=FITTED),
        Setting(
            "sets, folds that chose epoch and temperature", n_rows, "classification", members=FOLDS, postprocess=FITTED
        ),
    )
)


def run(quick: bool, only: str | None) -> list[dict[str, Any]]:
    """`only` is the beginning of a setting's name."""
    settings = [one for one in SETTINGS if only is None or one.name.startswith(only)]
    repeats = FEW if quick else REPEATS
    return [_measured(setting, repeats) for setting in settings]


def _measured(setting: Setting, repeats: int) -> dict[str, Any]:
    found = [_one(setting, seed) for seed in range(repeats)]
    held = np.asarray([share for share, _ in found])
    sizes = [size for _, size in found if math.isfinite(size)]
    result = {
        "setting": setting.name,
        "rows": setting.n_rows,
        "repeats": repeats,
        "held": float(held.mean()),
        "error": float(held.std(ddof=1) / math.sqrt(repeats)),
        "deviation": float(held.std(ddof=1)),
        "size": float(np.mean(sizes)) if sizes else None,
    }
    print(f"{setting.name} · {setting.n_rows} rows · {result['held']:.3f} +- {result['error']:.3f}", flush=True)
    return result


def _one(setting: Setting, seed: int) -> tuple[float, float]:
    """The share of new rows that are held, and the mean width or number of labels."""
    rng = np.random.default_rng(seed)
    train, new = draw(rng, setting.n_rows, setting.task), draw(rng, N_NEW, setting.task)
    model = mlpcli.train(setting.config(seed), train)
    scores = model.evaluate(new, level=LEVEL).scores.score
    return float(scores["coverage"]), float(scores.get("mean_width", scores.get("mean_set_size", math.nan)))


def draw(rng: np.random.Generator, n_rows: int, task: str) -> pd.DataFrame:
    """Four numbers and a category of ten levels; y has skewed noise that grows with one of them, or three classes."""
    X = rng.normal(size=(n_rows, 4))
    level = rng.integers(10, size=n_rows)
    signal = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] * X[:, 2] + 0.1 * level
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"]).assign(level=[f"l{code}" for code in level])
    if task == "regression":
        noise = (rng.exponential(size=n_rows) - 1.0) * np.exp(0.5 * X[:, 3])
        return frame.assign(y=signal + noise)
    cut = signal + 0.7 * rng.logistic(size=n_rows)
    return frame.assign(y=np.array(["low", "middle", "high"])[np.digitize(cut, [-0.4, 1.2])])


def rows_of(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row for each setting, a column for each number of rows: what is held, and its deviation between trainings."""
    sizes = sorted({one["rows"] for one in results})
    by_place = {(one["setting"], one["rows"]): one for one in results}
    return [
        [name, *(_cell(by_place.get((name, size))) for size in sizes)]
        for name in dict.fromkeys(one["setting"] for one in results)
    ]


def _cell(one: Mapping[str, Any] | None) -> str:
    return "" if one is None else f"{one['held']:.3f} ± {one['error']:.3f} ({one['deviation']:.3f})"
