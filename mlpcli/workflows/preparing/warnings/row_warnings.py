"""Notes on rare classes, duplicates, and columns that are unlikely to be useful inputs."""

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
    """Notes on classes with few training rows, and with a warm start on classes of the model that have none."""
    counts = dict(zip(labels, count_codes(codes, len(labels)).tolist(), strict=True))
    rare_classes = [f"{label} {n}" for label, n in counts.items() if 0 < n < MIN_CLASS_ROWS]
    subject = "1 class has" if len(rare_classes) == 1 else f"{len(rare_classes)} classes have"
    shown = ", ".join(rare_classes[:6]) + (", ..." if len(rare_classes) > 6 else "")
    notes = [f"{subject} fewer than {MIN_CLASS_ROWS} training rows: {shown}"] if rare_classes else []
    if absent := [label for label, n in counts.items() if not n]:
        subject = "1 class of the model has" if len(absent) == 1 else f"{len(absent)} classes of the model have"
        notes.append(
            f"{subject} no training rows: {format_list(absent, 6)}. Long training on other classes forgets them: "
            "add older rows, or train for few epochs."
        )
    return notes


def rarest_class(labels: Sequence[str], counts: Sequence[int] | NDArray[np.int64]) -> str:
    """The rarest class and its fraction, "late (3.1%)", if accuracy would hardly depend on it; else ""."""
    fraction, label = min(zip((np.asarray(counts) / max(np.sum(counts), 1)).tolist(), labels, strict=True))
    # Many equally frequent classes are all rare, but none of them is the rarest.
    return f"{label} ({fraction:.1%})" if fraction < min(RARE_FRACTION, 0.5 / len(labels)) else ""


def duplicate_notes(split_name: str, X: NDArray[Any], others: NDArray[Any]) -> list[str]:
    """A note on rows of a split whose inputs equal those of a training row, so that its scores are optimistic.

    `X` (n_train, n_in) are the training inputs, `others` (n_rows, n_in) those of the split.
    """
    n = count_shared_rows(X, others)
    if not n:
        return []
    return [f"{n} of {len(others)} {split_name} rows ({n / len(others):.1%}) have the inputs of a training row."]


def column_notes(table: Table, features: Sequence[Feature], options: Mapping[str, ColumnOptions]) -> list[str]:
    """Notes on input columns of a cast table that hardly help a network: ids, and texts that are nearly all rare.

    A column whose role is configured in `options` is noted only if all its levels are rare. Sketched numeric columns
    are skipped.
    """
    notes = []
    is_sketched = isinstance(table.columns, RemoteColumns) and table.columns.shards.is_sketched
    for feature in features:
        if is_sketched and feature.is_numeric:
            continue
        name, column = feature.schema.name, table.columns[feature.schema.name]
        has_role = name in options and options[name].role is not None
        reason = "" if has_role else id_reason(column, feature.schema)
        if feature.schema.role == "category":
            assert isinstance(column, CategoricalColumn)
            notes += _rare_texts(table, column, feature, is_near_unique=bool(reason), has_role=has_role)
        elif reason:
            notes.append(f"column {name}: {reason}. Leave it out: data.drop: [{format_yaml(name)}]")
        PAGE_WATCHER.release()  # releases pages of columns on disk
    return notes


def _rare_texts(
    table: Table, column: CategoricalColumn, feature: Feature, is_near_unique: bool, has_role: bool
) -> list[str]:
    counts, own_levels = column.counts, frozenset(feature.levels)
    is_rare = np.asarray([level not in own_levels for level in column.levels], np.bool_) & (counts > 0)
    n_cells, n_rare = int(counts.sum()), int(counts[is_rare].sum())
    is_lost = bool(n_rare) and (not own_levels or (2 * n_rare > n_cells and not has_role))
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
