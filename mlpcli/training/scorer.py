"""The loss and the outputs on validation rows, after each epoch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.initialization import member_of
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network, Workspace, mean_loss, output_blocks, scoring_rows
from mlpcli.nn.parameters import Parameters
from mlpcli.training.samples import Samples

Array = NDArray[np.floating[Any]]


class Scorer:
    """Rows to score and the buffers to do it in large blocks.

    The outputs are the mean over the members, or, with `folds` (n_rows,), those of the member that each row names.
    """

    def __init__(self, network: Network, loss: Loss, samples: Samples, folds: NDArray[np.int64] | None = None) -> None:
        self.network, self.loss, self.samples = network, loss, samples
        self._scored = network if folds is None else replace(network, members=1)
        n_members = 0 if folds is None else network.members
        self._rows = tuple(np.flatnonzero(folds == member) for member in range(n_members))
        n_rows = max((len(rows) for rows in self._rows), default=samples.n_rows)
        self._workspace = Workspace(self._scored, scoring_rows(self._scored, n_rows), samples.X.dtype)
        self.outputs = np.empty((samples.n_rows, network.sizes[-1]), samples.X.dtype)

    def run(self, parameters: Parameters) -> tuple[float, Array]:
        """Mean loss, and the outputs (n_rows, n_out) in a buffer that the next call overwrites."""
        total = 0.0
        for rows, z, a in self._blocks(parameters):
            weights = None if self.samples.weights is None else self.samples.weights[rows]
            y = self.samples.targets(rows)
            if a.ndim == 3:
                a = a.mean(axis=0)
                losses = self.loss.values(a, y)
                total += float((losses if weights is None else losses * weights).sum())
            else:
                total += mean_loss(self.network, self.loss, z, a, y, weights) * len(a)
            self.outputs[rows] = a
        return total / self.samples.n_rows, self.outputs

    def _blocks(self, parameters: Parameters) -> Iterator[tuple[slice | NDArray[np.int64], Array, Array]]:
        """Rows, logits and outputs, block after block."""
        X = self.samples.X
        if not self._rows:
            yield from output_blocks(self.network, parameters, X, self._workspace)
        for member, rows in enumerate(self._rows):
            own = member_of(self.network, parameters, member)
            for block in np.array_split(rows, -(-len(rows) // self._workspace.max_rows)):
                for _, z, a in output_blocks(self._scored, own, X[block], self._workspace):
                    yield block, z, a
