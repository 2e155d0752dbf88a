"""One trial of a search: a training whose epochs are reported, which may be pruned, and what it leaves behind."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, isfinite
from time import perf_counter
from typing import Any

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.yaml.dumping import dump_yaml
from mlpcli.data.table import Table
from mlpcli.errors import MlpError
from mlpcli.search.processes import Channel
from mlpcli.search.shared_arrays import open_arrays
from mlpcli.search.study import Outcome, Proposal, Trial
from mlpcli.storage.model.model_file import encode_model
from mlpcli.storage.run.run_directory import CONFIG, DIVERGED, HISTORY, METRICS, PRUNED, WEIGHTS
from mlpcli.training.fit import TrainingState
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.networks.early_stopping import scored_epochs
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.reprepare import data_settings, reprepare
from mlpcli.workflows.preparing.stop_metric import metric_higher_is_better
from mlpcli.workflows.training.budget import Budget
from mlpcli.workflows.training.engines import load_engine
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.recording.journal import flat_metrics, history_row, initial_row

MAX_REPORTS = 20  # of a trial: more epochs tell the sampler little more


@dataclass(frozen=True)
class TrialSetup:
    """What all trials share: the rows, prepared for the config as written, and what judges them.

    `n_threads` is None for as many as the config says.
    """

    table: Table
    prepared: Prepared
    metric: str
    n_threads: int | None


@dataclass(frozen=True)
class TrialTask:
    """A trial to run; `best` is the best score so far: the model of a trial that is worse is not kept."""

    proposal: Proposal
    best: float | None


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial, and the files of its folder, by name."""

    trial: Trial
    files: Mapping[str, bytes] = field(default_factory=dict)


class TrialRunner:
    """Runs trials one after the other. Rows that were prepared once serve every trial that needs them so."""

    def __init__(self, setup: TrialSetup) -> None:
        self._setup = setup
        self._prepared = [(data_settings(setup.prepared.loaded), setup.prepared)]

    def is_for(self, setup: TrialSetup) -> bool:
        """Whether this runs trials of that very setup."""
        return self._setup is setup

    def run(
        self, task: TrialTask, report: Callable[[int, float], bool], must_stop: Callable[[], bool]
    ) -> TrialResult | None:
        """Train; `report(epoch, score)` says whether to prune. None where `must_stop` ended it, for another time."""
        started = perf_counter()
        proposal = task.proposal

        def ended(outcome: Outcome, score: float | None = None, epochs: int = 0, reason: str = "") -> Trial:
            seconds = perf_counter() - started
            values = dict(proposal.values)
            return Trial(proposal.number, outcome, score, values, proposal.origin, epochs, seconds, reason)

        try:
            prepared = self._prepare(proposal.loaded)
        except MlpError as error:
            return TrialResult(ended("failed", reason=str(error).splitlines()[0]))
        return self._train(task, prepared, report, must_stop, ended)

    def _train(
        self,
        task: TrialTask,
        prepared: Prepared,
        report: Callable[[int, float], bool],
        must_stop: Callable[[], bool],
        ended: Callable[..., Trial],
    ) -> TrialResult | None:
        budget = Budget(prepared.loaded, 0.0, prepared.spec.chunk_rows is not None)
        state = initial_state(prepared)
        reported = _reported_epochs(prepared)
        rows, is_pruned, is_stopped, fault = [], False, False, ""

        def asked() -> bool:
            nonlocal is_stopped
            is_stopped = is_stopped or must_stop()
            return is_stopped or budget.is_exhausted()

        with blas_threads(1):
            load_engine(prepared.engine, prepared.loaded.config.training.dtype)
            rows.append(initial_row(prepared, state))
            try:
                for one in epochs(prepared, state, asked):
                    rows.append(history_row(prepared, one))
                    if one.epoch in reported and one.score is not None and prepared.metric == self._setup.metric:
                        is_pruned = isfinite(one.score) and report(one.epoch, one.score)
                    if is_pruned:
                        break
            except NonFiniteLoss as error:
                fault = f"{DIVERGED} at epoch {error.epoch}"
            if is_stopped:
                return None
            if is_pruned:
                fault = f"{PRUNED} after epoch {state.epoch}"
            return self._noted(task, prepared, state, rows, fault, budget.reason, ended)

    def _noted(
        self,
        task: TrialTask,
        prepared: Prepared,
        state: TrainingState,
        rows: list[dict[str, float | None]],
        fault: str,
        stopped: str,
        ended: Callable[..., Trial],
    ) -> TrialResult:
        """Score the trial, and give the files of its folder."""
        metric, n_epochs = self._setup.metric, state.epoch
        files = {CONFIG: dump_yaml(prepared.loaded.config).encode(), HISTORY: _csv(rows)}
        if fault:
            best = state.best_score if prepared.metric == metric else None
            found: dict[str, Any] = {"epochs": n_epochs, "best_epoch": state.best_epoch, "stop_reason": fault}
            trial = ended("pruned" if fault.startswith(PRUNED) else "diverged", best, n_epochs, fault)
            found |= {"seconds": round(trial.seconds, 3), f"validation.{metric}": best}
        else:
            outcome = finalize(prepared, state, stopped)
            score = outcome.scores["validation"].get(metric)
            if score is None or not isfinite(score):
                return TrialResult(ended("failed", None, n_epochs, f"{metric} is not defined on the validation rows"))
            trial = ended("complete", float(score), n_epochs)
            found = flat_metrics(outcome, trial.seconds)
            if trial.number == 0 or task.best is None or _is_as_good(score, task.best, metric):
                files[WEIGHTS] = encode_model(outcome.model)
        files[METRICS] = (json.dumps(found, indent=2, allow_nan=False) + "\n").encode()
        return TrialResult(trial, files)

    def _prepare(self, loaded: LoadedConfig) -> Prepared:
        """The rows for a config; raises MlpError."""
        needed = data_settings(loaded)
        known = next((prepared for key, prepared in self._prepared if key == needed), None)
        if known is None:
            known = prepare(loaded, self._setup.table)
            self._prepared[1:] = [(needed, known)]
        else:
            known = reprepare(known, loaded)
        n_threads = self._setup.n_threads
        return known if n_threads is None else replace(known, n_threads=n_threads)


def serve(setup: TrialSetup, channel: Channel) -> None:
    """Run trials in a process of their own."""
    table = replace(setup.table, columns=open_arrays(setup.table.columns))
    runner = TrialRunner(replace(setup, table=table, prepared=map_row_arrays(setup.prepared, open_arrays)))
    for task in channel.tasks():
        result = runner.run(task, channel.report, channel.is_orphan)
        if result is None:
            return
        channel.done(result)


def run_on_worker(setup: TrialSetup, task: TrialTask, report: Callable[..., bool]) -> TrialResult | None:
    """Run one trial on a worker of a cluster, which keeps the rows that it has prepared for the next one."""
    if not (_RUNNERS and _RUNNERS[0].is_for(setup)):
        _RUNNERS[:] = [TrialRunner(setup)]
    return _RUNNERS[0].run(task, report, lambda: False)


_RUNNERS: list[TrialRunner] = []  # of this process, at most one


def map_row_arrays(prepared: Prepared, change: Callable[[Any], Any]) -> Prepared:
    """Prepared data with the arrays of its rows changed for others."""
    return replace(
        prepared, train=change(prepared.train), validation=change(prepared.validation), folds=change(prepared.folds)
    )


def _reported_epochs(prepared: Prepared) -> frozenset[int]:
    """The epochs that are reported, the same for all trainings of one length and schedule."""
    n_epochs, judged = prepared.spec.epochs, scored_epochs(prepared.loaded.config.training)
    if judged is not None and len(judged) <= MAX_REPORTS:
        return judged
    return frozenset(ceil(n_epochs * place / MAX_REPORTS) for place in range(1, MAX_REPORTS + 1))


def _is_as_good(score: float, best: float, metric: str) -> bool:
    # Of equals the first wins, and a trial that began again may be before the best of those that are done.
    return score >= best if metric_higher_is_better(metric) else score <= best


def _csv(rows: Sequence[Mapping[str, float | None]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if value is None or value != value else value for key, value in row.items()} for row in rows
    )
    return text.getvalue().encode()
