"""pandas parsers that are given one block of rows after the other: setting up a new one takes as long as 0.2 MB do.

A parser that stays also keeps its buffers. Its place in a text is known by the number of rows alone, so it gets the
blocks in which rows are surely lines, those without quotes; any other block gets a parser of its own.
"""

import io
from typing import Any

import numpy as np
import pandas as pd

# Bytes that pandas is given at a time. It makes room for as many cells as there are bytes, and gives that back after
# each block: with more it would take and clear 48 MB for a block of 1 MB, with less it would need the interpreter's
# lock more often.
PIECE = 1 << 16


class Parsers:
    """Parsers with the same options, as many as there are threads that ask at a time."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._idle: list[_Parser] = []

    def frame(self, text: bytes, n_rows: int, skips_blanks: bool) -> pd.DataFrame:
        """The cells of `n_rows` rows, index 0..n-1; raises pandas' ParserError. Any thread may ask."""
        if skips_blanks or b'"' in text:
            frame: pd.DataFrame = pd.read_csv(io.BytesIO(text), skipinitialspace=skips_blanks, **self._options)
            return frame
        try:
            parser = self._idle.pop()
        except IndexError:
            parser = _Parser(self._options)
        frame = parser.frame(text, n_rows)
        self._idle.append(parser)  # unless it failed
        return frame


class _Parser:
    """A parser and the stream it reads from, which ends where a block ends."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._text = io.BytesIO()
        self._reader: Any = None

    def read(self, _size: int = -1) -> bytes:
        """What pandas reads next."""
        return self._text.read(PIECE)

    def __iter__(self) -> "_Parser":
        return self  # pandas takes for a file what it could iterate over

    def frame(self, text: bytes, n_rows: int) -> pd.DataFrame:
        """The cells of the rows."""
        self._text = io.BytesIO(text)
        if self._reader is None:
            self._reader = pd.read_csv(self, iterator=True, **self._options)  # type: ignore[call-overload]
        frame: pd.DataFrame = self._reader.read(n_rows)
        if set(frame.dtypes) == {np.dtype(np.float64)}:
            # One array for all columns, where pandas has one for each: it is looked at several times.
            return pd.DataFrame(frame.to_numpy(), columns=frame.columns, copy=False)
        frame.index = pd.RangeIndex(len(frame))
        return frame
