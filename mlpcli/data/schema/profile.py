"""Column profiles of `mlp init` and `mlp check`: contents, and whether a column is useful."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, as_categorical, cast_table
from mlpcli.data.schema.findings import Finding
from mlpcli.data.schema.leaks import is_linear_copy, levels_determine_classes, number_determines_classes
from mlpcli.data.schema.roles import INFER, TextFormat, infer_schema
from mlpcli.data.schema.spelling import PLAIN, number_text
from mlpcli.data.schema.task import TargetSpec, are_codes
from mlpcli.data.table import CategoricalColumn, Codes, Column, NumericColumn, Role, Table, Values
from mlpcli.errors import DataError

Kind = Literal["number", "code", "category", "boolean", "date", "id", "near_unique", "constant", "empty", "leak"]

_ID_NAME = re.compile(
    r"^(?i:id|ids|index|key|uuid|guid|row_?id|row_?num(ber)?|unnamed: ?\d+)$"
    r"|.*[_ .-](?i:id|key|uuid|guid)$|.*[a-z]I[dD]$"
)
_ENTITY_NAME = re.compile(
    r"(?i)^(.*[_ .-])?(patient|subject|participant|person|user|customer|client|account|household|family|animal|mouse|"
    r"plot|site|machine|device|sensor|engine|vehicle|driver|player|student|speaker|writer|session|visit|employee|member|"
    r"batch|specimen|donor|cow|well|station)([_ .-]?(id|no|nr|num|number|code|key))?$"
)
_TIME_NAME = re.compile(r"(?i)(date|time|day|month|year|week|stamp|created|updated)")
# Minimum number of non-missing cells to call a text column near-unique, or a numeric column a counter.
_MIN_ROWS = 20


def is_entity_name(name: str) -> bool:
    """Whether the name of a column is that of an entity or an id: customer, patient_id."""
    return bool(_ID_NAME.match(name) or _ENTITY_NAME.match(name))


def may_group_rows(name: str) -> bool:
    """Whether a column, by its name, may identify related rows although it is not an input: by entity or by time."""
    return is_entity_name(name) or bool(_TIME_NAME.search(name))


def are_years(numbers: Values) -> bool:
    """Whether numbers are integers that may all be years."""
    is_in_range = numbers.min() >= 1800 and numbers.max() <= 2200
    return bool(is_in_range and np.array_equal(numbers, np.round(numbers)))


@dataclass(frozen=True)
class ColumnProfile:
    """Profile of a column that is not a target.

    `kind` refines the role: "code" is a numeric column that may hold codes, and the last five kinds are not useful as
    inputs. `drop_reason` (a sentence without a full stop) is "" for a column to be kept, `note` is a remark on one.
    `fault` is the error, with its location, that training would raise.
    """

    schema: ColumnSchema
    kind: Kind
    n_rows: int
    n_distinct: int
    n_missing: int
    examples: tuple[str, ...]
    drop_reason: str = ""
    note: str = ""
    fault: str = ""

    @property
    def is_noteworthy(self) -> bool:
        """Whether the column is kept and its note reports an ambiguity."""
        return bool(self.note) and not self.drop_reason and self.kind != "code"

    @property
    def name(self) -> str:
        """The name of the column."""
        return self.schema.name

    @property
    def role(self) -> Role:
        """The role of the column."""
        return self.schema.role


@dataclass(frozen=True)
class _FactorizedColumn:
    """Codes (n_rows,), -1 if missing, of distinct `texts` or numbers `uniques`; `values` (n_rows,) of numbers."""

    codes: Codes
    texts: tuple[str, ...]
    uniques: Values | None = None
    values: Values | None = None


def profile_columns(
    table: Table,
    targets: TargetSpec,
    options: Mapping[str, ColumnOptions],
    text_format: TextFormat = TextFormat(),  # noqa: B008
) -> list[ColumnProfile]:
    """Profile every column of a table, before casting, that is not a target; in order.

    Formatted numbers are profiled as numbers.
    """
    names = [schema.name for schema in targets.schemas]
    target_values = _leak_targets(table, targets)
    profiles = []
    for name in table.names:
        if name in names:
            continue
        schema, findings = infer_schema(table, name, options.get(name, INFER), text_format)
        if (formatted := next((finding for finding in findings if finding.number is not None), None)) is not None:
            schema, findings = replace(schema, role="number", number=formatted.number or PLAIN), formatted.doubts
        cells, fault = _cells(table, schema, findings)
        profile = _profile(schema, cells, name in options)
        notes = [profile.note, *(finding.text for finding in findings if not finding.is_fault)]
        profile = replace(profile, note="; ".join(filter(None, notes)), fault=fault)
        if not profile.drop_reason and any(_leaks(cells, values) for values in target_values):
            reason = f"leaks the target ({' or '.join(names)} can be derived from it alone)"
            profile = replace(profile, kind="leak", drop_reason=reason)
        profiles.append(profile)
    if all(profile.drop_reason for profile in profiles):
        # In a table of only x = 1, 2, 3, ... and y, x is meant as the input.
        return [_keep_if_only_input(profile) for profile in profiles]
    return profiles


def _cells(table: Table, schema: ColumnSchema, findings: Sequence[Finding]) -> tuple[_FactorizedColumn, str]:
    """The cells, cast to their role if they are valid, and the error that training would raise, or ""."""
    fault = next((finding.text for finding in findings if finding.is_fault), "")
    column: Column = table.columns[schema.name]
    if not fault:
        try:
            column = cast_table(table, [schema]).columns[schema.name]
        except DataError as error:
            fault = str(error)
    return _factorize(column, schema), fault


def _factorize(column: Column, schema: ColumnSchema) -> _FactorizedColumn:
    if isinstance(column, CategoricalColumn):
        return _FactorizedColumn(column.codes, column.levels)
    values = np.asarray(column.values, np.float64)
    uniques, codes = np.unique(values, return_inverse=True)
    n_known = int(np.count_nonzero(~np.isnan(uniques)))
    codes = np.where(np.isnan(values), -1, codes)
    texts = as_categorical(NumericColumn(uniques[:n_known][:3], "date" if schema.role == "date" else None)).levels
    return _FactorizedColumn(codes, texts, uniques[:n_known], values)


def id_reason(column: Column, schema: ColumnSchema) -> str:
    """Why a cast column looks like a row id, such as "its name is that of an id"; "" if it does not."""
    if isinstance(column, NumericColumn):
        could_be_id = _ID_NAME.match(schema.name) or _could_be_counter(column.values)
        if schema.role != "number" or not could_be_id:
            return ""
    profile = _profile(schema, _factorize(column, schema), is_role_given=False)
    return profile.drop_reason if profile.kind in ("id", "near_unique") else ""


def _could_be_counter(values: NDArray[Any]) -> bool:
    """A cheap necessary condition of `_is_counter`, without sorting."""
    first_values, n_rows = values[:_MIN_ROWS], len(values)
    if not np.array_equal(first_values, np.round(first_values)) or n_rows <= _MIN_ROWS:
        return False
    return bool(n_rows - 1 <= float(values.max()) - float(values.min()) < 1.5 * n_rows)


def _profile(schema: ColumnSchema, cells: _FactorizedColumn, is_role_given: bool) -> ColumnProfile:
    """The profile of a column, regardless of the target."""
    n_rows = len(cells.codes)
    counts = np.bincount(cells.codes + 1, minlength=1)
    n_missing, n_distinct = int(counts[0]), int(np.count_nonzero(counts[1:]))
    profile = ColumnProfile(schema, schema.role, n_rows, n_distinct, n_missing, cells.texts[:3])
    n_known = n_rows - n_missing
    if not n_distinct:
        return replace(profile, kind="empty", drop_reason="all cells are missing")
    if n_distinct == 1 and not n_missing:
        return replace(profile, kind="constant", drop_reason=f"one value only ({cells.texts[0]})")
    if is_role_given:
        return profile
    is_id_name = _ID_NAME.match(schema.name) is not None
    if schema.role == "category" and n_distinct > n_known / 2:
        if n_known > _MIN_ROWS:
            return replace(profile, kind="near_unique", drop_reason=f"{n_distinct} distinct texts in {n_known} rows")
        if is_id_name:
            return replace(profile, kind="id", drop_reason="its name is that of an id")
    if schema.role == "number" and cells.uniques is not None:
        return _number_profile(profile, cells.uniques, is_id_name)
    return profile


def _number_profile(profile: ColumnProfile, uniques: Values, is_id_name: bool) -> ColumnProfile:
    """Distinguish ids, codes and booleans from numeric columns."""
    if np.isinf(uniques).any() or not np.array_equal(uniques, np.round(uniques)):
        return profile
    if np.array_equal(uniques, [0.0, 1.0]):
        return replace(profile, schema=replace(profile.schema, role="boolean", levels=("0", "1")), kind="boolean")
    low, high = number_text(uniques.min()), number_text(uniques.max())
    if is_id_name and profile.n_distinct > (profile.n_rows - profile.n_missing) / 2:
        return replace(profile, kind="id", drop_reason=f"its name is that of an id ({low} to {high})")
    if _is_counter(uniques, profile):
        return replace(profile, kind="id", drop_reason=f"a different integer in each row, like an id ({low} to {high})")
    if profile.n_distinct > 2 and are_codes(uniques):
        return replace(profile, kind="code", note=f"integers {low} to {high}, read as numeric")
    return profile


def _is_counter(uniques: Values, profile: ColumnProfile) -> bool:
    """Whether every row has its own integer, in a range not much wider than n_rows; years are numeric."""
    if len(uniques) < profile.n_rows or len(uniques) <= _MIN_ROWS:
        return False
    is_dense = uniques.min() >= 0 and uniques.max() - uniques.min() < 1.5 * len(uniques)
    return bool(is_dense and not are_years(uniques))


def _keep_if_only_input(profile: ColumnProfile) -> ColumnProfile:
    """Keep a counter or leaking column of a table without other inputs."""
    is_counter = profile.kind == "id" and profile.role == "number" and not _ID_NAME.match(profile.name)
    if not is_counter and profile.kind != "leak":
        return profile
    reason = "leaks the target" if profile.kind == "leak" else "looks like an id"
    return replace(profile, kind=profile.role, drop_reason="", note=f"{reason}, kept because there is no other input")


def _leak_targets(table: Table, targets: TargetSpec) -> list[NDArray[Any]]:
    """Class codes (int) or numbers (float64) of each target, for the leak tests."""
    profile: list[NDArray[Any]] = []
    for column in cast_table(table, targets.schemas).columns.values():
        if isinstance(column, NumericColumn):
            profile.append(np.asarray(column.values, np.float64))
        elif 2 <= len(column.levels) <= len(column.codes) / 2:
            profile.append(column.codes)
    return profile


def _leaks(cells: _FactorizedColumn, target: NDArray[Any]) -> bool:
    if target.dtype == np.float64:
        return cells.values is not None and is_linear_copy(cells.values, target)
    if cells.uniques is not None:
        return number_determines_classes(cells.uniques, cells.codes, target)
    return levels_determine_classes(cells.codes, target)
