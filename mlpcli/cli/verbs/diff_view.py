"""What `mlp diff` shows."""

import json
from typing import Any

from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.cli.verbs.describing import MAIN_METRICS
from mlpcli.errors import GateMissed
from mlpcli.messages import count, listed, number
from mlpcli.storage.records import to_plain
from mlpcli.workflows.diff import ArrayDistance, Change, DiffResult

MOST_CHARACTERS = 48  # of a value in the table; --json has it whole
MOST_CHANGES = 40  # of a section


def diff_summary(screen: Screen, result: DiffResult) -> None:
    """A line for each value that differs, section by section, then one for each array."""
    screen.answer(f"{result.old} -> {result.new}")
    if result.is_same:
        screen.answer("the same model: no value and no array differs")
        return
    shown = [change for change in result.changes if _is_shown(result.task, change)]
    by_section: dict[str, list[Change]] = {}
    for change in shown:
        by_section.setdefault(change.section, []).append(change)
    rows: list[Row] = []
    for section, changes in by_section.items():
        for index, change in enumerate(changes[:MOST_CHANGES]):
            rows.append((section if index == 0 else "", change.key, _text(change.old), _text(change.new)))
        if len(changes) > MOST_CHANGES:
            rows.append(("", f"and {len(changes) - MOST_CHANGES} more (--json)"))
    if rows:
        screen.answer()
        for line in aligned(rows, text_columns=(0, 1, 2, 3)):
            screen.answer(line)
    left_out = len(result.changes) - len(shown)
    if left_out:
        screen.answer(f"and {count(left_out, 'more score')} (--json)")
    screen.answer()
    if not result.arrays:
        screen.answer(f"all {result.n_arrays} arrays are equal")
        return
    rows = [("array", "shape", "distance", "largest change")]
    rows += [(one.name, _shapes(one), number(one.distance), number(one.largest_change)) for one in result.arrays]
    for line in aligned(rows, text_columns=(0, 1)):
        screen.answer(line)
    equal = result.n_arrays - len(result.arrays)
    screen.answer(f"distance: |new - old| / |old|{f'; {equal} other arrays are equal' if equal else ''}")


def diff_json(result: DiffResult) -> dict[str, Any]:
    """Every value that differs, old and new, and every array that does."""
    changes: dict[str, dict[str, Any]] = {}
    for change in result.changes:
        changes.setdefault(change.section, {})[change.key] = {"old": change.old, "new": change.new}
    arrays = {
        one.name: {
            "old_shape": one.old_shape, "new_shape": one.new_shape, "distance": one.distance,
            "largest_change": one.largest_change,
        }
        for one in result.arrays
    }  # fmt: skip
    return {"old": result.old, "new": result.new, "same": result.is_same, "changes": changes, "arrays": arrays}


def refuse_different(result: DiffResult) -> None:
    """Raise GateMissed, which ends the program with exit code 1, if the models differ."""
    if not result.is_same:
        where = [*dict.fromkeys(change.section for change in result.changes), *(["arrays"] if result.arrays else [])]
        raise GateMissed(f"{result.old} and {result.new} differ: {listed(where)}")


def _is_shown(task: str, change: Change) -> bool:
    """Of the scores only the first ones, of the whole target, are shown."""
    return change.section != "scores" or change.key.partition(".")[2] in MAIN_METRICS[task]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(to_plain(value), ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def _shapes(one: ArrayDistance) -> str:
    old, new = ("none" if shape is None else " x ".join(map(str, shape)) for shape in (one.old_shape, one.new_shape))
    return old if old == new else f"{old} -> {new}"
