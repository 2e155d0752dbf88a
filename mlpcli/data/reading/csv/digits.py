"""Tables of nothing but small integers, such as pixels: NumPy parses their texts in a fifth of the time."""

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.csv.encoding import NEWLINE

# Bytes per NumPy operation, so that the temporary arrays of a chunk stay in the processor's cache.
BYTES_PER_CHUNK = 1 << 17
MAX_DIGITS = 4


def parse_digits(text: bytes, n_rows: int, n_fields: int) -> NDArray[np.uint16] | None:
    """Parse cells (n_rows, n_fields) of one to MAX_DIGITS digits without leading zeros; None if a cell is another.

    `text` consists of complete lines and holds as many newlines and delimiters as the table has; None also if a line
    has too few or too many cells.
    """
    data = np.frombuffer(b"\n" * MAX_DIGITS + text, np.uint8)
    values, n_parsed = np.empty(n_rows * n_fields, np.uint16), 0
    for start in range(0, len(text), BYTES_PER_CHUNK):
        chunk = data[start : start + BYTES_PER_CHUNK + MAX_DIGITS]
        if (parsed := _parse_chunk(chunk)) is None or n_parsed + len(parsed[0]) > len(values):
            return None
        numbers, ends = parsed
        row_ends = ends[n_fields - 1 - n_parsed % n_fields :: n_fields]
        if (chunk[row_ends + MAX_DIGITS] != NEWLINE).any():
            return None
        values[n_parsed : n_parsed + len(numbers)] = numbers
        n_parsed += len(numbers)
    # Numbers have fewer digits than the text if they have leading zeros or are too long.
    n_digits = len(values) + sum(int(np.count_nonzero(values >= 10**exponent)) for exponent in range(1, MAX_DIGITS))
    return values.reshape(n_rows, n_fields) if n_parsed == len(values) and n_digits == len(text) - n_parsed else None


def _parse_chunk(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.intp]] | None:
    """The numbers that end after the first MAX_DIGITS bytes, and the positions of their ends; None if one is empty."""
    digits = data - ord("0")  # other characters wrap around to more than 9
    is_digit = digits < 10
    if not (is_digit[MAX_DIGITS:] | is_digit[MAX_DIGITS - 1 : -1]).all():
        return None
    ends = np.flatnonzero(~is_digit[MAX_DIGITS:])
    digits *= is_digit
    # The number in each two bytes, 0 unless the second is a digit; and the same if a digit follows.
    pairs = digits[1:] + 10 * digits[:-1]
    pairs *= is_digit[1:]
    hundreds = pairs[:-2] * is_digit[2:-1]
    numbers = hundreds.take(ends, mode="clip").astype(np.uint16)
    numbers *= 100
    numbers += pairs[MAX_DIGITS - 2 :].take(ends, mode="clip")
    return numbers, ends
