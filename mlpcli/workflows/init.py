"""`mlp init`: profile a table and write a config for it."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.recipes.sizes import MANY_VALUES, Recipe, RecipeName, TableSummary, choose_recipe
from mlpcli.config.recipes.starter import StarterData, starter_yaml
from mlpcli.data.reading.read import DETECTED, read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import cast_table
from mlpcli.data.schema.findings import Finding, missing_marker_notes, raise_faults
from mlpcli.data.schema.profile import ColumnProfile, profile_columns
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.schema.spelling import PLAIN
from mlpcli.data.schema.task import TargetSpec, infer_targets
from mlpcli.data.table import NumericColumn, Rows, Table, TableFormat
from mlpcli.data.targets.encode import encode_target, fit_target, rows_with_target
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import DataError, MlpError, OutputError
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.preparing.warnings.row_warnings import rarest_class
from mlpcli.workflows.schema import modeline
from mlpcli.workflows.starter.columns import (
    number_column_options,
    number_formats,
    shared_number_format,
    starter_columns,
    without_column_name,
)
from mlpcli.workflows.starter.group_detection import find_group_column
from mlpcli.workflows.starter.level_detection import with_levels
from mlpcli.workflows.starter.skewed_target import is_worth_trying

SAY_TASK = "mlp init --task"
SETTABLE = ("header", "missing", "comment", "skip_rows", "sheet")  # of `data`, by `--set`
TRIED_RECIPES = ("best", "strong")  # for which trials decide


@dataclass(frozen=True)
class Starter:
    """The text of a config for a table, with the task, the column profiles and the notes that led to it.

    `class_counts` is empty unless the task has classes. `read_seconds` is the time to read the table, `seconds` the
    expected duration of the training, `budget` the time limit of the training in seconds; None if not computed.
    """

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
    format: TableFormat = DETECTED,
) -> Starter:
    """Read a table and choose its config; the default target is the last column, the task "auto" is inferred from it.

    `output` is the path of the config, from which its comment for editors names the schema. `format` says how the file
    is read, apart from delimiter and encoding (see `format_from`). Raises DataError.
    """
    started = perf_counter()
    format = replace(format, delimiter=delimiter, encoding=encoding)
    table, targets, is_guessed = _read(source, targets, format)
    seconds = perf_counter() - started
    starter = starter_for(table, targets, source, recipe, task, format, output)
    return replace(starter, is_target_guessed=is_guessed, read_seconds=seconds)


def starter_for(
    table: Table,
    targets: tuple[str, ...],
    source: str,
    recipe: RecipeName = "strong",
    task: str = "auto",
    format: TableFormat = DETECTED,
    output: str = "-",
) -> Starter:
    """As `init`, for a table that was already read from `source` in `format`; raises DataError."""
    target_spec, number_findings = _infer_targets(table, targets, task)
    counts, rows, truth, note = _encode_targets(table, target_spec)
    profiles = tuple(profile_columns(table, target_spec, {}))
    _refuse_without_inputs(table, targets, profiles)
    rarest = rarest_class(list(counts), list(counts.values())) if counts else ""
    schemas = [*target_spec.schemas, *(profile.schema for profile in profiles if not profile.drop_reason)]
    group, n_codes = find_group_column(table, rows, truth, profiles), 0
    if recipe != "textbook":
        profiles, n_codes = with_levels(table, rows, truth, profiles, group.name if group else "")
    inputs = [profile for profile in profiles if group is None or profile.name != group.name]
    n_continuous, group_column = sum(map(_is_continuous, inputs)), group.name if group else ""
    summary = TableSummary(
        target_spec.task, len(rows), len(counts), n_continuous, rarest, len(targets), group_column, n_codes
    )
    formats = number_formats(table, schemas, number_findings)
    shared = shared_number_format(formats)
    guessed = (*table.notes, *missing_marker_notes(table, schemas))
    data = StarterData(
        train=source,
        targets=targets,
        summary=summary,
        task_reason=target_spec.reason,
        columns=starter_columns(targets, inputs, number_findings, formats, shared),
        dropped={profile.name: profile.drop_reason for profile in inputs if profile.drop_reason},
        reading=_reading_keys(replace(format, encoding=format.encoding or _ambiguous_encoding(table))),
        decimal=shared.decimal,
        thousands=shared.thousands,
        notes=guessed,
        modeline=modeline(output),
    )
    if recipe in TRIED_RECIPES and summary.task == "regression" and len(targets) == 1:
        data = _with_frequency_trial(table, rows, _with_target_trial(table, rows, target_spec, data))
    chosen = choose_recipe(recipe, data.summary)
    notes = [*([note] if note else []), *([group.note(targets)] if group else [])]
    return Starter(
        starter_yaml(data, chosen),
        table,
        targets,
        False,
        target_spec.task,
        target_spec.reason,
        dict(counts.most_common()),
        profiles,
        (*guessed, *notes, *_notes(target_spec, number_findings, profiles)),
        data,
        chosen,
    )


def _with_target_trial(table: Table, rows: Rows, target_spec: TargetSpec, data: StarterData) -> StarterData:
    """With the result of a trial of the logarithm of the target, if it is worth trying."""
    column = cast_table(table, target_spec.schemas).columns[target_spec.schemas[0].name]
    assert isinstance(column, NumericColumn)
    if not is_worth_trying(column.values[rows].astype(np.float64)):
        return data
    from mlpcli.workflows.starter.target_trial import target_trial  # imports all that trains

    return replace(data, summary=replace(data.summary, target_trial=target_trial(table, rows, data)))


def _with_frequency_trial(table: Table, rows: Rows, data: StarterData) -> StarterData:
    """With the result of a trial of other frequencies than the usual ones, if it decides."""
    other = data.summary.frequencies_to_try
    if other is None:
        return data
    from mlpcli.workflows.starter.frequency_trial import frequency_trial  # imports all that trains

    return replace(data, summary=replace(data.summary, frequency_trial=frequency_trial(table, rows, data, other)))


def _refuse_without_inputs(table: Table, targets: Sequence[str], profiles: Sequence[ColumnProfile]) -> None:
    """Raise DataError if every column is dropped."""
    if all(profile.drop_reason for profile in profiles):
        reasons = "; ".join(f"{profile.name}: {profile.drop_reason}" for profile in profiles[:4])
        raise DataError(f"{table.name}: no column is left to predict {', '.join(targets)} from ({reasons}).")


def _notes(
    target_spec: TargetSpec, number_findings: Mapping[str, Finding], profiles: Sequence[ColumnProfile]
) -> list[str]:
    """Notes on the targets and on noteworthy columns."""
    return [
        *(finding.text for finding in target_spec.findings),
        *(note.text for finding in number_findings.values() for note in finding.doubts),
        *(profile.fault for profile in profiles if profile.fault),
        *(
            f"column {profile.name}: {without_column_name(profile, profile.note)}"
            for profile in profiles
            if profile.is_noteworthy
        ),
    ]


def _reading_keys(format: TableFormat) -> dict[str, Any]:
    """The keys of `data` that decide how the file is read, without those at their defaults."""
    values = {name: getattr(format, name) for name in ("delimiter", "encoding", *SETTABLE)}
    return {name: value for name, value in values.items() if value != getattr(DETECTED, name)}


def _read(source: str, targets: tuple[str, ...], table_format: TableFormat) -> tuple[Table, tuple[str, ...], bool]:
    """The table, the target columns, and whether the target is the default one."""
    targets = tuple(dict.fromkeys(targets))
    if source == "-" and not targets:
        raise MlpError("standard input is read once: name the column to predict with --target.")
    table = read_table(source, table_format, Request(spelled=targets), configured=targets)
    is_guessed = not targets
    targets = targets or (table.names[-1],)
    for name in targets:
        if name not in table.columns:
            raise DataError(f"{table.name}: no column {name!r}.{_target_hint(name, table.names)}")
    if len(table.names) == len(targets):
        raise DataError(f"{table.name}: the table has no column besides the target to predict it from.")
    return table, targets, is_guessed


def _target_hint(name: str, names: Sequence[str]) -> str:
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and set(parts) <= set(names):
        return " Several targets: " + " ".join(f"--target {shlex.quote(part)}" for part in parts)
    return name_hint(name, names)


def _infer_targets(table: Table, targets: tuple[str, ...], task: str) -> tuple[TargetSpec, dict[str, Finding]]:
    """The task, and the findings on targets that are formatted numbers such as `$2,212.04`, by name.

    Raises DataError for a target whose cells contradict its role.
    """
    number_findings = {}
    for name in targets:
        _, findings = infer_schema(table, name)
        number_finding = next((finding for finding in findings if finding.number is not None), None)
        if number_finding is not None and task != "classification":
            number_findings[name] = number_finding
    options = {name: number_column_options(finding.number or PLAIN) for name, finding in number_findings.items()}
    target_spec = infer_targets(table, targets, task, options, instruction=SAY_TASK)
    raise_faults(target_spec.findings)
    return target_spec, number_findings


def _encode_targets(table: Table, plan: TargetSpec) -> tuple[Counter[str], Rows, NDArray[Any], str]:
    """The number of rows of each class, the rows with a target, their encoded targets, and a note on rows without one.

    Raises DataError if every row has its own class.
    """
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


def _ambiguous_encoding(table: Table) -> str | None:
    """The detected encoding if it is not UTF-8: detection may fail on a later file, so the config names it."""
    return None if table.format.encoding in (None, "utf-8") else table.format.encoding


def _is_continuous(profile: ColumnProfile) -> bool:
    """Whether a column is a numeric input with at least MANY_VALUES distinct values."""
    is_numeric = profile.role in ("number", "date") and not profile.drop_reason
    return is_numeric and profile.n_distinct >= MANY_VALUES


def write_config(starter: Starter, path: str, force: bool) -> None:
    """Write the config; raises OutputError, also for an existing file unless `force`."""
    if (os.path.isfile(path) or os.path.islink(path)) and not force:
        raise OutputError(f"{path}: exists already. Choose another name, or replace it with --force.")
    write_file(path, starter.text.encode())
