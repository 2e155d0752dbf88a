"""`mlp runs`: the runs below a folder, their scores, and the config keys in which they differ."""

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mlpcli.config.yaml.dumping import flow_text
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.errors import ConfigError, MlpError
from mlpcli.evaluation.metrics.scores import find_metric
from mlpcli.storage.run.lock import is_taken
from mlpcli.storage.run.run_directory import (
    COMPLETE,
    CONFIG,
    DIVERGED,
    HISTORY,
    LOCK,
    METRICS,
    PARTIAL,
    PRUNED,
    REPLACED,
    WEIGHTS,
    repair,
)
from mlpcli.storage.strict_json import flattened, parse_json
from mlpcli.workflows.cross_validation.comparing import PLAN, RESULT
from mlpcli.workflows.scoring.baseline import far_worse_run
from mlpcli.workflows.scoring.main_metrics import DECISIVE_METRICS, MAIN_METRICS, MULTI_TARGET_METRIC

State = Literal["complete", "running", "interrupted", "pruned", "failed", "damaged"]
STATES: tuple[State, ...] = ("complete", "running", "interrupted", "pruned", "failed", "damaged")
SPLITS = ("test", "validation", "train")
MAX_DEPTH = 6  # of the search for runs
QUALIFIERS = ("expected_", "calibrated_")  # prefixes of the score that chooses the epoch, in history.csv


@dataclass(frozen=True)
class Run:
    """A run, complete or not.

    `config` maps every key path of the resolved config (`training.optimizer.learning_rate`) except `output` to its
    value; `metrics` is metrics.json. Without metrics.json, `best` has the best value so far of each metric in
    history.csv. `fault` says why the run cannot be read. `differs` has the keys that differ from the best run.
    """

    name: str
    folder: str
    state: State
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, float] = field(default_factory=dict)
    epochs: int | None = None
    seconds: float | None = None
    fault: str = ""
    differs: Mapping[str, Any] = field(default_factory=dict)

    def score(self, metric: str, split: str) -> float | None:
        """A score on a split; for a run without scores the best so far on the validation rows."""
        value = self.metrics.get(f"{split}.{metric}")
        if value is None and split != "train":
            value = self.best.get(metric)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    @property
    def far_worse(self) -> str:
        """A sentence if its scores are far worse than those of the constant baseline, otherwise ""."""
        return far_worse_run(self.metrics)

    @property
    def changes(self) -> dict[str, str]:
        """The differing keys, with values as written in YAML."""
        return {key: flow_text(value) for key, value in self.differs.items()}

    @property
    def is_best_so_far(self) -> bool:
        """Whether its scores may still change."""
        return self.state != "complete"


@dataclass(frozen=True)
class Group:
    """Runs on the same data with the same target, the best first; `differs` compares each with the first.

    `split` is the name of the split of the scores, `metric` the sort key, `metrics` are those shown.
    """

    data: str
    target: str
    split: str
    metric: str
    metrics: tuple[str, ...]
    runs: tuple[Run, ...]


def runs(folder: str) -> list[Group]:
    """The runs in a folder and its subfolders, grouped by data and target; raises MlpError if it does not exist."""
    if not os.path.isdir(folder):
        what = "is a file" if os.path.exists(folder) else "no such folder"
        raise MlpError(f"{folder}: {what}. Name the folder of your runs: mlp runs FOLDER (mlp train makes runs/)")
    runs_by_data: dict[tuple[str, str], list[Run]] = {}
    for path in _folders(folder):
        run = _read(path, folder)
        key = str(_text(run.config.get("data.train", ""))), str(_text(run.config.get("data.target", "")))
        runs_by_data.setdefault(key, []).append(run)
    return [_group(*key, group) for key, group in sorted(runs_by_data.items())]


def _folders(top: str) -> Iterator[str]:
    """Every run folder, complete or partial, sorted by name; folders left by a crash are repaired first."""
    for path, names, files in os.walk(top):
        for name in [name for name in names if name.endswith(COMPLETE)]:
            repair(os.path.join(path, name.removesuffix(COMPLETE)))
        if path.endswith((COMPLETE, REPLACED)):
            names[:] = []
        elif {RESULT, PLAN} & {*files}:
            names.clear()  # the folder of a cross-validation
        elif path.endswith(PARTIAL) or (WEIGHTS in files and (METRICS in files or CONFIG in files)) or _is_trial(files):
            names[:] = []
            yield path
        elif path[len(top) :].count(os.sep) >= MAX_DEPTH:
            names[:] = []
        else:
            names[:] = sorted(name for name in os.listdir(path) if os.path.isdir(os.path.join(path, name)))
            names[:] = [name for name in names if not os.path.islink(os.path.join(path, name))]


def _is_trial(files: Sequence[str]) -> bool:
    """Whether a folder is a trial of a search; most trials keep no weights."""
    return METRICS in files and CONFIG in files and HISTORY in files


def _read(path: str, top: str) -> Run:
    is_partial = path.endswith(PARTIAL)
    final = path.removesuffix(PARTIAL)
    name = os.path.relpath(final if is_partial and not os.path.isdir(final) else path, top)
    run = Run(os.path.basename(os.path.abspath(final)) if name == os.curdir else name, path, "complete")
    try:
        metrics = _metrics(os.path.join(path, METRICS), is_needed=not is_partial)
        run = replace(run, config=_config(os.path.join(path, CONFIG)), metrics=metrics)
        epochs, seconds, best = _history(os.path.join(path, HISTORY))
    except (MlpError, OSError, ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
        state: State = "running" if is_partial and is_taken(final + LOCK) else "damaged"
        return replace(run, state=state, fault=f"{path}: {_reason(error)}")
    seconds = metrics.get("seconds", seconds)
    epochs = metrics.get("epochs", epochs)
    return replace(
        run,
        state=_state(final, metrics) if is_partial else _ended(metrics),
        epochs=epochs,
        seconds=seconds,
        best={} if metrics else best,
    )


def _reason(error: Exception) -> str:
    """The fault in a file of a run, without a full stop."""
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing or unknown"
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason.rstrip(".")


def _ended(metrics: Mapping[str, Any]) -> State:
    """The state of a run with its final name; a trial of a search may have been pruned."""
    reason = str(metrics.get("stop_reason", ""))
    return "pruned" if reason.startswith(PRUNED) else "failed" if reason.startswith(DIVERGED) else "complete"


def _state(final: str, metrics: Mapping[str, Any]) -> State:
    """The state of a partial run."""
    if is_taken(final + LOCK):
        return "running"
    return "failed" if str(metrics.get("stop_reason", "")).startswith(DIVERGED) else "interrupted"


def _metrics(path: str, is_needed: bool) -> dict[str, Any]:
    try:
        text = _content(path)
    except FileNotFoundError:
        if is_needed:
            raise
        return {}
    metrics = parse_json(text.encode())
    if not isinstance(metrics, dict):
        raise ValueError(f"{METRICS} holds no mapping")
    for key, value in metrics.items():
        if key in ("seconds", "epochs") and not isinstance(value, int | float):
            raise ValueError(f"{key} in {METRICS} is no number")
        if isinstance(value, int):
            float(value)  # OverflowError beyond its range
    return metrics


def _content(path: str) -> str:
    """The text of a file of a run; raises ValueError if it is not a regular file, because a named pipe would block."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{os.path.basename(path)} is no file")
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def _config(path: str) -> dict[str, Any]:
    """The resolved config by key path, without `output` and `tracking`, which do not affect the result."""
    text = _content(path)
    try:
        value, _ = parse_yaml(text, path)
    except ConfigError as error:
        raise ValueError(f"{CONFIG} cannot be read") from error
    if not isinstance(value, dict):
        raise ValueError(f"{CONFIG} holds no config")
    return dict(flattened({key: item for key, item in value.items() if key not in ("output", "tracking")}))


def _history(path: str) -> tuple[int | None, float | None, dict[str, float]]:
    """The number of epochs, their seconds, and the best value of each metric on the validation rows."""
    try:
        rows = list(csv.DictReader(io.StringIO(_content(path), newline="")))
    except FileNotFoundError:
        return None, None, {}
    best: dict[str, float] = {}
    columns = [name for name in (rows[0] if rows else ()) if name and name.startswith("validation_")]
    for column in columns:
        metric = column.removeprefix("validation_")
        for qualifier in QUALIFIERS:
            metric = metric.removeprefix(qualifier)
        values = [float(row[column]) for row in rows[1:] if row[column]]
        if values and metric not in best:  # the score of the epoch's own weights comes first
            best[metric] = max(values) if metric != "loss" and find_metric(metric).higher_is_better else min(values)
    seconds = sum(float(row["seconds"]) for row in rows if row["seconds"])
    if not math.isfinite(seconds):
        raise ValueError(f"seconds in {HISTORY} are no numbers")
    return (int(rows[-1]["epoch"]) if rows else 0), seconds, best


def _group(data: str, target: str, group_runs: Sequence[Run]) -> Group:
    split = next((name for name in SPLITS if _has_split(group_runs, name)), "validation")
    shown = _shown_metrics(group_runs, split)
    metric = _ranking_metric(group_runs, shown)
    ordered = sorted(group_runs, key=lambda run: _rank(run, metric, split))
    first = ordered[0]
    compared = [replace(run, differs=differences(first.config, run.config)) for run in ordered[1:] if run.config]
    others = [run for run in ordered[1:] if not run.config]
    return Group(data, target, split, metric, shown, (first, *compared, *others))


def _has_split(group_runs: Sequence[Run], split: str) -> bool:
    """Whether there are runs with scores, and all of these have scores on this split."""
    scored = [run for run in group_runs if run.metrics]
    return bool(scored) and all(any(key.startswith(f"{split}.") for key in run.metrics) for run in scored)


def _shown_metrics(group_runs: Sequence[Run], split: str) -> tuple[str, ...]:
    """The main metrics of the runs, and the metrics of incomplete runs."""
    main = [name for names in MAIN_METRICS.values() for name in names]
    scored = [name for name in dict.fromkeys(main) if any(run.score(name, split) is not None for run in group_runs)]
    in_history = [name for run in group_runs for name in run.best if name != "loss" or not run.best.keys() - {"loss"}]
    return tuple(dict.fromkeys([*scored, *in_history]))


def _ranking_metric(group_runs: Sequence[Run], shown: Sequence[str]) -> str:
    """The metric that ranks runs: for several targets R2, otherwise as for two models; "" for none."""
    if any("rmse[" in key for run in group_runs for key in run.metrics):
        return MULTI_TARGET_METRIC
    return next((name for name in (*DECISIVE_METRICS.values(), *shown) if name in shown), "")


def _rank(run: Run, metric: str, split: str) -> tuple[int, float, str]:
    """The sort key: by state (complete first), score (best first) and name."""
    score = run.score(metric, split) if metric else None
    if score is None:
        score = math.inf
    elif metric != "loss" and find_metric(metric).higher_is_better:
        score = -score
    return STATES.index(run.state), score, run.name


def differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The keys with different values in another config; if a component differs (`optimizer: adam`), only its name."""
    changed = {key: other.get(key) for key in dict.fromkeys([*first, *other]) if first.get(key) != other.get(key)}
    prefixes = [key.removesuffix("name") for key in changed if key.endswith(".name")]
    kept = {key: value for key, value in changed.items() if not any(key.startswith(prefix) for prefix in prefixes)}
    return kept | {prefix.rstrip("."): other.get(f"{prefix}name") for prefix in prefixes}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
