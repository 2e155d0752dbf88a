"""Everything before the first step of training: `mlp check` stops here, `mlp train` goes on."""

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
from mlpcli.evaluation.intervals import without_end
from mlpcli.machine import return_freed_memory
from mlpcli.model import row_columns
from mlpcli.nn.losses import Loss
from mlpcli.nn.merge import merged
from mlpcli.nn.network import Network
from mlpcli.training.member import Member, TrainingSpec
from mlpcli.training.rows import member_rows
from mlpcli.workflows.engines import EngineChoice, choose_engine, training_threads
from mlpcli.workflows.postprocessing import class_weight_notes, given_state
from mlpcli.workflows.preparing.expectations import check_gates, check_test_file, chosen_on_validation
from mlpcli.workflows.preparing.interval_options import check_groups
from mlpcli.workflows.preparing.learning import learn
from mlpcli.workflows.preparing.networks.pace import schedule_notes
from mlpcli.workflows.preparing.networks.specs import drawn_specs, training_spec
from mlpcli.workflows.preparing.resolution import (
    check_selection,
    domain_warning,
    estimates_means,
    resolve_loss,
    resolve_output_activation,
    resolve_smoothing,
    smoothing_note,
    smoothing_of,
    uses_folds,
)
from mlpcli.workflows.preparing.rows.data_store import chunk_rows, disk_notes, store_options
from mlpcli.workflows.preparing.rows.parts import FoldRows, Part, PartMaker
from mlpcli.workflows.preparing.rows.splitting import draw_member_folds, known_rows, rows_of_parts
from mlpcli.workflows.preparing.rows.tables import ColumnPlan, TrainingTable, read_training_table, settle
from mlpcli.workflows.preparing.start import Start, notes_on_judges, notes_on_start
from mlpcli.workflows.preparing.stop_metric import notes_on_threshold, notes_on_units, resolve_metric, sound_metric
from mlpcli.workflows.preparing.suspicions.leaks import Leak, Sides, find_leaks
from mlpcli.workflows.preparing.suspicions.row_warnings import poor_inputs, rare_classes, shared_rows
from mlpcli.workflows.reading import row_weights
from mlpcli.workflows.sharded.inputs import sharded

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """A config and its data, resolved: all a training needs. The table itself is not kept, only what it was."""

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
    train: Part
    validation: Part | None
    test: Part | None
    notes: tuple[str, ...]
    data_sha256: dict[str, str]
    folds: Rows | None = field(repr=False)
    reference: ReferenceProfile = field(repr=False)
    trained_rows: RowSketch = field(repr=False)
    weight: ColumnSchema | None = None
    near: NDArray[np.bool_] | None = field(default=None, repr=False)  # (n_folds, n_rows), see `draw_member_folds`
    leaks: tuple[Leak, ...] = ()
    apart: Part | None = None  # rows that calibrate intervals, and do nothing else
    interval_by: ColumnSchema | None = None  # the column of groups of intervals
    start: Start | None = None
    members_temperature: float | None = None  # that the logits of each member were divided by after the training
    drawn: tuple[Mapping[str, Any], ...] = ()  # the values that each member has drawn, by key; () where none draws
    own_specs: tuple[TrainingSpec, ...] = ()  # how each member is trained, where they draw
    kept_members: tuple[int, ...] = ()  # the numbers, from 1, of those that a selection took; () without one
    rank_error: float = 0.0  # of quantiles that were learnt of sketches, at most, as a fraction of the rows

    @property
    def network(self) -> Network:
        """The first member's."""
        return self.networks[0]

    @property
    def n_saved_parameters(self) -> int:
        """Parameters of the model file, in which linear layers that follow each other are one."""
        return sum(merged(one).n_parameters for one in self.networks)

    @property
    def label_smoothing(self) -> float:
        """The resolved label smoothing; 0 of a loss without one."""
        return smoothing_of(self.spec.loss)

    @property
    def members(self) -> tuple[Member, ...]:
        """The networks, each with the rows that it is trained on."""
        kind, n_rows = self.loaded.config.model.members.rows, self.train.samples.n_rows
        rows = member_rows(kind, len(self.networks), n_rows, self.spec.seed, self.folds, self.near)
        specs = self.own_specs or (None,) * len(self.networks)
        triples = zip(self.networks, rows, specs, strict=True)
        return tuple(Member(number, network, own, spec) for number, (network, own, spec) in enumerate(triples))

    @property
    def picks_best_epoch(self) -> bool:
        """Whether validation rows choose the epoch that is kept; else it is the last one."""
        return self.validation is not None and self.loaded.config.training.early_stopping is not None

    @property
    def chosen_on_validation(self) -> tuple[str, ...]:
        """What the validation rows choose, whose scores are optimistic for that."""
        return chosen_on_validation(self.loaded)

    @property
    def identity(self) -> dict[str, str]:
        """What must be the same when a training goes on: the data, and the order in which rows lie on disk."""
        n_rows, start = self.spec.chunk_rows, self.start
        order = {} if n_rows is None else {"order": f"chunks of {n_rows} rows"}
        return self.data_sha256 | order | ({} if start is None else {"from": start.sha256})

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts there are, in order."""
        return tuple(part for part in (self.train, self.validation, self.test) if part is not None)


def prepare(loaded: LoadedConfig, table: Table | None = None, start: Start | None = None) -> Prepared:
    """Read, split, fit the preprocessing on the training rows, and resolve every `auto`.

    `table` stands for `data.train` when it was read already, or the rows come from Python. With `start` nothing is
    fitted: the training goes on from that model. Raises ConfigError and DataError.
    """
    with loaded.naming("data.train"):
        table = read_training_table(loaded, store_options(loaded), start=start) if table is None else table
        settled = settle(loaded, table, start=start)
        known, notes = known_rows(settled)
        return _prepare(loaded, settled, known, None, notes, start)


def prepare_fold(loaded: LoadedConfig, settled: TrainingTable, fold: FoldRows) -> Prepared:
    """The same for one fold of a table that is there: the rows to be scored are its test part. It tells no notes."""
    with loaded.naming("data.train"):
        return _prepare(loaded, settled, fold.train, fold, [])


def _prepare(
    loaded: LoadedConfig, settled: TrainingTable, known: Rows, fold: FoldRows | None, notes_on_rows: list[str],
    start: Start | None = None,
) -> Prepared:  # fmt: skip
    table, columns, task = settled.table, settled.columns, settled.targets.task
    config, notes = loaded.config, [*table.notes, *settled.notes]
    loss, output_activation, odd = _loss_and_output(loaded, task)
    check_selection(loaded)
    notes += [*odd, *notes_on_rows]
    weight = "" if settled.weight is None else settled.weight.name
    train_rows, validation_rows, apart_rows, odd = rows_of_parts(loaded, settled, known, fold is None or fold.holds_out)
    notes += odd
    return_freed_memory()  # of finding rows
    seen = train_rows if fold is None or fold.learnt_of is None else fold.learnt_of
    weights = normalize_weights(row_weights(table, weight, seen)) if weight else None
    learnt = learn(loaded, settled, seen, weights, loss, output_activation, start)
    target, target_state, preprocessor, networks = learnt.parts
    notes += learnt.notes + (poor_inputs(table, preprocessor.columns, config.data.columns) if start is None else [])
    metric = resolve_metric(loaded, task, loss, names := prediction_names(target))
    notes += check_gates(loaded, task, names)
    asked, loss = loss, resolve_smoothing(loss, metric)
    notes += [*smoothing_note(asked, loss, metric), *schedule_notes(config.training)]
    has_header = table.format.header if table.is_file else None
    make = PartMaker(loaded, preprocessor, target, target_state, networks[0], loss, settled, has_header)
    found = _parts(loaded, settled, make, (train_rows, validation_rows, apart_rows), notes, fold)
    notes += [leak.note for leak in found.leaks]
    train, validation = found.train, found.validation
    metric, odd = sound_metric(metric, task, names, validation)
    if task == "regression":
        judges = [metric, *(without_end(key) for key in (*config.expect.min, *config.expect.max))]
        notes += notes_on_units(loaded, judges, names, train.truth)
    class_weights = make.class_weights if estimates_means(loss) else None
    target_state = given_state(loaded, target, target_state, train.truth, class_weights)
    odd = [*odd, *class_weight_notes(make.class_weights, "class_weights" in target_state)]
    notes += [*odd, *notes_on_threshold(loaded, names, validation)]
    n_rows = train.samples.n_rows
    spec = training_spec(loaded, loss, n_rows, start, chunk_rows(table, n_rows))
    sketch = sketch_rows(table, row_columns(preprocessor, target), train_rows)
    if start is not None:
        notes += notes_on_start(loaded, start, table, train_rows, make.counts["train"], spec.update.optimizer)
        judging = (train_rows if uses_folds(loaded) else validation_rows, apart_rows)
        notes += notes_on_judges(start, table, judging, found.hashes)
        sketch = merge_row_sketches(start.model.trained_rows, sketch)
    notes += disk_notes(table, n_rows)
    drawn, own_specs = drawn_specs(loaded, spec, n_rows, start)
    engine = choose_engine(loaded, networks, own_specs or (spec,), n_rows)
    notes += [f"engine numpy: {engine.reason}"] if engine.name == "numpy" and engine.reason else []
    threads = training_threads(config.training.threads, engine, networks, spec.batch_size)
    return Prepared(
        loaded, task, settled.targets.reason, columns, table.name, table.format, preprocessor, target, target_state,
        networks, spec, engine, metric, threads, train, validation, found.test, tuple(notes), found.hashes,
        found.folds, learnt.reference, sketch, settled.weight, found.near, found.leaks, found.apart,
        settled.interval_by, start, drawn=drawn, own_specs=own_specs, rank_error=learnt.rank_error,
    )  # fmt: skip


def _loss_and_output(loaded: LoadedConfig, task: Task) -> tuple[Loss, str, list[str]]:
    """The loss, the output activation, and a note where they cannot be combined."""
    loss = resolve_loss(loaded, task)
    output_activation = resolve_output_activation(loaded, loss)
    if loaded.config.training.class_weights is not None and task != "classification":
        text = f"applies to classification only; the task is {task}. Leave it out."
        raise loaded.error("training.class_weights", text)
    return loss, output_activation, [note for note in (domain_warning(loss, output_activation),) if note]


@dataclass(frozen=True)
class _Parts:
    """The parts, the hash of each file, and of each training row its fold; `near` as in `Prepared`."""

    train: Part
    validation: Part | None
    test: Part | None
    hashes: dict[str, str]
    folds: Rows | None
    near: NDArray[np.bool_] | None
    apart: Part | None
    leaks: tuple[Leak, ...] = ()


def _parts(
    loaded: LoadedConfig,
    settled: TrainingTable,
    make: PartMaker,
    rows: tuple[Rows, Rows | None, Rows | None],
    notes: list[str],
    fold: FoldRows | None,
) -> _Parts:
    """The parts of a training, of rows that train, validate and calibrate; adds to `notes`."""
    data, target, (train_rows, validation_rows, _) = loaded.config.data, make.target, rows
    folds, near, hashes, test, leaks = None, None, {"train": settled.table.sha256}, None, list[Leak]()
    train, validation, apart = make.parts_of(settled.table, *rows)
    if uses_folds(loaded):
        folds, near = draw_member_folds(loaded, settled, train_rows)
        validation = replace(train, name="validation")
    if isinstance(data.validation, str) and (fold is None or fold.holds_out):
        validation, hashes["validation"] = make.file("validation", data.validation, notes)
    check_groups(loaded, target, apart or validation)
    if fold is not None:
        test = make.rows("test", settled.table, fold.test)
        return _Parts(train, validation, test, hashes, folds, near, apart)
    if data.test is not None:
        test, hashes["test"] = make.file("test", data.test, notes)
    if "validation" in hashes and hashes["validation"] == hashes.get("test"):
        notes += check_test_file(loaded)
    if isinstance(target, ClassTarget):
        notes += rare_classes(target.labels, train.truth)
    for part in (validation, test):
        if part is not None and part.name in hashes and sharded(train.samples) is None:
            notes += shared_rows(part.name, train.samples.X, part.samples.X)
    if folds is not None:
        leaks = find_leaks(settled, Sides(train_rows, folds, True, train.truth))
    elif validation_rows is not None and validation is not None:
        part_of = np.repeat([0, 1], [len(train_rows), len(validation_rows)])
        truth = np.concatenate([train.truth, validation.truth])
        leaks = find_leaks(settled, Sides(np.concatenate([train_rows, validation_rows]), part_of, False, truth))
    return _Parts(train, validation, test, hashes, folds, near, apart, tuple(leaks))
