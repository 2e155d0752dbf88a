"""The loss and the outputs on validation rows, after each epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.groups import Group, split_members
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network, Workspace, mean_loss, output_blocks, scoring_rows
from mlpcli.nn.parameters import Parameters
from mlpcli.training.samples import Samples

Array = NDArray[np.floating[Any]]
# Where the outputs go among those of a row, the rows, their logits if they have any, and the outputs.
Scored = tuple[tuple[int, ...], Any, Array | None, Array]


class Scorer:
    """Rows to score and the buffers to do it in large blocks.

    The outputs (n_rows, n_out) are the mean over the members. With `folds` (n_rows,) they are (r, n_rows, n_out): those
    of each of the r members that have not seen a row.
    """

    def __init__(self, network: Network, loss: Loss, samples: Samples, folds: NDArray[np.int64] | None = None) -> None:
        self.network, self.loss, self.samples, self.folds = network, loss, samples, folds
        each = tuple(Group(network, (number,)) for number in range(network.members))
        self._groups = split_members(network) if folds is None else each
        block = min(scoring_rows(group.network, samples.n_rows) for group in self._groups)
        networks = {group.network for group in self._groups}
        self._workspaces = {one: Workspace(one, block, samples.X.dtype) for one in networks}
        self.n_folds = 0 if folds is None else int(folds.max()) + 1
        leading = () if folds is None else (network.members // self.n_folds,)
        self.outputs = np.empty((*leading, samples.n_rows, network.sizes[-1]), samples.X.dtype)

    def run(self, parameters: Parameters) -> tuple[float, Array]:
        """Mean loss, and the outputs in a buffer that the next call overwrites."""
        total, count = 0.0, 0
        for place, rows, z, a in self._of_all(parameters) if self.folds is None else self._of_unseen(parameters):
            weights = None if self.samples.weights is None else self.samples.weights[rows]
            y = self.samples.targets(rows)
            if z is None:
                losses = self.loss.values(a, y)
                total += float((losses if weights is None else losses * weights).sum())
            else:
                total += mean_loss(self.network, self.loss, z, a, y, weights) * len(a)
            count += len(a)
            self.outputs[(*place, rows)] = a
        return total / count, self.outputs

    def _of_all(self, parameters: Parameters) -> Iterator[Scored]:
        """The mean over all members, block after block; logits have no mean that would say anything."""
        for blocks in zip(*(self._outputs(group, parameters, self.samples.X) for group in self._groups), strict=True):
            rows, z, a = blocks[0]
            if self.network.members == 1:
                yield (), rows, z, a
            else:
                total = sum(a.sum(axis=0) if a.ndim == 3 else a for _, _, a in blocks)
                yield (), rows, None, np.asarray(total / self.network.members)

    def _of_unseen(self, parameters: Parameters) -> Iterator[Scored]:
        """Those of each member on the rows that it has not seen."""
        assert self.folds is not None
        for member, group in enumerate(self._groups):
            unseen = np.flatnonzero(self.folds == member % self.n_folds)
            for rows, z, a in self._outputs(group, parameters, self.samples.X[unseen]):
                yield (member // self.n_folds,), unseen[rows], z, a

    def _outputs(self, group: Group, parameters: Parameters, X: Array) -> Iterator[tuple[slice, Array, Array]]:
        return output_blocks(group.network, group.of(parameters), X, self._workspaces[group.network])
