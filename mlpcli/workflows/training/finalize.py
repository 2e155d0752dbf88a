"""From the weights of the best epoch to a model and its scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import decode_outputs
from mlpcli.evaluation.gates import GateResult, evaluate_gates, make_gates
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS
from mlpcli.model import Model
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.merge import scale_logits, shift_logits
from mlpcli.progress import report_progress
from mlpcli.storage.model.model_record import Sitting
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.data_store import SCORED_ROWS
from mlpcli.workflows.preparing.rows.splits import Split
from mlpcli.workflows.preparing.warnings.few_rows import few_rows_note, min_rows
from mlpcli.workflows.scoring.predictions import Predictions, reasons_undefined
from mlpcli.workflows.scoring.scores import Decoded, constant_predictions, score_predictions
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.training.conformity_scores import conformity_scores, make_conformal_predictor, predicted_quantile
from mlpcli.workflows.training.fitting import make_criterion, stop_reason
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs, select_members
from mlpcli.workflows.training.postprocessing import fitted_state, is_fitted
from mlpcli.workflows.training.recording.sittings import current_sitting, training_record

Scores = dict[str, dict[str, float]]
Rows = NDArray[np.int64]
Values = NDArray[np.float64]
PredictionsOf = Callable[[Split], Predictions]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and its scores.

    `scores` is by part: train, validation, test, and constant (the baseline, on the last of these); `stop_reason` is
    one sentence when the training ended early, else "". `chosen` is what the validation rows chose, and `caution` says
    how little they prove, if there are few.
    """

    model: Model
    scores: Scores
    epochs: int
    best_epoch: int
    best_score: float | None
    stop_reason: str
    gate_results: tuple[GateResult, ...]
    chosen: tuple[str, ...] = ()
    caution: str = ""

    @property
    def passed(self) -> bool:
        """Whether every gate of `expect` is met."""
        return all(result.passed for result in self.gate_results)


def finalize(
    prepared: Prepared, state: TrainingState, stopped: str = "", sittings: Sequence[Sitting] = ()
) -> TrainingResult:
    """The model of the best epoch, scored on every part.

    `stopped` says what ended the training from outside; `sittings` are all that it took, none for this one alone.
    """
    # Where no epoch was scored (the first one was given up) the last weights stand.
    flats = state.best if state.best_epoch else [member.evaluated_flat for member in state.members]
    ensemble = Ensemble(prepared.networks, tuple(flats)).merged()  # a temperature goes into these weights
    prepared, ensemble = select_members(prepared, ensemble)
    prepared = _postprocessed(prepared, ensemble)
    scores = _score_splits(prepared, ensemble)
    last = prepared.splits[-1]
    baseline = constant_predictions(
        prepared.target, prepared.spec.loss, prepared.train.truth, prepared.train.weights, len(last.truth)
    )
    constant = Predictions(
        prepared.target, last.truth, baseline, last.weights, None, quantile=predicted_quantile(prepared)
    )
    scores["constant"] = (
        score_predictions(prepared.target, last.truth, baseline, last.weights) | constant.further_scores
    )
    conformity = conformity_scores(prepared, lambda part: _outputs(prepared, part, ensemble))
    bare = Model(
        prepared.preprocessor,
        ensemble,
        prepared.target,
        prepared.target_state,
        replace(prepared.table_format, delimiter=None, encoding=None),
        prepared.weight,
        {},
        training_record(prepared, state, sittings or (current_sitting(prepared, state.epoch),)),
        prepared.reference,
        prepared.trained_rows,
        conformity,
        prepared.interval_by if conformity else None,
    )
    conformal = make_conformal_predictor(prepared, bare)
    predictions_of = partial(_predictions, prepared, ensemble=ensemble, conformal=conformal)
    for part in prepared.splits:
        if predicted_quantile(prepared) is not None or (conformal is not None and part is prepared.test):
            scores[part.name] |= predictions_of(_scored_rows(prepared, part)).further_scores
    gate_results = _gate_results(prepared, predictions_of, scores[last.name])
    return TrainingResult(
        replace(bare, scores=_flat_scores(scores)),
        scores,
        state.epoch,
        state.best_epoch or state.epoch,
        state.best_score,
        stopped or stop_reason(prepared, state),
        tuple(gate_results),
        prepared.chosen_on_validation,
        _caution(prepared, predictions_of),
    )


def _postprocessed(prepared: Prepared, ensemble: Ensemble) -> Prepared:
    """With the target state that is fitted on the validation rows.

    A temperature fitted on rows that each member has not seen is each member's own: it goes into its logits, which is
    to say into the weights of the last layer, before the members are averaged.
    """
    network = ensemble.first
    normalizes_outputs = network.output == "sigmoid" and prepared.target.task == "classification" and network.n_out > 1
    if "class_weights" in prepared.target_state and network.output in ("softmax", "sigmoid") and not normalizes_outputs:
        prepared = replace(prepared, target_state=_merge_class_weights(prepared.target_state, ensemble))
    options, validation = prepared.loaded.config.postprocess, prepared.validation
    if validation is None or not is_fitted(options):
        return prepared
    has_logits = network.output in ("softmax", "sigmoid")
    if prepared.folds is not None and options.calibration == "temperature" and has_logits and not normalizes_outputs:
        each = out_of_fold_outputs(prepared, validation, prepared.folds, ensemble)
        criterion = make_criterion(prepared, validation, "log_loss")
        temperature = criterion.members_temperature(each, counts=ensemble.repeat_counts(_n_folds(prepared)))
        for own, flat in zip(ensemble.networks, ensemble.flats, strict=True):
            scale_logits(own, flat, 1.0 / temperature)
        prepared = replace(prepared, members_temperature=temperature)
        options = replace(options, calibration="none")
    outputs = _outputs(prepared, validation, ensemble)
    target, state = prepared.target, prepared.target_state
    return replace(
        prepared, target_state=fitted_state(options, target, state, outputs, validation.truth, validation.weights)
    )


def _merge_class_weights(state: dict[str, Values], ensemble: Ensemble) -> dict[str, Values]:
    """The target state without the class weights, which go into the biases of the last layer: softmax(z - log w)."""
    shift = -np.log(state["class_weights"])
    for own, flat in zip(ensemble.networks, ensemble.flats, strict=True):
        shift_logits(own, flat, shift if own.n_out > 1 else shift[1:] - shift[:1])
    return {name: values for name, values in state.items() if name != "class_weights"}


def _outputs(prepared: Prepared, part: Split, ensemble: Ensemble) -> NDArray[np.floating[Any]]:
    """The network's outputs on a part; on folds the mean over the members that have not seen the row."""
    if part is prepared.validation and prepared.folds is not None:
        each = out_of_fold_outputs(prepared, part, prepared.folds, ensemble)
        return average_rounds(each, ensemble, _n_folds(prepared))
    there = sharded_inputs(part.samples)
    return ensemble.outputs(part.samples.X) if there is None else there.outputs(ensemble)


def _flat_scores(scores: Scores) -> dict[str, float | None]:
    """`part.metric` for every score; None, which JSON can say, where one is not defined."""
    pairs = ((f"{part}.{name}", value) for part, of in scores.items() for name, value in of.items())
    return {key: value if np.isfinite(value) else None for key, value in pairs}


def _scored_rows(prepared: Prepared, part: Split) -> Split:
    """The rows that are scored: all, or of training rows on disk a random sample."""
    is_sampled = prepared.spec.chunk_rows is not None and part is prepared.train and prepared.folds is None
    return part.first(SCORED_ROWS) if is_sampled else part


def _score_splits(prepared: Prepared, ensemble: Ensemble) -> Scores:
    parts = [_scored_rows(prepared, part) for part in prepared.splits]
    n_rows, n_done, scores = sum(len(part.truth) for part in parts), 0, {}
    for part in parts:
        report_progress("stage", "scoring", n_done, n_rows)
        scores[part.name] = _score_split(prepared, part, ensemble)
        n_done += len(part.truth)
    return scores


def _score_split(prepared: Prepared, part: Split, ensemble: Ensemble) -> dict[str, float]:
    outputs = _outputs(prepared, part, ensemble)
    predictions = Decoded(prepared.target, prepared.target_state, outputs)
    return score_predictions(
        prepared.target, part.truth, predictions, part.weights, prepared.target_state.get("threshold")
    )


def _gate_results(
    prepared: Prepared, predictions_of: Callable[[Split], Predictions], scores: dict[str, float]
) -> list[GateResult]:
    """What the gates of `expect` say of the last part; intervals are made where one asks for an end of them."""
    expect, last = prepared.loaded.config.expect, prepared.splits[-1]
    gates = make_gates(expect.min, expect.max)
    if all(gate.metric in scores for gate in gates):
        return evaluate_gates(gates, scores, "", reasons_undefined(prepared.target, last.truth, last.weights, scores))
    interval_options = DEFAULT_OPTIONS
    if last is prepared.validation and (n_folds := _n_folds(prepared)):
        interval_options = DEFAULT_OPTIONS.of_folds(n_folds)
    return predictions_of(last).check_gates(gates, prepared.spec.seed, interval_options)


def _predictions(
    prepared: Prepared, part: Split, ensemble: Ensemble, conformal: ConformalPredictor | None
) -> Predictions:
    predictions = decode_outputs(prepared.target, prepared.target_state, _outputs(prepared, part, ensemble))
    threshold, quantile = prepared.target_state.get("threshold"), predicted_quantile(prepared)
    regions = None
    if conformal is not None and part is prepared.test:
        fold_predictions = conformal.model.fold_predictions(part.samples.X, predictions)
        regions = conformal.regions(predictions, fold_predictions, part.by)
    return Predictions(prepared.target, part.truth, predictions, part.weights, threshold, regions, quantile)


def _caution(prepared: Prepared, predictions_of: PredictionsOf) -> str:
    """How little a few validation rows prove."""
    validation, n_folds = prepared.validation, _n_folds(prepared)
    if validation is None or len(validation.truth) >= min_rows(
        DEFAULT_OPTIONS.of_folds(n_folds) if n_folds else DEFAULT_OPTIONS
    ):
        return ""
    return few_rows_note(predictions_of(validation), n_folds, prepared.spec.seed)


def _n_folds(prepared: Prepared) -> int:
    """Folds that members leave out, 0 where there are none."""
    return 0 if prepared.folds is None else int(prepared.folds.max()) + 1
