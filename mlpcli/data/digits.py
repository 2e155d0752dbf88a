"""Numbers of float32 as text, thousands at once: the shortest decimal that gives each back, in columns of bytes.

Six digits always tell a decimal of six digits from its float32 and nine tell every float32, so the shortest is found
among 6, 7, 8 and 9 digits: the first whose nearest decimal reads back. The digits are computed in float64; where that
is not surely exact (the decimal lies within a thousandth of the border to the next float32, or of a tie), and for
numbers far from 1, the text is NumPy's own.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

MOST_DIGITS = 9
LARGEST = 1e6
SMALLEST = 1e-4  # below it numbers are written as 1.5e-05
TINIEST = 1e-9
POWERS = np.power(10.0, np.arange(0, 23))  # those that float64 holds exactly
# A cell is: sign, "0." and up to three zeros, nine times a digit and room for a point, an exponent, the end.
PREFIX, DIGITS, EXPONENT = 1, 6, 6 + 2 * MOST_DIGITS
WIDTH = EXPONENT + 5


def float_cells(numbers: NDArray[np.float32], end: str) -> Bytes:
    """The cells (n_rows, width) of numbers and what follows each, filled up with NUL bytes; NaN is empty."""
    with np.errstate(invalid="ignore"):  # NaN of one kind becomes NaN of the other
        size = np.abs(numbers.astype(np.float64))
    is_plain = (size >= TINIEST) & (size < LARGEST)
    size[~is_plain] = 1.0
    exponents = np.floor(np.log10(size)).astype(np.int64)
    # log10 may be off by one next to a power of ten.
    exponents += size >= POWERS[np.maximum(exponents + 1, 0)] / POWERS[np.maximum(-exponents - 1, 0)]
    exponents -= size < POWERS[np.maximum(exponents, 0)] / POWERS[np.maximum(-exponents, 0)]
    whole, is_sure = _shortest(size, np.abs(numbers), exponents)
    is_over = whole >= 10**MOST_DIGITS  # 9.9999999 rounded up to 10
    whole[is_over] //= 10
    exponents[is_over] += 1
    cells = _laid_out(whole, exponents, size < SMALLEST)
    cells[:, 0] = np.where(np.signbit(numbers), ord("-"), 0)
    others = np.flatnonzero(~(is_plain & is_sure))
    cells[others] = 0
    cells[:, -1] = ord(end)
    if len(others):
        texts = np.asarray([text.encode() for text in plain_texts(numbers[others])], dtype=f"S{WIDTH - 1}")
        cells[others, :-1] = texts.view(np.uint8).reshape(len(others), -1)
    return cells


def plain_texts(numbers: NDArray[Any]) -> list[str]:
    """The same one by one, of float32 or float64; NumPy's str of a float32 and Python's repr are the shortest."""
    is_double = numbers.dtype == np.float64
    joined = "\n".join([*(map(repr, numbers.tolist()) if is_double else map(str, numbers)), ""])
    if not is_double and "e+" in joined:
        # NumPy writes large float32 as 1.6777216e+07, where Python writes the same decimal as 16777216.0.
        joined = re.sub(r"\S+e\+\d+", lambda number: repr(float(number[0])), joined)
    return joined.replace(".0\n", "\n").replace("nan\n", "\n").split("\n")[:-1]


def _shortest(
    size: NDArray[np.float64], wanted: NDArray[np.float32], exponents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The digits of each number as a whole number of nine digits, and whether they are surely the shortest."""
    half_gap = np.spacing(size.astype(np.float32)).astype(np.float64) / 2
    whole = np.zeros(len(size), np.int64)
    is_sure = np.ones(len(size), np.bool_)
    left = np.arange(len(size))
    for n_digits in range(6, MOST_DIGITS + 1):
        x, gap = size[left], half_gap[left]
        shift = n_digits - 1 - exponents[left]
        scaled = x * POWERS[np.maximum(shift, 0)] / POWERS[np.maximum(-shift, 0)]
        digits = np.rint(scaled)
        distance = np.abs(digits * POWERS[np.maximum(-shift, 0)] / POWERS[np.maximum(shift, 0)] - x)
        # Numbers just above a power of two are twice as far from the next above as from the next below.
        is_near = distance < 0.499 * gap * 2
        is_border = (distance > 0.249 * gap * 2) & (distance < 0.501 * gap * 2)
        is_border &= (distance > 0.499 * gap * 2) | (np.frexp(x)[0] == 0.5)
        is_border |= is_near & (np.abs(np.abs(scaled - digits) - 0.5) < 1e-3)
        is_sure[left[is_border]] = False
        is_found = is_near | is_border
        whole[left[is_found]] = digits[is_found].astype(np.int64) * 10 ** (MOST_DIGITS - n_digits)
        left = left[~is_found]
        if not len(left):
            break
    is_sure[left] = False
    return whole, is_sure


def _laid_out(whole: NDArray[np.int64], exponents: NDArray[np.int64], is_scientific: NDArray[np.bool_]) -> Bytes:
    """The digits at their places, without zeros at the end, with point, leading zeros or exponent."""
    cells = np.zeros((len(whole), WIDTH), np.uint8)
    point = np.where(is_scientific, 0, exponents)  # the digit that the point follows; negative: it is in front
    rest = whole.astype(np.uint32)
    is_shown = np.zeros(len(whole), np.bool_)
    for place in range(MOST_DIGITS - 1, -1, -1):
        tens = rest // 10
        digit = rest - tens * 10
        rest = tens
        is_after = is_shown.copy()  # whether a digit that is not zero follows
        is_shown |= digit != 0
        is_written = is_shown | (point >= place)
        cells[:, DIGITS + 2 * place] = np.where(is_written, digit + ord("0"), 0)
        if place <= 6:
            cells[:, DIGITS + 2 * place + 1] = np.where(is_after & (point == place), ord("."), 0)
    is_small = point < 0
    if is_small.any():
        cells[:, PREFIX] = np.where(is_small, ord("0"), 0)
        cells[:, PREFIX + 1] = np.where(is_small, ord("."), 0)
        for n_zeros in (1, 2, 3):
            cells[:, PREFIX + 1 + n_zeros] = np.where(point < -n_zeros, ord("0"), 0)
    if is_scientific.any():
        power = -exponents[is_scientific]
        cells[is_scientific, EXPONENT] = ord("e")
        cells[is_scientific, EXPONENT + 1] = ord("-")
        cells[is_scientific, EXPONENT + 2] = power // 10 + ord("0")
        cells[is_scientific, EXPONENT + 3] = power % 10 + ord("0")
    return cells
