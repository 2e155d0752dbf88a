"""The config that `mlp init` writes: every choice visible, each with its reason, ready to train."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpcli.config.recipes import RECIPES, Facts, Recipe, sections, validation

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_MOST_LISTED = 40


@dataclass(frozen=True)
class StarterColumn:
    """One input column in the config: its role, and a remark ("" for none)."""

    name: str
    role: str
    remark: str


@dataclass(frozen=True)
class StarterData:
    """What was found in the file; `notes` say what was guessed of it as a whole."""

    train: str
    targets: tuple[str, ...]
    facts: Facts
    task_reason: str
    columns: tuple[StarterColumn, ...]
    dropped: Mapping[str, str]
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str = "."
    thousands: str = ""
    notes: tuple[str, ...] = ()


def starter_yaml(data: StarterData, recipe: Recipe) -> str:
    """The text of the config."""
    value, reason = validation(recipe, data.facts)
    lines = [
        f"# {data.facts.n_rows} rows. Train with: mlp train THIS_FILE   ·   every default: mlp check THIS_FILE",
        f"# Recipe {recipe.name}; the others are {' and '.join(name for name in RECIPES if name != recipe.name)}.",
        "data:",
        f"  train: {_scalar(data.train)}",
        *(f"  # {_comment(note)}" for note in data.notes),
        f"  target: {_names(data.targets)}",
        *_drop_lines(data.dropped),
        *_column_lines(data.columns),
        *([_line(f"  decimal: {_scalar(data.decimal)}", "of all columns")] if data.decimal != "." else []),
        *([f"  thousands: {_scalar(data.thousands)}"] if data.thousands else []),
        *([f"  delimiter: {_scalar(data.delimiter)}"] if data.delimiter else []),
        *([f"  encoding: {_scalar(data.encoding)}"] if data.encoding else []),
        _line(f"  validation: {value}", reason),
        _line(f"task: {data.facts.task}", _comment(data.task_reason)),
    ]
    for section in sections(recipe, data.facts):
        lines += [f"{section.name}:", *(_line(f"  {text}", _comment(comment)) for text, comment in section.lines)]
    return "\n".join(lines) + "\n"


def _line(text: str, comment: str) -> str:
    return f"{text:<32}# {comment}" if comment and len(text) < 31 else f"{text}   # {comment}" if comment else text


def _drop_lines(dropped: Mapping[str, str]) -> list[str]:
    if not dropped:
        return ["  drop: []                      # no column is useless or gives the target away"]
    return ["  drop:", *(f"    - {_scalar(name):<26}# {_comment(reason)}" for name, reason in dropped.items())]


def _column_lines(columns: Sequence[StarterColumn]) -> list[str]:
    """The role of each input column; of very many alike only the number, in a comment."""
    numbers = [column for column in columns if column.role == "number" and not column.remark]
    listed = columns
    lines = ["  columns:"]
    if len(columns) > _MOST_LISTED and numbers:
        listed = [column for column in columns if column.role != "number" or column.remark]
        names = ", ".join(_comment(column.name) for column in numbers[:3])
        lines = [f"  # {len(numbers)} columns hold numbers: {names}, ...", *(lines if listed else [])]
    return lines + [
        f"    {_scalar(column.name)}: {column.role}" + (f"   # {_comment(column.remark)}" if column.remark else "")
        for column in listed
    ]


def _names(names: Sequence[str]) -> str:
    return _scalar(names[0]) if len(names) == 1 else f"[{', '.join(map(_scalar, names))}]"


def _scalar(text: str) -> str:
    """A text as YAML: plain where that is read back as this text, else in double quotes, which JSON and YAML share."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _comment(text: str) -> str:
    """Text that stays on its line."""
    return "".join(c if c.isprintable() else " " for c in text)
