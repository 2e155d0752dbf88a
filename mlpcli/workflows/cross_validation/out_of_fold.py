"""out_of_fold.csv: what each row got from the models that have not seen it."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import as_categorical
from mlpcli.data.table import CategoricalColumn, Column, Rows, Table
from mlpcli.data.targets.target import NumberTarget, Target, predicted_labels
from mlpcli.data.writing.csv import Cells, Labels
from mlpcli.data.writing.table_writers import as_binary_file, writer_for
from mlpcli.errors import DataError
from mlpcli.storage.atomic import AtomicFile
from mlpcli.storage.run.fold_file import FoldRecord

ROW, FOLD, REPEAT = "row", "fold", "repeat"


def id_columns(table: Table, names: Sequence[str]) -> dict[str, Column]:
    """The columns by which the user knows the rows; raises DataError for one that is not there."""
    for name in names:
        if name not in table.columns:
            raise DataError(f"{table.name}: --id {name}: no such column.{name_hint(name, table.column_names)}")
    return {name: table.columns[name] for name in names}


def write_out_of_fold(
    path: str, table: Table, target: Target, ids: Mapping[str, Column], records: Sequence[FoldRecord], n_folds: int
) -> None:
    """A line for each row and repeat, in the order of the rows: its number, fold, ids, targets, and the answers.

    `table` is that of the training, cast; its first row is number 1. The columns have the names of the targets,
    `predicted_` before those of the answers and `p_` before those of probabilities; a name that is taken gets a `_`
    behind it.
    """
    n_repeats = len(records) // n_folds
    writer = writer_for(path)
    with AtomicFile(path) as file:
        for repeat in range(n_repeats):
            own = records[repeat * n_folds : (repeat + 1) * n_folds]
            columns = _columns(table, target, ids, own, n_folds, repeat if n_repeats > 1 else None)
            names = _distinct([name for name, _ in columns])
            if repeat == 0:
                writer.begin(as_binary_file(file.write), names)
            writer.write(writer.encode(names, [cells for _, cells in columns]))
        writer.end()
    writer.close()


def _columns(
    table: Table,
    target: Target,
    ids: Mapping[str, Column],
    records: Sequence[FoldRecord],
    n_folds: int,
    repeat: int | None,
) -> list[tuple[str, Cells]]:
    rows = np.concatenate([record.rows for record in records])
    numbers = rows if table.order is None else np.asarray(table.order[rows], np.int64)
    order = np.argsort(numbers, kind="stable")
    rows, numbers = rows[order], numbers[order]
    folds = np.repeat([record.number % n_folds + 1 for record in records], [len(record.rows) for record in records])
    columns: list[tuple[str, Cells]] = [(ROW, numbers + 1)]
    columns += [] if repeat is None else [(REPEAT, np.full(len(rows), repeat + 1))]
    columns.append((FOLD, folds[order]))
    columns += [(name, _cells(column, rows)) for name, column in ids.items()]
    columns += [(name, _cells(table.columns[name], rows)) for name in target.names]
    predictions = np.concatenate([record.predictions for record in records])[order].astype(np.float32)
    if isinstance(target, NumberTarget):
        return [*columns, *((f"predicted_{name}", predictions[:, i]) for i, name in enumerate(target.names))]
    # Labels fold by fold: each has a threshold of its own.
    of_folds = [predicted_labels(target, record.predictions, record.threshold) for record in records]
    for name in target.names:
        labels = of_folds[0][name][0]
        codes = np.concatenate([found[name][1] for found in of_folds])[order]
        columns.append((f"predicted_{name}", Labels(labels, codes)))
    return [*columns, *((f"p_{name}", predictions[:, i]) for i, name in enumerate(records[0].labels))]


def _cells(column: Column, rows: Rows) -> Cells:
    own = column.take(rows)
    texts = own if isinstance(own, CategoricalColumn) else as_categorical(own)
    return Labels(texts.levels, texts.codes)


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        while name in found:
            name += "_"
        found.append(name)
    return found
