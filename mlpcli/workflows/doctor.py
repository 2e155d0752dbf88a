"""`mlp doctor`: diagnose a run from its learning curves, its model and its training data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpcli.data.row_hashes import combine_hashes
from mlpcli.data.split import count_shared_rows
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, NumberTarget
from mlpcli.doctor.columns import drifted, leaking_columns
from mlpcli.doctor.curves import rate_too_high, rate_too_low
from mlpcli.doctor.finding import NAMES, Check, Finding
from mlpcli.doctor.predictions import (
    Losses,
    biased,
    gap,
    miscalibrated,
    never_predicted,
    no_better_than_constant,
    off_quantile,
)
from mlpcli.doctor.units import UnitCounts, gradient_sizes, idle_units, uneven_gradient
from mlpcli.evaluation.calibration import fit_temperature
from mlpcli.evaluation.row_correlation import are_duplicates
from mlpcli.model import Model
from mlpcli.nn.losses import AbsoluteError, Quantile, SquaredError
from mlpcli.probabilities import no_and_yes, tempered
from mlpcli.storage.run.run_directory import DIVERGED
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.examining.run import ExaminedRun, read_run
from mlpcli.workflows.preparing.warnings.few_rows import few_rows_note
from mlpcli.workflows.scoring.baseline import split_scores
from mlpcli.workflows.training.initial_state import initial_state

RATE = "training.optimizer.learning_rate"
GRADIENT_ROWS = 2048
MIN_COPIES = 0.01  # fraction of the held-out rows
NO_HELD_OUT_ROWS = "no rows were held out"


@dataclass(frozen=True)
class Diagnosis:
    """Every check of a run or of a model file, in the order of NAMES."""

    run: str
    model: Model
    checks: tuple[Check, ...]

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        """Each finding with the name of its check."""
        return [(check.name, finding) for check in self.checks for finding in check.findings]


def examine(run: str, data: Sequence[str] = ()) -> Diagnosis:
    """Run every check; `data` replaces the recorded training files.

    `run` is the folder of a run, complete or not, or a model file. Raises MlpError if there is no model.
    """
    examined = read_run(run, data)
    with blas_threads(1), np.errstate(all="ignore"):
        checks = tuple(_run_check(name, CHECKS[name], examined) for name in NAMES)
    return Diagnosis(examined.name, examined.model, checks)


def _run_check(name: str, check: "Callable[[ExaminedRun], Sequence[Finding] | str]", run: ExaminedRun) -> Check:
    """The findings of one check; a text instead of findings is the reason why it is skipped."""
    result = check(run)
    return Check(name, skipped=result) if isinstance(result, str) else Check(name, tuple(result))


def _rate(run: ExaminedRun) -> Sequence[Finding] | str:
    rate = float(run.key(RATE))
    if run.stop_reason.startswith(DIVERGED):
        return [
            Finding(
                f"the training {run.stop_reason}: its loss was not finite",
                "Steps of this size make the weights grow without bound.",
                f"Try {RATE}: {rate / 10:.1g} (now {rate:g}), or training.gradient_clip: 1",
                {"learning_rate": rate},
            )
        ]
    if isinstance(run.curve, str):
        return run.curve
    return rate_too_high(run.curve, rate, RATE) or rate_too_low(run.curve, rate, RATE)


def _units(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    members = []
    for network, flat in zip(run.model.ensemble.networks, run.model.ensemble.flats, strict=True):
        members.append(UnitCounts(network, flat))
        members[-1].add(run.rows.train.samples.X)
    return idle_units(members, RATE, run.activation)


def _gradient(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    samples, loss = run.rows.train.first(GRADIENT_ROWS).samples, run.rows.prepared.spec.loss
    X, y = np.ascontiguousarray(samples.X), samples.targets(slice(None))
    first = run.model.record.get("members", [1])[0] - 1  # index among the trained members of the first selected one
    fresh = initial_state(run.rows.prepared).members[first].flat
    sizes = [
        gradient_sizes(network, loss, flat, X, y)
        for network, flat in (
            (run.rows.prepared.networks[first], fresh),
            (run.model.ensemble.first, run.model.ensemble.flats[0]),
        )
    ]
    return uneven_gradient(sizes[0], sizes[1], run.activation)


def _losses(run: ExaminedRun) -> Losses | str:
    """The log loss, or for numbers the unexplained variance, from the scores in the model; or why it is not defined."""
    scores = run.model.scores
    scores_by_split = [split_scores(scores, split) for split in ("train", "test", "validation", "constant")]
    train, constant = scores_by_split[0], scores_by_split[3]
    part, held_out = ("test", scores_by_split[1]) if scores_by_split[1] else ("validation", scores_by_split[2])
    if not held_out:
        return NO_HELD_OUT_ROWS
    metric = "r2" if isinstance(run.model.target, NumberTarget) else "log_loss"
    values = [split_scores.get(metric) for split_scores in (train, held_out, constant)]
    if any(value is None for value in values):
        return f"{metric} is not defined on the {part} rows"
    sign, origin = (-1.0, 1.0) if metric == "r2" else (1.0, 0.0)
    losses = [origin + sign * float(value) for value in values if value is not None]
    error = float("nan")
    if not isinstance(run.rows, str) and run.rows.held_out is not None:
        losses_of_rows = run.rows.row_losses()
        error = float(losses_of_rows.std() / np.sqrt(len(losses_of_rows)))
    return Losses(metric, part, losses[0], losses[1], losses[2], error)


def _fit(run: ExaminedRun) -> Sequence[Finding] | str:
    losses = _losses(run)
    if isinstance(losses, str):
        return losses
    ways = [] if run.key("training.early_stopping") else ["training.early_stopping: {patience: 10}"]
    ways += [] if float(run.key("model.dropout") or 0.0) >= 0.2 else ["model.dropout: 0.2"]
    ways += ["smaller model.layers"]
    if run.key("model.members.rows") != "folds":  # that of strong and best
        ways.append("mlp init --recipe strong")
    return gap(losses, ", ".join([*ways[:-1], f"or {ways[-1]}"]) if len(ways) > 1 else ways[0])


def _baseline(run: ExaminedRun) -> Sequence[Finding] | str:
    losses = _losses(run)
    return losses if isinstance(losses, str) else no_better_than_constant(losses)


def _classes(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.model.target, NumberTarget):
        return "the target is a number"
    if isinstance(run.rows, str):
        return run.rows
    target, remedies = run.model.target, list[str]()
    if isinstance(target, ClassTarget) and not run.key("training.class_weights"):
        remedies.append("training.class_weights: balanced")
    if isinstance(target, BooleanTarget):
        remedies.append("postprocess.threshold: f1")
    elif len(target.labels) == 2:
        remedies.append("postprocess.threshold: balanced_accuracy")
    return never_predicted(*run.rows.label_counts(), ", or ".join(remedies) or "more rows of it")


def _leaks(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    if run.rows.held_out is None:
        return NO_HELD_OUT_ROWS
    return leaking_columns(run.rows.columns(), *run.rows.targets(), " and ".join(run.model.target.names))


def _copies(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    if run.rows.held_out is None:
        return NO_HELD_OUT_ROWS
    leaks = run.rows.prepared.leaks
    findings = [Finding(leak.fact, f"So {leak.effect}.", leak.remedy) for leak in leaks]
    split = run.rows.split_name
    if split not in run.rows.prepared.data_sha256:
        return findings
    X, others = run.rows.train.samples.X, run.rows.held_out.samples.X
    n, n_rows = count_shared_rows(X, others), len(others)
    if n < max(MIN_COPIES * n_rows, 1) or not are_duplicates(_hashed(X), _hashed(others)):
        return findings
    return [
        *findings,
        Finding(
            f"{n} of {n_rows} {split} rows ({n / n_rows:.1%}) have the inputs of a training row",
            "Scores on training rows are optimistic.",
            f"Remove them from the file of data.{split}, or from data.train",
            {"copies": n, "rows": n_rows},
        ),
    ]


def _hashed(X: Any) -> Any:
    """A hash of each input and its column index (n_rows, n_inputs)."""
    bits = (np.asarray(X, np.float64) + 0.0).view(np.uint64)
    return np.stack(
        [combine_hashes(np.full(len(bits), j, np.uint64), bits[:, j]) for j in range(bits.shape[1])], axis=1
    )


def _calibration(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    if run.rows.held_out is None:
        return NO_HELD_OUT_ROWS
    split, truth, predictions, target = (
        run.rows.split_name,
        run.rows.held_out.truth,
        run.rows.predictions,
        run.model.target,
    )
    if isinstance(target, NumberTarget):
        loss = run.rows.prepared.spec.loss
        each = list(enumerate(target.names))
        if isinstance(loss, Quantile):
            below = (truth <= predictions).sum(axis=0)
            return [
                finding
                for i, name in each
                for finding in off_quantile(name, loss.predicted_quantile, below[i], len(truth), split)
            ]
        if isinstance(loss, AbsoluteError):
            below = (truth <= predictions).sum(axis=0)
            return [finding for i, name in each for finding in off_quantile(name, 0.5, below[i], len(truth), split)]
        is_shifted = target.transform in ("log", "quantile") and not run.key("postprocess.bias_correction")
        if not isinstance(loss, SquaredError) or is_shifted:
            return "the loss does not fit the mean"
        return [finding for i, name in each for finding in biased(name, (predictions - truth)[:, i], split)]
    probabilities, codes = predictions, truth
    if isinstance(target, BooleanTarget):
        probabilities, codes = no_and_yes(predictions).reshape(-1, 2), truth.astype(np.int64).reshape(-1)
    temperature = fit_temperature(predictions, truth)
    gain = _mean_log_loss(probabilities, codes) - _mean_log_loss(tempered(probabilities, temperature), codes)
    return miscalibrated(temperature, gain, len(truth), split)


def _mean_log_loss(probabilities: Any, codes: Any) -> float:
    right = np.take_along_axis(probabilities, codes[:, None], axis=1)[:, 0]
    return float(-np.log(np.maximum(right, 1e-15)).mean())


def _drift(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    if run.rows.held_out is None:
        return NO_HELD_OUT_ROWS
    return (
        drifted(run.rows.columns(), run.rows.split_name)
        if run.rows.is_disjoint
        else "all folds are drawn from the same rows"
    )


def _few_rows(run: ExaminedRun) -> Sequence[Finding] | str:
    if isinstance(run.rows, str):
        return run.rows
    if run.rows.held_out is None:
        return NO_HELD_OUT_ROWS
    note = few_rows_note(run.rows.held_out_predictions, run.rows.n_folds, run.rows.prepared.spec.seed)
    fact, _, remedy = note.partition(". From ")
    if not note:
        return []
    n_rows = len(run.rows.held_out.truth)
    return [
        Finding(fact, "A better or worse score may be due to chance.", f"From {remedy.rstrip('.')}", {"rows": n_rows})
    ]


CHECKS: "Mapping[str, Callable[[ExaminedRun], Sequence[Finding] | str]]" = {
    "rate": _rate,
    "units": _units,
    "gradient": _gradient,
    "fit": _fit,
    "baseline": _baseline,
    "classes": _classes,
    "leaks": _leaks,
    "copies": _copies,
    "calibration": _calibration,
    "drift": _drift,
    "rows": _few_rows,
}
