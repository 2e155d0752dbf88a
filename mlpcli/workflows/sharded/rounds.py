"""Rounds of a training on shards: what each shard computes is gathered, and the training goes on from their sum.

Synchronous rounds sum the gradients of a batch: the order of the rows, the batches, the noise and the steps are those
of a training on one machine; only sums are rounded otherwise. With local steps each shard steps through several batches
with its own rows, and the parameters are averaged (local SGD, Stich 2019). All state is here, so that a round can be
asked for again.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.steps import StepValues, make_step
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, TrainingSpec, step_keys, step_values
from mlpcli.training.rows import shuffle_rows
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.sharded.steps import LocalBatch

if TYPE_CHECKING:
    from mlpcli.cluster.pool import ShardPool

# A round may take so many times as long as the longest one so far, and at least so many seconds.
TIMEOUT_FACTOR, MIN_TIMEOUT = 20.0, 60.0


@dataclass(frozen=True)
class ShardedRows:
    """The rows of a part: the shard of each, and its place there (n_rows,)."""

    part: str
    shard_of: NDArray[Any]
    local: NDArray[Any]


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
        """See `Trainer`."""
        order = shuffle_rows(self.member.rows, rng_of(self.spec.seed, "order", epoch, self.member.number))
        self._pool.rebalance()
        positions, total, rate = self.assign_rows(order), 0.0, 0.0
        for batches in self._rounds(epoch, len(order)):
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
        """Tell each shard which of its rows come in this epoch; gives their places in the order."""
        shard_of = self._rows.shard_of[order]
        positions = [np.flatnonzero(shard_of == shard) for shard in range(self._pool.n_shards)]
        part, local, network, spec = self._rows.part, self._rows.local, self.member.network, self.spec
        self._pool.broadcast(
            "epoch",
            "begin_epoch",
            lambda shard: (part, network, spec, local[order[positions[shard]]], positions[shard]),
        )
        return positions

    def _rounds(self, epoch: int, n_rows: int) -> Iterator[Sequence[LocalBatch]]:
        """The batches of each round of an epoch."""
        spec, n_steps = self.spec, self.member.n_steps(self.spec)
        keys = step_keys(spec, epoch, self.member.number, n_steps).tolist()
        for step, values in enumerate(step_values(spec, epoch, n_steps).tolist()):
            n_batch = min(spec.batch_size, n_rows - step * spec.batch_size)
            yield (LocalBatch(step, n_batch, keys[step], epoch * n_steps + step + 1, StepValues(*values)),)

    def _round(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> float:
        """Take the steps of a round; gives the sum of the losses of its rows."""
        (batch,) = batches
        asked = np.flatnonzero(self.count_rows(batches, positions)).tolist()
        arguments = (batch.step, batch.n_rows, batch.key, batch.values.dropout_factor, self.state.flat)
        found = self._call("gradient", arguments, asked)
        # Summed shard by shard, so that no worker's fate changes a bit.
        loss, self._gradient[...] = found[0]
        for own, gradient in found[1:]:
            loss += own
            self._gradient += gradient
        with np.errstate(all="ignore"):
            self._step(batch.count, batch.values)
        return float(loss) * batch.n_rows

    def count_rows(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        """How many rows of some neighbouring batches each shard has (n_shards,)."""
        first = batches[0].step * self.spec.batch_size
        ends = (first, first + sum(batch.n_rows for batch in batches))
        return np.asarray([np.diff(np.searchsorted(own, ends))[0] for own in positions])

    def _call(self, method: str, arguments: tuple[Any, ...], asked: list[int]) -> list[Any]:
        """What these shards answer; one that takes far longer than ever is lost."""
        started, most = monotonic(), max(MIN_TIMEOUT, TIMEOUT_FACTOR * self._longest)
        found = self._pool.call(method, lambda shard: arguments, asked, most)
        self._longest = max(self._longest, monotonic() - started)
        return found


class LocalTrainer(RoundTrainer):
    """Trains a member by rounds of `n_local` steps, after which parameters and optimizer state are averaged.

    A shard counts by its rows in the batches of the round. With one step, and an optimizer that is linear in the
    gradient, the average is that of a synchronous round.
    """

    def __init__(
        self, pool: "ShardPool", rows: ShardedRows, member: Member, spec: TrainingSpec, state: MemberState, n_local: int
    ) -> None:
        super().__init__(pool, rows, member, spec, state)
        self._n_local = n_local

    def _rounds(self, epoch: int, n_rows: int) -> Iterator[Sequence[LocalBatch]]:
        batches = [batch for (batch,) in super()._rounds(epoch, n_rows)]
        for start in range(0, len(batches), self._n_local):
            yield tuple(batches[start : start + self._n_local])

    def _round(self, batches: Sequence[LocalBatch], positions: Sequence[NDArray[Any]]) -> float:
        n_rows = self.count_rows(batches, positions)
        asked, arrays = np.flatnonzero(n_rows).tolist(), [self.state.flat, *self.state.optimizer.values()]
        found = self._call("local_steps", (tuple(batches), *arrays), asked)
        with np.errstate(all="ignore"):
            for place, array in enumerate(arrays, start=1):
                if len(found) == 1:
                    array[...] = found[0][place]
                    continue
                mean = np.zeros(array.shape, np.float64)
                for shard, own in zip(asked, found, strict=True):
                    mean += own[place] * (n_rows[shard] / n_rows.sum())
                array[...] = mean
        return float(sum(own[0] for own in found))
