"""The state before the first step: initial weights, and output biases that predict the best constant for the loss."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.initializers import DataDriven
from mlpcli.nn.steps import init_state
from mlpcli.training.fit import TrainingState, init_training
from mlpcli.training.member import Member, MemberState
from mlpcli.training.output_bias import best_output_bias
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.preparation import Prepared

# Training rows that a data-driven initializer uses.
INITIALIZER_ROWS = 4096


def initial_state(prepared: Prepared) -> TrainingState:
    """Weights and optimizer state of each member: initialized from the seed of the config, or those of a warm start."""
    training, X = prepared.loaded.config.training, prepared.train.samples.X
    if prepared.warm_start is not None and prepared.warm_start.state is not None:
        return prepared.warm_start.state.copy()
    if prepared.warm_start is not None:
        flats = [flat.astype(training.dtype) for flat in prepared.warm_start.model.ensemble.flats]
        specs = prepared.member_specs or (prepared.spec,) * len(flats)
        pairs = zip(flats, specs, strict=True)
        states = [MemberState(flat, init_state(spec.update, flat)) for flat, spec in pairs]
        return TrainingState(states, [state.flat.copy() for state in states])
    if prepared.spec.chunk_rows is None:
        sample = np.sort(rng_of(training.seed, "sample").permutation(len(X))[:INITIALIZER_ROWS])
    else:  # rows on disk are in random order already, and scattered rows would be read with their whole pages
        sample = np.arange(min(INITIALIZER_ROWS, len(X)))
    drawn = [of["model.initializer"] for of in prepared.drawn if "model.initializer" in of]
    needs_rows = isinstance(prepared.loaded.config.model.initializer, DataDriven) or bool(drawn)
    members = prepared.members
    return init_training(
        members, prepared.spec, np.dtype(training.dtype), X[sample] if needs_rows else None,
        _output_biases(prepared, members),
    )  # fmt: skip


def _output_biases(prepared: Prepared, members: Sequence[Member]) -> list[NDArray[np.float64]] | None:
    """Output biases (n_out,) of each member; members with the same training rows share them."""
    if prepared.loaded.config.model.output_bias == "initializer":
        return None
    data, loss, output = prepared.train.samples, prepared.spec.loss, prepared.network.output
    if isinstance(members[0].rows, int):
        return [best_output_bias(loss, output, data, members[0].rows)] * len(members)
    return [best_output_bias(loss, output, data, member.rows) for member in members]
