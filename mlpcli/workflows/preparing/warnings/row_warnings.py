"""What is suspicious about rows without being wrong, one sentence each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.reading.faults import format_yaml, quote_text
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.column import ColumnOptions, first_row_with_level
from mlpcli.data.schema.profile import id_reason
from mlpcli.data.split import count_shared_rows
from mlpcli.data.store import PAGE_WATCHER
from mlpcli.data.table import CategoricalColumn, Codes, Table, count_codes
from mlpcli.messages import format_list

MIN_CLASS_ROWS = 10
RARE_FRACTION = 0.1


def rare_class_notes(labels: Sequence[str], codes: Codes) -> list[str]:
    """Classes with too few training rows to be learnt well, and those of a model that new rows lack."""
    counts = dict(zip(labels, count_codes(codes, len(labels)).tolist(), strict=True))
    few = [f"{label} {n}" for label, n in counts.items() if 0 < n < MIN_CLASS_ROWS]
    which = "1 class has" if len(few) == 1 else f"{len(few)} classes have"
    shown = ", ".join(few[:6]) + (", ..." if len(few) > 6 else "")
    notes = [f"{which} fewer than {MIN_CLASS_ROWS} training rows: {shown}"] if few else []
    if absent := [label for label, n in counts.items() if not n]:
        which = "1 class of the model has" if len(absent) == 1 else f"{len(absent)} classes of the model have"
        notes.append(
            f"{which} no training rows: {format_list(absent, 6)}. Long training on other classes forgets them: "
            "add older rows, or train for few epochs."
        )
    return notes


def rarest_class(labels: Sequence[str], counts: Sequence[int] | NDArray[np.int64]) -> str:
    """The rarest class and its share, "late (3.1%)", where accuracy would hide it; else ""."""
    share, label = min(zip((np.asarray(counts) / max(np.sum(counts), 1)).tolist(), labels, strict=True))
    # Of twenty equal classes each is rare, and none is rarer.
    return f"{label} ({share:.1%})" if share < min(RARE_FRACTION, 0.5 / len(labels)) else ""


def duplicate_notes(part: str, X: NDArray[Any], others: NDArray[Any]) -> list[str]:
    """Rows of a part (inputs `others`) whose inputs stand in the training rows `X` too: its scores are optimistic."""
    n = count_shared_rows(X, others)
    if not n:
        return []
    return [f"{n} of {len(others)} {part} rows ({n / len(others):.1%}) have the inputs of a training row."]


def column_notes(table: Table, features: Sequence[Feature], options: Mapping[str, ColumnOptions]) -> list[str]:
    """Input columns of a table as cast that tell a network next to nothing: ids, and texts that are nearly all rare.

    Of columns whose role is in the `options` only those without any level of their own, and no sketched numbers.
    """
    notes = []
    is_sketched = isinstance(table.columns, RemoteColumns) and table.columns.is_sketched
    for feature in features:
        if is_sketched and feature.is_numeric:
            continue
        name, column = feature.schema.name, table.columns[feature.schema.name]
        is_asked = name in options and options[name].role is not None
        reason = "" if is_asked else id_reason(column, feature.schema)
        if feature.schema.role == "category":
            assert isinstance(column, CategoricalColumn)
            notes += _rare_texts(table, column, feature, is_near_unique=bool(reason), is_asked=is_asked)
        elif reason:
            notes.append(f"column {name}: {reason}. Leave it out: data.drop: [{format_yaml(name)}]")
        PAGE_WATCHER.release()  # of a column on disk
    return notes


def _rare_texts(
    table: Table, column: CategoricalColumn, feature: Feature, is_near_unique: bool, is_asked: bool
) -> list[str]:
    counts, known = column.counts, frozenset(feature.levels)
    is_rare = np.asarray([level not in known for level in column.levels], np.bool_) & (counts > 0)
    n_cells, n_rare = int(counts.sum()), int(counts[is_rare].sum())
    is_lost = bool(n_rare) and (not known or (2 * n_rare > n_cells and not is_asked))
    if not is_lost and not is_near_unique:
        return []
    row = first_row_with_level(column, is_rare if n_rare else counts > 0)
    name, n_distinct = feature.schema.name, np.count_nonzero(counts)
    shared = f"{n_rare} cells share the input of rare levels. " if n_rare else ""
    return [
        f"{table.where(row)}: column {name}: {n_distinct} distinct texts in {n_cells} cells, such as "
        f"{quote_text(column.levels[column.codes[row]])}. {shared}Leave it out: data.drop: [{format_yaml(name)}]; "
        f"or say what it holds: its role, or how it is written, in data.columns"
    ]
