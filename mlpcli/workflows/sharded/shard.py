"""A shard of the training table on a worker: its rows, their inputs, and the computations on them."""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.column_sketch import ColumnSketch, sketch_column
from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts
from mlpcli.data.reading.shards import Shard, ShardRows, ShardSummary, TableFiles
from mlpcli.data.row_hashes import row_hashes
from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Rows, Table, TableFormat
from mlpcli.errors import DataError
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.losses import Loss
from mlpcli.nn.network import Network
from mlpcli.training.dataset import Dataset
from mlpcli.training.ensemble import Evaluator
from mlpcli.training.member import TrainingSpec
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.preparing.rows.data_store import transform_rows
from mlpcli.workflows.sharded.steps import LocalBatch, ShardSteps

Array = NDArray[np.floating[Any]]


class TrainingShard:
    """A shard of the training table, whose methods are called from the process of the command.

    A method uses what earlier calls have stored, so a new worker repeats them: `read`, `make_inputs`, `set_samples`,
    `begin_epoch`. Inputs and samples are stored under the name of their split.
    """

    def __init__(self, loaded: LoadedConfig, files: TableFiles, rows: ShardRows, folder: str) -> None:
        with suppress(OSError):  # absolute paths may exist without the folder; otherwise a missing file is reported
            os.chdir(folder)
        self._loaded, self._shard = loaded, Shard(files, rows)
        self._blas_limit = blas_threads(1)  # as long as this object lives
        self._inputs: dict[str, Array] = {}
        self._samples: dict[str, Dataset] = {}
        self._selected: Rows = np.zeros(0, np.int64)
        self._steps: ShardSteps | None = None

    def read(self, expected: tuple[object, ...] | None) -> ShardSummary:
        """Read the rows; raises DataError if their fingerprint is not the `expected` one."""
        summary = self._shard.read()
        if expected is not None and summary.fingerprint != expected:
            raise DataError(f"{self._shard.files.name}: was changed while it was trained on. Restore it, and --resume.")
        return summary

    def read_again(self, names: frozenset[str]) -> None:
        """Read these columns again as text, because other shards have text in them."""
        self._shard.read_again(names)

    def column(self, name: str) -> Column:
        """A column as it was read, not cast."""
        if not self._shard.n_rows:
            return CategoricalColumn((), np.zeros(0, np.int8))
        return self._shard.columns[name]

    def where(self, row: int) -> str:
        """File and line of a row, for messages."""
        return self._shard.where(row)

    def select(self, rows: Rows) -> None:
        """Set the rows that `sketch` and `row_hashes` use."""
        self._selected = rows

    def sketch(self, schema: ColumnSchema, format: TableFormat, names: tuple[str, ...]) -> ColumnSketch:
        """The sketch of a column of numbers or dates in the selected rows."""
        column = self._cast([schema], format, names).columns[schema.name].take(self._selected)
        assert isinstance(column, NumericColumn)
        return sketch_column(np.asarray(column.values, np.float64))

    def row_hashes(
        self, schemas: Sequence[ColumnSchema], format: TableFormat, names: tuple[str, ...]
    ) -> NDArray[np.uint64]:
        """Hashes (n_selected,) of the cells of these columns in the selected rows."""
        return row_hashes(self._cast(schemas, format, names), [schema.name for schema in schemas], self._selected)

    def make_inputs(
        self, split: str, preprocessor: Preprocessor, rows: Rows, dtype: str, format: TableFormat,
        names: tuple[str, ...],
    ) -> TransformCounts:  # fmt: skip
        """Transform rows to the inputs of a split, and store them; returns the counts of the transformation."""
        table = self._cast(preprocessor.schemas, format, names)
        self._inputs[split], counts = transform_rows(self._loaded, preprocessor, table, rows, dtype)
        return counts

    def _cast(self, schemas: Sequence[ColumnSchema], format: TableFormat, names: tuple[str, ...]) -> Table:
        return cast_table(self._shard.table(format, names), schemas)

    def take(self, split: str, positions: Rows) -> Array:
        """Inputs (n_positions, n_in) of some rows of a split, by their positions in it."""
        return self._inputs[split][positions]

    def set_samples(self, split: str, y: NDArray[Any], class_targets: Array | None, weights: Array | None) -> None:
        """Store the targets and weights of the rows of a split."""
        self._samples[split] = Dataset(self._inputs[split], y, class_targets, weights)

    def largest(self, split: str) -> float:
        """The largest absolute input of a split."""
        return float(np.abs(self._inputs[split]).max(initial=0.0))

    def outputs(self, split: str, networks: tuple[Network, ...], *flats: Array) -> Array:
        """Mean outputs (n_rows, n_out) of an ensemble for the rows of a split."""
        return Ensemble(networks, flats).outputs(self._inputs[split])

    def evaluate(self, split: str, networks: tuple[Network, ...], loss: Loss, *flats: Array) -> tuple[float, Array]:
        """Sum of the losses of the rows of a split, and the mean outputs (n_rows, n_out)."""
        samples = self._samples[split]
        if not samples.n_rows:
            return 0.0, np.zeros((0, networks[0].n_out), samples.X.dtype)
        mean, outputs = Evaluator(networks, loss, samples).run(flats)
        return mean * samples.n_rows, outputs

    def begin_epoch(self, split: str, network: Network, spec: TrainingSpec, rows: Rows, positions: Rows) -> None:
        """Store the rows of an epoch in their order, and the position of each in the order of all rows."""
        if self._steps is None or not self._steps.is_for(network, spec, self._samples[split]):
            self._steps = ShardSteps(network, spec, self._samples[split])
        self._steps.begin(rows, positions)

    def gradient(self, step: int, n_batch: int, key: int, dropout: float, flat: Array) -> tuple[float, Array]:
        """Contribution of this shard to the cost of a batch and to its gradient; as `ShardSteps.gradient`."""
        assert self._steps is not None
        return self._steps.gradient(step, n_batch, key, dropout, flat)

    def local_steps(self, batches: tuple[LocalBatch, ...], flat: Array, *state: Array) -> tuple[Any, ...]:
        """Take steps with the rows of this shard alone; as `ShardSteps.local_steps`."""
        assert self._steps is not None
        return self._steps.local_steps(batches, flat, *state)

    def time_gradient(self, n_rows: int, flat: Array) -> float:
        """Seconds of the gradient of `n_rows` rows, 0 for none; as `ShardSteps.time_gradient`."""
        assert self._steps is not None
        return self._steps.time_gradient(n_rows, flat) if n_rows else 0.0
