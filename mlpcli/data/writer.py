"""Tables out: CSV text (RFC 4180, with commas and newlines), built column by column without a frame."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.digits import float_cells, plain_texts
from mlpcli.dataclass import dataclass

NEEDS_QUOTES = re.compile(r'[,"\n\r]')
# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"), and the amounts that are none.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
SIGNED_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def format_header(names: Sequence[str]) -> str:
    """Give one CSV line of names, with its line end."""
    return ",".join(_quoted_when_alone(_quoted(list(names)), len(names))) + "\n"


def without_formulas(cells: Sequence[Any]) -> list[Any]:
    """The cells, with a single quote before each text that a spreadsheet would take for a formula; -1.5 is none."""
    return [
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not _is_signed_number(cell)
        else cell
        for cell in cells
    ]


def _is_signed_number(text: str) -> bool:
    return SIGNED_NUMBER.fullmatch(text) is not None


@dataclass(frozen=True)
class Labels:
    """A column of few texts: the cell of a row is `texts[codes[row]]`."""

    texts: Sequence[str]
    codes: NDArray[np.integer[Any]]


def encode_rows(columns: Sequence[NDArray[Any] | Sequence[str] | Labels]) -> bytes:
    """Give the CSV lines of `format_rows` as UTF-8; labels and numbers of float32 without an object per cell."""
    if not columns or not all(_is_quick(column) for column in columns):
        return format_rows([_plain(column) for column in columns]).encode()
    cells = []
    for position, column in enumerate(columns):
        end = "\n" if position == len(columns) - 1 else ","
        if isinstance(column, Labels):
            cells.append(_label_cells(column, end, len(columns)))
        else:
            cells.append(float_cells(np.asarray(column), end))
    # Cells are as wide as the widest, filled up with NUL bytes, which now go.
    return np.concatenate(cells, axis=1).tobytes().translate(None, b"\0")


def _is_quick(column: NDArray[Any] | Sequence[str] | Labels) -> bool:
    if isinstance(column, Labels):
        return len(column.texts) < len(column.codes) and "\0" not in "".join(column.texts)
    return isinstance(column, np.ndarray) and column.dtype == np.float32


def _plain(column: NDArray[Any] | Sequence[str] | Labels) -> NDArray[Any] | Sequence[str]:
    return np.asarray(column.texts, object)[column.codes] if isinstance(column, Labels) else column


def _label_cells(column: Labels, end: str, n_columns: int) -> NDArray[np.uint8]:
    """The cells (n_rows, width) of labels and what follows each."""
    texts = _quoted_when_alone(_quoted(list(column.texts)), n_columns)
    encoded = np.asarray([(text + end).encode() for text in texts])
    return np.take(encoded.view(np.uint8).reshape(len(texts), -1), column.codes, axis=0)


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
        return plain_texts(column)
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
