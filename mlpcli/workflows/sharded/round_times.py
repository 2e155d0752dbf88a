"""How many local steps a training on shards takes between two rounds, by measured times."""

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

# With more local steps the members drift apart between two rounds: accuracy falls (Lin et al. 2020, Don't use large
# mini-batches, use local SGD).
MAX_LOCAL_STEPS = 16


@dataclass(frozen=True)
class RoundTimes:
    """Seconds: of the own rows of a batch, the slowest shard's; of a whole batch on one; of a synchronous round.

    `exchange` is what a round with local steps takes beside its work: the optimizer's state travels, too.
    """

    share: float
    whole: float
    round: float
    exchange: float

    @property
    def local_steps(self) -> int:
        """1, unless rounds dominate; else so many that working takes as long as waiting."""
        if self.round <= 2.0 * self.share:
            return 1
        n_local = min(MAX_LOCAL_STEPS, math.ceil(self.exchange / max(self.share, 1e-9)))
        return n_local if self.seconds_of_step(n_local) < self.round else 1

    def seconds_of_step(self, n_local: int) -> float:
        """What a step takes with so many local steps in a round."""
        return self.round if n_local <= 1 else self.share + self.exchange / n_local


def measure_round_times(
    inputs: ShardedInputs, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState
) -> RoundTimes:
    """Time some rounds of the first batch of a member; its state stays as it is."""
    inputs.send(dataset)
    pool, own = inputs.pool, state.copy()
    trainer = RoundTrainer(pool, ShardedRows(inputs.part, inputs.shard_of, inputs.local), member, spec, own)
    order = np.arange(member.n_rows) if isinstance(member.rows, int) else np.asarray(member.rows)
    rng = np.random.default_rng(0)
    positions = trainer.assign_rows(rng.permutation(order))
    n_batch = min(spec.batch_size, member.n_rows)
    shares = [round(n_batch * len(rows) / member.n_rows) for rows in positions]
    flat = own.flat
    share = max(pool.call("seconds_of", lambda shard: (shares[shard], flat)))
    largest = int(np.argmax([len(rows) for rows in positions]))
    (whole,) = pool.call("seconds_of", lambda shard: (n_batch, flat), [largest])
    asked = [shard for shard, rows in enumerate(positions) if len(rows)]
    state_arrays = tuple(own.optimizer.values())
    whole_round = _least_seconds(lambda: pool.call("gradient", lambda shard: (0, n_batch, 0, 1.0, flat), asked))
    exchange = _least_seconds(lambda: pool.call("local_steps", lambda shard: ((), flat, *state_arrays), asked))
    return RoundTimes(share, whole, whole_round, exchange)


def _least_seconds(act: Callable[[], object]) -> float:
    """Of a few times, the first of which pays for what is allocated once."""
    found = []
    for _ in range(TIMED_RUNS + 1):
        started = perf_counter()
        act()
        found.append(perf_counter() - started)
    return min(found[1:])
