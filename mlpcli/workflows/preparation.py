"""Everything before the first step of training: `mlp check` stops here, `mlp train` goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema import RowsWhere
from mlpcli.data.preprocessor import Preprocessor, fit_preprocessor, transform
from mlpcli.data.splits import split_rows
from mlpcli.data.tables import Table
from mlpcli.data.targets import (
    ClassTarget,
    NumberTarget,
    Target,
    encode_target,
    fit_target,
    rows_with_target,
    true_values,
)
from mlpcli.data.tasks import resolve_task
from mlpcli.errors import DataError, did_you_mean
from mlpcli.nn.losses import BinaryCrossEntropy, Loss, Poisson
from mlpcli.nn.network import Network
from mlpcli.training.engine import Plan
from mlpcli.training.members import draw_folds
from mlpcli.training.samples import Samples
from mlpcli.training.streams import stream
from mlpcli.training.threads import choose_threads
from mlpcli.workflows.engines import EngineChoice, choose_engine
from mlpcli.workflows.pace import resolve_batch_size, schedule_notes
from mlpcli.workflows.postprocessing import given_state
from mlpcli.workflows.resolution import (
    check_gates,
    class_target_table,
    domain_warning,
    resolve_loss,
    resolve_metric,
    resolve_network,
    resolve_output_activation,
    resolve_smoothing,
    resolve_target_transform,
    smoothing_note,
    smoothing_of,
    uses_folds,
)
from mlpcli.workflows.suspicions import rare_classes, shared_rows
from mlpcli.workflows.tables import (
    ColumnPlan,
    fold_rows,
    plan_columns,
    read_scored_table,
    read_training_table,
)
from mlpcli.workflows.weights import row_weights

Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One set of rows, for training or for scoring.

    `truth` is what the answers are compared with, in the user's units: class codes (n_rows,), or numbers (n_rows,
    n_targets). `weights` (n_rows,) come from the weight column alone; those in `samples` count class weights too.
    """

    name: str
    samples: Samples
    truth: NDArray[Any]
    weights: Values | None


@dataclass(frozen=True)
class Prepared:
    """A config and its data, resolved: all a training needs."""

    loaded: LoadedConfig
    task: str
    task_reason: str
    columns: ColumnPlan
    table: Table
    preprocessor: Preprocessor
    target: Target
    target_state: dict[str, Values]
    network: Network
    plan: Plan
    engine: EngineChoice
    metric: str
    n_threads: int
    train: Part
    validation: Part | None
    test: Part | None
    notes: tuple[str, ...]
    data_sha256: dict[str, str]
    train_rows: Rows = field(repr=False)
    folds: Rows | None = field(repr=False)

    @property
    def picks_best_epoch(self) -> bool:
        """Whether validation rows choose the epoch that is kept; else it is the last one."""
        return self.validation is not None and self.loaded.config.training.early_stopping is not None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts there are, in order."""
        return tuple(part for part in (self.train, self.validation, self.test) if part is not None)


def prepare(loaded: LoadedConfig, table: Table | None = None) -> Prepared:
    """Read, split, fit the preprocessing on the training rows, and resolve every `auto`.

    `table` stands for `data.train` when the rows come from Python. Raises ConfigError and DataError.
    """
    table = table or read_training_table(loaded)
    config, notes = loaded.config, list(table.notes)
    columns = plan_columns(loaded, table)
    task, reason = resolve_task(table, columns.targets, config.task)
    loss = resolve_loss(loaded, task)
    output_activation = resolve_output_activation(loaded, loss)
    notes += [note for note in (domain_warning(loss, output_activation),) if note]
    if config.training.class_weights is not None and task != "classification":
        raise loaded.error(
            "training.class_weights", f"goes with classification only; the task is {task}. Leave it out."
        )
    known, note = rows_with_target(table, columns.targets, task)
    notes += [f"{table.name}: {note}"] if note else []

    train_rows, validation_rows = _split(loaded, table, columns, task, known)
    transform = resolve_target_transform(loaded, loss, output_activation)
    target, target_state = fit_target(table, columns.targets, task, train_rows, transform)
    options = config.preprocess
    preprocessor = fit_preprocessor(
        table, columns.features, config.data.columns, options.numeric, options.missing, options.categorical,
        options.encoding, train_rows,
    )  # fmt: skip
    network = resolve_network(loaded, preprocessor, target, loss, output_activation)
    names = target.labels if isinstance(target, ClassTarget) else target.names
    metric = resolve_metric(loaded, task, loss, names)
    check_gates(loaded, task, names)
    asked, loss = loss, resolve_smoothing(loss, metric)
    notes += [*smoothing_note(asked, loss, metric), *schedule_notes(config.training)]

    has_header = table.format.header if table.parts else None
    make = _PartMaker(loaded, preprocessor, target, target_state, network, loss, columns, has_header)
    train = make.part("train", table, train_rows)
    target_state = given_state(loaded, target, target_state, train.truth)
    folds = None
    validation = make.part("validation", table, validation_rows) if validation_rows is not None else None
    hashes = {"train": table.sha256}
    if uses_folds(loaded):
        folds = _draw_folds(loaded, train, task)
        validation = replace(train, name="validation")
    if isinstance(config.data.validation, str):
        validation, hashes["validation"] = make.file("validation", config.data.validation, notes)
    test = None
    if config.data.test is not None:
        test, hashes["test"] = make.file("test", config.data.test, notes)
    if isinstance(target, ClassTarget):
        notes += rare_classes(target.labels, train.truth)
    for part in (validation, test):
        if part is not None and part.name in hashes:
            notes += shared_rows(part.name, train.samples.X, part.samples.X)
    plan = _plan(loaded, loss, network, train.samples.n_rows)
    return Prepared(
        loaded, task, reason, columns, table, preprocessor, target, target_state, network, plan,
        choose_engine(loaded, network, plan, train.samples.n_rows), metric, plan.n_threads,
        train, validation, test, tuple(notes), hashes, train_rows, folds,
    )  # fmt: skip


def _plan(loaded: LoadedConfig, loss: Loss, network: Network, n_rows: int) -> Plan:
    """How to train, with every `auto` resolved."""
    training, model = loaded.config.training, loaded.config.model
    batch_size = resolve_batch_size(training.batch_size, n_rows)
    return Plan(
        loss=loss,
        optimizer=training.optimizer,
        schedule=training.schedule,
        batch_size=batch_size,
        epochs=training.epochs,
        gradient_clip=training.gradient_clip,
        seed=training.seed,
        n_threads=choose_threads(training.threads, network.sizes, batch_size),
        rates=training.rates,
        is_ntk=model.parametrization == "ntk",
        dropout_schedule=training.dropout_schedule,
        decay_schedule=training.weight_decay_schedule,
        averaging=training.averaging,
        member_rows=model.members.rows,
    )


def _split(loaded: LoadedConfig, table: Table, columns: ColumnPlan, task: str, known: Rows) -> tuple[Rows, Rows | None]:
    """Training rows, and validation rows of the same table or None; both among the rows with a target."""
    validation = loaded.config.data.validation
    if isinstance(validation, RowsWhere):
        return fold_rows(loaded, table, known)
    if not isinstance(validation, float) or validation == 0.0:
        return known, None
    strata = None
    if task == "classification":
        target, state = fit_target(table, columns.targets, "classification", known)
        strata = np.asarray(encode_target(target, state, table, known), dtype=np.int64)
    try:
        train, held_out = split_rows(len(known), validation, strata, stream(loaded.config.training.seed, "split"))
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from error
    return known[train], known[held_out]


def _draw_folds(loaded: LoadedConfig, train: Part, task: str) -> Rows:
    """The member that leaves out each training row; every class is spread over all folds."""
    count, n_rows = loaded.config.model.members.count, len(train.truth)
    if n_rows < 2 * count:
        raise loaded.error("model.members.count", f"{count} folds need at least {2 * count} rows, there are {n_rows}.")
    strata = train.truth if task == "classification" else None
    return draw_folds(count, strata, n_rows, loaded.config.training.seed)


class _PartMaker:
    """Turns rows of a table into a `Part`; class weights are measured on the first one made, the training part."""

    def __init__(
        self,
        loaded: LoadedConfig,
        preprocessor: Preprocessor,
        target: Target,
        target_state: dict[str, Values],
        network: Network,
        loss: Loss,
        columns: ColumnPlan,
        has_header: bool | None,
    ) -> None:
        self.loaded, self.preprocessor, self.target, self.target_state = loaded, preprocessor, target, target_state
        self.network, self.loss, self.columns, self.has_header = network, loss, columns, has_header
        self.dtype = loaded.config.training.dtype
        self.class_weights: Values | None = None

    def file(self, name: str, source: str | tuple[str, ...], notes: list[str]) -> tuple[Part, str]:
        """The part in a file of its own, and the hash of that file."""
        table = read_scored_table(self.loaded, f"data.{name}", source, self.preprocessor, self.has_header)
        rows, note = rows_with_target(table, self.target.names, self.target.task)
        notes += [*table.notes, *([f"{table.name}: {note}"] if note else [])]
        return self.part(name, table, rows), table.sha256

    def part(self, name: str, table: Table, rows: Rows) -> Part:
        """The given rows of a table."""
        X, _ = transform(self.preprocessor, table, self.dtype, rows)
        weights = row_weights(table, self.columns.weight, rows) if self.columns.weight else None
        if isinstance(self.target, ClassTarget):
            codes = np.asarray(encode_target(self.target, {}, table, rows), dtype=np.int64)
            table_of_targets = class_target_table(
                len(self.target.labels), self.network.sizes[-1], self.loss, self.dtype
            )
            if name == "train":
                self.class_weights = _class_weights(self.loaded, codes, self.target.labels)
            sample_weights = _normalized(_combined(weights, self.class_weights, codes), self.dtype)
            return Part(name, Samples(X, codes, table_of_targets, sample_weights), codes, weights)
        y = np.asarray(encode_target(self.target, self.target_state, table, rows), dtype=np.float64)
        truth = true_values(self.target, table, rows)
        if isinstance(self.target, NumberTarget):
            self._check_counts(table, np.asarray(truth, np.float64))
        elif isinstance(self.loss, BinaryCrossEntropy):
            smoothing = smoothing_of(self.loss)
            y = y * (1.0 - smoothing) + smoothing / 2.0
        return Part(name, Samples(X, y.astype(self.dtype), None, _normalized(weights, self.dtype)), truth, weights)

    def _check_counts(self, table: Table, truth: Values) -> None:
        if isinstance(self.loss, Poisson) and truth.min() < 0.0:
            smallest = f"the smallest is {truth.min():g}"
            raise DataError(f"{table.name}: the loss poisson needs targets of 0 or more; {smallest}.")


def _class_weights(loaded: LoadedConfig, codes: Rows, labels: Sequence[str]) -> Values | None:
    """Weight of each class (n_classes,): n_rows / (n_classes * count) when balanced, as scikit-learn defines it."""
    asked = loaded.config.training.class_weights
    if asked is None:
        return None
    if asked == "balanced":
        return len(codes) / (len(labels) * np.bincount(codes, minlength=len(labels)))
    unknown = [name for name in asked if name not in labels]
    if unknown:
        raise loaded.error("training.class_weights", f"no class {unknown[0]!r}.{did_you_mean(unknown[0], labels)}")
    if not any(asked.get(label, 1.0) > 0 for label in labels):
        raise loaded.error("training.class_weights", "at least one class must have a weight above 0.")
    return np.array([asked.get(label, 1.0) for label in labels])


def _combined(weights: Values | None, class_weights: Values | None, codes: Rows) -> Values | None:
    if class_weights is None:
        return weights
    by_row = class_weights[codes]
    return by_row if weights is None else by_row * weights


def _normalized(weights: Values | None, dtype: str) -> NDArray[np.floating] | None:
    """Weights of mean 1, so that the learning rate means the same with and without them."""
    if weights is None:
        return None
    if not weights.sum() > 0:
        return np.asarray(weights, dtype=dtype)
    return np.asarray(weights / weights.mean(), dtype=dtype)
