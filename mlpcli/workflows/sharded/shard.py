"""The side of a worker: its rows, the inputs made of them, and what it computes with them. It decides nothing."""

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
    """A shard of the table of a training. What each method needs was told by an earlier one."""

    def __init__(self, loaded: LoadedConfig, files: TableFiles, rows: ShardRows, folder: str) -> None:
        with suppress(OSError):  # absolute paths may be there all the same; else the file that is missing is named
            os.chdir(folder)
        self._loaded, self._shard = loaded, Shard(files, rows)
        self._one_thread = blas_threads(1)  # for as long as the shard is here
        self._inputs: dict[str, Array] = {}
        self._samples: dict[str, Dataset] = {}
        self._picked: Rows = np.zeros(0, np.int64)
        self._steps: ShardSteps | None = None

    def read(self, expected: tuple[object, ...] | None) -> ShardSummary:
        """Read the rows; raises DataError where they are not those with the `expected` fingerprint."""
        summary = self._shard.read()
        if expected is not None and summary.fingerprint != expected:
            raise DataError(f"{self._shard.files.name}: was changed while it was trained on. Restore it, and --resume.")
        return summary

    def read_again(self, names: frozenset[str]) -> None:
        """Read these columns as texts: elsewhere they are."""
        self._shard.read_again(names)

    def column(self, name: str) -> Column:
        """A column as it was read."""
        if not self._shard.n_rows:
            return CategoricalColumn((), np.zeros(0, np.int8))
        return self._shard.columns[name]

    def where(self, row: int) -> str:
        """The place of a row in its file."""
        return self._shard.where(row)

    def pick(self, rows: Rows) -> None:
        """Take the rows that `sketch` and `row_hashes` look at."""
        self._picked = rows

    def sketch(self, schema: ColumnSchema, format: TableFormat, names: tuple[str, ...]) -> ColumnSketch:
        """The sketch of a column of numbers or dates in the picked rows."""
        column = self._cast([schema], format, names).columns[schema.name].take(self._picked)
        assert isinstance(column, NumericColumn)
        return sketch_column(np.asarray(column.values, np.float64))

    def row_hashes(
        self, schemas: Sequence[ColumnSchema], format: TableFormat, names: tuple[str, ...]
    ) -> NDArray[np.uint64]:
        """The hashes of the picked rows, by the cells of these columns."""
        return row_hashes(self._cast(schemas, format, names), [schema.name for schema in schemas], self._picked)

    def make_inputs(
        self, part: str, preprocessor: Preprocessor, rows: Rows, dtype: str, format: TableFormat, names: tuple[str, ...]
    ) -> TransformCounts:
        """Make the inputs of some of the rows, and keep them under the name of their part."""
        table = self._cast(preprocessor.schemas, format, names)
        self._inputs[part], counts = transform_rows(self._loaded, preprocessor, table, rows, dtype)
        return counts

    def _cast(self, schemas: Sequence[ColumnSchema], format: TableFormat, names: tuple[str, ...]) -> Table:
        return cast_table(self._shard.table(format, names), schemas)

    def take(self, part: str, positions: Rows) -> Array:
        """The inputs of some rows of a part, by their places in it."""
        return self._inputs[part][positions]

    def set_samples(self, part: str, y: NDArray[Any], class_targets: Array | None, weights: Array | None) -> None:
        """Take the targets and weights of the rows of a part."""
        self._samples[part] = Dataset(self._inputs[part], y, class_targets, weights)

    def largest(self, part: str) -> float:
        """The largest absolute value among the inputs of a part."""
        return float(np.abs(self._inputs[part]).max(initial=0.0))

    def outputs(self, part: str, networks: tuple[Network, ...], *flats: Array) -> Array:
        """The mean outputs of some networks for the rows of a part, bit for bit as anywhere."""
        return Ensemble(networks, flats).outputs(self._inputs[part])

    def judge(self, part: str, networks: tuple[Network, ...], loss: Loss, *flats: Array) -> tuple[float, Array]:
        """The sum of the losses of the rows of a part, and their outputs."""
        samples = self._samples[part]
        if not samples.n_rows:
            return 0.0, np.zeros((0, networks[0].n_out), samples.X.dtype)
        mean, outputs = Evaluator(networks, loss, samples).run(flats)
        return mean * samples.n_rows, outputs

    def begin_epoch(self, part: str, network: Network, spec: TrainingSpec, rows: Rows, positions: Rows) -> None:
        """Take the rows of an epoch in their order, and the place of each in the order of all rows."""
        if self._steps is None or not self._steps.is_for(network, spec, self._samples[part]):
            self._steps = ShardSteps(network, spec, self._samples[part])
        self._steps.begin(rows, positions)

    def gradient(self, step: int, n_batch: int, key: int, dropout: float, flat: Array) -> tuple[float, Array]:
        """What the rows of a batch add to its cost and to the gradient of that."""
        assert self._steps is not None
        return self._steps.gradient(step, n_batch, key, dropout, flat)

    def local_steps(self, batches: tuple[LocalBatch, ...], flat: Array, *state: Array) -> tuple[Any, ...]:
        """See `ShardSteps`."""
        assert self._steps is not None
        return self._steps.local_steps(batches, flat, *state)

    def seconds_of(self, n_rows: int, flat: Array) -> float:
        """See `ShardSteps`; 0 where there are no rows."""
        assert self._steps is not None
        return self._steps.seconds_of(n_rows, flat) if n_rows else 0.0
