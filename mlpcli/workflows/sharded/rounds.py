"""Trains a member in rounds: in each round the shards compute, and their results are combined here.

A synchronous round sums the gradients of the shards for one batch. Row order, batches, dropout noise and steps are
those of a training on one machine; only the rounding of the sums differs. With local steps each shard takes several
steps with its own rows, and the parameters are averaged (local SGD, Stich 2019). All state is in this process, so a
round can be repeated if a worker is lost.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.steps import StepValues, make_step
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, TrainingSpec, draw_epoch
from mlpcli.workflows.sharded.steps import LocalBatch

if TYPE_CHECKING:
    from mlpcli.cluster.pool import ShardPool

# The time limit of a round: a multiple of the longest round so far, and a minimum in seconds.
TIMEOUT_FACTOR, MIN_TIMEOUT = 20.0, 60.0


@dataclass(frozen=True)
class ShardedRows:
    """The rows of a split: the shard of each, and its index within the shard (n_rows,)."""

    split: str
    shard_of: NDArray[Any]
    row_in_shard: NDArray[Any]


class RoundTrainer:
    """Trains a member by synchronous rounds, one for each step."""

    def __init__(
        self, pool: "ShardPool", rows: ShardedRows, member: Member, spec: TrainingSpec, state: MemberState
    ) -> None:
        self.member, self.spec, self.state = member, spec, state
        self._pool, self._rows = pool, rows
        self._gradient = np.empty_like(state.flat)
        self._step = make_step(member.network, spec.update, state.flat, self._gradient, state.optimizer)
        self._longest = 0.0

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """Train an epoch; as `Trainer.run`. Raises NonFiniteLoss, and ClusterLost if the cluster fails."""
        order, values, keys = draw_epoch(self.member, self.spec, epoch)
        self._pool.rebalance()
        positions, total, rate = self.assign_rows(order), 0.0, 0.0
        for batches in self._rounds(epoch, len(order), values, keys):
            rate = batches[-1].values.learning_rate
            if must_stop():
                return EpochResult(total / len(order), rate, is_complete=False)
            loss = self._round(batches, positions)
            if not math.isfinite(loss):
                raise NonFiniteLoss(epoch + 1, "training")
            self.state.n_steps += len(batches)
            total += loss
        return EpochResult(total / len(order), rate)

    def assign_rows(self, order: NDArray[Any]) -> list[NDArray[Any]]:
        """Send each shard its rows of an epoch, which are trained in `order` (n_rows,).

        Returns for each shard the positions of its rows in the order, ascending.
        """
        shard_of = self._rows.shard_of[order]
        positions = [np.flatnonzero(shard_of == shard) for shard in range(self._pool.n_shards)]
        rows, network, spec = self._rows, self.member.network, self.spec

        def arguments(shard: int) -> tuple[Any, ...]:
            return rows.split, network, spec, rows.row_in_shard[order[positions[shard]]], positions[shard]

        self._pool.broadcast("epoch", "begin_epoch", arguments)
        return positions

    def _rounds(
        self, epoch: int, n_rows: int, all_values: NDArray[np.float64], keys: NDArray[np.uint32]
    ) -> Iterator[Sequence[LocalBatch]]:
        """Yield the batches of each round of an epoch."""
        batch_size, before = self.spec.batch_size, epoch * len(keys)
        for step, (values, key) in enumerate(zip(all_values.tolist(), keys.tolist(), strict=True)):
            n_batch = min(batch_size, n_rows - step * batch_size)
            yield (LocalBatch(step, n_batch, key, before + step + 1, StepValues(*values)),)

    def _round(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> float:
        """Take the steps of a round; returns the sum of the losses of its rows."""
        (batch,) = batches
        shards = np.flatnonzero(self.count_rows(batches, positions)).tolist()
        arguments = (batch.step, batch.n_rows, batch.key, batch.values.dropout_factor, self.state.flat)
        results = self._call("gradient", arguments, shards)
        # Summed in the order of the shards, so that a replaced worker does not change the rounding.
        loss, self._gradient[...] = results[0]
        for shard_loss, gradient in results[1:]:
            loss += shard_loss
            self._gradient += gradient
        with np.errstate(all="ignore"):
            self._step(batch.count, batch.values)
        return float(loss) * batch.n_rows

    def count_rows(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """Number of rows of consecutive batches in each shard (n_shards,)."""
        first = batches[0].step * self.spec.batch_size
        ends = (first, first + sum(batch.n_rows for batch in batches))
        return np.asarray([np.diff(np.searchsorted(shard_positions, ends))[0] for shard_positions in positions])

    def _call(self, method: str, arguments: tuple[Any, ...], shards: list[int]) -> list[Any]:
        """Call a method of these shards; a worker that exceeds the time limit of a round is treated as lost."""
        started, timeout = monotonic(), max(MIN_TIMEOUT, TIMEOUT_FACTOR * self._longest)
        results = self._pool.call(method, lambda shard: arguments, shards, timeout)
        self._longest = max(self._longest, monotonic() - started)
        return results


class LocalTrainer(RoundTrainer):
    """Trains a member by rounds of `local_steps` steps, after which parameters and optimizer state are averaged.

    The average is weighted by the rows of each shard in the batches of the round. With one local step, and an optimizer
    that is linear in the gradient, the result is that of a synchronous round.
    """

    def __init__(
        self, pool: "ShardPool", rows: ShardedRows, member: Member, spec: TrainingSpec, state: MemberState,
        local_steps: int,
    ) -> None:  # fmt: skip
        super().__init__(pool, rows, member, spec, state)
        self._local_steps = local_steps

    def _rounds(
        self, epoch: int, n_rows: int, all_values: NDArray[np.float64], keys: NDArray[np.uint32]
    ) -> Iterator[Sequence[LocalBatch]]:
        batches = [batch for (batch,) in super()._rounds(epoch, n_rows, all_values, keys)]
        for start in range(0, len(batches), self._local_steps):
            yield tuple(batches[start : start + self._local_steps])

    def _round(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> float:
        n_rows = self.count_rows(batches, positions)
        shards, arrays = np.flatnonzero(n_rows).tolist(), [self.state.flat, *self.state.optimizer.values()]
        results = self._call("local_steps", (tuple(batches), *arrays), shards)
        with np.errstate(all="ignore"):
            for index, array in enumerate(arrays, start=1):
                if len(results) == 1:
                    array[...] = results[0][index]
                    continue
                mean = np.zeros(array.shape, np.float64)
                for shard, result in zip(shards, results, strict=True):
                    mean += result[index] * (n_rows[shard] / n_rows.sum())
                array[...] = mean
        return float(sum(result[0] for result in results))
