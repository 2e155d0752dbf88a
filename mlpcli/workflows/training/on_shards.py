"""Configures a training on the shards of a cluster: the local steps of a round, and the recorded engine."""

from collections.abc import Sequence
from dataclasses import replace

from mlpcli.messages import format_count
from mlpcli.storage.model.model_record import Sitting
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.engine_choice import EngineChoice
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.sharded.round_times import RoundTimes, measure_round_times

CLUSTER = "cluster"  # the recorded engine of synchronous rounds
LOCAL_STEPS_PREFIX = f"{CLUSTER}, local steps: "  # the recorded engine otherwise; the number of steps follows


def configure_shards(
    prepared: Prepared, state: TrainingState, local_steps: int | None, earlier: Sequence[Sitting] = ()
) -> tuple[Prepared, list[str]]:
    """Make the cluster the engine, NumPy with one thread on each worker; returns the new preparation and notes.

    `local_steps` is the number of steps in a round. None takes that of the `earlier` sittings, or else chooses it by
    the measured times of a round and a step.
    """
    inputs = sharded_inputs(prepared.train.samples)
    assert inputs is not None
    n_rows, notes = [len(rows) for rows in inputs.rows_by_shard], list[str]()
    inputs.local_steps = local_steps or _local_steps_of(earlier)
    if not inputs.local_steps:
        member = prepared.members[0]
        spec = member.effective_spec(prepared.spec)
        times = measure_round_times(inputs, member, prepared.train.samples, spec, state.members[0])
        inputs.local_steps = times.local_steps
        notes += _notes(times)
    sizes = f"{min(n_rows)} to {max(n_rows)}" if len(n_rows) > 1 else f"{n_rows[0]}"
    rounds = ", synchronous rounds" if inputs.local_steps == 1 else ""
    name = CLUSTER if inputs.local_steps == 1 else f"{LOCAL_STEPS_PREFIX}{inputs.local_steps}"
    engine = EngineChoice(name, f"{format_count(len(n_rows), 'shard')} of {sizes} training rows{rounds}")
    return replace(prepared, engine=engine, n_threads=1), notes


def is_cluster_engine(engine: str) -> bool:
    """Whether the recorded engine name is that of a cluster."""
    return engine.startswith(CLUSTER)


def _local_steps_of(sittings: Sequence[Sitting]) -> int:
    """Local steps of the last sitting on a cluster, 0 for none."""
    names = [sitting.engine for sitting in sittings if is_cluster_engine(sitting.engine)]
    if not names:
        return 0
    return int(names[-1].removeprefix(LOCAL_STEPS_PREFIX)) if names[-1].startswith(LOCAL_STEPS_PREFIX) else 1


def _notes(times: RoundTimes) -> list[str]:
    seconds, notes = times.step_seconds(times.local_steps), list[str]()
    if times.local_steps > 1:
        whole, work = _format(times.synchronous_round), _format(times.local_gradient)
        notes.append(
            f"a round takes {whole}, the work in it {work}: {times.local_steps} local steps are taken between two "
            "rounds. --local-steps 1 trains as one machine does."
        )
    if times.batch_gradient < seconds:
        alone = _format(times.batch_gradient)
        notes.append(
            f"a step takes {_format(seconds)} on this cluster and {alone} on one of its workers alone: if the table "
            "fits on one machine, training without --cluster is faster."
        )
    return notes


def _format(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1.0 else f"{seconds * 1e3:.2g} ms"
