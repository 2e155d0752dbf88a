"""`mlp search`: trials over a space of keys, and the winner judged on rows that no trial has seen."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from mlpcli.cluster.address import ClusterAddress
from mlpcli.config.loading import LoadedConfig, load_config
from mlpcli.config.yaml.dumping import dump_yaml
from mlpcli.data.table import Table
from mlpcli.data.targets.target import prediction_names
from mlpcli.errors import Interrupted, MlpError
from mlpcli.evaluation.metrics.scores import explain_unknown_metric, metric_names
from mlpcli.evaluation.uncertainty.proportions import Interval
from mlpcli.fork_server import start_server
from mlpcli.machine import available_cores
from mlpcli.search.processes import run_tasks
from mlpcli.search.shared_arrays import ArrayFile
from mlpcli.search.space import space_of
from mlpcli.search.study import Study, Trial
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.run.run_directory import CONFIG
from mlpcli.workflows.evaluate import evaluate_table
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.preparing.rows.data_store import store_options
from mlpcli.workflows.preparing.rows.tables import read_training_table
from mlpcli.workflows.preparing.stop_metric import metric_higher_is_better
from mlpcli.workflows.reading.tables import format_of, read_columns
from mlpcli.workflows.scoring.main_metrics import decisive_metric
from mlpcli.workflows.searching.first_trials import make_initial_trials
from mlpcli.workflows.searching.folder import SearchFolder
from mlpcli.workflows.searching.holdout import make_trial_config, split_holdout
from mlpcli.workflows.searching.identity import refuse_other_search, search_identity
from mlpcli.workflows.searching.queue import Observer, TrialQueue
from mlpcli.workflows.searching.trial import (
    TrialRunner,
    TrialSetup,
    map_row_arrays,
    run_on_worker,
    serve,
)
from mlpcli.workflows.training.interruption import Interruption

WARMUP_DIVISOR = 4  # of the epochs of the config one in so many passes before a trial may be pruned


@dataclass(frozen=True)
class Judged:
    """A score on rows that no trial has seen, and its interval."""

    score: float
    interval: Interval


@dataclass(frozen=True)
class SearchResult:
    """What a search came to.

    `judged` is the winner, `written` the config as written, on the same rows that no trial has seen: `n_aside` rows, of
    the file `aside` or, where it is "", put aside.
    """

    folder: str
    metric: str
    trials: tuple[Trial, ...]
    best: Trial
    best_config: str
    judged: Judged
    written: Judged | None
    n_rows: int
    n_aside: int
    aside: str
    importance: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...]


def default_folder(loaded: LoadedConfig) -> str:
    """Where a search goes that is not told where: runs/<name of the config file>-search."""
    return f"runs/{Path(loaded.path).stem}-search"


def search(
    loaded: LoadedConfig, observer: Observer, folder: str = "", resume: bool = False, resume_command: str = "",
    cluster: ClusterAddress | None = None,
) -> SearchResult:  # fmt: skip
    """Try configs until the trials or the seconds are used up, judge the best, and write its config.

    Trials run in this process or several, or on a cluster.

    Raises ConfigError and DataError before anything is touched; Interrupted, after which `resume` goes on; OutputError.
    """
    started = monotonic()
    space = space_of(loaded)
    options = loaded.config.search
    assert options is not None
    if options.trials is None and options.seconds is None:
        raise loaded.error("search.trials", "trials and seconds are both null. Set one of them.")
    if not cluster and (available_cores() if options.processes == "auto" else options.processes) > 1:
        start_server("mlpcli.workflows.searching.trial")  # which imports while the rows are prepared here
    seen = make_trial_config(loaded)
    with loaded.naming("data.train"):
        table = read_training_table(loaded, store_options(loaded))
        rows, aside = (table, None) if loaded.config.data.test else split_holdout(seen, table, options.holdout)
    prepared = prepare(seen, rows)
    metric = _metric(loaded, prepared)
    first = make_initial_trials(seen, prepared, space, options.recipes)
    identity = search_identity(loaded, table.sha256)
    with SearchFolder(folder or default_folder(loaded)) as place, Interruption() as interruption:
        is_going_on = place.begin(resume)
        if resume and not is_going_on:
            observer.note(f"no search in {place.path}: nothing to resume, it starts from the beginning.")
        warmup = prepared.spec.epochs // WARMUP_DIVISOR
        study = Study(place.journal, space, seen, first, metric_higher_is_better(metric), options.seed, warmup)
        try:
            refuse_other_search(loaded, place.journal, study.identity, identity)
            study.begin(identity)
            for note in prepared.notes:
                observer.note(note)
            n_processes = _n_processes(options.processes, options.trials, study)
            deadline = None if options.seconds is None else started + options.seconds
            tasks = TrialQueue(study, place, metric, observer, options.trials, deadline, options.prune)
            setup = TrialSetup(rows, prepared, metric, None if n_processes == 1 and not cluster else 1)
            observer.begun(study, metric, options.trials, cluster.where if cluster else n_processes)

            def must_stop() -> bool:
                return interruption.is_set() or tasks.is_late

            try:
                if cluster:
                    _run_on_cluster(setup, cluster, tasks, must_stop)
                else:
                    _run(setup, place, tasks, n_processes, must_stop)
            finally:
                observer.ended()
            if interruption.is_set():
                raise Interrupted(_interruption(study, place, resume_command), interruption.exit_code)
            return _result(loaded, place, study, metric, aside, table, prepared, monotonic() - started)
        finally:
            study.close()


def _run(
    setup: TrialSetup, folder: SearchFolder, tasks: TrialQueue, n_processes: int, must_stop: Callable[[], bool]
) -> None:
    if n_processes == 1:
        runner = TrialRunner(setup)
        while not must_stop() and (task := tasks.next()) is not None:
            result = runner.run(task, lambda epoch, score: tasks.report(task, epoch, score), must_stop)
            if result is not None:
                tasks.done(task, result)
        return
    setup = replace(setup, table=_without_locations(setup.table))
    file = ArrayFile(folder.arrays)
    table = setup.table.with_columns(file.share(dict(setup.table.columns)))
    shared = replace(setup, table=table, prepared=map_row_arrays(setup.prepared, file.share))
    file.close()
    run_tasks(n_processes, serve, shared, tasks, must_stop)


def _run_on_cluster(
    setup: TrialSetup, cluster: ClusterAddress, tasks: TrialQueue, must_stop: Callable[[], bool]
) -> None:
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.tasks import run_on_cluster

    with connected(cluster.where, cluster.tls) as client:
        run_on_cluster(client, run_on_worker, replace(setup, table=_without_locations(setup.table)), tasks, must_stop)


def _without_locations(table: Table) -> Table:
    """The table for other processes: where a row stood says a function, which they have not; they tell its number."""
    return Table(
        table.columns, table.n_rows, table.name, table.column_names, table.format, sha256=table.sha256,
        is_file=table.is_file, n_buckets=table.n_buckets, spellings=table.spellings,
    )  # fmt: skip


def _n_processes(asked: int | str, n_trials: int | None, study: Study) -> int:
    wanted = available_cores() if asked == "auto" else int(asked)
    left = wanted if n_trials is None else n_trials - study.n_begun
    return max(1, min(wanted, max(left, int(study.has_unfinished))))


def _metric(loaded: LoadedConfig, prepared: Prepared) -> str:
    """What trials are judged by; raises ConfigError where nothing can judge them."""
    options = loaded.config.search
    assert options is not None
    if prepared.validation is None:
        raise loaded.error("data.validation", "trials are scored on validation rows. Write validation: 0.2")
    names = prediction_names(prepared.target)
    known = metric_names(prepared.target.task, names)
    if options.metric not in ("auto", *known):
        raise loaded.error("search.metric", explain_unknown_metric(options.metric, ("auto", *known)))
    if options.metric != "auto":
        return options.metric
    # Losses of different kinds cannot be compared.
    return decisive_metric(prepared.target.task, names) if prepared.metric == "loss" else prepared.metric


def _interruption(study: Study, folder: SearchFolder, command: str) -> str:
    n_done = sum(one.outcome != "in flight" for one in study.trials())
    how = f" Resume with: {command}" if command else ""
    return f"interrupted after {n_done} trials, which are in {folder.path}/.{how}"


def _result(
    loaded: LoadedConfig, folder: SearchFolder, study: Study, metric: str, aside: Table | None, table: Table,
    prepared: Prepared, seconds: float,
) -> SearchResult:  # fmt: skip
    """Judge the winner, and write its config."""
    best, trials = study.best, tuple(study.trials())
    if best is None:
        reasons = [one.reason for one in trials if one.reason]
        why = f": {reasons[0]}" if reasons else ""
        raise MlpError(
            f"no trial is complete{why}. Give it more time (search.seconds), or use another space. Continue with "
            f"--resume"
        )
    source = ", ".join(loaded.config.data.test or ())
    judged, n_aside = _judged(folder.weights(best.number), metric, loaded, aside)
    written = judged if best.number == 0 else None
    if best.number and trials[0].outcome == "complete":
        written = _judged(folder.weights(0), metric, loaded, aside)[0]
    found = load_config(os.path.join(folder.trial(best.number), CONFIG)).config
    data = replace(found.data, test=loaded.config.data.test)
    asked = loaded.config
    config = replace(found, data=data, intervals=asked.intervals, expect=asked.expect, output=None)
    name = f"{Path(loaded.path).stem}-best.yaml"
    path = folder.write(name, dump_yaml(config).encode())
    notes = (
        [f"no trial was pruned: {prepared.metric} judges epochs, {metric} trials."] if prepared.metric != metric else []
    )
    n_searched = table.n_rows - (0 if source else n_aside)
    return SearchResult(
        folder.path, metric, trials, best, path, judged, written, n_searched, n_aside, source, study.importance(),
        seconds, tuple(notes),
    )  # fmt: skip


def _judged(weights: str, metric: str, loaded: LoadedConfig, aside: Table | None) -> tuple[Judged, int]:
    """The score of a model on the rows that no trial has seen, and how many they are."""
    model = load_model(weights)
    if aside is None:
        with loaded.naming("data.test"):
            aside = read_columns(loaded.config.data.test or (), format_of(model, None, None), model.schemas)
    result = evaluate_table(model, aside, interval_keys=[metric])
    return Judged(result.scored.scores[metric], result.scored.intervals[metric]), result.n_rows
