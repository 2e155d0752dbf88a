"""Tables out: CSV text (RFC 4180, with commas and newlines), built column by column without a frame."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEEDS_QUOTES = re.compile(r'[,"\n\r]')


def format_header(names: Sequence[str]) -> str:
    """Give one CSV line of names, with its line end."""
    return ",".join(_quoted_when_alone(_quoted(list(names)), len(names))) + "\n"


def format_rows(columns: Sequence[NDArray[Any] | Sequence[str]]) -> str:
    """Give the CSV lines of columns of equal length: "" when they have no rows.

    Numbers are the shortest text that reads back as the same float32 or float64; NaN and None are empty cells.
    """
    texts = [_texts(column) for column in columns]
    texts = [_quoted_when_alone(column, len(texts)) for column in texts]
    if not texts or not texts[0]:
        return ""
    return "\n".join(map(",".join, zip(*texts, strict=True))) + "\n"


def _texts(column: NDArray[Any] | Sequence[str]) -> list[str]:
    """The cells of a column as they stand in the file."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        # NumPy's str of a float32 is the shortest that gives this float32 back; Python's repr does it for float64.
        is_double = column.dtype == np.float64
        joined = "\n".join([*(map(repr, column.tolist()) if is_double else map(str, column)), ""])
        if not is_double and "e+" in joined:
            # NumPy writes large float32 as 1.6777216e+07, where Python writes the same decimal as 16777216.0.
            joined = re.sub(r"\S+e\+\d+", lambda number: repr(float(number[0])), joined)
        return joined.replace(".0\n", "\n").replace("nan\n", "\n").split("\n")[:-1]
    if isinstance(column, np.ndarray) and column.dtype.kind in "iub":
        return list(map(str, column.tolist()))
    return _quoted([_text_of(cell) for cell in column])


def _text_of(cell: object) -> str:
    """A cell of a column of objects; a missing one is no text and not equal to itself, or None."""
    if isinstance(cell, str):
        return cell
    return "" if cell is None or cell != cell else str(cell)


def _quoted(texts: list[str]) -> list[str]:
    """The texts, with quotes around those that need them; one search settles the common case."""
    if not NEEDS_QUOTES.search(" ".join(texts)):
        return texts
    return ['"' + text.replace('"', '""') + '"' if NEEDS_QUOTES.search(text) else text for text in texts]


def _quoted_when_alone(texts: list[str], n_columns: int) -> list[str]:
    """An empty cell of a single column is written as "": an empty line is no row to any reader."""
    return [text or '""' for text in texts] if n_columns == 1 else texts
