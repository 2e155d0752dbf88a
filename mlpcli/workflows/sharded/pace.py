"""How many local steps a training on shards takes between two rounds, by measured times."""

import math
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mlpcli.training.dataset import Dataset
from mlpcli.training.member import Member, MemberState, TrainingSpec
from mlpcli.workflows.sharded.inputs import ShardedInputs
from mlpcli.workflows.sharded.rounds import PartRows, RoundTrainer
from mlpcli.workflows.sharded.steps import TIMED

# With more local steps the members drift apart between two rounds: accuracy falls (Lin et al. 2020, Don't use large
# mini-batches, use local SGD).
MOST_LOCAL_STEPS = 16


@dataclass(frozen=True)
class Pace:
    """Seconds: of the own rows of a batch, the slowest shard's; of a whole batch on one of them; of a whole round."""

    share: float
    whole: float
    round: float

    @property
    def waiting(self) -> float:
        """What a round takes beside the work."""
        return max(0.0, self.round - self.share)

    @property
    def local_steps(self) -> int:
        """1, unless rounds dominate; else so many that working takes as long as waiting."""
        if self.waiting <= self.share:
            return 1
        return min(MOST_LOCAL_STEPS, math.ceil(self.waiting / max(self.share, 1e-9)))

    def seconds_of_step(self, n_local: int) -> float:
        """What a step takes with so many local steps in a round."""
        return self.share + self.waiting / n_local


def measure_pace(
    inputs: ShardedInputs, member: Member, dataset: Dataset, spec: TrainingSpec, state: MemberState
) -> Pace:
    """Time some rounds of the first batch of a member; its state stays as it is."""
    inputs.send(dataset)
    pool, own = inputs.pool, state.copy()
    trainer = RoundTrainer(pool, PartRows(inputs.part, inputs.owner, inputs.local), member, spec, own)
    order = np.arange(member.n_rows) if isinstance(member.rows, int) else np.asarray(member.rows)
    rng = np.random.default_rng(0)
    places = trainer.deal(rng.permutation(order))
    n_batch = min(spec.batch_size, member.n_rows)
    shares = [round(n_batch * len(rows) / member.n_rows) for rows in places]
    flat = own.flat
    share = max(pool.call("seconds_of", lambda shard: (shares[shard], flat)))
    largest = int(np.argmax([len(rows) for rows in places]))
    (whole,) = pool.call("seconds_of", lambda shard: (n_batch, flat), [largest])
    asked = [shard for shard, rows in enumerate(places) if len(rows)]
    found = []
    for _ in range(TIMED + 1):
        started = perf_counter()
        pool.call("gradient", lambda shard: (0, n_batch, 0, 1.0, flat), asked)
        found.append(perf_counter() - started)
    return Pace(share, whole, min(found[1:]))
