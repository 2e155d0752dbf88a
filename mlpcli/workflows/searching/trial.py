"""Runs a trial of a search: a training that reports its epochs, may be pruned, and returns its result and files."""

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

MAX_REPORTS = 20  # epochs that a trial reports; pruning would gain little from more


@dataclass(frozen=True)
class TrialSetup:
    """What all trials share: the table, its preparation for the config as written, and the metric that scores trials.

    `n_threads` is the number of threads of each trial, None for that of the config.
    """

    table: Table
    prepared: Prepared
    metric: str
    n_threads: int | None


@dataclass(frozen=True)
class TrialTask:
    """A trial to run; `best` is the best score so far, None for none: the model of a worse trial is not kept."""

    proposal: Proposal
    best: float | None


@dataclass(frozen=True)
class TrialResult:
    """A finished trial, and the contents of the files in its folder by name."""

    trial: Trial
    files: Mapping[str, bytes] = field(default_factory=dict)


class TrialRunner:
    """Runs trials one after the other, and reuses prepared rows for every trial with the same data settings."""

    def __init__(self, setup: TrialSetup) -> None:
        self._setup = setup
        self._prepared = [(data_settings(setup.prepared.loaded), setup.prepared)]

    def is_for(self, setup: TrialSetup) -> bool:
        """Whether this runner was made for this setup object."""
        return self._setup is setup

    def run(
        self, task: TrialTask, report: Callable[[int, float], bool], must_stop: Callable[[], bool]
    ) -> TrialResult | None:
        """Train and score a trial; None if `must_stop` returned True, so that the trial has to be started again.

        `report(epoch, score)` returns whether to prune the trial; `must_stop` is polled between steps.
        """
        started = perf_counter()
        proposal = task.proposal

        def make_trial(outcome: Outcome, score: float | None = None, epochs: int = 0, reason: str = "") -> Trial:
            seconds = perf_counter() - started
            values = dict(proposal.values)
            return Trial(proposal.number, outcome, score, values, proposal.origin, epochs, seconds, reason)

        try:
            prepared = self._prepare(proposal.loaded)
        except MlpError as error:
            return TrialResult(make_trial("failed", reason=str(error).splitlines()[0]))
        return self._train(task, prepared, report, must_stop, make_trial)

    def _train(
        self,
        task: TrialTask,
        prepared: Prepared,
        report: Callable[[int, float], bool],
        must_stop: Callable[[], bool],
        make_trial: Callable[..., Trial],
    ) -> TrialResult | None:
        budget = Budget(prepared.loaded, 0.0, prepared.spec.chunk_rows is not None)
        state = initial_state(prepared)
        reported_epochs = _reported_epochs(prepared)
        rows, is_pruned, is_stopped, fault = [], False, False, ""

        def poll_stop() -> bool:
            nonlocal is_stopped
            is_stopped = is_stopped or must_stop()
            return is_stopped or budget.is_exhausted()

        with blas_threads(1):
            load_engine(prepared.engine, prepared.loaded.config.training.dtype)
            rows.append(initial_row(prepared, state))
            try:
                for epoch_report in epochs(prepared, state, poll_stop):
                    rows.append(history_row(prepared, epoch_report))
                    epoch, score = epoch_report.epoch, epoch_report.score
                    if epoch in reported_epochs and score is not None and prepared.metric == self._setup.metric:
                        is_pruned = isfinite(score) and report(epoch, score)
                    if is_pruned:
                        break
            except NonFiniteLoss as error:
                fault = f"{DIVERGED} at epoch {error.epoch}"
            if is_stopped:
                return None
            if is_pruned:
                fault = f"{PRUNED} after epoch {state.epoch}"
            return self._finish(task, prepared, state, rows, fault, budget.reason, make_trial)

    def _finish(
        self,
        task: TrialTask,
        prepared: Prepared,
        state: TrainingState,
        rows: list[dict[str, float | None]],
        fault: str,
        interruption_reason: str,
        make_trial: Callable[..., Trial],
    ) -> TrialResult:
        """Score the trial, unless `fault` says that it was pruned or diverged, and make the files of its folder."""
        metric, n_epochs = self._setup.metric, state.epoch
        files = {CONFIG: dump_yaml(prepared.loaded.config).encode(), HISTORY: _csv(rows)}
        if fault:
            best = state.best_score if prepared.metric == metric else None
            metrics: dict[str, Any] = {"epochs": n_epochs, "best_epoch": state.best_epoch, "stop_reason": fault}
            trial = make_trial("pruned" if fault.startswith(PRUNED) else "diverged", best, n_epochs, fault)
            metrics |= {"seconds": round(trial.seconds, 3), f"validation.{metric}": best}
        else:
            result = finalize(prepared, state, interruption_reason)
            score = result.scores["validation"].get(metric)
            if score is None or not isfinite(score):
                reason = f"{metric} is not defined on the validation rows"
                return TrialResult(make_trial("failed", None, n_epochs, reason))
            trial = make_trial("complete", float(score), n_epochs)
            metrics = flat_metrics(result, trial.seconds)
            if trial.number == 0 or task.best is None or _is_as_good(score, task.best, metric):
                files[WEIGHTS] = encode_model(result.model)
        files[METRICS] = (json.dumps(metrics, indent=2, allow_nan=False) + "\n").encode()
        return TrialResult(trial, files)

    def _prepare(self, loaded: LoadedConfig) -> Prepared:
        """Prepare the data for a config, or reuse rows with the same data settings; raises MlpError.

        Besides the rows of the config as written, those of the last other settings are kept.
        """
        settings = data_settings(loaded)
        prepared = next((prepared for key, prepared in self._prepared if key == settings), None)
        if prepared is None:
            prepared = prepare(loaded, self._setup.table)
            self._prepared[1:] = [(settings, prepared)]
        else:
            prepared = reprepare(prepared, loaded)
        n_threads = self._setup.n_threads
        return prepared if n_threads is None else replace(prepared, n_threads=n_threads)


def serve(setup: TrialSetup, channel: Channel) -> None:
    """The main function of a trial process: run trials until there are no more."""
    table = replace(setup.table, columns=open_arrays(setup.table.columns))
    runner = TrialRunner(replace(setup, table=table, prepared=map_row_arrays(setup.prepared, open_arrays)))
    for task in channel.tasks():
        result = runner.run(task, channel.report, channel.is_orphan)
        if result is None:
            return
        channel.done(result)


def run_on_worker(setup: TrialSetup, task: TrialTask, report: Callable[..., bool]) -> TrialResult | None:
    """Run one trial on a worker of a cluster, which keeps its prepared rows for the next trial."""
    if not (_RUNNERS and _RUNNERS[0].is_for(setup)):
        _RUNNERS[:] = [TrialRunner(setup)]
    return _RUNNERS[0].run(task, report, lambda: False)


_RUNNERS: list[TrialRunner] = []  # of this process, at most one


def map_row_arrays(prepared: Prepared, change: Callable[[Any], Any]) -> Prepared:
    """Apply `change` to the row arrays of prepared data: training rows, validation rows and folds."""
    return replace(
        prepared, train=change(prepared.train), validation=change(prepared.validation), folds=change(prepared.folds)
    )


def _reported_epochs(prepared: Prepared) -> frozenset[int]:
    """The epochs to report: the same for all trials with equal numbers of epochs and equal schedules."""
    n_epochs, scored = prepared.spec.epochs, scored_epochs(prepared.loaded.config.training)
    if scored is not None and len(scored) <= MAX_REPORTS:
        return scored
    return frozenset(ceil(n_epochs * index / MAX_REPORTS) for index in range(1, MAX_REPORTS + 1))


def _is_as_good(score: float, best: float, metric: str) -> bool:
    # In a tie the trial with the lower number is best, and a trial that was started again may have a lower number.
    return score >= best if metric_higher_is_better(metric) else score <= best


def _csv(rows: Sequence[Mapping[str, float | None]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: "" if value is None or value != value else value for key, value in row.items()} for row in rows
    )
    return text.getvalue().encode()
