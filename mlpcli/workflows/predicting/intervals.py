"""Conformal prediction intervals and sets of a model, from the conformity scores of its calibration rows."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import TransformCounts
from mlpcli.data.grouping import group_labels
from mlpcli.data.schema.column import cast_table
from mlpcli.data.table import CategoricalColumn, Rows, Table
from mlpcli.data.targets.target import ClassTarget, NumberTarget, predicted_labels, prediction_names, typed_labels
from mlpcli.errors import MlpError
from mlpcli.evaluation.conformal.conformity import MISSING, ConformityScores
from mlpcli.evaluation.conformal.ends import Intervals, LabelSets, intervals_of, level_of_end, rows_needed, sets_of
from mlpcli.messages import format_count
from mlpcli.model import Model
from mlpcli.storage.strict_json import flattened

Values = NDArray[np.float64]
MIN_LEVEL = 0.5  # an interval that is wrong more often than right is not meaningful
LARGEST_LOG = math.log(np.finfo(np.float64).max)


@dataclass(frozen=True)
class PredictionRegions:
    """The prediction intervals or sets of some rows.

    `low` and `high` (n_rows, n_targets) are the ends of intervals. `holds` is whether a set contains a label:
    (n_rows, n_classes) for classes, (n_rows, n_targets, 2) for boolean columns. `n_open` counts the rows of each group
    with too few calibration rows, by its name, "" for groups without any.
    """

    low: Values | None
    high: Values | None
    holds: NDArray[np.bool_] | None
    n_open: dict[str, int]
    level: float

    def only(self, rows: NDArray[np.bool_]) -> "PredictionRegions":
        """The regions of some of the rows."""
        low, high = (None if ends is None else ends[rows] for ends in (self.low, self.high))
        return PredictionRegions(low, high, None if self.holds is None else self.holds[rows], self.n_open, self.level)


class ConformalPredictor:
    """Makes prediction intervals or sets at a confidence `level`; thread-safe.

    Raises MlpError for an invalid level, and if the model has no calibration rows, or too few in every group.
    """

    def __init__(self, model: Model, level: float) -> None:
        if not MIN_LEVEL <= level < 1.0:
            meant = f" Write {level / 100:g} for {level:g}%." if 50 <= level < 100 else ""
            raise MlpError(
                f"the level of intervals must be from {MIN_LEVEL:g} to below 1, for example 0.9, not {level:g}.{meant}"
            )
        self.model, self.level = model, level
        self._scores = _scores_of(model)
        self._by = model.interval_by
        rows = self._scores.rows
        self.n_needed = rows_needed(level_of_end(rows.kind, level))
        largest = max(rows.rows_of(group) for group in range(rows.n_groups))
        if largest < self.n_needed:
            of_group = f" in the largest of the groups by {rows.by}" if rows.by else ""
            raise MlpError(
                f"an interval at {level:g} needs {self.n_needed} calibration rows, and there are {largest}{of_group}. "
                f"Ask for at most {_highest_level(largest, rows.kind)}, or train with more rows."
            )
        n_targets = 1 if isinstance(model.target, ClassTarget) else len(model.target.names)
        of_numbers = isinstance(model.target, NumberTarget)
        keys = [(target, group) for target in range(n_targets) for group in range(rows.n_groups)]
        self._intervals: dict[tuple[int, int], Intervals] = {}
        self._sets: dict[tuple[int, int], LabelSets] = {}
        for target, group in keys:
            folds = self._scores.folds_of(target, group)
            if of_numbers:
                self._intervals[target, group] = intervals_of(rows.kind, folds, level)
            else:
                self._sets[target, group] = sets_of(folds, level)

    def cast(self, table: Table) -> Table:
        """A table cast as by `Model.cast`, with the column of groups; raises DataError for a missing column or cell."""
        cells = self.model.cast(table)
        if self._by is None or self._by.name in {column.name for column in self.model.preprocessor.columns}:
            return cells
        group_labels(table, self._by.name)  # raises DataError for a missing column
        return cells.with_columns({**cells.columns, **cast_table(table, [self._by]).columns})

    def predict(self, table: Table, rows: Rows | None = None) -> tuple[Values, PredictionRegions, TransformCounts]:
        """Predictions for rows of a table from `cast`, as those of the model, and their intervals or sets."""
        predictions, fold_predictions, counts = self.model.predict_folds(table, rows)
        groups = None if self._by is None else group_labels(table, self._by.name)
        groups = groups if groups is None or rows is None else groups.take(rows)
        return predictions, self.regions(predictions, fold_predictions, groups), counts

    def regions(
        self, predictions: Values, fold_predictions: Values, column: CategoricalColumn | None
    ) -> PredictionRegions:
        """The intervals or sets of predictions; `fold_predictions` as from `Model.predict_folds`."""
        groups, names = self._groups(column, len(predictions))
        n_open = {names[code]: int(n) for code, n in enumerate(np.bincount(groups, minlength=len(names))) if n}
        if isinstance(self.model.target, NumberTarget):
            return PredictionRegions(
                *self._ends(predictions, fold_predictions, groups), None, self._only_open(n_open), self.level
            )
        return PredictionRegions(
            None, None, self._held(predictions, fold_predictions, groups), self._only_open(n_open), self.level
        )

    @property
    def by(self) -> str | None:
        """The name of the column of groups, None without groups."""
        return None if self._by is None else self._by.name

    @property
    def columns(self) -> set[str]:
        """The columns that are needed in addition to the inputs."""
        return set() if self._by is None else {self._by.name}

    def data_columns(self, predictions: Values, regions: PredictionRegions) -> dict[str, Any]:
        """Predictions by column name, each followed by its interval ends or its set, a tuple of labels."""
        columns: dict[str, Any] = {}
        for name, values in self.model.columns(predictions).items():
            columns |= {name: values, **self._region_columns(name, regions)}
        return columns

    def _region_columns(self, name: str, regions: PredictionRegions) -> dict[str, Any]:
        """The interval ends or the sets of the target with this name, as columns."""
        target, index = self.model.target, self.model.target.names.index(name)
        if regions.low is not None and regions.high is not None:
            return {f"{name}_low": regions.low[:, index], f"{name}_high": regions.high[:, index]}
        assert regions.holds is not None
        assert not isinstance(target, NumberTarget)
        is_classes = isinstance(target, ClassTarget)
        levels = target.labels if isinstance(target, ClassTarget) else target.levels[index]
        labels = typed_labels(levels, target.cell_types[index])
        holds = regions.holds if is_classes else regions.holds[:, index]
        sets = np.empty(len(holds), object)
        sets[:] = [tuple(labels[code] for code in np.flatnonzero(row).tolist()) for row in holds]
        return {f"{name}_set": sets}

    @property
    def text(self) -> str:
        """A description: `prediction intervals at 0.9 by 69 validation rows`."""
        what = "prediction sets" if self._sets else "prediction intervals"
        return f"{what} at {self.level:.4g} by {self._scores.rows.text}"

    @property
    def as_json(self) -> dict[str, Any]:
        """The level and the calibration rows, for JSON."""
        rows = self._scores.rows
        n_rows = {name: rows.rows_of(group) for group, name in enumerate(rows.groups or ("",))}
        calibration: dict[str, Any] = {"by": rows.by, "n_rows": n_rows} if rows.by else {"n_rows": n_rows[""]}
        return {"level": self.level, "source": rows.source, "chosen": list(rows.chosen), **calibration}

    def notes(self, n_open: Mapping[str, int], has_drifted: bool = False) -> list[str]:
        """Notes on rows with infinite intervals or sets of every label, and on drift."""
        what = "sets" if self._sets else "intervals"
        promise = f"the coverage of {what} at {self.level:g} holds only for rows like the training rows."
        return [note for note in (self._note_on_open(n_open), promise if has_drifted else "") if note]

    def _note_on_open(self, n_open: Mapping[str, int]) -> str:
        """A note on rows of groups with too few calibration rows, "" for none."""
        if not n_open:
            return ""
        rows, what = self._scores.rows, "the set holds every label" if self._sets else "the interval is infinite"
        reasons = []
        for name, n in sorted(n_open.items(), key=lambda pair: (-pair[1], pair[0]))[:3]:
            n_calibration = rows.rows_of(rows.groups.index(name)) if name in rows.groups else 0
            which = f"{rows.by} = {name}" if name else f"a {rows.by} without calibration rows"
            reasons.append(f"{format_count(n, 'row')} of {which} ({n_calibration} calibration rows)")
        more = f" and {len(n_open) - 3} more groups" if len(n_open) > 3 else ""
        return f"{what} of {', '.join(reasons)}{more}: {self.level:g} needs {self.n_needed} in each group."

    def _only_open(self, n_rows: dict[str, int]) -> dict[str, int]:
        """The entries of groups with too few calibration rows."""
        rows = self._scores.rows
        return {
            name: n
            for name, n in n_rows.items()
            if rows.by and (name not in rows.groups or rows.rows_of(rows.groups.index(name)) < self.n_needed)
        }

    def _groups(self, column: CategoricalColumn | None, n_rows: int) -> tuple[NDArray[np.int64], list[str]]:
        """The group index of each row, and the names of the groups; the last is for rows without a group."""
        names = [*self._scores.rows.groups, ""]
        if column is None:
            return np.zeros(n_rows, np.int64), names
        indices = {name: code for code, name in enumerate(names)}
        codes = np.asarray([indices.get(level, len(names) - 1) for level in column.levels], np.int64)
        return column.translate(codes, indices.get(MISSING, len(names) - 1)), names

    def _ends(self, predictions: Values, fold_predictions: Values, groups: NDArray[np.int64]) -> tuple[Values, Values]:
        """Lower and upper ends of the interval of each row (n_rows, n_targets); `groups` (n_rows,)."""
        rows, n_targets = self._scores.rows, predictions.shape[1]
        low, high = np.full(predictions.shape, -np.inf), np.full(predictions.shape, np.inf)
        with np.errstate(all="ignore"):
            scaled = np.log1p(fold_predictions) if rows.scale == "log" else fold_predictions
            for (target, group), interval in self._intervals.items():
                of_group = groups == group
                if of_group.any():
                    lower, upper = scaled[:, of_group, target], scaled[:, of_group, target - n_targets]
                    low[of_group, target], high[of_group, target] = interval(lower, upper)
            if rows.scale == "log":
                low, high = np.expm1(low), np.expm1(np.where(high > LARGEST_LOG, np.inf, high))
        if rows.is_count:
            low = np.maximum(low, 0.0)
        if rows.kind != "signed":  # if folds differ widely, the prediction may lie outside; widening keeps the coverage
            low, high = np.minimum(low, predictions), np.maximum(high, predictions)
        return low, high

    def _held(self, predictions: Values, fold_predictions: Values, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the set of each row contains each label, as `PredictionRegions.holds`; `groups` (n_rows,)."""
        target, rows = self.model.target, self._scores.rows
        predicted = predicted_labels(target, predictions, self.model.threshold)  # type: ignore[arg-type]
        codes = np.stack([target_codes for _, target_codes in predicted.values()], axis=1)
        if isinstance(target, ClassTarget):
            probabilities, n_labels = fold_predictions, len(prediction_names(target))
        else:
            probabilities, n_labels = np.stack([1.0 - fold_predictions, fold_predictions], axis=-1), 2
        holds = np.ones(probabilities.shape[1:], np.bool_)
        for (target_index, group), is_held in self._sets.items():
            if isinstance(target, ClassTarget) and rows.by == target.name:
                holds[:, group] = is_held(-probabilities[..., group])
                continue
            of_group = groups == group
            for label in range(n_labels if of_group.any() else 0):
                cells = (of_group, label) if isinstance(target, ClassTarget) else (of_group, target_index, label)
                holds[cells] = is_held(-probabilities[(slice(None), *cells)])
        chosen = codes[:, 0] if isinstance(target, ClassTarget) else codes
        np.put_along_axis(holds, chosen[..., None], True, axis=-1)  # a set contains the predicted label
        return holds


def with_regions(
    model: Model, conformal: ConformalPredictor | None, table: Table, rows: Rows | None = None
) -> tuple[Values, PredictionRegions | None, TransformCounts]:
    """Predictions for rows of a table cast for the model, with intervals or sets if `conformal` is given."""
    if conformal is not None:
        return conformal.predict(table, rows)
    predictions, counts = model.predict(table, rows)
    return predictions, None, counts


def joined_regions(chunks: Sequence[PredictionRegions]) -> PredictionRegions | None:
    """The concatenated regions of consecutive rows; None for an empty list."""
    if not chunks:
        return None
    n_open: Counter[str] = Counter()
    for chunk in chunks:
        n_open += Counter(chunk.n_open)
    low = _joined([chunk.low for chunk in chunks])
    high = _joined([chunk.high for chunk in chunks])
    holds = _joined([chunk.holds for chunk in chunks])
    return PredictionRegions(low, high, holds, dict(n_open), chunks[0].level)


def _joined(arrays: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if present else None


def _scores_of(model: Model) -> ConformityScores:
    if model.conformity is not None:
        return model.conformity
    settings = dict(flattened(model.record))
    if "folds" in model.record:
        reason = "it combines the folds of a cross-validation; train one with: mlp train CONFIG"
    elif model.weight is not None:
        reason = "it was trained with sample weights, and rows of different weight are not exchangeable"
    elif settings.get("config.intervals.rows") == "none":
        reason = "it was trained with intervals.rows: none"
    elif settings.get("config.model.members.repeat_folds"):
        reason = "it was trained with model.members.repeat_folds; leave that out, or set intervals.rows to a fraction"
    else:
        reason = "it was trained without validation rows; set data.validation, or intervals.rows to a fraction"
    raise MlpError(f"no intervals: the model has no calibration rows: {reason}.")


def _highest_level(n_rows: int, kind: Any) -> str:
    """The highest level with two decimals that so many calibration rows allow."""
    levels = [number / 100 for number in range(50, 100)]
    possible = [level for level in levels if rows_needed(level_of_end(kind, level)) <= n_rows]
    return f"{possible[-1]:g}" if possible else "none"


def quantile_of(model: Model) -> float | None:
    """The quantile that a model predicts, None if it was trained with another loss."""
    settings = dict(flattened(model.record))
    is_quantile_loss = settings.get("config.training.loss.name") == "quantile"
    quantile: Any = settings.get("config.training.loss.quantile") if is_quantile_loss else None
    if isinstance(model.target, NumberTarget) and model.target.fitted:
        quantile = model.target.fitted[1]
    is_sound = isinstance(quantile, float) and 0.0 < quantile < 1.0 and isinstance(model.target, NumberTarget)
    return quantile if is_sound else None
