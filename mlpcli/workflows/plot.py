"""`mlp plot`: learning curves of runs, complete or not, from history.csv."""

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.errors import ConfigError, MlpError
from mlpcli.messages import format_list
from mlpcli.report.curves import curves_image
from mlpcli.report.drawing import require_image
from mlpcli.storage.atomic import check_path, write_file
from mlpcli.storage.run.run_directory import CONFIG, HISTORY, METRICS, PARTIAL, repair
from mlpcli.storage.strict_json import parse_json

LOSS = "loss"
SIDES = ("train", "validation")


@dataclass(frozen=True)
class Points:
    """A score after each epoch; epoch 0 is before the first step."""

    epochs: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def at(self, epoch: int | None) -> float | None:
        """The score of an epoch, None if it was not scored."""
        return dict(zip(self.epochs, self.values, strict=True)).get(-1 if epoch is None else epoch)


@dataclass(frozen=True)
class RunCurves:
    """One metric of a run on training and validation rows; `kept_epoch` is None until the run is complete."""

    name: str
    folder: str
    epochs: int
    kept_epoch: int | None
    train: Points
    validation: Points

    @property
    def main_points(self) -> Points:
        """The scores on the validation rows, or on the training rows if there are none."""
        return self.validation if self.validation.values else self.train


@dataclass(frozen=True)
class Curves:
    """A metric of several runs."""

    metric: str
    runs: tuple[RunCurves, ...]
    notes: tuple[str, ...] = ()


def plot(paths: Sequence[str], metric: str = "", is_log: bool = False, image: str = "") -> Curves:
    """The learning curves of runs, drawn into the file `image` (.svg or .png) if given.

    The default `metric` is the one that chooses the epoch if all runs have it, otherwise the loss. A logarithmic axis
    omits values of 0 or less. Raises MlpError.
    """
    if image:
        require_image(image)
    folders = list(dict.fromkeys(_folder_of(path) for path in paths))
    names = _names(folders)
    tables = [_history(folder) for folder in folders]
    chosen = metric or _usual_metric(folders, tables)
    runs, left_out = [], 0
    for name, folder, rows in zip(names, folders, tables, strict=True):
        if not any(f"{side}_{chosen}" in (rows[0] if rows else ()) for side in SIDES):
            raise MlpError(
                f"{folder}: no curve of {chosen}. It has: {format_list(_metrics(rows), 30) or 'no epoch yet'}."
            )
        sides = [_points(rows, f"{side}_{chosen}", folder) for side in SIDES]
        if is_log:
            shown = [_positive(side) for side in sides]
            left_out += sum(len(side.values) for side in sides) - sum(len(side.values) for side in shown)
            sides = shown
        epochs = int(rows[-1]["epoch"]) if rows else 0
        runs.append(RunCurves(name, folder, epochs, _kept_epoch(folder), sides[0], sides[1]))
    notes = [f"{left_out} values of 0 or less are left out: the axis is logarithmic."] if left_out else []
    if chosen == LOSS and _have_other_losses(folders, tables):
        notes.append("These runs have different losses, so their curves cannot be compared.")
    curves = Curves(chosen, tuple(runs), tuple(notes))
    if image:
        check_path(image)
        write_file(image, curves_image(series(curves), chosen, is_log, image))
    return curves


def series(curves: Curves) -> list[dict[str, Any]]:
    """Each run with its points, in the form that `report.curves` draws."""
    return [
        {
            "name": run.name,
            "kept": run.kept_epoch,
            **{
                side: (points.epochs, points.values)
                for side, points in zip(SIDES, (run.train, run.validation), strict=True)
            },
        }
        for run in curves.runs
    ]


def _folder_of(path: str) -> str:
    """The folder of a run, given by its path, by a file in it, or by the name that it will have when complete."""
    folder = os.path.dirname(path) or os.curdir if os.path.isfile(path) else os.path.normpath(path)
    repair(folder)
    for candidate in (folder, folder + PARTIAL):
        if os.path.isfile(os.path.join(candidate, HISTORY)):
            return candidate
    if not os.path.isdir(folder):
        raise MlpError(f"{path}: no such run. List yours with: mlp runs")
    where = "" if os.path.isfile(path) else f" {path}"
    raise MlpError(f"{path}: not a run (no {HISTORY}). Name the folder of a run; list yours with: mlp runs{where}")


def _names(folders: Sequence[str]) -> list[str]:
    """The shortest suffixes of the paths that are distinct."""
    components = [os.path.abspath(folder).split(os.sep) for folder in folders]
    for n_components in range(1, max(map(len, components)) + 1):
        names = ["/".join(components_of_path[-n_components:]) for components_of_path in components]
        if len(set(names)) == len(names):
            break
    return names


def _history(folder: str) -> list[dict[str, str]]:
    path = os.path.join(folder, HISTORY)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise MlpError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not a text file'}."
        ) from error
    whole = text[: text.rfind("\n") + 1]  # the last line of a running training may be incomplete
    try:
        reader = csv.DictReader(io.StringIO(whole, newline=""), strict=True)
        rows = list(reader)
        if whole and "epoch" not in (reader.fieldnames or ()):
            raise ValueError("no column of epochs")
        for row in rows:
            int(row["epoch"])
            if None in row or None in row.values():
                raise ValueError("a row of another length")
    except (csv.Error, ValueError, KeyError, TypeError) as error:
        raise MlpError(f"{path}: not the history of a run: mlp train writes a row for each epoch.") from error
    return rows


def _metrics(rows: Sequence[Mapping[str, str]]) -> list[str]:
    names = [name.partition("_") for name in (rows[0] if rows else ())]
    return list(dict.fromkeys(metric for side, _, metric in names if side in SIDES))


def _usual_metric(folders: Sequence[str], tables: Sequence[Sequence[Mapping[str, str]]]) -> str:
    """The metric that chooses the epoch in all these runs, otherwise the loss."""
    metrics = {_deciding_metric(folder) for folder in folders}
    metric = metrics.pop() if len(metrics) == 1 else LOSS
    return metric if all(metric in _metrics(rows) for rows in tables) else LOSS


def _deciding_metric(folder: str) -> str:
    return _of_training(folder, "early_stopping", "metric") or LOSS


def _have_other_losses(folders: Sequence[str], tables: Sequence[Sequence[Mapping[str, str]]]) -> bool:
    """Whether runs have different losses, by config or (for `auto`) by task."""
    losses = {_of_training(folder, "loss", "name") for folder in folders} - {""}
    return len(losses) > 1 or len({"rmse" in _metrics(rows) for rows in tables if rows}) > 1


def _of_training(folder: str, section: str, key: str) -> str:
    """A text value in the section `training` of a run's config, "" if it is missing or cannot be read."""
    path = os.path.join(folder, CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            config, _ = parse_yaml(file.read(), path)
        value = config["training"][section][key]
    except (ConfigError, OSError, ValueError, KeyError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def _points(rows: Sequence[Mapping[str, str]], column: str, folder: str) -> Points:
    try:
        points = [(int(row["epoch"]), float(row[column])) for row in rows if row.get(column)]
    except ValueError as error:
        raise MlpError(
            f"{os.path.join(folder, HISTORY)}: column {column} holds a value that is not a number."
        ) from error
    points = [(epoch, value) for epoch, value in points if math.isfinite(value)]
    return Points(tuple(epoch for epoch, _ in points), tuple(value for _, value in points))


def _positive(points: Points) -> Points:
    kept = [pair for pair in zip(points.epochs, points.values, strict=True) if pair[1] > 0]
    return Points(tuple(epoch for epoch, _ in kept), tuple(value for _, value in kept))


def _kept_epoch(folder: str) -> int | None:
    """The epoch whose weights are in the model; None for an incomplete run."""
    try:
        with open(os.path.join(folder, METRICS), "rb") as file:
            metrics = parse_json(file.read())
    except (OSError, ValueError):
        return None
    epoch = metrics.get("best_epoch") if isinstance(metrics, dict) else None
    return epoch if isinstance(epoch, int) and epoch > 0 else None
