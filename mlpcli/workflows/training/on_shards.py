"""A training on the shards of a cluster, as it is paced and recorded."""

from collections.abc import Sequence
from dataclasses import replace

from mlpcli.messages import format_count
from mlpcli.storage.model.model_record import Sitting
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.engine_choice import EngineChoice
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.sharded.round_times import RoundTimes, measure_round_times

CLUSTER = "cluster"  # the engine, in records; with local steps their number follows
LOCAL = f"{CLUSTER}, local steps: "


def configure_shards(
    prepared: Prepared, state: TrainingState, asked: int | None, earlier: Sequence[Sitting] = ()
) -> tuple[Prepared, list[str]]:
    """The same with the cluster as its engine: NumPy on each worker, with one thread. Also notes.

    `asked` are the local steps of a round; None has them follow from measured times, or from an `earlier` sitting.
    """
    there = sharded_inputs(prepared.train.samples)
    assert there is not None
    n_rows, notes, pace = [len(rows) for rows in there.rows_of], list[str](), None
    there.local_steps = asked or _local_steps_of(earlier)
    if not there.local_steps:
        member = prepared.members[0]
        spec = member.effective_spec(prepared.spec)
        pace = measure_round_times(there, member, prepared.train.samples, spec, state.members[0])
        there.local_steps = pace.local_steps
        notes += _notes(pace)
    sizes = f"{min(n_rows)} to {max(n_rows)}" if len(n_rows) > 1 else f"{n_rows[0]}"
    rounds = ", synchronous rounds" if there.local_steps == 1 else ""
    name = CLUSTER if there.local_steps == 1 else f"{LOCAL}{there.local_steps}"
    engine = EngineChoice(name, f"{format_count(len(n_rows), 'shard')} of {sizes} training rows{rounds}")
    return replace(prepared, engine=engine, n_threads=1), notes


def is_cluster_engine(engine: str) -> bool:
    """Whether a recorded engine is a cluster."""
    return engine.startswith(CLUSTER)


def _local_steps_of(sittings: Sequence[Sitting]) -> int:
    """Those of the last sitting on a cluster, 0 for none."""
    names = [sitting.engine for sitting in sittings if is_cluster_engine(sitting.engine)]
    if not names:
        return 0
    return int(names[-1].removeprefix(LOCAL)) if names[-1].startswith(LOCAL) else 1


def _notes(pace: RoundTimes) -> list[str]:
    taken, notes = pace.seconds_of_step(pace.local_steps), list[str]()
    if pace.local_steps > 1:
        notes.append(
            f"a round takes {_shown(pace.round)}, the work in it {_shown(pace.share)}: {pace.local_steps} local steps "
            "are taken between two rounds. --local-steps 1 trains as one machine does."
        )
    if pace.whole < taken:
        notes.append(
            f"a step takes {_shown(taken)} on this cluster and {_shown(pace.whole)} on one of its workers alone: if "
            "the table fits on one machine, training without --cluster is faster."
        )
    return notes


def _shown(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1.0 else f"{seconds * 1e3:.2g} ms"
