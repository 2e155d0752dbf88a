"""Parsing of a batch of rows by pandas' C parser."""

from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from mlpcli.data.reading.csv.records import has_leading_blanks
from mlpcli.data.schema.spelling import NumberFormat

# Before 3.1, pandas' default conversion sometimes differs from the nearest float64 in the last digit.
IS_EXACT = tuple(int(number) for number in pd.__version__.split(".")[:2]) >= (3, 1)
PRECISION = {} if IS_EXACT else {"float_precision": "round_trip"}
# pandas allocates 16 bytes for each byte of a piece, and grows its buffers with each.
PIECE_SIZE = 1 << 20


class _Pieces:
    """A file whose reads return a text in pieces of PIECE_SIZE, however little is asked for.

    pandas would decode the bytes of an `io.BytesIO`, and encode them again.
    """

    def __init__(self, text: bytes) -> None:
        self._pieces = (text[start : start + PIECE_SIZE] for start in range(0, len(text), PIECE_SIZE))

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def parse_frame(
    text: bytes,
    delimiter: str,
    n_fields: int,
    number_format: NumberFormat,
    indices: Sequence[int],
    objects: Collection[int],
    missing: list[str] | dict[int, list[str]],
) -> pd.DataFrame:
    """Parse the columns `indices` of complete rows, those in `objects` without type inference.

    `missing` are the markers of missing cells, of all columns or of each. Options make pandas keep all lines and
    recognize only these markers. Columns are selected by index, which is faster than by name. Raises
    pandas.errors.ParserError.
    """
    frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]  # of options that are not literals
        _Pieces(text),
        sep=delimiter,
        header=None,
        names=range(n_fields),
        usecols=list(indices),  # even if it is all columns: then pandas accepts long rows, which we report
        index_col=False,
        dtype={index: object for index in indices if index in objects}
        or None,  # {} would build the frame column by column
        na_values=missing,
        keep_default_na=False,
        skip_blank_lines=False,
        skipinitialspace=delimiter != " " and has_leading_blanks(text, delimiter),
        low_memory=False,
        engine="c",
        decimal=number_format.decimal,
        **PRECISION,
    )
    return frame
