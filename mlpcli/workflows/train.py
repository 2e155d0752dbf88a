"""`mlp train`: prepare, train with checkpoints, and rename the run folder when it is complete."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any, Protocol

from mlpcli.cluster.address import ClusterAddress
from mlpcli.config.loading import LoadedConfig, without_search
from mlpcli.data.table import count_codes
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import ClusterLost, Diverged, Interrupted, MlpError, OutputError
from mlpcli.evaluation.gates import GateResult
from mlpcli.machine import keep_freed_memory, return_freed_memory
from mlpcli.storage.run.run_directory import DIVERGED, INTERRUPTED, WEIGHTS, RunDirectory
from mlpcli.training.fit import EpochReport, TrainingState
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.rows.data_store import memory_limit
from mlpcli.workflows.preparing.warm_start import load_warm_start
from mlpcli.workflows.preparing.warnings.row_warnings import rarest_class
from mlpcli.workflows.scoring.baseline import far_worse_run
from mlpcli.workflows.sharded.inputs import sharded_inputs
from mlpcli.workflows.sharded.table import table_on_cluster
from mlpcli.workflows.training.budget import Budget
from mlpcli.workflows.training.divergence import explain_divergence
from mlpcli.workflows.training.engines import load_engine, noting_compilation
from mlpcli.workflows.training.estimates.memory import refuse_over_budget
from mlpcli.workflows.training.finalize import TrainingResult, finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.interruption import Interruption
from mlpcli.workflows.training.on_shards import configure_shards
from mlpcli.workflows.training.recording.journal import Journal, flat_metrics
from mlpcli.workflows.training.recording.trackers import make_tracking, require_trackers, start_tracking
from mlpcli.workflows.training.recording.up_to_date import FinishedRun, find_finished_run

# Bytes: larger freed blocks, such as arrays with a number per table row, are returned to the system at once.
KEPT_MEMORY = 1 << 23
SEARCH_IGNORED = "the section search is used by mlp search only: this training uses the config as it is."


class Observer(Protocol):
    """Receives the progress of a training."""

    def prepared(self, prepared: Prepared, from_epoch: int) -> None:
        """Called before the first epoch, which follows `from_epoch`."""

    def epoch(self, report: EpochReport, state: TrainingState) -> None:
        """Called after each epoch."""

    def note(self, text: str) -> None:
        """Called with each note for the user."""

    def ended(self) -> None:
        """Called once after the last epoch, also after an error."""


@dataclass(frozen=True)
class TrainResult:
    """A complete run: its folder, the trained model with its scores, and the duration of the training in seconds.

    `kept` is the folder to which a run of another config was renamed, "" for none.
    """

    prepared: Prepared
    outcome: TrainingResult
    folder: str
    seconds: float
    kept: str = ""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer sizes, from inputs to outputs."""
        return tuple(self.prepared.network.sizes)

    @property
    def gate_results(self) -> tuple[GateResult, ...]:
        """The result of each gate of `expect`."""
        return self.outcome.gate_results

    @property
    def judged_on(self) -> str:
        """The name of the split that gates are checked on: the last one."""
        return self.prepared.splits[-1].name

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return flat_metrics(self.outcome, self.seconds)

    @property
    def far_worse(self) -> str:
        """A sentence if the model is far worse than the constant baseline, otherwise ""."""
        return far_worse_run(self.outcome.model.scores)

    @property
    def rarest_class(self) -> str:
        """The rarest class and its number of training rows if it is so rare that accuracy hides it, otherwise ""."""
        target = self.prepared.target
        if not isinstance(target, ClassTarget):
            return ""
        return rarest_class(target.labels, count_codes(self.prepared.train.truth, len(target.labels)))


def default_output(loaded: LoadedConfig) -> str:
    """The folder of the run: `output`, or runs/<name of the config file>."""
    return f"runs/{Path(loaded.path).stem}" if loaded.config.output is None else loaded.config.output


def train_if_changed(
    loaded: LoadedConfig, observer: Observer, resume: bool = False, resume_command: str = "",
    replaces_any: bool = False, start: str = "", cluster: ClusterAddress | None = None, local_steps: int | None = None,
) -> TrainResult | FinishedRun:  # fmt: skip
    """As `train`, but returns the existing run if it has the same config, data and version."""
    finished = find_finished_run(
        without_search(loaded), RunDirectory(default_output(loaded)).final, load_warm_start(start) if start else None
    )
    return (
        train(loaded, observer, resume, resume_command, replaces_any, start, cluster, local_steps)
        if finished is None
        else finished
    )


def train(
    loaded: LoadedConfig, observer: Observer, resume: bool = False, resume_command: str = "",
    replaces_any: bool = False, start: str = "", cluster: ClusterAddress | None = None, local_steps: int | None = None,
) -> TrainResult:  # fmt: skip
    """Train the network of a config and write a run folder; `start` is a model file to continue from.

    An existing run of another config is kept under a numbered name, unless `replaces_any`. With `cluster`, each worker
    has a shard of the table, and all workers train one network, with `local_steps` steps per round (None: chosen by
    measured times).
    Raises ConfigError and DataError before any file is written; Diverged, ClusterLost and Interrupted, which leave a
    checkpoint in `<output>.partial/`; OutputError if a file cannot be written.
    """
    if cluster is None and local_steps is not None:
        raise MlpError("--local-steps: applies to training on a cluster only. Add --cluster tcp://HOST:PORT")
    started = perf_counter()
    keep_freed_memory(KEPT_MEMORY)
    RunDirectory(default_output(loaded)).check()
    require_trackers(loaded)
    memory_limit(loaded)  # raises ConfigError for an invalid size before the data is read
    loaded = _without_search(loaded, observer)
    if cluster is None:
        prepared = prepare(loaded, start=load_warm_start(start) if start else None)
        return _train(prepared, observer, resume, resume_command, replaces_any, started)
    if start:
        raise MlpError("--from: is not supported on a cluster. Leave out --from or --cluster.")
    with table_on_cluster(cluster, loaded, observer.note) as table:
        prepared = prepare(loaded, table)
        return _train(prepared, observer, resume, resume_command, replaces_any, started, local_steps)


def _train(
    prepared: Prepared, observer: Observer, resume: bool, resume_command: str, replaces_any: bool, started: float,
    local_steps: int | None = None,
) -> TrainResult:  # fmt: skip
    """Train prepared data; `started` is the `perf_counter` time at which the preparation began."""
    loaded = prepared.loaded
    refuse_over_budget(prepared)
    return_freed_memory()  # of the table, before the arrays of the training are allocated
    run, tracking = RunDirectory(default_output(loaded), replaces_any), make_tracking(loaded, observer.note)
    with Interruption() as interruption, run, tracking:
        for note in (*prepared.notes, *run.begin(resume)):
            observer.note(note)
        journal = Journal(run, prepared)
        state = journal.resume() if run.can_resume else initial_state(prepared)
        if sharded_inputs(prepared.train.samples) is not None:
            prepared, notes = configure_shards(prepared, state, local_steps, journal.earlier)
            journal.prepared = prepared
            for note in notes:
                observer.note(note)
        journal.start()
        budget = Budget(loaded, journal.seconds + perf_counter() - started, prepared.spec.chunk_rows is not None)
        observer.prepared(prepared, state.epoch)
        start_tracking(tracking, loaded, run.final, state.epoch)
        try:
            with blas_threads(1), noting_compilation(prepared.engine, observer.note):
                if not run.can_resume:
                    tracking.epoch(0, time(), journal.record_initial(state))
                with interruption.immediate():
                    load_engine(prepared.engine, loaded.config.training.dtype)
                for report in epochs(prepared, state, lambda: interruption.is_set() or budget.is_exhausted()):
                    tracking.epoch(report.epoch, time(), journal.epoch(report, state))
                    observer.epoch(report, state)
        except NonFiniteLoss as fault:
            journal.save(state, f"{DIVERGED} at epoch {fault.epoch}")
            raise Diverged(explain_divergence(prepared, state, fault, run.partial, interruption.is_set)) from fault
        except ClusterLost as fault:
            journal.checkpoint_if_trained(state)
            raise ClusterLost(f"{fault} {_checkpoint_sentence(state, run.partial, resume_command)}") from fault
        except Exception:  # such as a closed terminal or a lack of memory: the state is that of the last complete epoch
            with suppress(OutputError, MemoryError):
                journal.checkpoint_if_trained(state)
            raise
        except KeyboardInterrupt:  # while compiling, which does not change the state
            if not interruption.is_set():
                raise
        finally:
            observer.ended()
        if interruption.is_set():
            journal.save(state, INTERRUPTED)
            raise Interrupted(_interruption_message(state, run.partial, resume_command), interruption.exit_code)
        budget.refuse_untrained(state)
        outcome = _finalize(prepared, state, budget, journal, interruption, resume_command)
        seconds = journal.complete(state, outcome)
        tracking.end("finished", flat_metrics(outcome, seconds), os.path.join(run.final, WEIGHTS))
        return TrainResult(prepared, outcome, run.final, seconds, run.kept)


def _without_search(loaded: LoadedConfig, observer: Observer) -> LoadedConfig:
    if loaded.config.search is None:
        return loaded
    observer.note(SEARCH_IGNORED)
    return without_search(loaded)


def _finalize(
    prepared: Prepared,
    state: TrainingState,
    budget: Budget,
    journal: Journal,
    interruption: Interruption,
    resume_command: str,
) -> TrainingResult:
    """The model and its scores; raises Interrupted and ClusterLost after writing a checkpoint."""
    try:
        with blas_threads(1), interruption.immediate():
            return finalize(prepared, state, budget.reason, journal.sittings(state))
    except KeyboardInterrupt:
        if not interruption.is_set():
            raise
        journal.checkpoint(state)
        raise Interrupted(_unscored_message(journal.run.partial, resume_command), interruption.exit_code) from None
    except ClusterLost as fault:
        journal.checkpoint_if_trained(state)
        raise ClusterLost(f"{fault} {_checkpoint_sentence(state, journal.run.partial, resume_command)}") from fault


def _interruption_message(state: TrainingState, partial: str, resume_command: str) -> str:
    if not state.epoch:
        return "interrupted before the first epoch was done: nothing to resume."
    return (
        f"interrupted after epoch {state.epoch}. The best weights so far (epoch {state.best_epoch or state.epoch}) "
        f"and a checkpoint are in {partial}/.{_resume_sentence(resume_command)}"
    )


def _checkpoint_sentence(state: TrainingState, partial: str, resume_command: str) -> str:
    if not state.epoch:
        return "No epoch was done: there is nothing to resume."
    return f"A checkpoint of epoch {state.epoch} is in {partial}/.{_resume_sentence(resume_command)}"


def _unscored_message(partial: str, resume_command: str) -> str:
    return (
        f"interrupted after the last epoch, before scoring. A checkpoint is in {partial}/."
        f"{_resume_sentence(resume_command)}"
    )


def _resume_sentence(command: str) -> str:
    return f" Resume with: {command}" if command else ""
