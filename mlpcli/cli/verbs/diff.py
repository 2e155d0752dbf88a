"""`mlp diff`."""

import json as json_text
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Column, Document, Paragraph, Table, text_columns
from mlpcli.cli.options import Html, Json, Markdown, form_of
from mlpcli.cli.rendering.plain import plain
from mlpcli.errors import GateMissed
from mlpcli.messages import format_count, format_list, format_number

if TYPE_CHECKING:
    from mlpcli.workflows.diff import ArrayDistance, Change, DiffResult

MOST_CHARACTERS = 300  # of a value in the table; --json does not truncate
MOST_CHANGES = 40  # per section
MEMBER = re.compile(r"^m\d+\.")
LAYER_KIND = re.compile(r"(m\d+\.)?layer \d+\.name")


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Model file; without NEW it is written as text.")],
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="Model file to compare with.")] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if the models differ.")] = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Show how two model files differ: config, data, columns, scores, versions, and the change of each layer.

    Example: mlp diff old.npz runs/penguins/weights.npz
    """
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.diff import diff as run_diff
    from mlpcli.workflows.diff import text_of

    form = form_of(json, markdown, html)
    screen = Screen(is_quiet=False)
    if new is None:
        lines = list(text_of(old))
        if json:
            screen.json(dict(line.split(": ", 1) for line in lines))
        else:
            for line in lines:
                screen.write(line)
        return
    result = run_diff(old, new)
    screen.write_result(document(result), as_json(result), form)
    if exit_code and not result.is_same:
        where = [*dict.fromkeys(change.section for change in result.changes), *(["arrays"] if result.arrays else [])]
        raise GateMissed(f"{old} and {new} differ: {format_list(where)}")


def document(result: "DiffResult") -> Document:
    """A row for each different value, by section, then a row for each different array."""
    title = f"{result.old} -> {result.new}"
    if result.is_same:
        return Document(
            title, [Paragraph("the same model: no value and no array differs")], heading="mlp diff: the same model"
        )
    blocks: list[Block] = []
    shown = [change for change in result.changes if _is_shown(result, change)]
    left_out = len(result.changes) - len(shown)
    more = f"and {format_count(left_out, 'more score')} (--json)" if left_out else ""
    if shown:
        columns = [Column(is_text=True), Column(is_text=True, is_whole=True), *text_columns(["old", "new"])]
        rows = _rows(shown)
        blocks.append(Table(columns, rows, more=more, narrow=_narrow(rows, more)))
    elif more:
        blocks.append(Paragraph(more))
    blocks += [Paragraph(text) for text in _chosen(result, shown)]
    return Document(title, [*blocks, *_arrays(result)], heading="mlp diff: not the same model")


def as_json(result: "DiffResult") -> dict[str, Any]:
    """Every different value, old and new, and every different array."""
    changes: dict[str, dict[str, Any]] = {}
    for change in result.changes:
        changes.setdefault(change.section, {})[change.key] = {"old": change.old, "new": change.new}
    arrays = {array.name: array for array in result.arrays}
    return {
        "old": result.old,
        "new": result.new,
        "same": result.is_same,
        "chosen_on_these_rows": dict(zip(("old", "new"), result.chosen, strict=True)),
        "changes": changes,
        "arrays": arrays,
    }


def _rows(changes: "list[Change]") -> list[tuple[str, ...]]:
    """Section, key, old and new value; the section is in its first row only."""
    by_section: dict[str, list[Change]] = {}
    for change in changes:
        by_section.setdefault(change.section, []).append(change)
    rows: list[tuple[str, ...]] = []
    for section, section_changes in by_section.items():
        rows += [
            (section if not index else "", change.key, *_both(change))
            for index, change in enumerate(_layers_as_one(section_changes)[:MOST_CHANGES])
        ]
        if (n_more := len(_layers_as_one(section_changes)) - MOST_CHANGES) > 0:
            rows.append(("", f"and {n_more} more (--json)"))
    return rows


def _narrow(rows: Sequence[tuple[str, ...]], more: str) -> Table:
    """A narrower table with old and new value in one column."""
    pairs: list[tuple[str, ...]] = []
    for section, key, *values in rows:
        pairs += [(section,)] if section else []
        pairs.append((f"  {key}", " -> ".join("none" if value == "-" else value for value in values)))
    return Table([Column(is_text=True, is_whole=True), Column("old -> new", is_text=True)], pairs, more=more)


def _layers_as_one(changes: "list[Change]") -> "list[Change]":
    """The changes of a layer whose type changed, merged: `layer 3`, `dense, width 2` -> `dropout, rate 0.1`."""
    changed_layers = {change.key.removesuffix(".name") for change in changes if LAYER_KIND.fullmatch(change.key)}
    merged: list[Change] = []
    for change in changes:
        layer = next((layer for layer in changed_layers if change.key.startswith(f"{layer}.")), "")
        if not layer:
            merged.append(change)
        elif change.key == f"{layer}.name":
            layer_changes = [other_change for other_change in changes if other_change.key.startswith(f"{layer}.")]
            old, new = ([(item.key, getattr(item, side)) for item in layer_changes] for side in ("old", "new"))
            merged.append(replace(change, key=layer, old=_layer(old), new=_layer(new)))
    return merged


def _layer(options: Sequence[tuple[str, Any]]) -> str | None:
    """The type of a layer and its non-default options; None if there is no layer."""
    (_, name), *further = options
    shown = [
        f"{key.split('.', 1)[1]} {_text(value)}"
        for key, value in further
        if value not in (None, False, 0, "") and value is not True and not key.endswith(".stream")
    ]
    return ", ".join([name, *shown]) if name else None


def _both(change: "Change") -> tuple[str, str]:
    """Old and new value; of columns only the differences, of scores with enough digits to differ."""
    old, new = change.old, change.new
    if change.section == "columns" and old is not None and new is not None:
        before, after = old.split(", "), new.split(", ")
        return (
            ", ".join(word for word in before if word not in after) or "-",
            ", ".join(word for word in after if word not in before) or "-",
        )
    if change.section == "scores" and old is not None and new is not None:
        return (
            (format_number(old), format_number(new))
            if format_number(old) != format_number(new)
            else (f"{old:.6g}", f"{new:.6g}")
        )
    return _text(old), _text(new)


def _is_shown(result: "DiffResult", change: "Change") -> bool:
    """Whether a change is shown; of the scores only the main metrics are."""
    return change.section != "scores" or change.key.partition(".")[2] in result.main_metrics


def _chosen(result: "DiffResult", shown: "Sequence[Change]") -> list[str]:
    """Notes on the shown scores of rows on which something was chosen."""
    splits = {change.key.partition(".")[0] for change in shown if change.section == "scores"}
    return [
        f"{split} scores of the {role} model are chosen on these rows ({format_list(quantities)}): they are optimistic"
        for role, chosen in zip(("old", "new"), result.chosen, strict=True)
        for split, quantities in chosen.items()
        if split in splits and quantities
    ]


def _arrays(result: "DiffResult") -> list[Block]:
    if not result.arrays:
        return [Paragraph(f"all {result.n_arrays} arrays are equal")]
    groups: dict[tuple[str, str, bool], list[ArrayDistance]] = {}
    for array in result.arrays:
        kind = MEMBER.sub("m*.", array.name), _shapes(array), array.distance is None
        groups.setdefault(kind, []).append(array)
    rows = [
        (
            name if len(arrays) > 1 else arrays[0].name,
            shapes,
            format_number(_largest(array.distance for array in arrays)),
            format_number(_largest(array.largest_change for array in arrays)),
        )
        for (name, shapes, _), arrays in groups.items()
    ]
    members = "; m*: the largest of all members (--json has each)" if len(rows) < len(result.arrays) else ""
    equal = result.n_arrays - len(result.arrays)
    others = f"; {format_count(equal, 'other array is', 'other arrays are')} equal" if equal else ""
    columns = [*text_columns(["array", "shape"]), Column("distance"), Column("largest change")]
    return [Table(columns, rows), Paragraph(f"distance: |new - old| / |old|{members}{others}")]


def _largest(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if number is not None), default=None)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = value if isinstance(value, str) else json_text.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS].rpartition(' ')[0]} ..."


def _shapes(array: "ArrayDistance") -> str:
    old, new = (
        "none" if shape is None else " x ".join(map(str, shape)) for shape in (array.old_shape, array.new_shape)
    )
    return old if old == new else f"{old} -> {new}"
