"""`mlp eval`: scores on rows whose truth is known, and the verdict of the gates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.contract import SAMPLE_ROWS, see
from mlpcli.data.preprocessor import TransformCounts, number_columns, text_columns
from mlpcli.data.tables import read_table
from mlpcli.data.targets import ClassTarget, predicted_labels, rows_with_target, true_values
from mlpcli.errors import DataError, did_you_mean
from mlpcli.evaluation.classes import confusion_matrix
from mlpcli.evaluation.gates import Gate, Verdict, judge
from mlpcli.evaluation.scores import metric_names
from mlpcli.model import Model
from mlpcli.nn.network import SCORING_ROWS
from mlpcli.storage.model_file import load_model
from mlpcli.training.threads import blas_threads, choose_threads
from mlpcli.workflows.drift import DriftReport, check_on_drift, drift_notes, judge_drift
from mlpcli.workflows.predict import model_reading
from mlpcli.workflows.scoring import score_answers
from mlpcli.workflows.weights import row_weights


@dataclass(frozen=True)
class EvalResult:
    """Scores, the verdict of each gate, and for classes the confusion matrix (rows truth, columns predicted)."""

    model: Model
    n_rows: int
    scores: dict[str, float]
    verdicts: tuple[Verdict, ...]
    confusion: NDArray[np.float64] | None
    counts: TransformCounts
    notes: tuple[str, ...]
    drift: DriftReport | None = None

    @property
    def passed(self) -> bool:
        """Whether every gate is met."""
        return all(verdict.passed for verdict in self.verdicts)


def evaluate(
    weights: str,
    source: str,
    gates: Sequence[Gate] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    on_drift: str = "ignore",
) -> EvalResult:
    """Score a model on a table with the target columns.

    Raises MlpError for a gate on an unknown metric before the table is read, ModelFileError and DataError.
    """
    model = load_model(weights)
    check_on_drift(on_drift, model)
    target, preprocessor, weight = model.target, model.preprocessor, model.weight_column
    names = target.labels if isinstance(target, ClassTarget) else target.names
    judge(gates, dict.fromkeys(metric_names(target.task, names), 0.0))  # refuses an unknown metric
    numbers = {*number_columns(preprocessor), *([weight] if weight else [])}
    texts = {*text_columns(preprocessor), *target.names}
    table = read_table(source, model_reading(model, delimiter, encoding), texts, texts | numbers, numbers)
    for name in (*target.names, *([weight] if weight else [])):
        if name not in table.frame.columns:
            role = "target" if name in target.names else "weight"
            hint = did_you_mean(name, table.column_names)
            raise DataError(f"{table.name}: the {role} column {name} is missing.{hint}")
    rows, note = rows_with_target(table, target.names, target.task)
    with blas_threads(choose_threads("auto", model.network.sizes, SCORING_ROWS)):
        answers, counts = model.answers(table, rows)
    drift = None
    if on_drift != "ignore":
        known = model.contract.columns
        seen = see(model.contract, preprocessor.columns, table, rows, SAMPLE_ROWS) if known else None
        drift = judge_drift(model, seen)
    truth = true_values(target, table, rows)
    row_weight = row_weights(table, weight, rows) if weight else None
    scores = score_answers(target, truth, answers, row_weight, model.threshold)
    confusion = None
    if isinstance(target, ClassTarget):
        _, predicted = predicted_labels(target, answers, model.threshold)[target.name]
        confusion = confusion_matrix(truth.astype(np.int64), predicted, len(target.labels), row_weight)
    notes = (*table.notes, *([f"{table.name}: {note}"] if note else []), *drift_notes(drift, weights, source))
    return EvalResult(model, len(rows), scores, tuple(judge(gates, scores)), confusion, counts, notes, drift)
