"""Chooses the number of local steps in a round of a training on shards, by measured times."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, MemberState, TrainingSpec
from mlpcli.workflows.sharded.inputs import ShardedInputs
from mlpcli.workflows.sharded.rounds import RoundTrainer, ShardedRows
from mlpcli.workflows.sharded.steps import TIMED_RUNS

# With more local steps the weights of the shards diverge within a round, and accuracy falls (Lin et al. 2020, "Don't
# use large mini-batches, use local SGD").
MAX_LOCAL_STEPS = 16


@dataclass(frozen=True)
class RoundTimes:
    """Measured seconds of the parts of a step.

    `local_gradient` is the gradient of a shard's rows of a batch, on the slowest shard; `batch_gradient` that of a
    whole batch on one worker; `synchronous_round` a round of one step; `exchange` the communication of a round with
    local steps, in which the optimizer state is sent too.
    """

    local_gradient: float
    batch_gradient: float
    synchronous_round: float
    exchange: float

    @property
    def local_steps(self) -> int:
        """Steps in a round: 1 unless communication dominates, else as many as take as long as the communication."""
        if self.synchronous_round <= 2.0 * self.local_gradient:
            return 1
        local_steps = min(MAX_LOCAL_STEPS, math.ceil(self.exchange / max(self.local_gradient, 1e-9)))
        return local_steps if self.step_seconds(local_steps) < self.synchronous_round else 1

    def step_seconds(self, local_steps: int) -> float:
        """Seconds per step with this number of local steps in a round."""
        return self.synchronous_round if local_steps <= 1 else self.local_gradient + self.exchange / local_steps


def measure_round_times(
    inputs: ShardedInputs, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState
) -> RoundTimes:
    """Time a few rounds with the first batch of a member; its state is not changed."""
    inputs.send(dataset)
    pool, timed_state = inputs.pool, state.copy()
    sharded_rows = ShardedRows(inputs.split, inputs.shard_of, inputs.row_in_shard)
    trainer = RoundTrainer(pool, sharded_rows, member, spec, timed_state)
    order = np.arange(member.n_rows) if isinstance(member.rows, int) else np.asarray(member.rows)
    rng = np.random.default_rng(0)
    positions = trainer.assign_rows(rng.permutation(order))
    n_batch = min(spec.batch_size, member.n_rows)
    shard_rows = [round(n_batch * len(rows) / member.n_rows) for rows in positions]
    flat = timed_state.flat
    local_gradient = max(pool.call("time_gradient", lambda shard: (shard_rows[shard], flat)))
    largest = int(np.argmax([len(rows) for rows in positions]))
    (batch_gradient,) = pool.call("time_gradient", lambda shard: (n_batch, flat), [largest])
    shards = [shard for shard, rows in enumerate(positions) if len(rows)]
    state_arrays = tuple(timed_state.optimizer.values())
    round_seconds = _min_seconds(lambda: pool.call("gradient", lambda shard: (0, n_batch, 0, 1.0, flat), shards))
    exchange = _min_seconds(lambda: pool.call("local_steps", lambda shard: ((), flat, *state_arrays), shards))
    return RoundTimes(local_gradient, batch_gradient, round_seconds, exchange)


def _min_seconds(act: Callable[[], object]) -> float:
    """The shortest of several times; the first one is not counted, as it allocates buffers."""
    seconds = []
    for _ in range(TIMED_RUNS + 1):
        started = perf_counter()
        act()
        seconds.append(perf_counter() - started)
    return min(seconds[1:])
