"""Make a model of the weights of the best epoch, and score it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import NumberTarget, decode_outputs
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
from mlpcli.workflows.scoring.predictions import LabeledPredictions, reasons_undefined
from mlpcli.workflows.scoring.scores import Decoded, constant_predictions, score_predictions
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.training.conformity_scores import conformity_scores, make_conformal_predictor, predicted_quantile
from mlpcli.workflows.training.fitting import make_criterion, stop_reason
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs, select_members
from mlpcli.workflows.training.postprocessing import fit_bias_correction, fitted_state, is_fitted
from mlpcli.workflows.training.recording.sittings import current_sitting, training_record

Scores = dict[str, dict[str, float]]
Rows = NDArray[np.int64]
Values = NDArray[np.float64]
PredictSplit = Callable[[Split], LabeledPredictions]


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and its scores.

    `scores` are by split: train, validation, test, and constant (the constant baseline, on the last of these).
    `stop_reason` is a sentence if the training ended early, else "". `chosen` names what was selected on the validation
    rows; `caution` is a note on the width of their intervals if they are few, else "".
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
        """Whether the model meets every gate of `expect`."""
        return all(result.passed for result in self.gate_results)


def finalize(
    prepared: Prepared, state: TrainingState, stopped: str = "", sittings: Sequence[Sitting] = ()
) -> TrainingResult:
    """The model of the best epoch, scored on every split.

    `stopped` says why the training was stopped from outside, "" if it was not; `sittings` are those of the whole
    training, () for a single one.
    """
    # If no epoch was evaluated, because the first one was stopped, the model has the last weights.
    flats = state.best if state.best_epoch else [member.evaluated_flat for member in state.members]
    ensemble = Ensemble(prepared.networks, tuple(flats)).merged()  # a temperature scales the weights of these layers
    prepared, ensemble = select_members(prepared, ensemble)
    prepared = _fit_postprocessing(prepared, ensemble)
    scores = _score_splits(prepared, ensemble)
    last = prepared.splits[-1]
    baseline = constant_predictions(
        prepared.target, prepared.spec.loss, prepared.train.truth, prepared.train.weights, len(last.truth)
    )
    constant = LabeledPredictions(
        prepared.target, last.truth, baseline, last.weights, None, quantile=predicted_quantile(prepared)
    )
    scores["constant"] = (
        score_predictions(prepared.target, last.truth, baseline, last.weights) | constant.further_scores
    )
    conformity = conformity_scores(prepared, lambda split: _outputs(prepared, split, ensemble))
    model = Model(
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
    conformal = make_conformal_predictor(prepared, model)
    predict_split = partial(_predict_split, prepared, ensemble=ensemble, conformal=conformal)
    for split in prepared.splits:
        if predicted_quantile(prepared) is not None or (conformal is not None and split is prepared.test):
            scores[split.name] |= predict_split(_scored_rows(prepared, split)).further_scores
    gate_results = _gate_results(prepared, predict_split, scores[last.name])
    return TrainingResult(
        replace(model, scores=_flat_scores(scores)),
        scores,
        state.epoch,
        state.best_epoch or state.epoch,
        state.best_score,
        stopped or stop_reason(prepared, state),
        tuple(gate_results),
        prepared.chosen_on_validation,
        _caution(prepared, predict_split),
    )


def _fit_postprocessing(prepared: Prepared, ensemble: Ensemble) -> Prepared:
    """Fit the options of `postprocess` on the validation rows, into the target state; may change weights in place.

    A bias correction is added to the biases of the last layers. With folds, the temperature divides the logits of each
    member before the members are averaged: it is merged into the weights of their last layers, as class weights are
    into the biases.
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
        outputs = out_of_fold_outputs(prepared, validation, prepared.folds, ensemble)
        criterion = make_criterion(prepared, validation, "log_loss")
        temperature = criterion.members_temperature(outputs, counts=ensemble.repeat_counts(_n_folds(prepared)))
        for member_network, flat in zip(ensemble.networks, ensemble.flats, strict=True):
            scale_logits(member_network, flat, 1.0 / temperature)
        prepared = replace(prepared, members_temperature=temperature)
        options = replace(options, calibration="none")
    outputs = _outputs(prepared, validation, ensemble)
    target, state = prepared.target, prepared.target_state
    if options.bias_correction and isinstance(target, NumberTarget):
        shift = fit_bias_correction(target, state, outputs.astype(np.float64), validation.truth, validation.weights)
        for member_network, flat in zip(ensemble.networks, ensemble.flats, strict=True):
            shift_logits(member_network, flat, shift)
        return prepared
    return replace(
        prepared, target_state=fitted_state(options, target, state, outputs, validation.truth, validation.weights)
    )


def _merge_class_weights(state: dict[str, Values], ensemble: Ensemble) -> dict[str, Values]:
    """Merge the class weights w into the biases of the last layers, softmax(z - log w); returns the other state."""
    shift = -np.log(state["class_weights"])
    for network, flat in zip(ensemble.networks, ensemble.flats, strict=True):
        shift_logits(network, flat, shift if network.n_out > 1 else shift[1:] - shift[:1])
    return {name: values for name, values in state.items() if name != "class_weights"}


def _outputs(prepared: Prepared, split: Split, ensemble: Ensemble) -> NDArray[np.floating[Any]]:
    """The mean outputs (n_rows, n_out) for a split; out-of-fold outputs if its rows are in folds."""
    if split is prepared.validation and prepared.folds is not None:
        outputs = out_of_fold_outputs(prepared, split, prepared.folds, ensemble)
        return average_rounds(outputs, ensemble, _n_folds(prepared))
    remote_inputs = sharded_inputs(split.samples)
    return ensemble.outputs(split.samples.X) if remote_inputs is None else remote_inputs.outputs(ensemble)


def _flat_scores(scores: Scores) -> dict[str, float | None]:
    """Every score by `split.metric`; None for undefined scores, because JSON has no NaN."""
    pairs = ((f"{split}.{name}", value) for split, values in scores.items() for name, value in values.items())
    return {key: value if np.isfinite(value) else None for key, value in pairs}


def _scored_rows(prepared: Prepared, split: Split) -> Split:
    """The rows of a split that are scored: all, but a random sample of training rows on disk."""
    is_sampled = prepared.spec.chunk_rows is not None and split is prepared.train and prepared.folds is None
    return split.first(SCORED_ROWS) if is_sampled else split


def _score_splits(prepared: Prepared, ensemble: Ensemble) -> Scores:
    splits = [_scored_rows(prepared, split) for split in prepared.splits]
    n_rows, n_done, scores = sum(len(split.truth) for split in splits), 0, {}
    for split in splits:
        report_progress("stage", "scoring", n_done, n_rows)
        scores[split.name] = _score_split(prepared, split, ensemble)
        n_done += len(split.truth)
    return scores


def _score_split(prepared: Prepared, split: Split, ensemble: Ensemble) -> dict[str, float]:
    outputs = _outputs(prepared, split, ensemble)
    predictions = Decoded(prepared.target, prepared.target_state, outputs)
    return score_predictions(
        prepared.target, split.truth, predictions, split.weights, prepared.target_state.get("threshold")
    )


def _gate_results(prepared: Prepared, predict_split: PredictSplit, scores: dict[str, float]) -> list[GateResult]:
    """Results of the gates of `expect` on the last split; intervals are computed only if a gate uses their ends."""
    expect, last = prepared.loaded.config.expect, prepared.splits[-1]
    gates = make_gates(expect.min, expect.max)
    if all(gate.metric in scores for gate in gates):
        return evaluate_gates(gates, scores, "", reasons_undefined(prepared.target, last.truth, last.weights, scores))
    interval_options = DEFAULT_OPTIONS
    if last is prepared.validation and (n_folds := _n_folds(prepared)):
        interval_options = DEFAULT_OPTIONS.of_folds(n_folds)
    return predict_split(last).check_gates(gates, prepared.spec.seed, interval_options)


def _predict_split(
    prepared: Prepared, split: Split, ensemble: Ensemble, conformal: ConformalPredictor | None
) -> LabeledPredictions:
    predictions = decode_outputs(prepared.target, prepared.target_state, _outputs(prepared, split, ensemble))
    threshold, quantile = prepared.target_state.get("threshold"), predicted_quantile(prepared)
    regions = None
    if conformal is not None and split is prepared.test:
        fold_predictions = conformal.model.fold_predictions(split.samples.X, predictions)
        regions = conformal.regions(predictions, fold_predictions, split.by)
    return LabeledPredictions(prepared.target, split.truth, predictions, split.weights, threshold, regions, quantile)


def _caution(prepared: Prepared, predict_split: PredictSplit) -> str:
    """A note on the wide intervals of few validation rows, otherwise ""."""
    validation, n_folds = prepared.validation, _n_folds(prepared)
    if validation is None or len(validation.truth) >= min_rows(
        DEFAULT_OPTIONS.of_folds(n_folds) if n_folds else DEFAULT_OPTIONS
    ):
        return ""
    return few_rows_note(predict_split(validation), n_folds, prepared.spec.seed)


def _n_folds(prepared: Prepared) -> int:
    """The number of folds that members hold out, 0 without folds."""
    return 0 if prepared.folds is None else int(prepared.folds.max()) + 1
