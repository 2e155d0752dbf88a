"""Which task the target columns set when the user leaves it open."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlpcli.data.cells import number_text, parse_numbers
from mlpcli.data.columns import find_yes_no
from mlpcli.data.selection import Selection
from mlpcli.data.tables import Table
from mlpcli.data.targets import Task
from mlpcli.errors import DataError

TASKS: tuple[str, ...] = ("auto", *get_args(Task))

MAX_CODES = 20
# With more distinct values nobody would think of codes.
MOST_PLAUSIBLE_CODES = 100


def are_codes(numbers: NDArray[np.float64]) -> bool:
    """Whether distinct numbers are whole, run from 0 or 1 without gaps, and are at most 20."""
    ordered = np.unique(numbers)
    if not 0 < len(ordered) <= MAX_CODES or ordered[0] not in (0.0, 1.0):
        return False
    return bool(np.array_equal(ordered, ordered[0] + np.arange(len(ordered))))


def resolve_task(
    table: Table | pd.DataFrame,
    target_names: Sequence[str],
    task: str = "auto",
    rows: NDArray[np.int64] | None = None,
    say: str = "write task:",
) -> tuple[Task, str]:
    """The task, and one sentence that says why, and how the user can `say` what else it is.

    `task` is "auto" or the task itself. One column: texts, two distinct values, or codes (`are_codes`) are classes,
    other numbers amounts. Several columns: all yes/no is multilabel, else amounts. Raises DataError when a target
    column is not in the table or holds nothing.
    """
    if task != "auto":
        return task, "as asked"  # type: ignore[return-value]  # narrowed by the line above
    selection = Selection(table, rows)
    distinct = {}
    for name in target_names:
        if name not in selection:
            raise DataError(f"{selection.name}: the target column {name} is missing.")
        distinct[name] = selection.texts(name).texts
        if not distinct[name]:
            raise DataError(f"{selection.name}: the target {name} is missing in every row. See data.missing.")
    if len(target_names) == 1:
        return _task_of(target_names[0], distinct[target_names[0]], say)
    columns = ", ".join(target_names)
    if all(find_yes_no(texts) is not None for texts in distinct.values()):
        return "multilabel", f"{columns}: yes/no columns"
    return "regression", f"{columns}: several columns, read as amounts"


def _task_of(name: str, texts: tuple[str, ...], say: str) -> tuple[Task, str]:
    """The task of a single column with these distinct texts."""
    values, unknown = parse_numbers(texts)
    numbers = np.unique(values[~np.isnan(values)])
    if len(texts) == 2:
        return "classification", f"{name}: two distinct values, read as classes"
    # A stray text in a long column of amounts is a mistake to be shown, not a class.
    if unknown.any() and (len(texts) <= MAX_CODES or np.count_nonzero(unknown) > len(texts) / 10):
        return "classification", f"{name}: texts, read as {len(texts)} classes"
    if not len(numbers) or np.isinf(numbers).any() or not np.array_equal(numbers, np.round(numbers)):
        return "regression", f"{name}: numbers, read as amounts"
    span = f"whole numbers {number_text(numbers[0])} to {number_text(numbers[-1])}"
    if are_codes(numbers):
        reading = f"without gaps, read as {len(numbers)} classes; {say} regression if they are amounts"
        return "classification", f"{name}: {span} {reading}"
    hint = f"; {say} classification if they are codes" if len(numbers) <= MOST_PLAUSIBLE_CODES else ""
    return "regression", f"{name}: {span}, read as amounts{hint}"
