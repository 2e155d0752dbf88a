"""`mlp runs`."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Cell, Column, Document, Paragraph, Table, Tone, name_column
from mlpcli.cli.options import Html, Json, Markdown, form_of
from mlpcli.messages import format_count, format_duration, format_number

if TYPE_CHECKING:
    from mlpcli.workflows.runs import Group, Run, State

MOST_KEYS = 6  # different keys per run
MOST_CHARACTERS = 40  # of a value; --json does not truncate
TONES: "dict[State, Tone]" = {"running": "good", "failed": "bad", "damaged": "bad", "interrupted": "warning"}


def runs(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Folder with runs.")] = "runs",
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """List the runs of a folder by data, with state, scores, time and the config keys that differ.

    Example: mlp runs runs
    """
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.runs import runs as find_runs

    form = form_of(json, markdown, html)
    groups = find_runs(folder)
    Screen(is_quiet=False).write_result(document(folder, groups), as_json(folder, groups), form)


def document(folder: str, groups: "Sequence[Group]") -> Document:
    """A table for each group of runs on the same data."""
    total = sum(len(group.runs) for group in groups)
    if not total:
        return Document(f"no runs in {folder}. mlp train CONFIG makes one.", heading="mlp runs")
    blocks: list[Block] = []
    for group in groups:
        rows = f"{format_count(len(group.runs), 'run')} · scores of {_rows(group)} · " if group.metrics else ""
        sort = f"sorted by {group.metric}" if group.metric else "no scores yet"
        data = f"{group.data} -> {group.target}" if group.data else "of unknown data"
        blocks.append(_table(group, f"{data}: {rows}{sort}"))
    has_star = any(run.is_best_so_far for group in groups for run in group.runs)
    more = [Paragraph("* best so far")] if has_star else []
    worse = [f"{run.name}: {run.far_worse}" for group in groups for run in group.runs if run.far_worse]
    faults = [*worse, *(run.fault for group in groups for run in group.runs if run.fault)]
    return Document(f"{format_count(total, 'run')} in {folder}", [*blocks, *more], faults, heading="mlp runs")


_ROWS = {"test": "the test rows", "validation": "the validation rows", "train": "the training rows"}


def _rows(group: "Group") -> str:
    """The rows that were scored, and whether something was chosen on them."""
    has_chosen = group.split == "validation" and any(run.metrics.get("chosen_on_validation") for run in group.runs)
    return _ROWS[group.split] + (" (chosen on these rows)" if has_chosen else "")


def _table(group: "Group", title: str) -> Table:
    """The best run first; other runs with the config values that differ from it."""
    first = group.runs[0].name
    columns = [
        name_column("run"),
        Column("state", is_text=True),
        *(Column(name, rank=0 if name == group.metric else 2) for name in group.metrics),
        Column("epochs", rank=3),
        Column("time", rank=1),
    ]
    if len(group.runs) > 1:
        columns.append(Column(f"differs from {os.path.basename(first)}", is_text=True, is_whole=True))
    return Table(columns, [_row(run, group) for run in group.runs], title=title)


def _row(run: "Run", group: "Group") -> list[str | Cell]:
    star = "*" if run.is_best_so_far else ""
    scores = [run.score(metric, group.split) for metric in group.metrics]
    tone: Tone = "bad" if run.far_worse else ""
    return [
        run.name,
        Cell(run.state, TONES.get(run.state, "")),
        *(Cell("" if score is None else f"{format_number(score)}{star}", tone) for score in scores),
        "" if run.epochs is None else str(run.epochs),
        "" if run.seconds is None else format_duration(run.seconds),
        _differences(run),
    ]


def _differences(run: "Run") -> str:
    """`model.layers [auto, 64, auto], training.seed 3`."""
    shown = []
    for key, text in list(run.changes.items())[:MOST_KEYS]:
        shown.append(f"{key} {text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + '...'}")
    more = len(run.differs) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def as_json(folder: str, groups: "Sequence[Group]") -> dict[str, Any]:
    """Every run in the order of the tables; `scored_on` names the split of `scores`."""
    return {
        "folder": folder,
        "runs": [
            {
                "name": run.name,
                "folder": run.folder,
                "state": run.state,
                "train": group.data,
                "target": group.target,
                "scored_on": group.split,
                "scores": {metric: run.score(metric, group.split) for metric in group.metrics},
                "is_best_so_far": run.is_best_so_far,
                "epochs": run.epochs,
                "seconds": run.seconds,
                "stop_reason": run.metrics.get("stop_reason"),
                "missed_gates": run.metrics.get("missed_gates", []),
                "differs": run.differs,
                "far_worse_than_constant": bool(run.far_worse),
                "fault": run.fault,
            }
            for group in groups
            for run in group.runs
        ],
    }
