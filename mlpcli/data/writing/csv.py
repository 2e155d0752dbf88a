"""CSV text (RFC 4180, UTF-8), formatted column by column; floats are the shortest text that round-trips."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from mlpcli.data.reading.typed.kept import KeptArray, kept_text

# Characters with which spreadsheets start a formula (OWASP, "CSV Injection"), and numbers, which are not formulas.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
SIGNED_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Magnitudes at which orjson and Python may differ in writing an exponent; orjson writes infinity as null.
SMALL, LARGE = (0.99e-6, 1.01e-4), 1e12


@dataclass(frozen=True)
class Labels:
    """A column with few distinct values: the cell of a row is `values[codes[row]]`, missing at -1.

    `values` are texts or, for a typed format, an array or index from `typed_labels`.
    """

    values: Sequence[str] | Any
    codes: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class LabelSets:
    """A column of sets: the `labels` where `holds` (n_rows, n_labels) is true.

    `labels` are as `Labels.values`. In text they are joined by `|`, which is escaped in a label by a backslash.
    """

    labels: Sequence[str] | Any
    holds: NDArray[np.bool_]

    def distinct(self) -> tuple[list[list[Any]], NDArray[np.int64]]:
        """Distinct sets, and the index of the set of each row."""
        packed = np.packbits(self.holds, axis=1)
        keys = np.zeros((len(packed), max(8, packed.shape[1])), np.uint8)
        keys[:, : packed.shape[1]] = packed
        ids: NDArray[Any] = keys.view(np.uint64 if keys.shape[1] == 8 else np.dtype((np.void, keys.shape[1])))[:, 0]
        _, first, codes = np.unique(ids, return_index=True, return_inverse=True)
        label_sets = [np.flatnonzero(self.holds[row]).tolist() for row in first.tolist()]
        sets = [[self.labels[index] for index in indices] for indices in label_sets]
        return sets, codes.astype(np.int64)

    def joined(self) -> Labels:
        """The sets as texts."""
        sets, codes = self.distinct()
        escape = str.maketrans({"\\": r"\\", "|": r"\|"})
        return Labels(["|".join(label.translate(escape) for label in label_set) for label_set in sets], codes)


Cells: TypeAlias = "NDArray[Any] | Sequence[Any] | Labels | LabelSets | KeptArray"


def format_header(names: Sequence[str], delimiter: str = ",") -> str:
    """The header line, with its line end."""
    return delimiter.join(_quote_fields(list(names), delimiter, len(names))) + "\n"


def format_rows(columns: Sequence[Cells], delimiter: str = ",") -> str:
    """The lines of columns of equal length; NaN, None and code -1 are empty cells."""
    texts = [_texts(column, delimiter, len(columns)) for column in columns]
    if not texts or not texts[0]:
        return ""
    lines = texts[0] if len(texts) == 1 else map(delimiter.join, zip(*texts, strict=True))
    return "\n".join(lines) + "\n"


def without_formulas(cells: Sequence[Any]) -> list[Any]:
    """Prefix texts that a spreadsheet would evaluate as formulas with a single quote; -1.5 is not a formula."""
    return [
        f"'{cell}"
        if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not SIGNED_NUMBER.fullmatch(cell)
        else cell
        for cell in cells
    ]


def float_texts(numbers: NDArray[Any]) -> list[str]:
    """Floats as Python's shortest decimals that round-trip, but 1 for 1.0; NaN is empty."""
    numbers = np.ascontiguousarray(numbers, np.float64 if numbers.dtype == np.float64 else np.float32)
    joined = f"{orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1]},"
    for end in (".0,", "null,"):
        joined = joined.replace(end, ",")
    if "e-" in joined:  # 1e-7 is 1e-07 in Python
        for digit in range(5, 10):
            joined = joined.replace(f"e-{digit},", f"e-0{digit},")
    texts = joined.split(",")[: len(numbers)]
    magnitudes = np.abs(numbers)
    for index in np.flatnonzero((magnitudes < SMALL[1]) & (magnitudes > SMALL[0]) | (magnitudes > LARGE)).tolist():
        texts[index] = repr(float(texts[index] or numbers[index])).removesuffix(".0")
    return texts


def _texts(column: Cells, delimiter: str, n_columns: int) -> list[str]:
    """The CSV texts of a column."""
    if isinstance(column, KeptArray):
        column = column.cells()
    if isinstance(column, LabelSets):
        column = column.joined()
    if isinstance(column, Labels):
        texts = np.asarray(_quote_fields([*column.values, ""], delimiter, n_columns), object)
        return list(texts[column.codes])
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return _quote_fields(float_texts(column), delimiter, n_columns)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        return list(map(str, column.tolist()))
    return _quote_fields(list(map(kept_text, column)), delimiter, n_columns)


def _quote_fields(texts: list[str], delimiter: str, n_columns: int) -> list[str]:
    """Quote the texts that need it; a single search covers the common case that none does."""
    special = re.compile(rf'[{delimiter}"\n\r]')
    if special.search(" ".join(texts)):
        texts = ['"' + text.replace('"', '""') + '"' if special.search(text) else text for text in texts]
    # Readers ignore empty lines.
    return [text or '""' for text in texts] if n_columns == 1 else texts
