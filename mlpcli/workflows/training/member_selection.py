"""Selection of members by their validation loss, and out-of-fold outputs."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.evaluation.selection import greedy_counts
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.network import predict
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.rows import folds_of_members
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.rows.splits import Split

Outputs = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]


def select_members(prepared: Prepared, ensemble: Ensemble) -> tuple[Prepared, Ensemble]:
    """Select members by the loss on the validation rows; returns the preparation and the ensemble of these members.

    With folds, whole rounds are selected, by their out-of-fold outputs. Without `model.members.select` all are kept.
    """
    validation, folds = prepared.validation, prepared.folds
    if prepared.loaded.config.model.members.select == "all" or validation is None:
        return prepared, ensemble
    if folds is None:
        round_size, X = 1, validation.samples.X
        pairs = zip(ensemble.networks, ensemble.flats, strict=True)
        outputs = np.stack([predict(network, flat, X) for network, flat in pairs])
    else:
        round_size = int(folds.max()) + 1
        outputs = out_of_fold_outputs(prepared, validation, folds, ensemble)
    y, weights, loss = validation.samples.targets(slice(None)), validation.samples.weights, prepared.spec.loss

    def mean_loss(mean_outputs: Outputs) -> float:
        losses = loss.values(mean_outputs, y)
        return float((losses if weights is None else losses * weights).mean())

    counts = np.repeat(greedy_counts(outputs, mean_loss), round_size).tolist()
    selected = [index for index, count in enumerate(counts) if count]
    smaller = Ensemble(
        tuple(ensemble.networks[index] for index in selected),
        tuple(ensemble.flats[index] for index in selected),
        tuple(counts[index] for index in selected),
    )
    drawn = tuple(prepared.drawn[index] for index in selected) if prepared.drawn else ()
    numbers = tuple(index + 1 for index in selected)
    folds = None if folds is None else folds_of_members(folds, selected)
    return replace(prepared, networks=smaller.networks, drawn=drawn, kept_members=numbers, folds=folds), smaller


def out_of_fold_outputs(prepared: Prepared, split: Split, folds: Rows, ensemble: Ensemble) -> Outputs:
    """Outputs (n_rounds, n_rows, n_out): in each round, those of the member that holds out the row."""
    return Evaluator(ensemble.networks, prepared.spec.loss, split.samples, folds).run(ensemble.flats)[1]


def average_rounds(outputs: Outputs, ensemble: Ensemble, n_folds: int) -> Outputs:
    """The mean (n_rows, n_out) of out-of-fold outputs over rounds, weighted by the counts of their members."""
    counts = ensemble.repeat_counts(n_folds)
    mean: Outputs = outputs.mean(axis=0)
    if max(counts) > min(counts):
        mean = np.average(outputs, axis=0, weights=counts).astype(outputs.dtype)
    return mean
