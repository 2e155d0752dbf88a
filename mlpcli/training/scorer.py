"""The loss and the outputs on validation rows, after each epoch."""

from collections.abc import Iterator
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

    The outputs (n_rows, n_out) are the mean over the members. With `folds` (n_rows,) they are (r, n_rows, n_out): those
    of each of the r members that have not seen a row.
    """

    def __init__(self, network: Network, loss: Loss, samples: Samples, folds: NDArray[np.int64] | None = None) -> None:
        self.network, self.loss, self.samples, self.folds = network, loss, samples, folds
        alone = [network] if folds is None else [network.member(number) for number in range(network.members)]
        made = {one: Workspace(one, scoring_rows(one, samples.n_rows), samples.X.dtype) for one in alone}
        self._workspaces = [made[one] for one in alone]
        shape = (samples.n_rows, network.sizes[-1])
        self.n_folds = 0 if folds is None else int(folds.max()) + 1
        leading = () if folds is None else (network.members // self.n_folds,)
        self.outputs = np.empty((*leading, *shape), samples.X.dtype)

    def run(self, parameters: Parameters) -> tuple[float, Array]:
        """Mean loss, and the outputs in a buffer that the next call overwrites."""
        total, count = 0.0, 0
        for place, rows, z, a in self._blocks(parameters):
            weights = None if self.samples.weights is None else self.samples.weights[rows]
            y = self.samples.targets(rows)
            if a.ndim == 3:
                a = a.mean(axis=0)
                losses = self.loss.values(a, y)
                total += float((losses if weights is None else losses * weights).sum())
            else:
                total += mean_loss(self.network, self.loss, z, a, y, weights) * len(a)
            count += len(a)
            self.outputs[(*place, rows)] = a
        return total / count, self.outputs

    def _blocks(self, parameters: Parameters) -> Iterator[tuple[tuple[int, ...], Any, Array, Array]]:
        """Where the outputs go among those of a row, the rows, their logits and outputs, block after block."""
        X = self.samples.X
        if self.folds is None:
            for rows, z, a in output_blocks(self.network, parameters, X, self._workspaces[0]):
                yield (), rows, z, a
            return
        for member in range(self.network.members):
            own, workspace = member_of(self.network, parameters, member), self._workspaces[member]
            unseen = np.flatnonzero(self.folds == member % self.n_folds)
            for block in np.array_split(unseen, -(-len(unseen) // workspace.max_rows)):
                for _, z, a in output_blocks(workspace.network, own, X[block], workspace):
                    yield (member // self.n_folds,), block, z, a
