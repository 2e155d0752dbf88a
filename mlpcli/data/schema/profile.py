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
# A text column with fewer known cells is too short to be called near-unique, a number column to be called a counter.
_MIN_ROWS = 20


def is_entity_name(name: str) -> bool:
    """Whether the name of a column identifies whose row it is: patient_id, customer, an id."""
    return bool(_ID_NAME.match(name) or _ENTITY_NAME.match(name))


def may_group_rows(name: str) -> bool:
    """Whether a column may identify related rows though it is no input: by entity or by time."""
    return is_entity_name(name) or bool(_TIME_NAME.search(name))


@dataclass(frozen=True)
class ColumnProfile:
    """One column that is not a target, as found in the table.

    `kind` says more than the role: "code" is a number that may be a code, and the last five kinds are of no use as they
    are. `drop_reason` (a short sentence without a full stop) is "" for a column to be kept, `note` is a remark on one;
    `fault` says with its place what training will refuse.
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
        """Whether its note is of what the cells leave open, of a column that is kept."""
        return bool(self.note) and not self.drop_reason and self.kind != "code"

    @property
    def name(self) -> str:
        """The column."""
        return self.schema.name

    @property
    def role(self) -> Role:
        """What its cells are read as."""
        return self.schema.role


@dataclass(frozen=True)
class _FactorizedColumn:
    """The code of each cell (-1: missing) over the distinct texts or numbers, and of numbers the values."""

    codes: Codes
    texts: tuple[str, ...]
    distinct: Values | None = None
    values: Values | None = None


def profile_columns(
    table: Table,
    targets: TargetSpec,
    options: Mapping[str, ColumnOptions],
    writing: TextFormat = TextFormat(),  # noqa: B008
) -> list[ColumnProfile]:
    """Profile every column of a table as read that is not a target, in order.

    Numbers in disguise are profiled as the numbers they are.
    """
    names = [schema.name for schema in targets.schemas]
    truths = _leak_targets(table, targets)
    profiles = []
    for name in table.names:
        if name in names:
            continue
        schema, findings = infer_schema(table, name, options.get(name, INFER), writing)
        if (disguise := next((finding for finding in findings if finding.number is not None), None)) is not None:
            schema, findings = replace(schema, role="number", number=disguise.number or PLAIN), disguise.doubts
        cells, fault = _cells(table, schema, findings)
        profile = _profile(schema, cells, name in options)
        notes = [text for text in (profile.note, *_notes(findings)) if text]
        profile = replace(profile, note="; ".join(notes), fault=fault)
        if not profile.drop_reason and any(_leaks(cells, truth) for truth in truths):
            reason = f"leaks the target ({' or '.join(names)} can be derived from it alone)"
            profile = replace(profile, kind="leak", drop_reason=reason)
        profiles.append(profile)
    if all(profile.drop_reason for profile in profiles):
        # A table of nothing but x = 1, 2, 3, ... and y: then x is meant.
        return [_keep_if_only_input(profile) for profile in profiles]
    return profiles


def _notes(findings: Sequence[Finding]) -> list[str]:
    return [finding.text for finding in findings if not finding.is_fault]


def _cells(table: Table, schema: ColumnSchema, findings: Sequence[Finding]) -> tuple[_FactorizedColumn, str]:
    """The cells as their role has them, and what training will refuse about them."""
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
    distinct, codes = np.unique(values, return_inverse=True)
    n_known = int(np.count_nonzero(~np.isnan(distinct)))
    codes = np.where(np.isnan(values), -1, codes)
    texts = as_categorical(NumericColumn(distinct[:n_known][:3], "date" if schema.role == "date" else None)).levels
    return _FactorizedColumn(codes, texts, distinct[:n_known], values)


def id_reason(column: Column, schema: ColumnSchema) -> str:
    """Why a cast column looks like a row id, such as "its name is that of an id"; "" if it does not."""
    if isinstance(column, NumericColumn):
        may_be_one = _ID_NAME.match(schema.name) or _may_be_counter(column.values)
        if schema.role != "number" or not may_be_one:
            return ""
    profile = _profile(schema, _factorize(column, schema), is_role_given=False)
    return profile.drop_reason if profile.kind in ("id", "near_unique") else ""


def _may_be_counter(values: NDArray[Any]) -> bool:
    """A cheap necessary condition of `_is_counter`, without sorting."""
    few, n_rows = values[:_MIN_ROWS], len(values)
    if not np.array_equal(few, np.round(few)) or n_rows <= _MIN_ROWS:
        return False
    return bool(n_rows - 1 <= float(values.max()) - float(values.min()) < 1.5 * n_rows)


def _profile(schema: ColumnSchema, cells: _FactorizedColumn, is_role_given: bool) -> ColumnProfile:
    """The profile of one column, without regard to the target."""
    n_rows = len(cells.codes)
    counts = np.bincount(cells.codes + 1, minlength=1)
    n_missing, n_distinct = int(counts[0]), int(np.count_nonzero(counts[1:]))
    found = ColumnProfile(schema, schema.role, n_rows, n_distinct, n_missing, cells.texts[:3])
    n_known = n_rows - n_missing
    if not n_distinct:
        return replace(found, kind="empty", drop_reason="all cells are missing")
    if n_distinct == 1 and not n_missing:
        return replace(found, kind="constant", drop_reason=f"one value only ({cells.texts[0]})")
    if is_role_given:
        return found
    is_id_name = _ID_NAME.match(schema.name) is not None
    if schema.role == "category" and n_distinct > n_known / 2:
        if n_known > _MIN_ROWS:
            return replace(found, kind="near_unique", drop_reason=f"{n_distinct} distinct texts in {n_known} rows")
        if is_id_name:
            return replace(found, kind="id", drop_reason="its name is that of an id")
    if schema.role == "number" and cells.distinct is not None:
        return _number_profile(found, cells.distinct, is_id_name)
    return found


def _number_profile(found: ColumnProfile, distinct: Values, is_id_name: bool) -> ColumnProfile:
    """Distinguish ids, codes and booleans from numeric columns."""
    if np.isinf(distinct).any() or not np.array_equal(distinct, np.round(distinct)):
        return found
    if np.array_equal(distinct, [0.0, 1.0]):
        return replace(found, schema=replace(found.schema, role="boolean", levels=("0", "1")), kind="boolean")
    low, high = number_text(distinct.min()), number_text(distinct.max())
    if is_id_name and found.n_distinct > (found.n_rows - found.n_missing) / 2:
        return replace(found, kind="id", drop_reason=f"its name is that of an id ({low} to {high})")
    if _is_counter(distinct, found):
        return replace(found, kind="id", drop_reason=f"a different integer in each row, like an id ({low} to {high})")
    if found.n_distinct > 2 and are_codes(distinct):
        return replace(found, kind="code", note=f"integers {low} to {high}, read as numeric")
    return found


def _is_counter(distinct: Values, found: ColumnProfile) -> bool:
    """Whether every row has its own integer, in a range not much wider than n_rows; years are numeric."""
    if len(distinct) < found.n_rows or len(distinct) <= _MIN_ROWS:
        return False
    are_years = distinct.min() >= 1800 and distinct.max() <= 2200
    is_dense = distinct.min() >= 0 and distinct.max() - distinct.min() < 1.5 * len(distinct)
    return bool(is_dense and not are_years)


def _keep_if_only_input(profile: ColumnProfile) -> ColumnProfile:
    """Keep a counter or leaking column of a table without other inputs."""
    is_counter = profile.kind == "id" and profile.role == "number" and not _ID_NAME.match(profile.name)
    if not is_counter and profile.kind != "leak":
        return profile
    what = "leaks the target" if profile.kind == "leak" else "looks like an id"
    return replace(profile, kind=profile.role, drop_reason="", note=f"{what}, kept because there is no other input")


def _leak_targets(table: Table, targets: TargetSpec) -> list[NDArray[Any]]:
    """Class codes (int) or numbers (float64) of each target, for the leak tests."""
    found: list[NDArray[Any]] = []
    for column in cast_table(table, targets.schemas).columns.values():
        if isinstance(column, NumericColumn):
            found.append(np.asarray(column.values, np.float64))
        elif 2 <= len(column.levels) <= len(column.codes) / 2:
            found.append(column.codes)
    return found


def _leaks(cells: _FactorizedColumn, target: NDArray[Any]) -> bool:
    if target.dtype == np.float64:
        return cells.values is not None and is_linear_copy(cells.values, target)
    if cells.distinct is not None:
        return number_determines_classes(cells.distinct, cells.codes, target)
    return levels_determine_classes(cells.codes, target)
