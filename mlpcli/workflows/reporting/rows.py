"""The rows of a report in one pass: predicted chunk by chunk, and kept as a random sample of bounded size.

The position of a row in its file determines its random number. All rows are kept while they fit; then only rows whose
number is below a bound, which is halved whenever there are too many. So equal files give equal samples, independent
of threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import TransformCounts, require_columns, transform
from mlpcli.data.reading.faults import HEADER_ONLY
from mlpcli.data.reading.read import map_tables
from mlpcli.data.reference import Histogram, count_rows
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import require_targets, true_values
from mlpcli.data.targets.target import prediction_names
from mlpcli.errors import DataError, MlpError
from mlpcli.messages import format_count
from mlpcli.model import Model
from mlpcli.training.threads import blas_threads
from mlpcli.workflows.reading.tables import cast_scored, format_of, request_for
from mlpcli.workflows.reading.weights import row_weights

Values = NDArray[np.float64]
Numbers = NDArray[np.uint64]

# Limits for the sample with truth and predictions: rows, and predicted numbers (100 bytes each in scoring).
MAX_ROWS, MAX_NUMBERS = 1 << 18, 1 << 21
# Limits for the sample that also has inputs and cells.
MAX_DETAILED, MAX_CELLS, MIN_DETAILED = 1 << 15, 1 << 23, 512
COUNTED_ROWS = 8192  # rows of a chunk that are counted into the histogram
MAX_UINT64 = 2**64 - 1


@dataclass
class BoundedSample:
    """Arrays of the rows whose random numbers are at most `bound`; never more than `max_rows`."""

    max_rows: int
    bound: int = MAX_UINT64
    n_rows: int = 0
    _numbers: list[Numbers] = field(default_factory=list)
    _arrays: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def add(self, numbers: Numbers, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add rows with random `numbers`, drop those above the bound, and halve the bound while there are too many."""
        self._numbers.append(numbers)
        self._arrays.append(dict(arrays))
        self._keep(slice(-1, None))
        while self.n_rows > self.max_rows:
            self.bound //= 2
            self._keep(slice(None))

    def _keep(self, which: slice) -> None:
        """Drop the rows above the bound from the chunks of a slice."""
        for index in range(len(self._numbers))[which]:
            is_below = self._numbers[index] <= np.uint64(self.bound)
            if not is_below.all():
                self._numbers[index] = self._numbers[index][is_below]
                self._arrays[index] = {name: values[is_below] for name, values in self._arrays[index].items()}
        self.n_rows = sum(map(len, self._numbers))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array of the sample, with rows in order."""
        names = self._arrays[0] if self._arrays else {}
        return {name: np.concatenate([arrays[name] for arrays in self._arrays]) for name in names}


@dataclass(frozen=True)
class Sample:
    """Rows with their `truth`, `predictions` (n_rows, n_predictions) and `weights` (None without a weight column).

    `old` are the predictions of a second model that is compared, None without one.
    """

    truth: NDArray[Any]
    predictions: Values
    weights: Values | None
    old: Values | None = None

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Detailed:
    """A smaller sample with the inputs `X` (n_rows, n_inputs) and the cells of each row, as a table."""

    sample: Sample
    X: NDArray[np.floating[Any]]
    table: Table

    @property
    def all_rows(self) -> Rows:
        """The indices of all rows."""
        return np.arange(self.table.n_rows)


@dataclass(frozen=True)
class ReportRows:
    """The samples and counts of a table.

    `n_rows` counts rows with a target (and a positive weight), `n_left_out` the others. `histogram` counts all rows, or
    evenly spaced ones.
    """

    name: str
    n_rows: int
    n_left_out: int
    sample: Sample
    detailed: Detailed
    histogram: Histogram | None
    counts: TransformCounts
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Chunk:
    table: Table
    numbers: Numbers
    arrays: dict[str, NDArray[Any]]
    detailed_numbers: Numbers
    detailed: dict[str, NDArray[Any]]
    n_rows: int
    n_left_out: int
    histogram: Histogram | None
    counts: TransformCounts


def row_numbers(first_row: int, n_rows: int) -> Numbers:
    """A random number for each row from `first_row` on (n_rows,), by the finalizer of SplitMix64."""
    z = (np.arange(n_rows, dtype=np.uint64) + np.uint64(first_row + 1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


class _ChunkPredictor:
    """The function that predicts a chunk, and both samples; `old` is a second model that predicts the same rows."""

    def __init__(self, model: Model, old: Model | None) -> None:
        self.model, self.old = model, old
        n_predictions, columns = len(prediction_names(model.target)), model.preprocessor.columns
        self.sample = BoundedSample(max(min(MAX_ROWS, MAX_NUMBERS // n_predictions), MIN_DETAILED))
        n_cells = model.ensemble.first.n_in + len(columns)
        n_cells += 0 if old is None else n_predictions
        self.detailed = BoundedSample(max(min(MAX_DETAILED, self.sample.max_rows, MAX_CELLS // n_cells), MIN_DETAILED))

    def __call__(self, as_read: Table) -> _Chunk:
        """Predict the rows of a chunk that may be in the sample; thread-safe."""
        model, target = self.model, self.model.target
        table = cast_scored(as_read, model.schemas, target.names, model.weight_column)
        require_columns(table, [column.name for column in model.preprocessor.columns])
        rows = _scored_rows(model, table)
        n_rows = len(rows)
        numbers = row_numbers(table.first_row, table.n_rows)[rows]
        is_sampled = numbers <= np.uint64(self.sample.bound)
        rows, numbers = rows[is_sampled], numbers[is_sampled]
        X, counts = transform(model.preprocessor, table, model.ensemble.dtype, rows)
        arrays: dict[str, NDArray[Any]] = {
            "truth": true_values(target, table, rows),
            "predictions": model.predict_inputs(X, table, rows),
        }
        if model.weight_column:
            arrays["weights"] = _weights(model, table, rows)
        in_detail = numbers <= np.uint64(self.detailed.bound)
        detailed = {name: values[in_detail] for name, values in arrays.items()} | {"X": X[in_detail]}
        detailed |= {f"cells {name}": _cells(table.columns[name], rows[in_detail]) for name in model.row_columns}
        if self.old is not None:
            arrays["old"] = self.old.predict(self.old.cast(as_read), rows)[0]
        histogram = None
        if model.reference.columns:
            histogram = count_rows(model.reference, model.preprocessor.columns, table, max_rows=COUNTED_ROWS)
        left_out = table.n_rows - n_rows
        return _Chunk(table, numbers, arrays, numbers[in_detail], detailed, n_rows, left_out, histogram, counts)


def read_rows(
    model: Model, source: str, delimiter: str | None, encoding: str | None, old: Model | None = None
) -> ReportRows:
    """Read and predict a table in chunks; raises DataError with the location of an invalid row.

    `old` is a model of the same target; raises MlpError if it reads tables differently.
    """
    reading = format_of(model, delimiter, encoding)
    if old is not None and format_of(old, delimiter, encoding) != reading:
        raise MlpError("--compare: the models read tables differently (data.missing, data.header). Use mlp compare.")
    schemas = [*model.schemas, *(() if old is None else old.preprocessor.schemas)]
    predictor = _ChunkPredictor(model, old)
    n_rows = n_left_out = 0
    counts, notes, histogram, name = TransformCounts({}, {}), list[str](), None, source
    with blas_threads(1):
        for chunk in map_tables(predictor, source, reading, request_for(schemas, reading)):
            predictor.sample.add(chunk.numbers, chunk.arrays)
            predictor.detailed.add(chunk.detailed_numbers, chunk.detailed)
            n_rows, n_left_out = n_rows + chunk.n_rows, n_left_out + chunk.n_left_out
            counts, name = counts + chunk.counts, chunk.table.name
            notes += chunk.table.notes
            if chunk.histogram is not None:
                histogram = chunk.histogram if histogram is None else histogram + chunk.histogram
    if not n_rows + n_left_out:
        raise DataError(f"{name}: {HEADER_ONLY}")
    if not n_rows:
        raise DataError(f"{name}: no row has a value for {', '.join(model.target.names)}. See data.missing.")
    if n_left_out:
        why = f"without a value for {', '.join(model.target.names)}" + (" or of weight 0" * bool(model.weight_column))
        notes.append(f"{name}: {format_count(n_left_out, 'row')} {why}: left out.")
    detailed = predictor.detailed.arrays()
    return ReportRows(
        name, n_rows, n_left_out, _sample(predictor.sample.arrays()),
        Detailed(_sample(detailed), detailed["X"], _table(model, detailed, name)),
        histogram, counts, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _scored_rows(model: Model, table: Table) -> Rows:
    """The rows with all targets and a positive weight."""
    require_targets(table, model.target.names)
    is_known = np.ones(table.n_rows, np.bool_)
    for name in model.target.names:
        is_known &= ~table.columns[name].is_missing
    rows = np.flatnonzero(is_known)
    return rows[_weights(model, table, rows) > 0.0] if model.weight_column else rows


def _weights(model: Model, table: Table, rows: Rows) -> Values:
    """The sample weights of rows of a chunk, which may all be 0; raises DataError for invalid weights."""
    column = table.columns[model.weight_column]
    assert isinstance(column, NumericColumn)
    weights = np.asarray(column.take(rows).values, np.float64)
    return weights if not weights.any() else row_weights(table, model.weight_column, rows)


def _cells(column: Column, rows: Rows) -> NDArray[Any]:
    """The cells of some rows, independent of the chunk: numbers, or texts with None for missing ones."""
    taken = column.take(rows)
    if isinstance(taken, NumericColumn):
        return np.asarray(taken.values, np.float64)
    levels = np.empty(len(taken.levels), object)
    levels[:] = taken.levels
    return taken.translate(levels, None)


def _sample(arrays: Mapping[str, NDArray[Any]]) -> Sample:
    return Sample(arrays["truth"], arrays["predictions"], arrays.get("weights"), arrays.get("old"))


def _table(model: Model, arrays: Mapping[str, NDArray[Any]], name: str) -> Table:
    """The sampled cells as a table."""
    columns: dict[str, Column] = {}
    for column in model.row_columns:
        cells = arrays[f"cells {column}"]
        columns[column] = _categorical(cells) if cells.dtype == object else NumericColumn(cells)
    names: Sequence[str] = tuple(columns)
    return Table(columns, len(arrays["truth"]), name, tuple(names))


def _categorical(cells: NDArray[Any]) -> CategoricalColumn:
    levels = sorted({cell for cell in cells.tolist() if cell is not None})
    codes_by_level = {level: code for code, level in enumerate(levels)}
    codes = np.asarray([codes_by_level.get(cell, -1) for cell in cells.tolist()], np.int32)
    return CategoricalColumn(tuple(levels), codes)
