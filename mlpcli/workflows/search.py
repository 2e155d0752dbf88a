"""`mlp search`: run the trials of a hyperparameter search, and score the best one on rows that no trial has used."""

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
from mlpcli.workflows.preparing.rows.tables import read_scored_table, read_training_table
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

WARMUP_DIVISOR = 4  # a trial may be pruned after the epochs of the config divided by this


@dataclass(frozen=True)
class HeldOutScore:
    """The score of a trial's model on the held-out rows, and its confidence interval."""

    score: float
    interval: Interval


@dataclass(frozen=True)
class SearchResult:
    """The trials of a search, and the held-out scores of the best trial and of the unchanged config.

    `best_config` is the path of the best trial's config. The `n_held_out` held-out rows come from the file
    `held_out_file`, or from the training table if it is "". `unchanged_score` is None if trial 0, which trains the
    unchanged config, is not complete. `n_rows` is the number of rows that the trials used, `importance` the importance
    of each key.
    """

    folder: str
    metric: str
    trials: tuple[Trial, ...]
    best: Trial
    best_config: str
    held_out_score: HeldOutScore
    unchanged_score: HeldOutScore | None
    n_rows: int
    n_held_out: int
    held_out_file: str
    importance: Mapping[str, float]
    seconds: float
    notes: tuple[str, ...]


def default_folder(loaded: LoadedConfig) -> str:
    """The output folder of a search unless one is named: runs/<name of the config file>-search."""
    return f"runs/{Path(loaded.path).stem}-search"


def search(
    loaded: LoadedConfig, observer: Observer, folder: str = "", resume: bool = False, resume_command: str = "",
    cluster: ClusterAddress | None = None,
) -> SearchResult:  # fmt: skip
    """Run trials up to the limit of trials or seconds, score the best on held-out rows, and write its config.

    Trials run in this process, in several processes or, with `cluster`, on its workers. Raises ConfigError and
    DataError before any file is written, OutputError, and Interrupted, after which `resume` continues the search.
    """
    started = monotonic()
    space = space_of(loaded)
    options = loaded.config.search
    assert options is not None
    if options.trials is None and options.seconds is None:
        raise loaded.error("search.trials", "trials and seconds are both null. Set one of them.")
    if not cluster and (available_cores() if options.processes == "auto" else options.processes) > 1:
        start_server("mlpcli.workflows.searching.trial")  # it imports modules while this process prepares the rows
    trial_config = make_trial_config(loaded)
    table, rows, held_out = _read(loaded, trial_config)
    prepared = prepare(trial_config, rows)
    _check_test_file(loaded, prepared)
    metric = _metric(loaded, prepared)
    first = make_initial_trials(trial_config, prepared, space, options.recipes)
    identity = search_identity(loaded, prepared.data_sha256 | {"train": table.sha256})
    with SearchFolder(folder or default_folder(loaded)) as directory, Interruption() as interruption:
        is_going_on = directory.begin(resume)
        if resume and not is_going_on:
            observer.note(f"no search in {directory.path}: nothing to resume, it starts from the beginning.")
        warmup = prepared.spec.epochs // WARMUP_DIVISOR
        study = Study(
            directory.journal, space, trial_config, first, metric_higher_is_better(metric), options.seed, warmup
        )
        try:
            refuse_other_search(loaded, directory.journal, study.identity, identity)
            study.begin(identity)
            for note in prepared.notes:
                observer.note(note)
            n_processes = _n_processes(options.processes, options.trials, study)
            deadline = None if options.seconds is None else started + options.seconds
            tasks = TrialQueue(study, directory, metric, observer, options.trials, deadline, options.prune)
            setup = TrialSetup(rows, prepared, metric, None if n_processes == 1 and not cluster else 1)
            observer.begun(study, metric, options.trials, cluster.address if cluster else n_processes)

            def must_stop() -> bool:
                return interruption.is_set() or tasks.is_late

            try:
                if cluster:
                    _run_on_cluster(setup, cluster, tasks, must_stop)
                else:
                    _run(setup, directory, tasks, n_processes, must_stop)
            finally:
                observer.ended()
            if interruption.is_set():
                raise Interrupted(_interruption(study, directory, resume_command), interruption.exit_code)
            return _result(loaded, directory, study, metric, held_out, table, prepared, monotonic() - started)
        finally:
            study.close()


def _read(loaded: LoadedConfig, trial_config: LoadedConfig) -> tuple[Table, Table, Table | None]:
    """The training table, its rows for the trials, and the held-out rows; None if the config has a test file."""
    options = loaded.config.search
    assert options is not None
    with loaded.naming("data.train"):
        table = read_training_table(loaded, store_options(loaded))
        if loaded.config.data.test:
            return table, table, None
        return table, *split_holdout(trial_config, table, options.holdout)


def _check_test_file(loaded: LoadedConfig, prepared: Prepared) -> None:
    """Raise ConfigError or DataError for a test file that could not be scored after the last trial."""
    test = loaded.config.data.test
    if test and "-" not in test:  # standard input can be read only once
        with loaded.naming("data.test"):
            read_scored_table(
                loaded, "data.test", test, prepared.preprocessor, prepared.target, (), prepared.table_format.header
            )


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

    with connected(cluster.address, cluster.tls) as client:
        run_on_cluster(client, run_on_worker, replace(setup, table=_without_locations(setup.table)), tasks, must_stop)


def _without_locations(table: Table) -> Table:
    """The table without the function that locates a row in its file, which other processes do not receive.

    Their messages give the number of the row instead.
    """
    return Table(
        table.columns, table.n_rows, table.name, table.column_names, table.format, sha256=table.sha256,
        is_file=table.is_file, n_buckets=table.n_buckets, spellings=table.spellings,
    )  # fmt: skip


def _n_processes(configured: int | str, n_trials: int | None, study: Study) -> int:
    wanted = available_cores() if configured == "auto" else int(configured)
    left = wanted if n_trials is None else n_trials - study.n_begun
    return max(1, min(wanted, max(left, int(study.has_unfinished))))


def _metric(loaded: LoadedConfig, prepared: Prepared) -> str:
    """The metric that ranks trials; raises ConfigError without validation rows and for an unknown metric."""
    options = loaded.config.search
    assert options is not None
    if prepared.validation is None:
        raise loaded.error("data.validation", "trials are scored on validation rows. Write validation: 0.2")
    names = prediction_names(prepared.target)
    metrics = metric_names(prepared.target.task, names)
    if options.metric not in ("auto", *metrics):
        raise loaded.error("search.metric", explain_unknown_metric(options.metric, ("auto", *metrics)))
    if options.metric != "auto":
        return options.metric
    # Losses of different kinds cannot be compared.
    return decisive_metric(prepared.target.task, names) if prepared.metric == "loss" else prepared.metric


def _interruption(study: Study, folder: SearchFolder, command: str) -> str:
    n_done = sum(trial.outcome != "in flight" for trial in study.trials())
    how = f" Resume with: {command}" if command else ""
    return f"interrupted after {n_done} trials, which are in {folder.path}/.{how}"


def _result(
    loaded: LoadedConfig, folder: SearchFolder, study: Study, metric: str, held_out: Table | None, table: Table,
    prepared: Prepared, seconds: float,
) -> SearchResult:  # fmt: skip
    """Score the best trial and trial 0 on held-out rows, and write the best config; raises MlpError without a trial."""
    best, trials = study.best, tuple(study.trials())
    if best is None:
        reasons = [trial.reason for trial in trials if trial.reason]
        explanation = f": {reasons[0]}" if reasons else ""
        raise MlpError(
            f"no trial is complete{explanation}. Give it more time (search.seconds), or use another space. Continue "
            f"with --resume"
        )
    source = ", ".join(loaded.config.data.test or ())
    held_out_score, n_held_out = _score_held_out(folder.weights(best.number), metric, loaded, held_out)
    unchanged_score = held_out_score if best.number == 0 else None
    if best.number and trials[0].outcome == "complete":
        unchanged_score = _score_held_out(folder.weights(0), metric, loaded, held_out)[0]
    best_config = load_config(os.path.join(folder.trial(best.number), CONFIG)).config
    data = replace(best_config.data, test=loaded.config.data.test)
    intervals, expect = loaded.config.intervals, loaded.config.expect
    config = replace(best_config, data=data, intervals=intervals, expect=expect, output=None)
    name = f"{Path(loaded.path).stem}-best.yaml"
    path = folder.write(name, dump_yaml(config).encode())
    notes = (
        [f"no trial was pruned: {prepared.metric} judges epochs, {metric} trials."] if prepared.metric != metric else []
    )
    n_searched = table.n_rows - (0 if source else n_held_out)
    return SearchResult(
        folder.path, metric, trials, best, path, held_out_score, unchanged_score, n_searched, n_held_out, source,
        study.importance(), seconds, tuple(notes),
    )  # fmt: skip


def _score_held_out(
    weights: str, metric: str, loaded: LoadedConfig, held_out: Table | None
) -> tuple[HeldOutScore, int]:
    """The score of a model on the held-out rows (`held_out`; None: the test file), and the number of these rows."""
    model = load_model(weights)
    if held_out is None:
        with loaded.naming("data.test"):
            held_out = read_columns(loaded.config.data.test or (), format_of(model, None, None), model.schemas)
    result = evaluate_table(model, held_out, interval_keys=[metric])
    return HeldOutScore(result.scored.scores[metric], result.scored.intervals[metric]), result.n_rows
