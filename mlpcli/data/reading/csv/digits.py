"""Tables of nothing but integers, most of them small, such as pixels: NumPy parses them in a fifth of the time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.csv.encoding import NEWLINE
from mlpcli.data.table import NumericColumn, downcast_integers, downcast_rows

# Bytes per NumPy operation, so that the temporary arrays of a chunk stay in the processor's cache.
BYTES_PER_CHUNK = 1 << 17
SMALL_DIGITS, MAX_DIGITS = 4, 9
# Python parses the large and the missing cells, if they are at most this fraction of all.
MAX_FRACTION = 0.02


class Integers(NamedTuple):
    """Cells `small` (n_rows, n_fields) and, by their index in the table's text, those that are `large` or missing."""

    small: NDArray[np.uint16]
    indices: NDArray[np.intp]
    large: NDArray[np.float64]

    def columns(self, wanted: list[int]) -> list[NumericColumn]:
        """Some columns, as pandas would give them; NaN where a cell is missing."""
        n_fields = self.small.shape[1]
        columns = downcast_rows(self.small.T if len(wanted) == n_fields else self.small.T[wanted])
        rows, fields = divmod(self.indices, n_fields)
        for field in set(fields.tolist()).intersection(wanted):
            values = self.small[:, field].astype(np.float64)
            values[rows[fields == field]] = self.large[fields == field]
            is_whole = not np.isnan(values).any()
            columns[wanted.index(field)] = downcast_integers(values.astype(np.int64)) if is_whole else values
        return [NumericColumn(values) for values in columns]


def parse_digits(text: bytes, n_rows: int, n_fields: int) -> Integers | None:
    """Parse cells of up to MAX_DIGITS digits without leading zeros, or missing; None if a cell is another.

    `text` consists of complete lines and holds as many newlines and delimiters as the table has; None also if a line
    has too few or too many cells, or too many cells have more than SMALL_DIGITS digits or none.
    """
    data = np.frombuffer(b"\n" * SMALL_DIGITS + text, np.uint8)
    values, n_parsed, end = np.empty(n_rows * n_fields, np.uint16), 0, -1
    indices, large = [np.zeros(0, np.intp)], list[float]()
    for start in range(0, len(text), BYTES_PER_CHUNK):
        chunk = data[start : start + BYTES_PER_CHUNK + SMALL_DIGITS]
        numbers, ends, has_missing = _parse_chunk(chunk)
        row_ends = ends[n_fields - 1 - n_parsed % n_fields :: n_fields]
        if n_parsed + len(numbers) > len(values) or (chunk[row_ends + SMALL_DIGITS] != NEWLINE).any():
            return None
        values[n_parsed : n_parsed + len(numbers)] = numbers
        n_digits = int(ends[-1]) + start - end - len(ends) if len(ends) else 0
        # Numbers have fewer digits than the text if they have leading zeros or are too long.
        if has_missing or _count_digits(numbers) != n_digits:
            lengths = np.diff(ends, prepend=end - start) - 1
            if lengths.max() > MAX_DIGITS:
                return None
            is_large = (lengths - 1).view(np.uint64) >= SMALL_DIGITS  # 0 wraps around
            bounds = zip((ends + start)[is_large].tolist(), lengths[is_large].tolist(), strict=True)
            cells = [text[bound - length : bound] for bound, length in bounds]
            indices.append(np.flatnonzero(is_large) + n_parsed)
            large += [float(cell or "nan") for cell in cells]
            n_digits -= sum(len(str(int(cell))) for cell in cells if cell)
            if _count_digits(numbers[~is_large]) != n_digits or len(large) > MAX_FRACTION * len(values):
                return None
        n_parsed += len(numbers)
        end = int(ends[-1]) + start if len(ends) else end
    if n_parsed < len(values):
        return None
    return Integers(values.reshape(n_rows, n_fields), np.concatenate(indices), np.asarray(large))


def _count_digits(values: NDArray[np.uint16]) -> int:
    return len(values) + sum(int(np.count_nonzero(values >= 10**exponent)) for exponent in range(1, SMALL_DIGITS))


def _parse_chunk(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.intp], bool]:
    """The numbers that end after the first SMALL_DIGITS bytes, the positions of their ends, whether one has no digit.

    Of a longer number, the last digits.
    """
    digits = data - ord("0")  # other characters wrap around to more than 9
    is_digit = digits < 10
    is_filled = is_digit[SMALL_DIGITS:] | is_digit[SMALL_DIGITS - 1 : -1]
    ends = np.flatnonzero(~is_digit[SMALL_DIGITS:])
    digits *= is_digit
    # The number in each two bytes, 0 unless the second is a digit; and the same if a digit follows.
    pairs = digits[1:] + 10 * digits[:-1]
    pairs *= is_digit[1:]
    hundreds = pairs[:-2] * is_digit[2:-1]
    numbers = hundreds.take(ends, mode="clip").astype(np.uint16)
    numbers *= 100
    numbers += pairs[SMALL_DIGITS - 2 :].take(ends, mode="clip")
    return numbers, ends, not is_filled.all()
