"""A proxy of the inputs of a split whose rows are on the workers of a cluster."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.table import row_dtype
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network
from mlpcli.training.dataset import Dataset
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.member import Member, MemberState, Trainer, TrainingSpec
from mlpcli.workflows.sharded.rounds import LocalTrainer, RoundTrainer, ShardedRows

if TYPE_CHECKING:
    from mlpcli.cluster.pool import ShardPool

Array = NDArray[np.floating[Any]]


class ShardedInputs:
    """A proxy of the input array (n_rows, n_in) of a split; indexing fetches rows, other rows stay on their worker.

    `shard_of` (n_rows,) is the shard of each row; the rows of a shard are in the same order as here. `split` is the
    name under which the shards store these inputs.
    """

    def __init__(
        self, pool: "ShardPool", split: str, shard_of: NDArray[Any], n_in: int, dtype: "np.dtype[Any]"
    ) -> None:
        self.pool, self.split, self.shape, self.dtype = pool, split, (len(shard_of), n_in), dtype
        self.shard_of = shard_of
        index_dtype = row_dtype(len(shard_of))
        self.rows_by_shard = [np.flatnonzero(shard_of == shard).astype(index_dtype) for shard in range(pool.n_shards)]
        self.row_in_shard = np.empty(len(shard_of), index_dtype)
        for rows in self.rows_by_shard:
            self.row_in_shard[rows] = np.arange(len(rows))
        self.local_steps = 1  # steps of a shard in a round
        self._sent_dataset: Dataset | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        """Fetch rows, by a slice or their indices, as an array (n_selected, n_in)."""
        numbers = np.arange(len(self))[rows]
        X: Array = np.empty((len(numbers), self.shape[1]), self.dtype)
        positions = [np.flatnonzero(self.shard_of[numbers] == shard) for shard in range(self.pool.n_shards)]
        shards = [shard for shard, shard_positions in enumerate(positions) if len(shard_positions)]

        def arguments(shard: int) -> tuple[Any, ...]:
            return self.split, self.row_in_shard[numbers[positions[shard]]]

        for shard, shard_inputs in zip(shards, self.pool.call("take", arguments, shards), strict=True):
            X[positions[shard]] = shard_inputs
        return X

    @property
    def largest(self) -> float:
        """The largest absolute input."""
        return float(max(self.pool.call("largest", lambda shard: (self.split,))))

    def outputs(self, ensemble: Ensemble) -> Array:
        """Mean outputs (n_rows, n_out) of an ensemble, bit-identical to those computed in one process."""
        outputs = self.pool.call("outputs", lambda shard: (self.split, ensemble.networks, *ensemble.flats))
        return self._join_shards(outputs)

    def evaluate(
        self, networks: Sequence[Network], loss: Loss, dataset: Dataset, flats: Sequence[Array]
    ) -> tuple[float, Array]:
        """Mean loss of the rows, and the mean outputs (n_rows, n_out)."""
        self.send(dataset)
        results = self.pool.call("evaluate", lambda shard: (self.split, tuple(networks), loss, *flats))
        return sum(total for total, _ in results) / len(self), self._join_shards([outputs for _, outputs in results])

    def send(self, dataset: Dataset) -> None:
        """Send each shard the targets and weights of its rows, unless this dataset was sent last."""
        if self._sent_dataset is dataset:
            return
        y, weights = dataset.y, dataset.weights
        self.pool.broadcast(
            f"{self.split}-samples",
            "set_samples",
            lambda shard: (
                self.split, y[self.rows_by_shard[shard]], dataset.class_targets,
                None if weights is None else weights[self.rows_by_shard[shard]],
            ),
        )  # fmt: skip
        self._sent_dataset = dataset

    def trainer(self, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState) -> Trainer:
        """Make the trainer of a member, which trains in rounds of `local_steps` steps."""
        self.send(dataset)
        rows = ShardedRows(self.split, self.shard_of, self.row_in_shard)
        if self.local_steps == 1:
            return RoundTrainer(self.pool, rows, member, spec, state)
        return LocalTrainer(self.pool, rows, member, spec, state, self.local_steps)

    def _join_shards(self, outputs: Sequence[Array]) -> Array:
        """Outputs of all rows (n_rows, n_out), from those of each shard."""
        joined: Array = np.empty((len(self), *outputs[0].shape[1:]), outputs[0].dtype)
        for rows, shard_outputs in zip(self.rows_by_shard, outputs, strict=True):
            joined[rows] = shard_outputs
        return joined


def sharded_inputs(dataset: Dataset) -> ShardedInputs | None:
    """The inputs of a dataset if its rows are on a cluster, else None."""
    inputs: Any = dataset.X
    return inputs if isinstance(inputs, ShardedInputs) else None


class ShardedEvaluator(Evaluator):
    """An evaluator whose shards compute the loss and the outputs of their own rows."""

    def __init__(self, networks: Sequence[Network], loss: Loss, dataset: Dataset, inputs: ShardedInputs) -> None:
        super().__init__(networks, loss, dataset)
        self._inputs = inputs

    def run(self, flats: Sequence[Array]) -> tuple[float, Array]:
        """Mean loss, and the mean outputs (n_rows, n_out)."""
        loss, outputs = self._inputs.evaluate(self.networks, self.loss, self.dataset, flats)
        return float(loss), outputs
