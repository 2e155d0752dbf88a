"""Whether permuted labels score as chance, for every recipe and every way to hold rows out.

The labels of a table are permuted, so 0.5 is the true ROC AUC and balanced accuracy of every model, and an interval of
95 % should lie above it in 2.5 % of the trainings, and below it in as many. Two kinds of rows are judged: a test file,
by the config as `mlp init` writes it, whose held out rows choose; and the held out rows, by the same config with
nothing left to choose. Epochs are cut: a network that has the labels by heart knows as little of new ones.
"""

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.printing import markdown_table
from mlpcli.config.loading import config_from_mapping
from mlpcli.config.recipes.sizes import RecipeName
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.init import init
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state

N_ROWS, N_YES, N_REPEATS, FEW = 160, 64, 200, 4
N_GROUPS = 40
# Not best: it is strong with more members of more epochs, and takes ten times as long.
RECIPES: tuple[RecipeName, ...] = ("strong", "fast", "textbook")
MOST_EPOCHS = {"best": 4, "strong": 4, "fast": 8, "textbook": 8}
CHANCE, PROMISED = 0.5, 0.025  # of intervals on each side
METRICS = ("roc_auc", "balanced_accuracy")
TEST, HELD_OUT = "test file", "held-out rows"
FOLDS, ALL_ROWS = {"count": 4, "rows": "folds", "folds": 4}, {"count": 2, "rows": "all"}

Count = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """A way to hold rows out: data.validation, the column that it names, and whether members leave out folds."""

    name: str
    validation: Any
    column: str = ""
    has_folds: bool = False


SPLITS = (
    Split("fraction", 0.3),
    Split("groups", {"group": "patient", "fraction": 0.3}, "patient"),
    Split("time", {"time": "day", "fraction": 0.3}, "day"),
    Split("file", "held_out.csv"),
    Split("folds", None, "", True),
    Split("folds of groups", {"group": "patient"}, "patient", True),
    Split("folds of time", {"time": "day"}, "day", True),
)


def run(quick: bool, only: str | None) -> list[Count]:
    """A count for each recipe, split, kind of rows and metric; `only` names a recipe or a split."""
    return [
        count
        for recipe in RECIPES
        for split in SPLITS
        if only in (None, recipe, split.name)
        for judged in (TEST, HELD_OUT)
        for count in measure(recipe, split, judged, FEW if quick else N_REPEATS)
    ]


def measure(recipe: RecipeName, split: Split, judged: str, n_repeats: int, first_seed: int = 0) -> Iterator[Count]:
    """How often the interval of each metric lies above chance or below it, and the mean score."""
    found = {metric: Count(below=0, above=0, given=0, total=0.0) for metric in METRICS}
    with tempfile.TemporaryDirectory() as folder, chdir(folder), blas_threads(1):
        write_tables(split.column, first_seed)
        config = config_of(recipe, split, judged)
        for seed in range(first_seed, first_seed + n_repeats):
            write_tables(split.column, seed)
            for metric, (score, low, high) in _judged(config, seed).items():
                of = found[metric]
                of["total"] += score
                of["given"] += low <= high  # not where there is none
                of["below"] += high < CHANCE
                of["above"] += low > CHANCE
    for metric, of in found.items():
        mean = of.pop("total") / n_repeats
        which = {"recipe": recipe, "split": split.name, "judged": judged, "metric": metric}
        yield {**which, "repeats": n_repeats, **of, "mean": mean}


def config_of(recipe: RecipeName, split: Split, judged: str) -> dict[str, Any]:
    """What `mlp init` writes for train.csv in the current folder, with this split."""
    config: dict[str, Any] = yaml.safe_load(init("train.csv", ("k",), recipe=recipe).text)
    config["data"]["validation"] = split.validation
    members = config["model"].get("members", {})
    config["model"]["members"] = members | (FOLDS if split.has_folds else ALL_ROWS if members else {})
    if not split.has_folds:
        config["model"]["members"].pop("folds", None)
    config["training"] |= {"threads": 1, "engine": "numpy", "epochs": MOST_EPOCHS[recipe]}
    if judged == TEST:
        config["data"]["test"] = "test.csv"
    else:
        config["training"]["early_stopping"] = None
        config["postprocess"] = {}
    bounds = {f"{metric}.low": CHANCE for metric in METRICS}, {f"{metric}.high": CHANCE for metric in METRICS}
    return config | {"expect": dict(zip(("min", "max"), bounds, strict=True))}


def _judged(config: dict[str, Any], seed: int) -> dict[str, tuple[float, float, float]]:
    """The score of each metric on the judged rows of one training, and the ends of its interval."""
    prepared = prepare(config_from_mapping(config | {"training": config["training"] | {"seed": seed}}))
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    outcome = finalize(prepared, state)
    ends = {result.gate.metric: result.score for result in outcome.gate_results}
    scores = outcome.scores[prepared.splits[-1].name]
    return {metric: (scores[metric], ends[f"{metric}.low"], ends[f"{metric}.high"]) for metric in METRICS}


def write_tables(column: str, seed: int) -> None:
    """train.csv, held_out.csv and test.csv in the current folder."""
    rng = np.random.default_rng(seed)
    for name in ("train.csv", "held_out.csv", "test.csv"):
        write_table(Path(name), column, rng)


def write_table(path: Path, column: str, rng: np.random.Generator) -> None:
    """Rows of patients that are alike in the inputs, on days that follow each other; the labels are permuted."""
    patients = rng.integers(0, N_GROUPS, N_ROWS)
    of_patient = rng.normal(size=(N_GROUPS, 4))
    x = (of_patient[patients] + 0.3 * rng.normal(size=(N_ROWS, 4))).round(3)
    days = np.datetime64("2024-01-01") + np.sort(rng.integers(0, 365, N_ROWS))
    labels = rng.permutation(np.where(np.arange(N_ROWS) < N_YES, "yes", "no"))
    named = {"patient": [f"p{patient:02d}" for patient in patients.tolist()], "day": days.astype(str).tolist()}
    columns = [*x.T.tolist(), *([named[column]] if column else []), labels.tolist()]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[*"abcd", *([column] if column else []), "k"], *zip(*columns, strict=True)])


def table(counts: Sequence[Count]) -> str:
    """A row for each recipe and split, a column for each kind of rows and metric."""
    header = ["recipe", "split", *(f"{judged}: `{metric}`" for judged in (TEST, HELD_OUT) for metric in METRICS)]
    places = list(dict.fromkeys((one["recipe"], one["split"]) for one in counts))
    by_place = {(one["recipe"], one["split"], one["judged"], one["metric"]): one for one in counts}
    rows = [
        [*place, *(_cell(by_place[*place, judged, metric]) for judged in (TEST, HELD_OUT) for metric in METRICS)]
        for place in places
    ]
    return markdown_table(header, rows)


def _cell(one: Count) -> str:
    """`0.501 (2.5 1.0)`: the mean score, and the intervals that lie below and above chance in %."""
    misses = " ".join(f"{100 * one[side] / one['repeats']:.1f}" for side in ("below", "above"))
    return f"{one['mean']:.3f} ({misses})"
