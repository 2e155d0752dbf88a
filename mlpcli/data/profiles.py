"""What `mlp init` and `mlp check` say of each column: what it holds, and whether it is of use."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import Codes, Series, Values, is_number_dtype, number_cells, number_text, text_cells
from mlpcli.data.columns import Role, find_text_role
from mlpcli.data.dates import find_date_formats
from mlpcli.data.leaks import is_copy, levels_give_classes_away, number_gives_classes_away
from mlpcli.data.selection import Selection
from mlpcli.data.tables import Table
from mlpcli.data.tasks import are_codes, resolve_task
from mlpcli.dataclass import dataclass

Kind = Literal["number", "code", "category", "yes_no", "date", "id", "near_unique", "constant", "empty", "leak"]

_ID_NAME = re.compile(
    r"^(?i:id|ids|index|key|uuid|guid|row_?id|row_?num(ber)?|unnamed: ?\d+)$"
    r"|.*[_ .-](?i:id|key|uuid|guid)$|.*[a-z]I[dD]$"
)
# A text column with fewer known cells is too short to be called near-unique, a number column to be called a counter.
_MIN_ROWS = 20


@dataclass(frozen=True)
class ColumnProfile:
    """One column that is not a target, as found in the table.

    `kind` says more than `role`: "code" is a number that may be a code, and the last five kinds are of no use as they
    are. `drop_reason` (a short sentence without a full stop) is "" for a column to be kept, `note` is a remark on one;
    `fault` says with its place what training will refuse.
    """

    name: str
    role: Role
    kind: Kind
    n_rows: int
    n_distinct: int
    n_missing: int
    examples: tuple[str, ...]
    drop_reason: str = ""
    note: str = ""
    fault: str = ""


@dataclass(frozen=True)
class _Cells:
    """Distinct values of a column in the order they occur, the code of each cell (-1: missing), and the numbers."""

    codes: Codes
    distinct: tuple[Any, ...]
    role: Role
    numbers: Values | None = None

    @property
    def n_known(self) -> int:
        return int(np.count_nonzero(self.codes >= 0))

    @property
    def examples(self) -> tuple[str, ...]:
        return tuple(number_text(float(v)) if not isinstance(v, str) else v for v in self.distinct[:3])


def profile_columns(
    table: Table | pd.DataFrame, target_names: Sequence[str], roles: Mapping[str, Role], task: str = "auto"
) -> list[ColumnProfile]:
    """Profile every column that is not a target, in order; a column in `roles` keeps the role given there."""
    selection = Selection(table)
    targets = _leak_targets(table, selection, target_names, task)
    profiles = []
    for name in selection.columns:
        if name not in target_names:
            cells = _cells(selection.column(name), roles.get(name))
            profile = _profile(name, cells, is_role_given=name in roles)
            if not profile.drop_reason and any(_gives_away(cells, target) for target in targets):
                reason = f"gives the target away ({' or '.join(target_names)} follows from it alone)"
                profile = replace(profile, kind="leak", drop_reason=reason)
            profiles.append(_with_bad_cell(profile, selection))
    if all(profile.drop_reason for profile in profiles):
        # A table of nothing but x = 1, 2, 3, ... and y: then x is meant.
        return [_kept_if_possible(profile) for profile in profiles]
    return profiles


def _with_bad_cell(profile: ColumnProfile, selection: Selection) -> ColumnProfile:
    """A column of numbers with a text among them gets a fault that names the place."""
    if profile.role != "number" or is_number_dtype(selection.column(profile.name)):
        return profile
    cells = number_cells(selection.column(profile.name))
    if cells.bad_row < 0:
        return profile
    fault = f"{selection.where(cells.bad_row)}: {cells.bad_text!r} is no number: correct it, or name it in data.missing"
    return replace(profile, fault=fault)


def _cells(series: Series, role: Role | None) -> _Cells:
    if is_number_dtype(series) and role in (None, "number"):
        numbers = number_cells(series).values
        codes, distinct = pd.factorize(numbers)
        is_binary = len(distinct) == 2 and set(distinct.tolist()) == {0.0, 1.0}
        found: Role = "yes_no" if is_binary and role is None else "number"
        return _Cells(codes.astype(np.int64, copy=False), tuple(distinct.tolist()), found, numbers)
    cells = text_cells(series)
    if role is None:
        role = find_text_role(series, cells)
    return _Cells(cells.codes, cells.texts, role, number_cells(series).values if role == "number" else None)


def _profile(name: str, cells: _Cells, is_role_given: bool) -> ColumnProfile:
    """Kind of one column, judged without the target."""
    n_rows, n_distinct = len(cells.codes), len(cells.distinct)
    n_missing = n_rows - cells.n_known
    found = ColumnProfile(name, cells.role, cells.role, n_rows, n_distinct, n_missing, cells.examples)
    if not n_distinct:
        return replace(found, kind="empty", drop_reason="all cells are missing")
    if n_distinct == 1 and not n_missing:
        return replace(found, kind="constant", drop_reason=f"one value only ({cells.examples[0]})")
    if is_role_given:
        return found
    is_id_name = _ID_NAME.match(name) is not None
    if cells.role == "category" and n_distinct > cells.n_known / 2:
        if cells.n_known > _MIN_ROWS:
            return replace(
                found, kind="near_unique", drop_reason=f"{n_distinct} distinct texts in {cells.n_known} rows"
            )
        if is_id_name:
            return replace(found, kind="id", drop_reason="named as an id")
    if cells.role == "number" and cells.numbers is not None:
        return _number_profile(found, _distinct_numbers(cells), is_id_name)
    if cells.role == "date":
        formats = find_date_formats([str(text) for text in cells.distinct])
        note = f"could be {' or '.join(formats)}, read as {formats[0]}" if len(formats) > 1 else ""
        return replace(found, note=note)
    return found


def _number_profile(found: ColumnProfile, distinct: Values, is_id_name: bool) -> ColumnProfile:
    """Tell ids and codes from amounts."""
    distinct = distinct[~np.isnan(distinct)]
    if not len(distinct) or np.isinf(distinct).any() or not np.array_equal(distinct, np.round(distinct)):
        return found
    low, high = number_text(distinct.min()), number_text(distinct.max())
    if is_id_name and found.n_distinct > (found.n_rows - found.n_missing) / 2:
        return replace(found, kind="id", drop_reason=f"named as an id ({low} to {high})")
    if _is_counter(distinct, found):
        return replace(
            found, kind="id", drop_reason=f"each row has a whole number of its own, like an id ({low} to {high})"
        )
    if found.n_distinct > 2 and are_codes(distinct):
        return replace(found, kind="code", note=f"whole numbers {low} to {high}, read as amounts")
    return found


def _is_counter(distinct: Values, found: ColumnProfile) -> bool:
    """Whether every row has a number of its own, in a range hardly wider than the table is long; years are amounts."""
    if len(distinct) < found.n_rows or len(distinct) <= _MIN_ROWS:
        return False
    are_years = distinct.min() >= 1800 and distinct.max() <= 2200
    is_dense = distinct.min() >= 0 and distinct.max() - distinct.min() < 1.5 * len(distinct)
    return bool(is_dense and not are_years)


def _kept_if_possible(profile: ColumnProfile) -> ColumnProfile:
    """Of a table in which nothing else is left: what may be meant as the input after all."""
    is_counter = profile.kind == "id" and profile.role == "number" and not _ID_NAME.match(profile.name)
    if not is_counter and profile.kind != "leak":
        return profile
    what = "gives the target away" if profile.kind == "leak" else "looks like an id"
    return replace(profile, kind=profile.role, drop_reason="", note=f"{what}, kept as there is no other input")


def _leak_targets(
    table: Table | pd.DataFrame, selection: Selection, names: Sequence[str], task: str
) -> list[NDArray[Any]]:
    """Class codes (int64) or amounts (float64) of each target that columns are compared with."""
    if not names:
        return []
    if resolve_task(table, names, task)[0] == "regression":
        return [number_cells(selection.column(name)).values for name in names]
    targets = [selection.texts(name) for name in names]
    return [cells.codes for cells in targets if 2 <= len(cells.texts) <= len(cells.codes) / 2]


def _distinct_numbers(cells: _Cells) -> Values:
    """The number of each code; texts of the same number have codes of their own."""
    if cells.numbers is None:
        return np.zeros(0)
    numbers = np.full(len(cells.distinct), np.nan)
    numbers[cells.codes[cells.codes >= 0]] = cells.numbers[cells.codes >= 0]
    return numbers


def _gives_away(cells: _Cells, target: NDArray[Any]) -> bool:
    if target.dtype == np.float64:
        return cells.numbers is not None and is_copy(cells.numbers, target)
    if cells.numbers is not None:
        return number_gives_classes_away(_distinct_numbers(cells), cells.codes, target)
    return levels_give_classes_away(cells.codes, target)
