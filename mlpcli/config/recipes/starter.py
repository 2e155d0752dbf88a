"""The text of the config that `mlp init` writes, with a comment on every choice."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpcli.config.recipes.lines import sections, validation
from mlpcli.config.recipes.sizes import RECIPES, Recipe, TableSummary
from mlpcli.data.reading.faults import format_yaml
from mlpcli.messages import display_width, wrap_text

_MOST_LISTED = 40
WIDTH = 80  # columns of the file, unless a name is longer


@dataclass(frozen=True)
class StarterColumn:
    """One input column in the config: its role, and a remark ("" for none)."""

    name: str
    role: str
    remark: str


@dataclass(frozen=True)
class StarterData:
    """The properties of the table, and the time limit of a training.

    `reading` has the keys of `data` that decide how the file is read; `notes` are remarks on it as a whole;
    `budget_seconds` is None for no limit; `modeline` is a comment for editors ("" for none).
    """

    train: str
    targets: tuple[str, ...]
    summary: TableSummary
    task_reason: str
    columns: tuple[StarterColumn, ...]
    dropped: Mapping[str, str]
    reading: Mapping[str, Any] = field(default_factory=dict)
    decimal: str = "."
    thousands: str = ""
    notes: tuple[str, ...] = ()
    budget_seconds: float | None = None
    modeline: str = ""


def starter_yaml(data: StarterData, recipe: Recipe) -> str:
    """The text of the config."""
    value, reason = validation(recipe, data.summary)
    others = [name for name in RECIPES if name != recipe.name]
    lines = [
        *([data.modeline] if data.modeline else []),
        f"# {data.summary.n_rows} rows. Train: mlp train THIS_FILE. All defaults: mlp check THIS_FILE",
        f"# Recipe {recipe.name}; other recipes: {', '.join(others[:-1])} and {others[-1]}.",
        "data:",
        f"  train: {format_yaml(data.train)}",
        *(_line("", _comment(note), "  ") for note in data.notes),
        f"  target: {_names(data.targets)}",
        *_drop_lines(data.dropped),
        *_column_lines(data.columns),
        *([_line(f"  decimal: {format_yaml(data.decimal)}", "decimal separator")] if data.decimal != "." else []),
        *([f"  thousands: {format_yaml(data.thousands)}"] if data.thousands else []),
        *(f"  {key}: {_value(value)}" for key, value in data.reading.items()),
        _line(f"  validation: {value}", _comment(reason)),
        _line(f"task: {data.summary.task}", _comment(data.task_reason)),
    ]
    for section in sections(recipe, data.summary):
        lines += [
            f"{section.name}:",
            *(_line(_flow(f"  {text}"), _comment(comment)) for text, comment in section.lines),
        ]
    if data.budget_seconds is not None:
        lines += ["budget:", _line(f"  seconds: {data.budget_seconds:g}", "time limit; the best epoch is kept")]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    """A text, several texts, a boolean or an integer as YAML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(format_yaml, value))}]"
    return format_yaml(value) if isinstance(value, str) else json.dumps(value)


def _line(text: str, comment: str, indent: str = "") -> str:
    """A line with its comment: beside it if both fit, else above it, wrapped."""
    indent = indent or " " * (len(text) - len(text.lstrip()))
    beside = (f"{text:<32}# {comment}" if len(text) < 31 else f"{text}   # {comment}") if comment and text else text
    if beside and max(map(display_width, beside.split("\n"))) <= WIDTH:
        return beside
    above = wrap_text(f"{indent}# {comment}", WIDTH, f"{indent}# ") if comment else []
    return "\n".join([*above, *([text] if text else [])])


def _flow(text: str) -> str:
    """A mapping in braces, wrapped between its keys: neither between a key and its value nor within a list."""
    glued = re.sub(r"(?<=:) |(?<=,) (?=[^\[{]*\])", "\N{NO-BREAK SPACE}", text.lstrip())
    indent = " " * (len(text) - len(text.lstrip()))
    lines = wrap_text(indent + glued, WIDTH, " " * (text.find("{") + 1))
    return "\n".join(line.replace("\N{NO-BREAK SPACE}", " ") for line in lines)


def _drop_lines(dropped: Mapping[str, str]) -> list[str]:
    if not dropped:
        return ["  drop: []                      # no column is uninformative or leaks the target"]
    return ["  drop:", *(_line(f"    - {format_yaml(name)}", _comment(reason)) for name, reason in dropped.items())]


def _column_lines(columns: Sequence[StarterColumn]) -> list[str]:
    """The role of each input column; of more than _MOST_LISTED columns, numeric ones are only counted in a comment."""
    numbers = [column for column in columns if column.role == "number" and not column.remark]
    listed = columns
    lines = ["  columns:"]
    if len(columns) > _MOST_LISTED and numbers:
        listed = [column for column in columns if column.role != "number" or column.remark]
        names = ", ".join(_comment(column.name) for column in numbers[:3])
        lines = [_line("", f"{len(numbers)} columns are numeric: {names}, ...", "  "), *(lines if listed else [])]
    return lines + [
        _line(f"    {format_yaml(column.name)}: {column.role}", _comment(column.remark)) for column in listed
    ]


def _names(names: Sequence[str]) -> str:
    return format_yaml(names[0]) if len(names) == 1 else f"[{', '.join(map(format_yaml, names))}]"


def _comment(text: str) -> str:
    """Text for a comment, without line ends and other control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
