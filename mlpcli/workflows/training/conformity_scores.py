"""Conformity scores of calibration rows, which a model keeps for its intervals and sets."""

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
    prepared: Prepared, outputs_of: Callable[[Split], NDArray[np.floating[Any]]]
) -> ConformityScores | None:
    """The scores of the calibration rows: those set apart, or the validation rows; None where there are none.

    None for repeated folds too: in CV+ the members that hold out a fold hold out the same rows. `outputs_of`
    are the outputs (n_rows, n_out) of the members that have not seen a row.
    """
    is_apart = prepared.calibration is not None
    folds = None if is_apart else prepared.folds
    part = prepared.calibration if is_apart else prepared.validation
    if folds is not None and folds.ndim > 1:
        return None
    if part is None or prepared.loaded.config.intervals.rows == "none" or prepared.weight is not None:
        return None
    outputs = outputs_of(part)
    target, loss = prepared.target, prepared.spec.loss
    kind: Kind = "probability" if not isinstance(target, NumberTarget) else "absolute"
    if isinstance(loss, Quantile):
        kind = "quantiles" if loss.output_quantiles else "absolute" if loss.predicted_quantile == 0.5 else "signed"
    scale: Literal["plain", "log"] = "log" if getattr(target, "transform", "none") == "log" else "plain"
    n_folds = 1 if folds is None else int(folds.max()) + 1
    names, groups = interval_groups(prepared.loaded, target, part)
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
    blocks = [
        _scores_of(prepared, rows, outputs[start : start + CHUNK_ROWS], part.truth[start : start + CHUNK_ROWS])
        for start in range(0, len(part.truth), CHUNK_ROWS)
    ]
    return gather_scores(rows, np.concatenate(blocks), folds, groups)


def make_conformal_predictor(prepared: Prepared, model: Model) -> ConformalPredictor | None:
    """What makes the intervals or sets whose coverage is told of the test rows, if any are asked for."""
    level = prepared.loaded.config.intervals.level
    if level is None or prepared.test is None or model.conformity is None:
        return None
    return ConformalPredictor(model, level)


def predicted_quantile(prepared: Prepared) -> float | None:
    """The quantile that is predicted, None for a loss of another kind."""
    loss = prepared.spec.loss
    return loss.predicted_quantile if isinstance(loss, Quantile) else None


def _scores_of(
    prepared: Prepared, rows: CalibrationRows, outputs: NDArray[np.floating[Any]], truth: NDArray[Any]
) -> Values:
    """Scores (n_rows, n_targets) of some rows."""
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
