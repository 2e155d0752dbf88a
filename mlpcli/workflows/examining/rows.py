"""Training rows and held-out rows of a run with its predictions, for `mlp doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.targets.target import ClassTarget, NumberTarget, decode_outputs, predicted_labels, prediction_names
from mlpcli.errors import DataError, MlpError
from mlpcli.explain.inputs import inputs_by_column
from mlpcli.model import Model
from mlpcli.probabilities import no_and_yes
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.rows import folds_of_members
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.rows.splits import Split
from mlpcli.workflows.preparing.warm_start import WarmStart
from mlpcli.workflows.scoring.predictions import LabeledPredictions
from mlpcli.workflows.training.member_selection import average_rounds
from mlpcli.workflows.training.recording.recorded_training import check_data, recorded_config

Values = NDArray[np.float64]
Inputs = NDArray[np.floating[Any]]

MAX_ROWS = 20_000  # per split; of more, a random sample is taken
_MIN_PROBABILITY = 1e-15  # in a log loss


@dataclass(frozen=True)
class ExaminedRows:
    """Training rows and the last held-out split, as in training; random samples if they are large.

    `held_out` is None if no rows were held out. `folds` are the folds of its rows, None without folds.
    """

    prepared: Prepared
    model: Model
    train: Split
    held_out: Split | None
    folds: NDArray[np.int64] | None

    @property
    def split_name(self) -> str:
        """The name of the held-out split, "" if there is none."""
        return "" if self.held_out is None else self.held_out.name

    @property
    def n_folds(self) -> int:
        """The number of folds, 0 without folds."""
        return 0 if self.folds is None else int(self.folds.max()) + 1

    @property
    def is_disjoint(self) -> bool:
        """Whether held-out and training rows are disjoint; with folds they are the same rows."""
        return self.held_out is not None and self.folds is None

    @cached_property
    def predictions(self) -> Values:
        """Predictions for the held-out rows; with folds, out-of-fold predictions."""
        assert self.held_out is not None
        if self.folds is None:
            return self._decoded(self.model.ensemble.outputs(self.held_out.samples.X))
        ensemble = self.model.ensemble
        evaluator = Evaluator(ensemble.networks, self.prepared.spec.loss, self.held_out.samples, self.folds)
        return self._decoded(average_rounds(evaluator.run(ensemble.flats)[1], ensemble, self.n_folds))

    @property
    def held_out_predictions(self) -> LabeledPredictions:
        """The held-out rows with truth and predictions."""
        assert self.held_out is not None
        held_out, model = self.held_out, self.model
        return LabeledPredictions(model.target, held_out.truth, self.predictions, held_out.weights, model.threshold)

    def columns(self) -> Mapping[str, tuple[Inputs, Inputs]]:
        """The inputs of each column on training and held-out rows; with folds, on two halves of the rows.

        A column of times by which the rows are split is left out, because it differs by design.
        """
        assert self.held_out is not None
        indices = inputs_by_column(self.prepared.preprocessor.columns)
        indices.pop(self.prepared.columns.time or "", None)
        first, second = (half.samples.X for half in self._halves)
        return {name: (first[:, inputs], second[:, inputs]) for name, inputs in indices.items() if len(inputs)}

    def targets(self) -> tuple[Values, Values]:
        """The targets on the rows of `columns`: class indicators, or numbers in units of their standard deviation."""
        truths = [np.asarray(half.truth) for half in self._halves]
        if isinstance(self.model.target, ClassTarget):
            indicators = np.eye(len(self.model.target.labels))
            return indicators[truths[0]], indicators[truths[1]]
        deviations = truths[0].std(axis=0)
        size = np.where(deviations > 0.0, deviations, 1.0)
        return np.asarray(truths[0] / size, np.float64), np.asarray(truths[1] / size, np.float64)

    @cached_property
    def _halves(self) -> tuple[Split, Split]:
        assert self.held_out is not None
        if self.folds is None:
            return self.train, self.held_out
        is_first = 2 * np.atleast_2d(self.folds)[0] <= self.folds.max()
        return self.held_out.only(np.flatnonzero(is_first)), self.held_out.only(np.flatnonzero(~is_first))

    def row_losses(self) -> Values:
        """The log loss, or the squared error in variances of the training targets, of each held-out row (n_rows,)."""
        assert self.held_out is not None
        truth, predictions = self.held_out.truth, self.predictions
        if isinstance(self.model.target, ClassTarget):
            return np.asarray(
                -np.log(np.maximum(np.take_along_axis(predictions, truth[:, None], axis=1)[:, 0], _MIN_PROBABILITY))
            )
        if isinstance(self.model.target, NumberTarget):
            variances = self.train.truth.var(axis=0)
            return np.asarray(((predictions - truth) ** 2 / np.where(variances > 0.0, variances, 1.0)).mean(axis=1))
        right = np.take_along_axis(no_and_yes(predictions), truth.astype(np.int64)[..., None], axis=2)[..., 0]
        return np.asarray(-np.log(np.maximum(right, _MIN_PROBABILITY)).mean(axis=1))

    def label_counts(self) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
        """Names of classes (or boolean targets), and the number of rows with each as truth and as prediction.

        Counted on the held-out rows if there are any, because a model predicts every class on rows it has memorized.
        """
        split, predictions = (self.train, None) if self.held_out is None else (self.held_out, self.predictions)
        if predictions is None:
            predictions = self._decoded(self.model.ensemble.outputs(split.samples.X))
        target, names = self.model.target, prediction_names(self.model.target)
        assert not isinstance(target, NumberTarget)
        n = len(names)
        codes = [codes for _, codes in predicted_labels(target, predictions, self.model.threshold).values()]
        if isinstance(target, ClassTarget):
            return names, np.bincount(split.truth, minlength=n), np.bincount(codes[0], minlength=n)
        return (
            names,
            split.truth.astype(np.int64).sum(axis=0),
            np.array([np.count_nonzero(codes_of_target) for codes_of_target in codes]),
        )

    def _decoded(self, outputs: Inputs) -> Values:
        return decode_outputs(self.model.target, dict(self.model.target_state), outputs)


def read_examined_rows(weights: str, model: Model, record: Mapping[str, Any], data: Sequence[str]) -> ExaminedRows:
    """Read the training data again; raises MlpError if it is missing or has changed."""
    check_data(weights, record["config"], data)
    numpy_record = {**record, "sittings": [{"threads": 1, "engine": "numpy"}]}  # the engine may not be installed here
    # The preprocessing of a warm-started model was not fitted on these rows, so take that of the model itself.
    start = WarmStart(weights, "", model) if "from" in record else None
    prepared = prepare(recorded_config(weights, numpy_record, data), start=start)
    recorded = record.get("data", {}).get("sha256", {})
    changed = [split for split, sha256 in recorded.items() if prepared.data_sha256.get(split) != sha256]
    if changed:
        raise DataError(f"the {' and '.join(changed)} data differs from what {weights} was trained on.")
    if prepared.network.n_in != model.ensemble.first.n_in or prediction_names(prepared.target) != prediction_names(
        model.target
    ):
        raise MlpError(f"{weights}: the same data gives inputs that differ from those of the model.")
    held_out = prepared.splits[-1] if len(prepared.splits) > 1 else None
    folds = prepared.folds if held_out is not None and held_out.name == "validation" else None
    kept = [number - 1 for number in record.get("members", range(1, len(prepared.networks) + 1))]
    train, _ = _sampled(prepared, prepared.train)
    if held_out is not None:
        held_out, rows = _sampled(prepared, held_out)
        folds = None if folds is None else folds_of_members(folds, kept)[..., rows]
    return ExaminedRows(prepared, model, train, held_out, folds)


def _sampled(prepared: Prepared, split: Split) -> tuple[Split, NDArray[np.int64] | slice]:
    """At most MAX_ROWS rows of a split, and their indices in it."""
    n_rows = len(split.truth)
    if n_rows <= MAX_ROWS:
        return split, slice(None)
    if prepared.spec.chunk_rows is not None:  # rows on disk are in random order
        return split.first(MAX_ROWS), slice(MAX_ROWS)
    rows = np.sort(rng_of(prepared.spec.seed, "sample").permutation(n_rows)[:MAX_ROWS])
    return split.only(rows), rows
