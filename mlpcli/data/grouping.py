"""Groups of rows by the values of a column: distinct texts or numbers, quartiles of many numbers, missing cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import as_categorical, cast_table
from mlpcli.data.schema.findings import find_equivalent_spellings
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Role, Table
from mlpcli.errors import DataError

MAX_DISTINCT_NUMBERS = 10  # with more distinct numbers, groups are quartiles
MAX_GROUPS = 1000
QUARTILES = (0.25, 0.5, 0.75)
MISSING = "(missing)"
NO_ROLES: Mapping[str, Role] = {}


@dataclass(frozen=True)
class Groups:
    """Group names, such as "region = north", and the group index of each row (n_rows,)."""

    names: tuple[str, ...]
    codes: NDArray[np.int64]


def value_codes(column: Column) -> NDArray[np.int64]:
    """Integer code of each cell (n_rows,), -1 if missing (factorize)."""
    if isinstance(column, CategoricalColumn):
        return column.codes.astype(np.int64)
    values = np.asarray(column.values, np.float64)
    return np.where(np.isnan(values), -1, np.unique(values, return_inverse=True)[1].astype(np.int64))


def group_rows(table: Table, name: str, roles: Mapping[str, Role] = NO_ROLES) -> Groups:
    """Group rows by one column; `roles` are of the columns already cast, others are inferred.

    Raises DataError if the column does not exist or has too many values.
    """
    if name not in table.columns:
        raise DataError(f"{table.name}: --by {name}: no such column.{name_hint(name, table.column_names)}")
    column = table.columns[name] if name in roles else _inferred_column(table, name)
    if isinstance(column, NumericColumn):
        values = np.asarray(column.values, np.float64)
        is_number = roles.get(name, "number") == "number"
        if is_number and len(np.unique(values[~np.isnan(values)])) > MAX_DISTINCT_NUMBERS:
            return _named_groups(name, *_quartiles(values))
    column = as_categorical(column)
    if len(column.levels) > MAX_GROUPS:
        raise DataError(
            f"{table.name}: --by {name}: {len(column.levels)} values, and at most {MAX_GROUPS} groups are scored. "
            "Choose a column with fewer."
        )
    return _named_groups(name, column.levels, column.codes.astype(np.int64))


def group_labels(table: Table, name: str) -> CategoricalColumn:
    """Group texts of a cast column; raises DataError if it does not exist."""
    if name not in table.columns:
        hint = name_hint(name, table.column_names)
        raise DataError(f"{table.name}: column {name} is missing: intervals are made for each of its groups.{hint}")
    return as_categorical(table.columns[name])


def notes_on_groups(table: Table, names: Sequence[str]) -> list[str]:
    """Notes for the user on grouping columns as read: two spellings of a number are one group."""
    notes = []
    for name in names:
        column = table.columns.get(name)
        if column is not None and not (
            isinstance(column, NumericColumn) and len(np.unique(column.values)) > MAX_DISTINCT_NUMBERS
        ):
            findings = find_equivalent_spellings(table, infer_schema(table, name)[0], "group")
            notes += [f"{table.name}: {finding.text}" for finding in findings]
    return notes


def cross_groups(table: Table, columns: Sequence[str], roles: Mapping[str, Role] = NO_ROLES) -> Groups:
    """Group rows by the combinations of several columns that occur; raises DataError for more than MAX_GROUPS."""
    crossed = group_rows(table, columns[0], roles)
    for column in columns[1:]:
        other = group_rows(table, column, roles)
        n_other = len(other.names)
        pairs, codes = np.unique(crossed.codes * n_other + other.codes, return_inverse=True)
        if len(pairs) > MAX_GROUPS:
            raise DataError(
                f"{table.name}: --cross: {len(pairs)} combinations of {', '.join(columns)}, and at most "
                f"{MAX_GROUPS} groups are scored. Choose fewer columns."
            )
        names = [f"{crossed.names[pair // n_other]}, {other.names[pair % n_other]}" for pair in pairs.tolist()]
        crossed = Groups(tuple(names), codes.astype(np.int64))
    return crossed


def _inferred_column(table: Table, name: str) -> Column:
    schema, findings = infer_schema(table, name)
    if schema.role != "number" or any(finding.is_fault for finding in findings):
        schema = replace(schema, role="category")
    return cast_table(table, [schema]).columns[name]


def _quartiles(values: NDArray[np.float64]) -> tuple[list[str], NDArray[np.int64]]:
    is_missing = np.isnan(values)
    edges = np.unique(np.quantile(values[~is_missing], QUARTILES))
    texts = [f"{edge:.6g}" for edge in edges.tolist()]
    inner = [f"over {low} to {high}" for low, high in pairwise(texts)]
    codes = np.searchsorted(edges, values, side="left").astype(np.int64)
    return [f"up to {texts[0]}", *inner, f"over {texts[-1]}"], np.where(is_missing, -1, codes)


def _named_groups(column: str, names: Sequence[str], codes: NDArray[np.int64]) -> Groups:
    """Groups without those that have no rows."""
    codes = np.where(codes < 0, len(names), codes)
    present, group_of_row = np.unique(codes, return_inverse=True)
    all_names = [f"{column} = {name}" for name in (*names, MISSING)]
    return Groups(tuple(all_names[code] for code in present.tolist()), group_of_row.astype(np.int64))
