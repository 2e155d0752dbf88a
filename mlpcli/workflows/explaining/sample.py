"""The rows that `mlp explain` uses: read, cast and sampled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.preprocessor import require_columns, transform
from mlpcli.data.schema.column import as_categorical
from mlpcli.data.table import Column, NumericColumn, Rows, Table
from mlpcli.data.targets.encode import rows_with_target
from mlpcli.data.targets.target import decode_outputs
from mlpcli.explain.dependence import donors_of_codes, donors_of_numbers
from mlpcli.model import Model
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.reading.tables import cast_scored, format_of, read_columns
from mlpcli.workflows.reading.weights import positive_weight_rows
from mlpcli.workflows.scoring.trained_rows import notes_on_trained_rows

MAX_VALUES = 20  # of a column in partial dependence


@dataclass(frozen=True)
class ExplainRequest:
    """The model, the table, and the amount of work.

    At most `sample` rows are used (0: all); of more, a random sample with the given `seed`. `metric` "" is the default
    one. Each column is shuffled `repeats` times, or fewer if `seconds` do not suffice. The figure is written to
    `image`, "" for none.
    """

    weights: str
    source: str
    metric: str = ""
    sample: int = 20_000
    repeats: int = 5
    seconds: float | None = None
    confidence: float = 0.95
    seed: int = 0
    delimiter: str | None = None
    encoding: str | None = None
    image: str = ""


@dataclass(frozen=True)
class Sample:
    """The sampled rows: inputs `X` (n_rows, n_inputs), their indices `rows` in the table, and notes.

    `n_all` is the number of rows from which the sample was drawn.
    """

    model: Model
    table: Table
    rows: Rows
    n_all: int
    X: NDArray[np.floating[Any]]
    notes: tuple[str, ...]

    def predict(self, X: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Predictions in the units of the table."""
        return decode_outputs(self.model.target, dict(self.model.target_state), self.model.ensemble.outputs(X))


def read_sample(model: Model, request: ExplainRequest, needs_truth: bool) -> Sample:
    """Read the table and sample its rows, kept in the order of the table; raises DataError."""
    target = model.target
    schemas = model.schemas if needs_truth else model.preprocessor.schemas
    as_read = read_columns(request.source, format_of(model, request.delimiter, request.encoding), schemas)
    require_columns(as_read, [column.name for column in model.preprocessor.columns])
    if needs_truth:
        table = cast_scored(as_read, model.schemas, target.names, model.weight_column)
        rows, note = rows_with_target(table, target.names)
        rows, left_out = positive_weight_rows(table, model.weight_column, rows)
        notes = [*table.notes, *([f"{table.name}: {note}"] if note else []), *left_out]
        notes += notes_on_trained_rows(model, table, rows)
    else:
        table = model.cast(as_read)
        rows, notes = np.arange(table.n_rows), [*table.notes]
    n_all = len(rows)
    if request.sample and n_all > request.sample:
        chosen = rng_of(request.seed, "sample").choice(n_all, request.sample, replace=False)
        rows = rows[np.sort(chosen)]
    X, _ = transform(model.preprocessor, table, model.ensemble.dtype, rows)
    model.predict_inputs(X, table, rows)  # raises DataError where predict does
    return Sample(model, table, rows, n_all, X, tuple(notes))


def substituted_rows(column: Column) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Rows whose cells are substituted in turn, and these cells as texts."""
    if isinstance(column, NumericColumn):
        donors = donors_of_numbers(np.asarray(column.values, np.float64), MAX_VALUES)
        texts = as_categorical(column.take(donors))
    else:
        donors = donors_of_codes(np.asarray(column.codes), MAX_VALUES)
        texts = column.take(donors)
    return donors, tuple(texts.levels[code] for code in texts.codes)
