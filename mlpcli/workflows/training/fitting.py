"""Trains epoch by epoch by the config: the metric of an epoch, and when to stop."""

from collections.abc import Callable, Iterator

import numpy as np

from mlpcli.training.ensemble import Evaluator
from mlpcli.training.fit import EpochReport, MakeTrainer, Monitor, TrainingState, fit
from mlpcli.workflows.preparing.networks.early_stopping import scored_epochs
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.splits import Split
from mlpcli.workflows.preparing.stop_metric import metric_higher_is_better
from mlpcli.workflows.scoring.scores import Criterion
from mlpcli.workflows.sharded.inputs import ShardedEvaluator, sharded_inputs
from mlpcli.workflows.training.engines import trainer_maker
from mlpcli.workflows.training.recording.learning_curves import LearningCurves


def epochs(
    prepared: Prepared, state: TrainingState, must_stop: Callable[[], bool], until: int | None = None
) -> Iterator[EpochReport]:
    """Train epoch by epoch until the last epoch, until patience runs out, or until `must_stop` returns True.

    With `until`, train to that epoch whatever the patience. The caller limits BLAS to one thread. Raises NonFiniteLoss.
    """
    reports = fit(
        prepared.members, prepared.spec, prepared.train.samples, state, _evaluator(prepared), _monitor(prepared),
        must_stop, prepared.n_threads, trainer_factory(prepared), LearningCurves(prepared),
    )  # fmt: skip
    while not (stop_reason(prepared, state) if until is None else state.epoch >= until):
        if (report := next(reports, None)) is None:
            return
        yield report


def trainer_factory(prepared: Prepared) -> MakeTrainer:
    """The function that makes the trainer of a member, for the chosen engine or for the rounds of a cluster."""
    if (on_cluster := sharded_inputs(prepared.train.samples)) is not None:
        return on_cluster.trainer
    return trainer_maker(prepared.engine, len(prepared.networks), prepared.n_threads)


def _evaluator(prepared: Prepared) -> Evaluator | None:
    validation = prepared.validation
    if validation is None:
        return None
    if (on_cluster := sharded_inputs(validation.samples)) is not None:
        return ShardedEvaluator(prepared.networks, prepared.spec.loss, validation.samples, on_cluster)
    return Evaluator(prepared.networks, prepared.spec.loss, validation.samples, prepared.folds)


def initial_report(prepared: Prepared, state: TrainingState) -> tuple[float | None, float | None, dict[str, float]]:
    """Validation loss, score and learning-curve metrics of the initial weights.

    Loss and score are None without validation rows.
    """
    evaluator, monitor, curves = _evaluator(prepared), _monitor(prepared), LearningCurves(prepared)
    flats = [member.flat for member in state.members]
    if evaluator is None:
        return None, None, curves(flats, None)
    loss, outputs = evaluator.run(flats)
    scores = curves(flats, outputs)
    if monitor is None or not np.isfinite(loss):
        return loss, None, scores
    return loss, loss if monitor.score is None else monitor.score(outputs), scores


def monitored_metric_name(prepared: Prepared) -> str:
    """Name of the metric that chooses the epoch, with what is done before: `expected calibrated log_loss`.

    It is calibrated if a temperature is fitted first, and expected if it is extrapolated from folds to all members.
    """
    words = [prepared.metric]
    if prepared.metric != "loss" and make_criterion(prepared, prepared.train, prepared.metric).finds_temperature:
        words.insert(0, "calibrated")
    if prepared.metric != "loss" and prepared.folds is not None:
        has_several = len(prepared.networks) > int(prepared.folds.max()) + 1  # members that were not trained on a row
        words = ["expected", *words] if has_several else words
    return " ".join(words)


def metric_is_loss(prepared: Prepared) -> bool:
    """Whether the metric that chooses the epoch equals the validation loss: log_loss is the plain cross-entropy."""
    is_plain = prepared.spec.loss.name == "cross_entropy" and not prepared.label_smoothing
    is_weighted = prepared.loaded.config.training.class_weights is not None
    return is_plain and not is_weighted and prepared.folds is None and monitored_metric_name(prepared) == "log_loss"


def stop_reason(prepared: Prepared, state: TrainingState) -> str:
    """Why the training stops before its last epoch, or ""."""
    early_stopping = prepared.loaded.config.training.early_stopping
    if early_stopping is None or early_stopping.patience is None or prepared.validation is None:
        return ""
    scored = scored_epochs(prepared.loaded.config.training)
    last = early_stopping.patience_factor * state.best_epoch + early_stopping.patience
    if state.epoch >= prepared.spec.epochs or state.epoch < last or (scored is not None and state.epoch not in scored):
        return ""
    return f"no improvement in {prepared.metric} for {state.epochs_without_gain} epochs"


def _monitor(prepared: Prepared) -> Monitor | None:
    early_stopping, validation = prepared.loaded.config.training.early_stopping, prepared.validation
    if early_stopping is None or validation is None:
        return None
    metric = prepared.metric
    return Monitor(
        metric,
        metric_higher_is_better(metric),
        None if metric == "loss" else make_criterion(prepared, validation, metric),
        early_stopping.min_gain,
        early_stopping.ties == "last",
        scored_epochs(prepared.loaded.config.training),
    )


def make_criterion(prepared: Prepared, validation: Split, metric: str) -> Criterion:
    """The criterion that scores network outputs for the rows of `validation` by `metric`."""
    return Criterion(
        metric,
        prepared.target,
        prepared.target_state,
        validation.truth,
        validation.weights,
        prepared.loaded.config.postprocess.calibration == "temperature",
        len(prepared.networks),
    )
