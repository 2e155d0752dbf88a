"""Prepare a training: everything before its first step. `mlp check` stops here, `mlp train` continues."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.features.preprocessor import Preprocessor
from mlpcli.data.features.weighted_statistics import normalize_weights
from mlpcli.data.reference import ReferenceProfile
from mlpcli.data.row_sketch import RowSketch, merge_row_sketches, sketch_rows
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import Table, TableFormat
from mlpcli.data.targets.target import ClassTarget, Target, Task, prediction_names
from mlpcli.evaluation.uncertainty.intervals import without_end
from mlpcli.machine import return_freed_memory
from mlpcli.model import n_seen_columns, row_columns
from mlpcli.nn.losses import Loss
from mlpcli.nn.merge import merged
from mlpcli.nn.network import Network
from mlpcli.training.member import Member, TrainingSpec
from mlpcli.training.rows import member_rows
from mlpcli.workflows.preparing.engine_choice import EngineChoice, choose_engine, training_threads
from mlpcli.workflows.preparing.expectations import check_gates, check_test_file, chosen_on_validation
from mlpcli.workflows.preparing.interval_options import check_interval_groups
from mlpcli.workflows.preparing.networks.early_stopping import schedule_notes
from mlpcli.workflows.preparing.networks.specs import draw_member_specs, training_spec
from mlpcli.workflows.preparing.postprocess_options import class_weight_notes, configured_state
from mlpcli.workflows.preparing.preprocessing import fit_preprocessing
from mlpcli.workflows.preparing.resolution import (
    check_selection,
    domain_warning,
    estimates_means,
    label_smoothing_of,
    resolve_label_smoothing,
    resolve_loss,
    resolve_output_activation,
    smoothing_note,
    uses_folds,
)
from mlpcli.workflows.preparing.rows.column_plan import ColumnPlan
from mlpcli.workflows.preparing.rows.data_store import chunk_rows, disk_notes, store_options
from mlpcli.workflows.preparing.rows.splits import FoldRows, Split, SplitBuilder
from mlpcli.workflows.preparing.rows.splitting import AssignedRows, assign_member_folds, assign_rows, labeled_rows
from mlpcli.workflows.preparing.rows.tables import TrainingTable, read_training_table, resolve_columns
from mlpcli.workflows.preparing.stop_metric import discriminating_metric, resolve_metric, threshold_notes, unit_notes
from mlpcli.workflows.preparing.warm_start import WarmStart, reused_rows_notes, warm_start_notes
from mlpcli.workflows.preparing.warnings.leakage import Leak, SplitRows, find_leaks
from mlpcli.workflows.preparing.warnings.row_warnings import column_notes, duplicate_notes, rare_class_notes
from mlpcli.workflows.reading.weights import row_weights
from mlpcli.workflows.sharded.inputs import sharded_inputs

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """A resolved config and its data: all that a training needs. The table itself is not kept."""

    loaded: LoadedConfig
    task: str
    task_reason: str
    columns: ColumnPlan
    table_name: str
    table_format: TableFormat
    preprocessor: Preprocessor
    target: Target
    target_state: dict[str, Values]
    networks: tuple[Network, ...]
    spec: TrainingSpec
    engine: EngineChoice
    metric: str
    n_threads: int
    train: Split
    validation: Split | None
    test: Split | None
    notes: tuple[str, ...]
    data_sha256: dict[str, str]
    folds: Rows | None = field(repr=False)  # see `held_out_rows`
    reference: ReferenceProfile = field(repr=False)
    trained_rows: RowSketch = field(repr=False)
    weight: ColumnSchema | None = None
    purged: NDArray[np.bool_] | None = field(default=None, repr=False)  # (n_folds, n_rows), see `member_rows`
    leaks: tuple[Leak, ...] = ()
    calibration: Split | None = None  # rows used for calibrating intervals only
    interval_by: ColumnSchema | None = None  # the column whose values form groups of intervals
    warm_start: WarmStart | None = None
    members_temperature: float | None = None  # divisor of the logits of each member, fitted on folds
    drawn: tuple[Mapping[str, Any], ...] = ()  # drawn values of each member by key; () without draws
    member_specs: tuple[TrainingSpec, ...] = ()  # training spec of each member; () without draws
    kept_members: tuple[int, ...] = ()  # numbers of selected members, from 1; () without selection
    rank_error: float = 0.0  # bound for sketched quantiles, as a fraction of the rows

    @property
    def network(self) -> Network:
        """The network of the first member."""
        return self.networks[0]

    @property
    def n_saved_parameters(self) -> int:
        """Number of parameters in the model file, where consecutive linear layers are merged."""
        return sum(merged(network).n_parameters for network in self.networks)

    @property
    def n_seen_columns(self) -> tuple[int, ...]:
        """The number of columns that each member sees."""
        return tuple(n_seen_columns(self.preprocessor, network) for network in self.networks)

    @property
    def label_smoothing(self) -> float:
        """The resolved label smoothing; 0 for a loss without it."""
        return label_smoothing_of(self.spec.loss)

    @property
    def members(self) -> tuple[Member, ...]:
        """The networks, each with its training rows."""
        sampling, n_rows = self.loaded.config.model.members.rows, self.train.samples.n_rows
        rows = member_rows(sampling, len(self.networks), n_rows, self.spec.seed, self.folds, self.purged)
        return tuple(map(Member, range(len(rows)), self.networks, rows, self.member_specs or (None,) * len(rows)))

    @property
    def picks_best_epoch(self) -> bool:
        """Whether validation rows choose the epoch of the final weights; otherwise it is the last one."""
        return self.validation is not None and self.loaded.config.training.early_stopping is not None

    @property
    def chosen_on_validation(self) -> tuple[str, ...]:
        """Names of what is selected on the validation rows, which makes their scores optimistic."""
        return chosen_on_validation(self.loaded)

    @property
    def identity(self) -> dict[str, str]:
        """What must be unchanged on resume: hashes of the data and the order of the rows on disk."""
        n_rows, start = self.spec.chunk_rows, self.warm_start
        order = {} if n_rows is None else {"order": f"chunks of {n_rows} rows"}
        return self.data_sha256 | order | ({} if start is None else {"from": start.sha256})

    @property
    def splits(self) -> tuple[Split, ...]:
        """The training, validation and test split, as far as they exist."""
        return tuple(split for split in (self.train, self.validation, self.test) if split is not None)


def prepare(loaded: LoadedConfig, table: Table | None = None, start: WarmStart | None = None) -> Prepared:
    """Read and split the rows, fit the preprocessing on the training rows, and resolve every `auto`.

    `table` replaces `data.train` if it has been read already or comes from Python. With `start` nothing is fitted:
    preprocessing and networks are those of its model. Raises ConfigError and DataError.
    """
    with loaded.naming("data.train"):
        table = read_training_table(loaded, store_options(loaded), start=start) if table is None else table
        training_table = resolve_columns(loaded, table, start=start)
        labeled, notes = labeled_rows(training_table)
        return _prepare(loaded, training_table, labeled, None, notes, start)


def prepare_fold(loaded: LoadedConfig, training_table: TrainingTable, fold: FoldRows) -> Prepared:
    """Prepare one fold of a table in memory; its scored rows are the test split. Raises as `prepare`."""
    with loaded.naming("data.train"):
        return _prepare(loaded, training_table, fold.train, fold, [])


def _prepare(
    loaded: LoadedConfig,
    training_table: TrainingTable,
    labeled: Rows,
    fold: FoldRows | None,
    notes: list[str],
    start: WarmStart | None = None,
) -> Prepared:
    table, task, config = training_table.table, training_table.targets.task, loaded.config
    loss, output_activation, output_notes = _loss_and_output(loaded, task)
    check_selection(loaded)
    rows, row_notes = assign_rows(loaded, training_table, labeled, fold is None or fold.holds_out_validation)
    notes = [*table.notes, *training_table.notes, *output_notes, *notes, *row_notes]
    return_freed_memory()  # of the assignment of rows
    fit_rows = rows.train if fold is None or fold.fit_rows is None else fold.fit_rows
    weight = "" if training_table.weight is None else training_table.weight.name
    weights = normalize_weights(row_weights(table, weight, fit_rows)) if weight else None
    fitted = fit_preprocessing(loaded, training_table, fit_rows, weights, loss, output_activation, start)
    target, preprocessor, networks = fitted.target, fitted.preprocessor, fitted.networks
    notes += fitted.notes + (column_notes(table, preprocessor.columns, config.data.columns) if start is None else [])
    metric = resolve_metric(loaded, task, loss, names := prediction_names(target))
    notes += check_gates(loaded, task, names)
    configured_loss, loss = loss, resolve_label_smoothing(loss, metric)
    notes += [*smoothing_note(configured_loss, loss, metric), *schedule_notes(config.training)]
    builder = SplitBuilder(loaded, preprocessor, target, fitted.target_state, networks[0], loss, training_table)
    splits = _build_splits(loaded, training_table, builder, rows, notes, fold)
    train, n_rows = splits.train, splits.train.samples.n_rows
    notes += [leak.note for leak in splits.leaks]
    metric, metric_notes = _checked_metric(loaded, metric, task, names, splits)
    class_weights = builder.class_weights if estimates_means(loss) else None
    target_state = configured_state(loaded, target, fitted.target_state, train.truth, class_weights)
    notes += [*metric_notes, *class_weight_notes(builder.class_weights, "class_weights" in target_state)]
    notes += threshold_notes(loaded, names, splits.validation)
    spec = training_spec(loaded, loss, n_rows, start, chunk_rows(table, n_rows))
    sketch = sketch_rows(table, row_columns(preprocessor, target), rows.train)
    if start is not None:
        notes += warm_start_notes(loaded, start, table, rows.train, builder.counts["train"], spec.update.optimizer)
        held_out = (rows.train if uses_folds(loaded) else rows.validation, rows.calibration)
        notes += reused_rows_notes(start, table, held_out, splits.hashes)
        sketch = merge_row_sketches(start.model.trained_rows, sketch)
    notes += disk_notes(table, n_rows)
    drawn, member_specs = draw_member_specs(loaded, spec, n_rows, start)
    engine = choose_engine(loaded, networks, member_specs or (spec,), n_rows)
    notes += [f"engine numpy: {engine.reason}"] if engine.name == "numpy" and engine.reason else []
    return Prepared(
        loaded=loaded, task=task, task_reason=training_table.targets.reason, columns=training_table.columns,
        table_name=table.name, table_format=table.format, preprocessor=preprocessor, target=target,
        target_state=target_state, networks=networks, spec=spec, engine=engine, metric=metric,
        n_threads=training_threads(config.training.threads, engine, networks, spec.batch_size),
        train=train, validation=splits.validation, test=splits.test, notes=tuple(notes), data_sha256=splits.hashes,
        folds=splits.folds, reference=fitted.reference, trained_rows=sketch, weight=training_table.weight,
        purged=splits.purged, leaks=splits.leaks, calibration=splits.calibration,
        interval_by=training_table.interval_by, warm_start=start, drawn=drawn, member_specs=member_specs,
        rank_error=fitted.rank_error,
    )  # fmt: skip


def _loss_and_output(loaded: LoadedConfig, task: Task) -> tuple[Loss, str, list[str]]:
    """The loss, the output activation, and a note if they cannot be combined exactly."""
    loss = resolve_loss(loaded, task)
    output_activation = resolve_output_activation(loaded, loss)
    if loaded.config.training.class_weights is not None and task != "classification":
        text = f"applies to classification only; the task is {task}. Leave it out."
        raise loaded.error("training.class_weights", text)
    return loss, output_activation, [note for note in (domain_warning(loss, output_activation),) if note]


def _checked_metric(
    loaded: LoadedConfig, metric: str, task: Task, names: tuple[str, ...], splits: "_Splits"
) -> tuple[str, list[str]]:
    """The metric that chooses the epoch, replaced if it is constant on the validation rows; and notes."""
    metric, notes = discriminating_metric(metric, task, names, splits.validation)
    expect = loaded.config.expect
    if task == "regression":
        metrics = [metric, *(without_end(key) for key in (*expect.min, *expect.max))]
        return metric, [*unit_notes(loaded, metrics, names, splits.train.truth), *notes]
    return metric, notes


@dataclass(frozen=True)
class _Splits:
    """The splits, the SHA-256 of each file by split, and the fold of each training row; `purged` as in `Prepared`."""

    train: Split
    validation: Split | None
    test: Split | None
    calibration: Split | None
    hashes: dict[str, str]
    folds: Rows | None
    purged: NDArray[np.bool_] | None
    leaks: tuple[Leak, ...] = ()


def _build_splits(
    loaded: LoadedConfig,
    training_table: TrainingTable,
    builder: SplitBuilder,
    rows: AssignedRows,
    notes: list[str],
    fold: FoldRows | None,
) -> _Splits:
    """The splits of the training table and those in files of their own; appends to `notes`."""
    data, target, table = loaded.config.data, builder.target, training_table.table
    folds, purged, hashes, test = None, None, {"train": table.sha256}, None
    train = builder.from_table("train", table, rows.train)
    validation = None if rows.validation is None else builder.from_table("validation", table, rows.validation)
    calibration = None if rows.calibration is None else builder.from_table("calibration", table, rows.calibration)
    if uses_folds(loaded):
        folds, purged = assign_member_folds(loaded, training_table, rows.train)
        validation = replace(train, name="validation")
    if isinstance(data.validation, str) and (fold is None or fold.holds_out_validation):
        validation, hashes["validation"] = builder.from_file("validation", data.validation, notes)
    check_interval_groups(loaded, target, calibration or validation)
    if fold is not None:
        test = builder.from_table("test", table, fold.test)
        return _Splits(train, validation, test, calibration, hashes, folds, purged)
    if data.test is not None:
        test, hashes["test"] = builder.from_file("test", data.test, notes)
    if "validation" in hashes and hashes["validation"] == hashes.get("test"):
        notes += check_test_file(loaded)
    if isinstance(target, ClassTarget):
        notes += rare_class_notes(target.labels, train.truth)
    for split in (validation, test):
        if split is not None and split.name in hashes and sharded_inputs(train.samples) is None:
            notes += duplicate_notes(split.name, train.samples.X, split.samples.X)
    leaks = list[Leak]()
    if folds is not None:
        leaks = find_leaks(training_table, SplitRows(rows.train, np.atleast_2d(folds)[0], True, train.truth))
    elif rows.validation is not None and validation is not None:
        both = np.concatenate([rows.train, rows.validation])
        is_validation = np.repeat([0, 1], [len(rows.train), len(rows.validation)])
        truth = np.concatenate([train.truth, validation.truth])
        leaks = find_leaks(training_table, SplitRows(both, is_validation, False, truth))
    return _Splits(train, validation, test, calibration, hashes, folds, purged, tuple(leaks))
