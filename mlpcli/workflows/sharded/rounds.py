"""Synchronous rounds: each shard adds up the gradient of its rows of a batch, and the step is made here.

The order of the rows, the batches, the noise and the steps are those of a training on one machine; only the sums of
gradients are rounded otherwise. All state is here, so that a round can be asked for again.
"""

import math
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.steps import StepValues, make_step
from mlpcli.training.member import EpochResult, Member, MemberState, NonFiniteLoss, TrainingSpec, step_keys, step_values
from mlpcli.training.rows import shuffled
from mlpcli.training.seeding import rng_of

if TYPE_CHECKING:
    from mlpcli.cluster.pool import ShardPool

# A round may take so many times as long as the longest one so far, and at least so many seconds.
LONGER, LEAST_SECONDS = 20.0, 60.0


class RoundTrainer:
    """Trains a member whose rows lie in shards: `owner` and `local` (n_rows,) say where each row is."""

    def __init__(
        self,
        pool: "ShardPool",
        part: str,
        owner: NDArray[Any],
        local: NDArray[np.int64],
        member: Member,
        spec: TrainingSpec,
        state: MemberState,
    ) -> None:
        self.member, self.spec, self.state = member, spec, state
        self._pool, self._part, self._owner, self._local = pool, part, owner, local
        self._n_steps, self._gradient = member.n_steps(spec), np.empty_like(state.flat)
        self._step = make_step(member.network, spec.update, state.flat, self._gradient, state.optimizer)
        self._longest = 0.0

    def run(self, epoch: int, must_stop: Callable[[], bool]) -> EpochResult:
        """See `Trainer`."""
        spec, n_steps, number = self.spec, self._n_steps, self.member.number
        order = shuffled(self.member.rows, rng_of(spec.seed, "order", epoch, number))
        places = self._deal(order)
        keys, total, of = step_keys(spec, epoch, number, n_steps).tolist(), 0.0, None
        for step, values in enumerate(step_values(spec, epoch, n_steps).tolist()):
            of = StepValues(*values)
            if must_stop():
                return EpochResult(total / len(order), of.learning_rate, is_whole=False)
            first = step * spec.batch_size
            n_batch = min(spec.batch_size, len(order) - first)
            asked = [
                shard for shard, own in enumerate(places)
                if np.searchsorted(own, first) < np.searchsorted(own, first + n_batch)
            ]  # fmt: skip
            loss = self._sum_gradients(asked, (step, n_batch, keys[step], of.dropout, self.state.flat))
            if not math.isfinite(loss):
                raise NonFiniteLoss(epoch + 1, "training")
            with np.errstate(all="ignore"):
                self._step(epoch * n_steps + step + 1, of)
            self.state.n_steps += 1
            total += loss * n_batch
        return EpochResult(total / len(order), of.learning_rate if of else 0.0)

    def _deal(self, order: NDArray[Any]) -> list[NDArray[Any]]:
        """Tell each shard which of its rows come in this epoch; gives their places in the order."""
        owner = self._owner[order]
        places = [np.flatnonzero(owner == shard) for shard in range(self._pool.n_shards)]
        network, spec = self.member.network, self.spec
        self._pool.tell(
            "epoch",
            "begin_epoch",
            lambda shard: (self._part, network, spec, self._local[order[places[shard]]], places[shard]),
        )
        return places

    def _sum_gradients(self, asked: list[int], arguments: tuple[Any, ...]) -> float:
        """The cost of a batch; its gradient is summed shard by shard, so that no worker's fate changes a bit."""
        started = monotonic()
        most = max(LEAST_SECONDS, LONGER * self._longest)
        found = self._pool.call("gradient", lambda shard: arguments, asked, most)
        self._longest = max(self._longest, monotonic() - started)
        loss, self._gradient[...] = found[0]
        for own, gradient in found[1:]:
            loss += own
            self._gradient += gradient
        return float(loss)
