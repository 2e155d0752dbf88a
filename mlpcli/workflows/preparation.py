"""Everything before the first step of training: `mlp check` stops here, `mlp train` goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema import RowsWhere
from mlpcli.data.preprocessor import Preprocessor, fit_preprocessor, transform, transform_and_drain
from mlpcli.data.splits import split_rows
from mlpcli.data.tables import Table, TableFormat
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
from mlpcli.training.samples import Samples
from mlpcli.training.streams import stream
from mlpcli.training.threads import choose_threads
from mlpcli.workflows.engines import EngineChoice, choose_engine
from mlpcli.workflows.resolution import (
    check_gates,
    class_target_table,
    domain_warning,
    resolve_loss,
    resolve_metric,
    resolve_network,
    resolve_output_activation,
    schedule_notes,
    standardizes_target,
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

    `table` stands for `data.train` when it was read already, or the rows come from Python. Raises ConfigError and
    DataError.
    """
    table = table or read_training_table(loaded, packs=True)
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
    standardize = standardizes_target(loaded, loss, output_activation)
    target, target_state = fit_target(table, columns.targets, task, train_rows, standardize)
    options = config.preprocess
    preprocessor = fit_preprocessor(
        table, columns.features, config.data.columns, options.numeric, options.missing, options.categorical, train_rows
    )
    network = resolve_network(loaded, preprocessor, target, loss, output_activation)
    names = target.labels if isinstance(target, ClassTarget) else target.names
    metric = resolve_metric(loaded, task, loss, names)
    check_gates(loaded, task, names)
    notes += schedule_notes(config.training)

    has_header = table.format.header if table.parts else None
    make = _PartMaker(loaded, preprocessor, target, target_state, network, loss, columns, has_header)
    train, validation = make.parts_of(table, train_rows, validation_rows)
    hashes = {"train": table.sha256}
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
    training = config.training
    n_threads = choose_threads(training.threads, network.sizes, training.batch_size)
    plan = Plan(
        loss, training.optimizer, training.schedule, training.batch_size, training.epochs, training.gradient_clip,
        training.seed, n_threads,
    )  # fmt: skip
    return Prepared(
        loaded, task, reason, columns, table.name, table.format, preprocessor, target, target_state, network, plan,
        choose_engine(loaded, network, plan, train.samples.n_rows), metric, n_threads,
        train, validation, test, tuple(notes), hashes, train_rows,
    )  # fmt: skip


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

    def parts_of(self, table: Table, train_rows: Rows, validation_rows: Rows | None) -> tuple[Part, Part | None]:
        """The parts that stand in the training table, whose packed numbers are given up."""
        row_sets = [rows for rows in (train_rows, validation_rows) if rows is not None]
        Xs = transform_and_drain(self.preprocessor, table, self.dtype, row_sets)
        train = self.part("train", table, train_rows, Xs[0])
        return train, None if validation_rows is None else self.part("validation", table, validation_rows, Xs[1])

    def file(self, name: str, source: str | tuple[str, ...], notes: list[str]) -> tuple[Part, str]:
        """The part in a file of its own, and the hash of that file."""
        table = read_scored_table(self.loaded, f"data.{name}", source, self.preprocessor, self.has_header)
        rows, note = rows_with_target(table, self.target.names, self.target.task)
        notes += [*table.notes, *([f"{table.name}: {note}"] if note else [])]
        X, _ = transform(self.preprocessor, table, self.dtype, rows)
        return self.part(name, table, rows, X), table.sha256

    def part(self, name: str, table: Table, rows: Rows, X: NDArray[np.floating]) -> Part:
        """The given rows of a table, whose inputs are `X`."""
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
            y = y * (1.0 - self.loss.label_smoothing) + self.loss.label_smoothing / 2.0
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
