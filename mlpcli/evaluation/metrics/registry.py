"""Every metric as a record, in the order of display."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, TypeAlias

from mlpcli.evaluation.metrics import classes, margins, multilabel, numbers
from mlpcli.evaluation.metrics.averages import Floats
from mlpcli.evaluation.uncertainty import pseudo_values

Task: TypeAlias = Literal["classification", "regression", "multilabel"]

# Fewest rows for an interval, by simulation (`python -m benchmarks coverage`).
ROWS_FOR_NUMBERS, ROWS_FOR_SQUARES = 30, 300


@dataclass(frozen=True)
class Metric:
    """A metric: `overall` computes its score from the score inputs, `per_output` that of each class, output or column.

    Intervals: Wilson's for a proportion with this `denominator`; Student's t of `pseudo_values` (n_rows,), where those
    of the difference of two predictions are `differences`, if given; otherwise the bootstrap. None if not
    `has_interval`: for a maximum, or an absolute difference, whose expectation is positive by chance alone. An interval
    needs `fewest_rows`, no heavy tail of unbounded `losses` (n_rows,), and true or predicted rows (`needed_rows`) of
    each class of an average. `has_unit` is true for a score in the unit of its target; the output with the largest unit
    dominates a mean of such scores.
    """

    name: str
    doc: str
    higher_is_better: bool = field(kw_only=True)
    overall: Mapping[Task, Callable[[Any], Floats]] = field(default_factory=dict)
    per_output: Mapping[Task, Callable[[Any], Floats]] = field(default_factory=dict)
    needs_two_classes: bool = False
    judges_probabilities: bool = False  # otherwise labels or numbers
    denominator: Mapping[Task, Callable[[Any], Floats]] = field(default_factory=dict)
    pseudo_values: Mapping[Task, Callable[[Any], Floats]] = field(default_factory=dict)
    losses: Mapping[Task, Callable[[Any], Floats]] = field(default_factory=dict)
    needed_rows: frozenset[Literal["truth", "predicted"]] = frozenset()
    fewest_rows: int = 0
    differences: Mapping[Task, Callable[[Any, Any], Floats]] = field(default_factory=dict)
    has_interval: bool = True
    has_unit: bool = False
    lowest: float = 0.0  # range of the score, with `highest`
    highest: float = 1.0

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the metric."""
        return tuple(dict.fromkeys([*self.overall, *self.per_output]))


def _mean(per_output: Callable[[Any], Floats]) -> Callable[[Any], Floats]:
    return lambda inputs: per_output(inputs).mean(axis=-1)


def _largest(per_output: Callable[[Any], Floats]) -> Callable[[Any], Floats]:
    return lambda inputs: per_output(inputs).max(axis=-1)


def _second_class(per_output: Callable[[Any], Floats]) -> Callable[[Any], Floats]:
    return lambda inputs: per_output(inputs)[..., 1]


_classes = pseudo_values.of_margins


def _rows(name: str) -> Callable[[Any], Floats]:
    """Pseudo-values of the mean over rows and columns of a property of the rows."""
    return lambda inputs: pseudo_values.of_mean_loss(getattr(inputs.rows, name), inputs.weights)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "accuracy",
            "Fraction of correct predictions.",
            higher_is_better=True,
            overall={"classification": classes.accuracy},
            per_output={"multilabel": multilabel.accuracy},
            denominator={"classification": classes.weight_of_all, "multilabel": multilabel.weight_of_all},
            pseudo_values={"classification": _rows("is_right")},
        ),
        Metric(
            "subset_accuracy",
            "Fraction of rows with every column correct.",
            higher_is_better=True,
            overall={"multilabel": multilabel.subset_accuracy},
            denominator={"multilabel": multilabel.weight_of_all},
            pseudo_values={"multilabel": _rows("is_all_right")},
        ),
        Metric(
            "balanced_accuracy",
            "Mean recall of the classes that occur in the truth.",
            higher_is_better=True,
            overall={"classification": classes.balanced_accuracy},
            pseudo_values={"classification": _classes(margins.balanced_accuracy)},
            needed_rows=frozenset({"truth"}),
        ),
        Metric(
            "hamming_loss",
            "Fraction of wrong predictions over all columns.",
            higher_is_better=False,
            overall={"multilabel": multilabel.hamming_loss},
            pseudo_values={"multilabel": _rows("is_wrong")},
        ),
        Metric(
            "log_loss",
            "Mean of -log of the probability of the true class or value.",
            higher_is_better=False,
            highest=inf,
            overall={"classification": classes.log_loss, "multilabel": multilabel.log_loss},
            judges_probabilities=True,
            pseudo_values=dict.fromkeys(("classification", "multilabel"), _rows("negative_log_likelihood")),
        ),
        Metric(
            "roc_auc",
            "Area under the ROC curve; mean of the classes for more than two.",
            higher_is_better=True,
            overall={"classification": classes.roc_auc, "multilabel": _mean(multilabel.roc_auc)},
            per_output={"multilabel": multilabel.roc_auc},
            judges_probabilities=True,
            pseudo_values=dict.fromkeys(("classification", "multilabel"), pseudo_values.roc_auc),
        ),
        Metric(
            "average_precision",
            "Area under the precision-recall curve; mean of the classes for more than two.",
            higher_is_better=True,
            overall={"classification": classes.average_precision, "multilabel": _mean(multilabel.average_precision)},
            judges_probabilities=True,
            pseudo_values=dict.fromkeys(("classification", "multilabel"), pseudo_values.average_precision),
        ),
        Metric(
            "f1_macro",
            "Mean F1 of the classes or columns.",
            higher_is_better=True,
            overall={"classification": classes.f1_macro, "multilabel": _mean(multilabel.f1)},
            pseudo_values={"classification": _classes(margins.f1_macro), "multilabel": pseudo_values.f1_macro},
            needed_rows=frozenset({"truth", "predicted"}),
        ),
        Metric(
            "f1_weighted",
            "Mean F1 of the classes, each weighted by its fraction of the rows.",
            higher_is_better=True,
            overall={"classification": classes.f1_weighted},
            pseudo_values={"classification": _classes(margins.f1_weighted)},
        ),
        Metric(
            "f1_micro",
            "F1 of true over the predictions of all columns.",
            higher_is_better=True,
            overall={"multilabel": multilabel.f1_micro},
            pseudo_values={"multilabel": pseudo_values.f1_micro},
        ),
        Metric(
            "precision_macro",
            "Mean precision of the classes.",
            higher_is_better=True,
            overall={"classification": classes.precision_macro},
            pseudo_values={"classification": _classes(margins.precision_macro)},
            needed_rows=frozenset({"predicted"}),
        ),
        Metric(
            "recall_macro",
            "Mean recall of the classes.",
            higher_is_better=True,
            overall={"classification": classes.recall_macro},
            pseudo_values={"classification": _classes(margins.recall_macro)},
            needed_rows=frozenset({"truth"}),
        ),
        Metric(
            "mcc",
            "Matthews correlation of truth and prediction, from -1 to 1.",
            higher_is_better=True,
            lowest=-1.0,
            overall={"classification": classes.mcc},
            pseudo_values={"classification": _classes(margins.mcc)},
            needed_rows=frozenset({"truth", "predicted"}),
        ),
        Metric(
            "brier",
            "Mean squared error of the probabilities, summed over the classes for more than two.",
            higher_is_better=False,
            highest=2.0,
            overall={"classification": classes.brier, "multilabel": multilabel.brier},
            judges_probabilities=True,
            pseudo_values=dict.fromkeys(("classification", "multilabel"), _rows("squared_error")),
        ),
        Metric(
            "ece",
            "Expected calibration error: mean gap between the top probability and the accuracy, in 15 bins.",
            higher_is_better=False,
            overall={"classification": classes.ece},
            judges_probabilities=True,
            has_interval=False,
        ),
        Metric(
            "f1",
            "Harmonic mean of precision and recall; of the second class if there are two.",
            higher_is_better=True,
            overall={"classification": _second_class(classes.f1)},
            per_output={"classification": classes.f1, "multilabel": multilabel.f1},
            denominator={"classification": classes.weight_of_either, "multilabel": multilabel.weight_of_either},
            needs_two_classes=True,
            pseudo_values={"classification": pseudo_values.of_class(margins.f1, 1)},
        ),
        Metric(
            "precision",
            "Fraction of the rows predicted as the class that are of it; of the second class if there are two.",
            higher_is_better=True,
            overall={"classification": _second_class(classes.precision)},
            per_output={"classification": classes.precision},
            denominator={"classification": classes.weight_of_predicted},
            needs_two_classes=True,
            pseudo_values={"classification": pseudo_values.of_class(margins.precision, 1)},
        ),
        Metric(
            "recall",
            "Fraction of the rows of the class that are predicted as it; of the second class if there are two.",
            higher_is_better=True,
            overall={"classification": _second_class(classes.recall)},
            per_output={"classification": classes.recall},
            denominator={"classification": classes.weight_of_class},
            needs_two_classes=True,
            pseudo_values={"classification": pseudo_values.of_class(margins.recall, 1)},
        ),
        Metric(
            "rmse",
            "Root of the mean squared error, in the unit of the target; mean of the outputs.",
            higher_is_better=False,
            highest=inf,
            overall={"regression": _mean(numbers.rmse)},
            per_output={"regression": numbers.rmse},
            has_unit=True,
            pseudo_values={"regression": pseudo_values.rmse},
            differences={"regression": pseudo_values.rmse_differences},
            losses={"regression": numbers.losses_of_rmse},
            fewest_rows=ROWS_FOR_SQUARES,
        ),
        Metric(
            "mae",
            "Mean absolute error, in the unit of the target; mean of the outputs.",
            higher_is_better=False,
            highest=inf,
            overall={"regression": _mean(numbers.mae)},
            per_output={"regression": numbers.mae},
            has_unit=True,
            pseudo_values={"regression": _rows("absolute_error")},
            losses={"regression": lambda inputs: inputs.rows.absolute_error.mean(axis=1)},
            fewest_rows=ROWS_FOR_NUMBERS,
        ),
        Metric(
            "median_absolute_error",
            "Median of the absolute errors, in the unit of the target; mean of the outputs.",
            higher_is_better=False,
            highest=inf,
            overall={"regression": _mean(numbers.median_absolute_error)},
            per_output={"regression": numbers.median_absolute_error},
            has_unit=True,
            fewest_rows=ROWS_FOR_NUMBERS,
        ),
        Metric(
            "r2",
            "Fraction of the variance explained, at most 1; mean of the outputs.",
            higher_is_better=True,
            lowest=-inf,
            overall={"regression": _mean(numbers.r2)},
            per_output={"regression": numbers.r2},
            pseudo_values={"regression": pseudo_values.r2},
            differences={"regression": pseudo_values.r2_differences},
            losses={"regression": numbers.losses_of_r2},
            fewest_rows=ROWS_FOR_SQUARES,
        ),
        Metric(
            "mape",
            "Mean absolute error as a fraction of the true value (0.1 is 10%); mean of the outputs.",
            higher_is_better=False,
            highest=inf,
            overall={"regression": _mean(numbers.mape)},
            per_output={"regression": numbers.mape},
            pseudo_values={"regression": _rows("relative_error")},
            losses={"regression": lambda inputs: inputs.rows.relative_error.mean(axis=1)},
            fewest_rows=ROWS_FOR_SQUARES,
        ),
        Metric(
            "max_error",
            "Largest absolute error of any row and output, whatever its weight.",
            higher_is_better=False,
            highest=inf,
            overall={"regression": _largest(numbers.max_error)},
            per_output={"regression": numbers.max_error},
            has_unit=True,
            has_interval=False,
        ),
    )
}
