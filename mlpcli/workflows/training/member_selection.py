"""The members that are kept, and the outputs of those that have not seen a row."""

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
    """What is left of a training and its members, where they are to be selected by the loss on the validation rows.

    On folds rounds are selected, by the outputs of the member of each that has not seen a row.
    """
    validation, folds = prepared.validation, prepared.folds
    if prepared.loaded.config.model.members.select == "all" or validation is None:
        return prepared, ensemble
    if folds is None:
        n_alike, X = 1, validation.samples.X
        pairs = zip(ensemble.networks, ensemble.flats, strict=True)
        outputs = np.stack([predict(network, flat, X) for network, flat in pairs])
    else:
        n_alike = int(folds.max()) + 1
        outputs = out_of_fold_outputs(prepared, validation, folds, ensemble)
    y, weights, loss = validation.samples.targets(slice(None)), validation.samples.weights, prepared.spec.loss

    def mean_loss(mean: Outputs) -> float:
        losses = loss.values(mean, y)
        return float((losses if weights is None else losses * weights).mean())

    counts = np.repeat(greedy_counts(outputs, mean_loss), n_alike).tolist()
    kept = [number for number, count in enumerate(counts) if count]
    left = Ensemble(
        tuple(ensemble.networks[number] for number in kept),
        tuple(ensemble.flats[number] for number in kept),
        tuple(counts[number] for number in kept),
    )
    drawn = tuple(prepared.drawn[number] for number in kept) if prepared.drawn else ()
    numbers = tuple(number + 1 for number in kept)
    folds = None if folds is None else folds_of_members(folds, kept)
    return replace(prepared, networks=left.networks, drawn=drawn, kept_members=numbers, folds=folds), left


def out_of_fold_outputs(prepared: Prepared, part: Split, folds: Rows, ensemble: Ensemble) -> Outputs:
    """Outputs of each member that has not seen a row (members of a fold, n_rows, n_out)."""
    return Evaluator(ensemble.networks, prepared.spec.loss, part.samples, folds).run(ensemble.flats)[1]


def average_rounds(outputs: Outputs, ensemble: Ensemble, n_folds: int) -> Outputs:
    """The mean of such outputs (n_rows, n_out), each round as often as it counts."""
    counts = ensemble.repeat_counts(n_folds)
    mean: Outputs = outputs.mean(axis=0)
    if max(counts) > min(counts):
        mean = np.average(outputs, axis=0, weights=counts).astype(outputs.dtype)
    return mean
