"""The inputs of a part whose rows lie on the workers of a cluster, and all that is asked of them."""

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
    """Stands for the array (n_rows, n_in) of a part: rows of it are fetched, the others stay where they are.

    `shard_of` (n_rows,) is the shard of each row; the rows of a shard stand there in the same order.
    """

    def __init__(self, pool: "ShardPool", part: str, shard_of: NDArray[Any], n_in: int, dtype: "np.dtype[Any]") -> None:
        self.pool, self.part, self.shape, self.dtype = pool, part, (len(shard_of), n_in), dtype
        self.shard_of = shard_of
        kind = row_dtype(len(shard_of))
        self.rows_of = [np.flatnonzero(shard_of == shard).astype(kind) for shard in range(pool.n_shards)]
        self.local = np.empty(len(shard_of), kind)
        for rows in self.rows_of:
            self.local[rows] = np.arange(len(rows))
        self.local_steps = 1  # of a shard between two rounds
        self._sent: Dataset | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        """Some rows, by a slice or their numbers, as an array."""
        numbers = np.arange(len(self))[rows]
        X: Array = np.empty((len(numbers), self.shape[1]), self.dtype)
        positions = [np.flatnonzero(self.shard_of[numbers] == shard) for shard in range(self.pool.n_shards)]
        asked = [shard for shard, own in enumerate(positions) if len(own)]
        found = self.pool.call("take", lambda shard: (self.part, self.local[numbers[positions[shard]]]), asked)
        for shard, own in zip(asked, found, strict=True):
            X[positions[shard]] = own
        return X

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(max(self.pool.call("largest", lambda shard: (self.part,))))

    def outputs(self, ensemble: Ensemble) -> Array:
        """The mean outputs (n_rows, n_out), bit for bit as if the rows were here."""
        found = self.pool.call("outputs", lambda shard: (self.part, ensemble.networks, *ensemble.flats))
        return self._joined(found)

    def judge(
        self, networks: Sequence[Network], loss: Loss, dataset: Dataset, flats: Sequence[Array]
    ) -> tuple[float, Array]:
        """The mean loss of the rows, and their outputs (n_rows, n_out)."""
        self.send(dataset)
        found = self.pool.call("judge", lambda shard: (self.part, tuple(networks), loss, *flats))
        return sum(total for total, _ in found) / len(self), self._joined([outputs for _, outputs in found])

    def send(self, dataset: Dataset) -> None:
        """Give each shard the targets and weights of its rows, unless it has them."""
        if self._sent is dataset:
            return
        y, weights = dataset.y, dataset.weights
        self.pool.broadcast(
            f"{self.part}-samples",
            "set_samples",
            lambda shard: (
                self.part, y[self.rows_of[shard]], dataset.class_targets,
                None if weights is None else weights[self.rows_of[shard]],
            ),
        )  # fmt: skip
        self._sent = dataset

    def trainer(self, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState) -> Trainer:
        """What trains a member on the rows, round by round."""
        self.send(dataset)
        rows = ShardedRows(self.part, self.shard_of, self.local)
        if self.local_steps == 1:
            return RoundTrainer(self.pool, rows, member, spec, state)
        return LocalTrainer(self.pool, rows, member, spec, state, self.local_steps)

    def _joined(self, outputs: Sequence[Array]) -> Array:
        joined: Array = np.empty((len(self), *outputs[0].shape[1:]), outputs[0].dtype)
        for rows, own in zip(self.rows_of, outputs, strict=True):
            joined[rows] = own
        return joined


def sharded_inputs(dataset: Dataset) -> ShardedInputs | None:
    """The inputs of rows that lie on a cluster; None for those that are here."""
    inputs: Any = dataset.X
    return inputs if isinstance(inputs, ShardedInputs) else None


class ShardedEvaluator(Evaluator):
    """Loss and outputs of an ensemble on sharded rows: each shard scores its own."""

    def __init__(self, networks: Sequence[Network], loss: Loss, dataset: Dataset, inputs: ShardedInputs) -> None:
        super().__init__(networks, loss, dataset)
        self._inputs = inputs

    def run(self, flats: Sequence[Array]) -> tuple[float, Array]:
        """Mean loss, and the outputs."""
        loss, outputs = self._inputs.judge(self.networks, self.loss, self.dataset, flats)
        return float(loss), outputs
