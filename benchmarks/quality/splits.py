"""A folder of NAME/{train,test}.csv.gz: which column is predicted, and as what."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

TASKS = ("classification", "regression")
MOST_CODES = 20  # whole numbers with more distinct values are numeric


@dataclass(frozen=True)
class Split:
    """A table parted for good: every contestant is fitted on `train` and judged on `test`."""

    name: str
    train: Path
    test: Path
    target: str
    task: str

    @property
    def n_rows(self) -> int:
        """Training rows."""
        return len(pd.read_csv(self.train, usecols=[self.target]))


def find_splits(folder: Path, names: Collection[str] = ()) -> tuple[list[Split], list[str]]:
    """The splits below `folder`, the smallest file first, and the names left out.

    Target and task come from NAME/meta.json, or from peers.json or meta.json beside the folders; where there is
    neither, the last column is the target. A list that does not name a folder leaves it out, unless `names` does.
    Raises FileNotFoundError when a name has no split, ValueError when a task is none.
    """
    listed = next((json.loads(file.read_text()) for file in _lists(folder) if file.exists()), None)
    found = {path.parent.name: path for path in sorted(folder.glob("*/train.csv*"))}
    if not found:
        raise FileNotFoundError(f"{folder}: no NAME/train.csv.gz in it")
    splits, left_out = [], []
    for name in names or found:
        if name not in found:
            raise FileNotFoundError(f"{folder}: no {name}/train.csv.gz; there is {', '.join(found)}")
        own = found[name].with_name("meta.json")
        known = json.loads(own.read_text()) if own.exists() else (listed or {}).get(name)
        if known is None and listed is not None and not names:
            left_out.append(name)
            continue
        splits.append(_split(name, found[name], known or {}))
    return sorted(splits, key=lambda split: split.train.stat().st_size), left_out


def _lists(folder: Path) -> tuple[Path, ...]:
    return folder / "peers.json", folder / "meta.json"


def _split(name: str, train: Path, known: dict[str, str]) -> Split:
    test = train.with_name(train.name.replace("train", "test"))
    if not test.exists():
        raise FileNotFoundError(f"{test}: missing beside {train.name}")
    target = known.get("target") or str(pd.read_csv(train, nrows=0).columns[-1])
    task = known.get("task") or _task_of(pd.read_csv(train, usecols=[target])[target])
    if task not in TASKS:
        raise ValueError(f"{name}: task {task}: only {' and '.join(TASKS)} are measured")
    return Split(name, train, test, target, task)


def _task_of(values: "pd.Series[float]") -> str:
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "classification"
    whole = bool((values == values.round()).all())
    return "classification" if whole and values.nunique() <= MOST_CODES else "regression"
