"""Writes out_of_fold.csv: the prediction for each row from the model that was not trained on it."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import as_categorical
from mlpcli.data.table import Column, Rows, Table
from mlpcli.data.targets.target import NumberTarget, Target, predicted_labels
from mlpcli.data.writing.csv import Cells, Labels
from mlpcli.data.writing.table_writers import writer_for
from mlpcli.errors import DataError
from mlpcli.storage.atomic import AtomicFile
from mlpcli.storage.run.fold_file import FoldRecord

ROW, FOLD, REPEAT = "row", "fold", "repeat"


def id_columns(table: Table, names: Sequence[str]) -> dict[str, Column]:
    """The columns of `--id`, which are copied into the file; raises DataError for a missing one."""
    for name in names:
        if name not in table.columns:
            raise DataError(f"{table.name}: --id {name}: no such column.{name_hint(name, table.column_names)}")
    return {name: table.columns[name] for name in names}


def write_out_of_fold(
    path: str, table: Table, target: Target, ids: Mapping[str, Column], records: Sequence[FoldRecord], n_folds: int
) -> None:
    """Write a line for each row and repeat, in row order: row number, fold, ids, targets, predictions, probabilities.

    `table` is the cast training table; rows are numbered from 1. Predictions are named `predicted_` and the target,
    probabilities `p_` and the class; a name that is taken gets `_` at its end. Raises OutputError.
    """
    n_repeats = len(records) // n_folds
    writer = writer_for(path)
    with AtomicFile(path) as file:
        for repeat in range(n_repeats):
            repeat_records = records[repeat * n_folds : (repeat + 1) * n_folds]
            columns = _columns(table, target, ids, repeat_records, n_folds, repeat if n_repeats > 1 else None)
            names = _distinct([name for name, _ in columns])
            if repeat == 0:
                writer.begin(file.write, names)
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
    row_numbers = rows if table.order is None else np.asarray(table.order[rows], np.int64)
    order = np.argsort(row_numbers, kind="stable")
    rows, row_numbers = rows[order], row_numbers[order]
    folds = np.repeat([record.number % n_folds + 1 for record in records], [len(record.rows) for record in records])
    columns: list[tuple[str, Cells]] = [(ROW, row_numbers + 1)]
    columns += [] if repeat is None else [(REPEAT, np.full(len(rows), repeat + 1))]
    columns.append((FOLD, folds[order]))
    columns += [(name, _cells(column, rows)) for name, column in ids.items()]
    columns += [(name, _cells(table.columns[name], rows)) for name in target.names]
    predictions = np.concatenate([record.predictions for record in records])[order].astype(np.float32)
    if isinstance(target, NumberTarget):
        return [*columns, *((f"predicted_{name}", predictions[:, i]) for i, name in enumerate(target.names))]
    # Labels are made fold by fold, because each fold has its own threshold.
    labels_by_fold = [predicted_labels(target, record.predictions, record.threshold) for record in records]
    for name in target.names:
        labels = labels_by_fold[0][name][0]
        codes = np.concatenate([fold_labels[name][1] for fold_labels in labels_by_fold])[order]
        columns.append((f"predicted_{name}", Labels(labels, codes)))
    return [*columns, *((f"p_{name}", predictions[:, i]) for i, name in enumerate(records[0].labels))]


def _cells(column: Column, rows: Rows) -> Cells:
    texts = as_categorical(column.take(rows))
    return Labels(texts.levels, texts.codes)


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        while name in distinct:
            name += "_"
        distinct.append(name)
    return distinct
