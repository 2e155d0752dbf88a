"""`mlp init`: look at a table and write a config for it."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.recipes.sizes import MANY_VALUES, Recipe, RecipeName, TableSummary, choose_recipe
from mlpcli.config.recipes.starter import StarterColumn, StarterData, starter_yaml
from mlpcli.data.reading.read import read_table
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, cast_table
from mlpcli.data.schema.findings import Finding, missing_marker_notes, raise_faults
from mlpcli.data.schema.number_formats import format_as_yaml
from mlpcli.data.schema.profile import ColumnProfile, profile_columns
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.schema.spelling import PLAIN, NumberFormat
from mlpcli.data.schema.task import TargetSpec, infer_targets
from mlpcli.data.table import CategoricalColumn, Column, Rows, Table, TableFormat
from mlpcli.data.targets.encode import encode_target, fit_target, rows_with_target
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import DataError, MlpError, OutputError
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.preparing.rows.group_detection import find_group
from mlpcli.workflows.preparing.warnings.row_warnings import rarest_class
from mlpcli.workflows.schema import modeline

SAY_TASK = "mlp init --task"


@dataclass(frozen=True)
class Starter:
    """A config for a table, and what was found on the way."""

    text: str
    table: Table
    targets: tuple[str, ...]
    is_target_guessed: bool
    task: str
    task_reason: str
    class_counts: dict[str, int]
    profiles: tuple[ColumnProfile, ...]
    notes: tuple[str, ...]
    data: StarterData
    recipe: Recipe
    read_seconds: float = 0.0
    seconds: float | None = None
    budget: float | None = None


def init(
    source: str,
    targets: tuple[str, ...] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    recipe: RecipeName = "strong",
    task: str = "auto",
    output: str = "-",
) -> Starter:
    """Read a table and choose; without `targets` the last column is taken, `task` "auto" is told by the targets.

    `output` is where the config will stand: it names its schema by a path from there. Raises DataError.
    """
    started = perf_counter()
    table, targets, is_guessed = _read(source, targets, TableFormat(delimiter, encoding))
    seconds = perf_counter() - started
    found = starter_for(table, targets, source, recipe, task, delimiter, encoding, output)
    return replace(found, is_target_guessed=is_guessed, read_seconds=seconds)


def starter_for(
    table: Table,
    targets: tuple[str, ...],
    source: str,
    recipe: RecipeName = "strong",
    task: str = "auto",
    delimiter: str | None = None,
    encoding: str | None = None,
    output: str = "-",
) -> Starter:
    """The same for a table that was read from `source`; raises DataError."""
    plan, disguised = _plan_targets(table, targets, task)
    counts, rows, truth, note = _look_at_targets(table, plan)
    profiles = tuple(profile_columns(table, plan, {}))
    _refuse_without_inputs(table, targets, profiles)
    rarest = rarest_class(list(counts), list(counts.values())) if counts else ""
    group = find_group(table, rows, truth, profiles)
    inputs = [one for one in profiles if group is None or one.name != group.name]
    n_fine, held_together = sum(map(_is_fine, inputs)), group.name if group else ""
    facts = TableSummary(plan.task, len(rows), len(counts), n_fine, rarest, len(targets), held_together)
    schemas = [*plan.schemas, *(one.schema for one in profiles if not one.drop_reason)]
    formats = _number_formats(table, schemas, disguised)
    shared = _shared_signs(formats)
    guessed = (*table.notes, *missing_marker_notes(table, schemas))
    data = StarterData(
        train=source,
        targets=targets,
        facts=facts,
        task_reason=plan.reason,
        columns=_columns(targets, inputs, disguised, formats, shared),
        dropped={one.name: one.drop_reason for one in inputs if one.drop_reason},
        delimiter=delimiter,
        encoding=encoding or _odd_encoding(table),
        decimal=shared.decimal,
        thousands=shared.thousands,
        notes=guessed,
        modeline=modeline(output),
    )
    chosen = choose_recipe(recipe, facts)
    notes = [*([note] if note else []), *([group.note(targets)] if group else [])]
    return Starter(
        starter_yaml(data, chosen),
        table,
        targets,
        False,
        plan.task,
        plan.reason,
        dict(counts.most_common()),
        profiles,
        (*guessed, *notes, *_notes(plan, disguised, profiles)),
        data,
        chosen,
    )


def _refuse_without_inputs(table: Table, targets: Sequence[str], profiles: Sequence[ColumnProfile]) -> None:
    """Raise DataError where every column is dropped."""
    if all(one.drop_reason for one in profiles):
        reasons = "; ".join(f"{one.name}: {one.drop_reason}" for one in profiles[:4])
        raise DataError(f"{table.name}: no column is left to predict {', '.join(targets)} from ({reasons}).")


def _notes(plan: TargetSpec, disguised: Mapping[str, Finding], profiles: Sequence[ColumnProfile]) -> list[str]:
    """What was found of the targets and the columns, a sentence each."""
    return [
        *(finding.text for finding in plan.findings),
        *(note.text for finding in disguised.values() for note in finding.doubts),
        *(one.fault for one in profiles if one.fault),
        *(f"column {one.name}: {_without_name(one, one.note)}" for one in profiles if one.is_noteworthy),
    ]


def _read(source: str, targets: tuple[str, ...], table_format: TableFormat) -> tuple[Table, tuple[str, ...], bool]:
    """The table, the target columns, and whether these were guessed."""
    targets = tuple(dict.fromkeys(targets))
    if source == "-" and not targets:
        raise MlpError("standard input is read once: name the column to predict with --target.")
    table = read_table(source, table_format, configured=targets, spelled=targets)
    is_guessed = not targets
    targets = targets or (table.names[-1],)
    for name in targets:
        if name not in table.columns:
            raise DataError(f"{table.name}: no column {name!r}.{name_hint(name, table.names)}")
    if len(table.names) == len(targets):
        raise DataError(f"{table.name}: the table has no column besides the target to predict it from.")
    return table, targets, is_guessed


def _plan_targets(table: Table, targets: tuple[str, ...], task: str) -> tuple[TargetSpec, dict[str, Finding]]:
    """The task, and what was found of targets that are numbers in disguise.

    Raises DataError for a target that is not what it seems to be.
    """
    disguised = {}
    for name in targets:
        finding = next((found for found in infer_schema(table, name)[1] if found.number is not None), None)
        if finding is not None and task != "classification":
            disguised[name] = finding
    options = {name: _options(finding.number or PLAIN) for name, finding in disguised.items()}
    plan = infer_targets(table, targets, task, options, instruction=SAY_TASK)
    raise_faults(plan.findings)
    return plan, disguised


def _number_formats(
    table: Table, schemas: Sequence[ColumnSchema], disguised: Mapping[str, Finding]
) -> dict[str, NumberFormat]:
    """How the numbers of each column are written that is in use and has signs in its numbers."""
    formats = {one.name: one.number for one in schemas if one.role == "number"}
    formats |= {name: finding.number for name, finding in disguised.items() if finding.number is not None}
    return {name: one for name, one in formats.items() if not one.is_plain or _has_points(table.columns[name])}


def _columns(
    targets: tuple[str, ...],
    profiles: Sequence[ColumnProfile],
    disguised: Mapping[str, Finding],
    formats: Mapping[str, NumberFormat],
    shared: NumberFormat,
) -> tuple[StarterColumn, ...]:
    """What the config says of the columns, beside the signs that all share."""
    plain = format_as_yaml(shared, shared)
    written = {name: format_as_yaml(formats[name], shared) for name in targets if name in formats}
    doubts = {name: finding.doubt for name, finding in disguised.items()}
    return (
        *(StarterColumn(name, yaml, doubts.get(name, "")) for name, yaml in written.items() if yaml != plain),
        *(
            StarterColumn(one.name, _role(one, formats.get(one.name, shared), shared), _remark(one))
            for one in profiles
            if not one.drop_reason
        ),
    )


def _has_points(column: Column) -> bool:
    """Whether numbers that are written plainly have decimals."""
    if isinstance(column, CategoricalColumn):
        return any("." in level for level in column.levels)
    return column.values.dtype.kind == "f" and bool(np.any(np.mod(column.values[~np.isnan(column.values)], 1)))


def _shared_signs(formats: Mapping[str, NumberFormat]) -> NumberFormat:
    """The decimal comma, and the sign between thousands, that most columns share; else the plain format."""
    n_commas = sum(one.decimal == "," for one in formats.values())
    if n_commas < 2 or 2 * n_commas <= len(formats):
        return PLAIN
    thousands = {one.thousands for one in formats.values() if one.decimal == ","} - {""}
    return NumberFormat(decimal=",", thousands=thousands.pop() if len(thousands) == 1 else "")


def _options(number: NumberFormat) -> ColumnOptions:
    return ColumnOptions(
        role="number", prefix=number.prefix, suffix=number.suffix, decimal=number.decimal,
        thousands=number.thousands or None, parentheses=number.parentheses,
    )  # fmt: skip


def _role(profile: ColumnProfile, number: NumberFormat, shared: NumberFormat) -> str:
    """What the config says of a column: its role, and how it is written where that is not as in all columns."""
    if profile.role == "number" and (written := format_as_yaml(number, shared)) != format_as_yaml(shared, shared):
        return written
    if profile.role == "date" and " or " in profile.note:  # the cells leave it open
        return f"{{role: date, format: {profile.schema.date_format}}}"
    if profile.role == "category" and profile.fault:  # which naming the role would settle
        return "{role: null}"
    return profile.role


def _look_at_targets(table: Table, plan: TargetSpec) -> tuple[Counter[str], Rows, NDArray[Any], str]:
    """The count of each class, the rows with a target, their targets, and a sentence where others have none."""
    names = [schema.name for schema in plan.schemas]
    read = cast_table(table, plan.schemas)
    rows, note = rows_with_target(read, names)
    target, state = fit_target(read, plan.schemas, plan.task, rows)
    truth = encode_target(target, state, read, rows)
    if not isinstance(target, ClassTarget):
        return Counter(), rows, truth, note
    codes = truth.astype(np.int64)
    counts = Counter(dict(zip(target.labels, np.bincount(codes, minlength=len(target.labels)).tolist(), strict=True)))
    if max(counts.values()) == 1:
        raise DataError(
            f"{table.name}: each of the {len(rows)} rows has a {names[0]} of its own: nothing to learn from."
        )
    return counts, rows, codes, note


def _odd_encoding(table: Table) -> str | None:
    """The encoding that was found, where a later file might be taken for another."""
    return None if table.format.encoding in (None, "utf-8") else table.format.encoding


def _is_fine(profile: ColumnProfile) -> bool:
    """Whether a column is an input that takes many values."""
    is_amount = profile.role in ("number", "date") and not profile.drop_reason
    return is_amount and profile.n_distinct >= MANY_VALUES


def write_config(starter: Starter, path: str, force: bool) -> None:
    """Write the config; raises OutputError, also for a file that is there already unless `force`."""
    if (os.path.isfile(path) or os.path.islink(path)) and not force:
        raise OutputError(f"{path}: exists already. Choose another name, or replace it with --force.")
    write_file(path, starter.text.encode())


def _remark(profile: ColumnProfile) -> str:
    parts = [f"{profile.n_distinct} levels"] if profile.role == "category" else []
    parts += [f"{profile.n_missing} missing"] if profile.n_missing else []
    remarks = [remark for remark in (profile.note, profile.fault) if remark]
    return ", ".join(parts + [_without_name(profile, remark) for remark in remarks])


def _without_name(profile: ColumnProfile, remark: str) -> str:
    return remark.replace(f"column {profile.name}: ", "")
