"""Conformity scores of calibration rows, which a model stores for its prediction intervals and sets."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import ClassTarget, NumberTarget, decode_bounds
from mlpcli.evaluation.conformal.conformity import CalibrationRows, ConformityScores, gather_scores
from mlpcli.evaluation.conformal.ends import Kind
from mlpcli.model import Model
from mlpcli.nn.losses import Poisson, Quantile
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.preparing.interval_options import interval_groups
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.splits import Split

Values = NDArray[np.float64]
CHUNK_ROWS = 1 << 16


def conformity_scores(
    prepared: Prepared, compute_outputs: Callable[[Split], NDArray[np.floating[Any]]]
) -> ConformityScores | None:
    """The conformity scores of the calibration rows: rows set apart, otherwise the validation rows.

    `compute_outputs(split)` returns the outputs (n_rows, n_out) of members that were not trained on the row. None
    without calibration rows or with row weights, and for repeated folds: CV+ needs one division into folds.
    """
    is_apart = prepared.calibration is not None
    folds = None if is_apart else prepared.folds
    split = prepared.calibration if is_apart else prepared.validation
    if folds is not None and folds.ndim > 1:
        return None
    if split is None or prepared.loaded.config.intervals.rows == "none" or prepared.weight is not None:
        return None
    outputs = compute_outputs(split)
    target, loss = prepared.target, prepared.spec.loss
    kind: Kind = "probability" if not isinstance(target, NumberTarget) else "absolute"
    if isinstance(loss, Quantile):
        kind = "quantiles" if loss.output_quantiles else "absolute" if loss.predicted_quantile == 0.5 else "signed"
    scale: Literal["plain", "log"] = "log" if getattr(target, "transform", "none") == "log" else "plain"
    n_folds = 1 if folds is None else int(folds.max()) + 1
    names, groups = interval_groups(prepared.loaded, target, split)
    source: Literal["apart", "folds", "validation"] = (
        "apart" if is_apart else "validation" if folds is None else "folds"
    )
    rows = CalibrationRows(
        kind,
        scale,
        isinstance(loss, Poisson),
        source,
        () if is_apart else prepared.chosen_on_validation,
        n_folds,
        prepared.loaded.config.intervals.by or "",
        names,
        (),
    )
    chunks = [
        _score_rows(prepared, rows, outputs[start : start + CHUNK_ROWS], split.truth[start : start + CHUNK_ROWS])
        for start in range(0, len(split.truth), CHUNK_ROWS)
    ]
    return gather_scores(rows, np.concatenate(chunks), folds, groups)


def make_conformal_predictor(prepared: Prepared, model: Model) -> ConformalPredictor | None:
    """The predictor of intervals or sets for the test rows, to score them; None without `intervals.level`."""
    level = prepared.loaded.config.intervals.level
    if level is None or prepared.test is None or model.conformity is None:
        return None
    return ConformalPredictor(model, level)


def predicted_quantile(prepared: Prepared) -> float | None:
    """The quantile that the model predicts, None for a loss other than quantile."""
    loss = prepared.spec.loss
    return loss.predicted_quantile if isinstance(loss, Quantile) else None


def _score_rows(
    prepared: Prepared, rows: CalibrationRows, outputs: NDArray[np.floating[Any]], truth: NDArray[Any]
) -> Values:
    """Conformity scores (n_rows, n_targets) of rows; `truth` as in `Split`."""
    target = prepared.target
    predictions = decode_bounds(target, prepared.target_state, outputs)
    if isinstance(target, ClassTarget):
        return np.asarray(-predictions[np.arange(len(truth)), truth][:, None])
    if not isinstance(target, NumberTarget):
        return np.asarray(-np.where(truth > 0.5, predictions, 1.0 - predictions))
    n_targets = truth.shape[1]
    with np.errstate(all="ignore"):
        truth, predictions = (np.log1p(truth), np.log1p(predictions)) if rows.scale == "log" else (truth, predictions)
        if rows.kind == "quantiles":
            return np.asarray(
                np.maximum(predictions[:, :n_targets] - truth, truth - predictions[:, n_targets:]), np.float64
            )
        errors = truth - predictions
    return np.asarray(errors if rows.kind == "signed" else np.abs(errors), np.float64)
