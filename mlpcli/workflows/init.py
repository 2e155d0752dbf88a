"""`mlp init`: look at a table and write a config for it."""

import os
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mlpcli.config.recipes import MANY_VALUES, Facts, Recipe, RecipeName, choose_recipe
from mlpcli.config.starter import StarterColumn, StarterData, starter_yaml
from mlpcli.data.profiles import ColumnProfile, profile_columns
from mlpcli.data.tables import Table, TableFormat, read_table
from mlpcli.data.targets import ClassTarget, encode_target, fit_target, rows_with_target
from mlpcli.data.tasks import resolve_task
from mlpcli.errors import DataError, MlpError, OutputError, did_you_mean
from mlpcli.storage.atomic import write_file
from mlpcli.workflows.suspicions import rarest_class


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
    seconds: float | None = None
    budget: float | None = None


def init(
    source: str,
    targets: tuple[str, ...] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    recipe: RecipeName = "strong",
    task: str = "auto",
) -> Starter:
    """Read a table and choose; without `targets` the last column is taken, `task` "auto" is told by the targets.

    Raises DataError.
    """
    table, targets, is_guessed = _read(source, targets, TableFormat(delimiter, encoding))
    task, reason = resolve_task(table, targets, task, say="mlp init --task")
    rows, note = rows_with_target(table, targets, task)
    target, state = fit_target(table, targets, task, rows)
    counts: Counter[str] = Counter()
    if isinstance(target, ClassTarget):
        codes = np.bincount(encode_target(target, state, table, rows).astype(np.int64), minlength=len(target.labels))
        counts = Counter(dict(zip(target.labels, codes.tolist(), strict=True)))
    if counts and max(counts.values()) == 1:
        raise DataError(
            f"{table.name}: each of the {len(rows)} rows has a {targets[0]} of its own: nothing to learn from."
        )
    profiles = tuple(profile_columns(table, targets, {}, task))
    if all(one.drop_reason for one in profiles):
        reasons = "; ".join(f"{one.name}: {one.drop_reason}" for one in profiles[:4])
        raise DataError(f"{table.name}: no column is left to predict {', '.join(targets)} from ({reasons}).")
    facts = Facts(
        task,
        len(rows),
        len(counts),
        sum(_is_fine(one) for one in profiles),
        rarest_class(list(counts), list(counts.values())) if counts else "",
    )
    data = StarterData(
        train=source,
        targets=targets,
        facts=facts,
        task_reason=reason,
        columns=tuple(StarterColumn(one.name, one.role, _remark(one)) for one in profiles if not one.drop_reason),
        dropped={one.name: one.drop_reason for one in profiles if one.drop_reason},
        delimiter=delimiter,
        encoding=encoding,
    )
    chosen = choose_recipe(recipe, facts)
    return Starter(
        starter_yaml(data, chosen),
        table,
        targets,
        is_guessed,
        task,
        reason,
        dict(counts.most_common()),
        profiles,
        (*table.notes, *([note] if note else []), *(one.fault for one in profiles if one.fault)),
        data,
        chosen,
    )


def _read(source: str, targets: tuple[str, ...], table_format: TableFormat) -> tuple[Table, tuple[str, ...], bool]:
    """The table, the target columns, and whether these were guessed."""
    targets = tuple(dict.fromkeys(targets))
    if source == "-" and not targets:
        raise MlpError("standard input is read once: name the column to predict with --target.")
    table = read_table(source, table_format, targets)
    columns = [str(name) for name in table.frame.columns]
    is_guessed = not targets
    if is_guessed:
        targets = (columns[-1],)
        # Read again: a target is read as text, so that labels such as 01 keep their form.
        table = read_table(source, table_format, targets)
    for name in targets:
        if name not in columns:
            raise DataError(f"{table.name}: no column {name!r}.{did_you_mean(name, columns)}")
    if len(columns) == len(targets):
        raise DataError(f"{table.name}: only the target is there, no column to predict it from.")
    return table, targets, is_guessed


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
    parts += [remark for remark in (profile.note, profile.fault) if remark]
    return ", ".join(parts)
