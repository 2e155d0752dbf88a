"""Preprocessing as ONNX nodes: from the columns of a table to the network inputs."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from mlpcli.data.schema.spelling import boolean_pairs, canonical
from mlpcli.errors import MlpError
from mlpcli.export.description import spellings_of
from mlpcli.export.onnx.nodes import Nodes

Column = Mapping[str, Any]

DAY = 86_400e6  # microseconds
NAT = np.iinfo(np.int64).min  # NumPy's missing date
MAX_LETTERS = 12  # of a word compared without regard to case: each of its 2^n spellings is a key
MISSING, OTHER = -1, -2  # codes of texts that are missing or no level


def inputs(nodes: Nodes, columns: Sequence[Column], n_inputs: int) -> tuple[str, str]:
    """The network inputs (n_rows, n_inputs), and which rows cannot be predicted (n_rows, 1)."""
    blocks: list[tuple[int, str]] = []  # index of the first input, and a matrix of consecutive inputs
    indicators: dict[int, str] = {}
    invalid: list[str] = []
    for column in columns:
        write = _number if "fill" in column else _text
        own, is_missing, faults = write(nodes, column)
        blocks += own
        invalid += faults + ([is_missing] if column["refuses_missing"] else [])
        if (flag := column["flag"]) is not None:
            indicators[flag] = nodes.add("Or", indicators[flag], is_missing) if flag in indicators else is_missing
    blocks += [(index, nodes.double(is_missing)) for index, is_missing in indicators.items()]
    ordered = [block for _, block in sorted(blocks)]
    X = nodes.add("Cast", nodes.add("Concat", *ordered, axis=1), to=nodes.type_of(nodes.dtype))
    size = nodes.add("ReduceMax", nodes.add("Abs", X), nodes.const(np.asarray([1])))
    is_invalid = nodes.add("Greater", size, nodes.weights(np.finfo(nodes.dtype).max))
    for fault in invalid:
        is_invalid = nodes.add("Or", is_invalid, fault)
    return X, is_invalid


def _number(nodes: Nodes, column: Column) -> tuple[list[tuple[int, str]], str, list[str]]:
    """The blocks of inputs of a numeric or date column, whether cells are missing, and conditions for invalid cells."""
    if column["role"] == "date":
        stamp = nodes.input(column["name"], np.int64)
        is_missing = nodes.add("Equal", stamp, nodes.const(np.asarray(NAT)))
        value = nodes.add("Div", nodes.double(stamp), nodes.numbers(DAY))
    else:
        value = nodes.input(column["name"], np.float64)
        is_missing = nodes.add("IsNaN", value)
        for marker in column["missing_numbers"]:
            is_missing = nodes.add("Or", is_missing, nodes.add("Equal", value, nodes.numbers(marker)))
    imputed = nodes.add("Where", is_missing, nodes.numbers(column["fill"]), value)
    is_infinite = nodes.add("Greater", nodes.add("Abs", imputed), nodes.numbers(np.finfo(np.float64).max))
    blocks = [(column["at"], _scaled(nodes, column, imputed))]
    if bins := column.get("bins"):
        blocks.append((bins["first"], _bins(nodes, bins, imputed)))
    if cycles := column.get("cycles"):
        is_present = nodes.double(nodes.add("Not", is_missing))
        blocks.append((cycles["first"], nodes.add("Mul", _cycles(nodes, imputed, cycles["has_time"]), is_present)))
    return blocks, is_missing, [is_infinite]


def _scaled(nodes: Nodes, column: Column, value: str) -> str:
    if "quantiles" in column:
        knots, heights = np.asarray(column["quantiles"]), np.asarray(column["scores"])
        rise = nodes.add("MatMul", _bin_fractions(nodes, value, knots), nodes.numbers(np.diff(heights)[:, None]))
        return nodes.add("Add", rise, nodes.numbers(heights[0]))
    z = nodes.add("Div", nodes.add("Sub", value, nodes.numbers(column["center"])), nodes.numbers(column["scale"]))
    if (clip := column["clip"]) is None:
        return z
    u = nodes.add("Clip", nodes.add("Div", z, nodes.numbers(clip)), nodes.numbers(-1e100), nodes.numbers(1e100))
    root = nodes.add("Sqrt", nodes.add("Add", nodes.add("Mul", u, u), nodes.numbers(1.0)))
    return nodes.add("Mul", nodes.add("Div", u, root), nodes.numbers(clip))


def _bin_fractions(nodes: Nodes, value: str, edges: Any) -> str:
    """The fraction from 0 to 1 to which a value fills each bin (n_rows, n_bins)."""
    above = nodes.add("Sub", nodes.add("Mul", value, nodes.numbers(0.5)), nodes.numbers(edges[None, :-1] / 2))
    fractions = nodes.add("Div", above, nodes.numbers(np.diff(edges / 2)[None]))
    return nodes.add("Clip", fractions, nodes.numbers(0.0), nodes.numbers(1.0))


def _bins(nodes: Nodes, bins: Column, value: str) -> str:
    fractions = _bin_fractions(nodes, value, np.asarray(bins["edges"]))
    if (span := bins["span"]) is None:
        return fractions
    doubled = nodes.add("Sub", nodes.add("Mul", fractions, nodes.numbers(2.0)), nodes.numbers(1.0))
    return nodes.add("Mul", doubled, nodes.numbers(span))


def _cycles(nodes: Nodes, days: str, has_time: bool) -> str:
    """Sine and cosine of the position in the year, the week from Monday and the day (see H. Hinnant)."""

    def floor_divide(value: str, divisor: float) -> str:
        return nodes.add("Floor", nodes.add("Div", value, nodes.numbers(divisor)))

    def minus(value: str, *others: str) -> str:
        for other in others:
            value = nodes.add("Sub", value, other)
        return value

    def times(value: str, factor: float) -> str:
        return nodes.add("Mul", value, nodes.numbers(factor))

    def plus(value: str, *others: str) -> str:
        for other in others:
            value = nodes.add("Add", value, other)
        return value

    whole = nodes.add("Floor", days)
    shifted = plus(whole, nodes.numbers(719_468.0))
    day = minus(shifted, times(floor_divide(shifted, 146_097.0), 146_097.0))
    year = floor_divide(
        minus(plus(day, floor_divide(day, 36_524.0)), floor_divide(day, 1_460.0), floor_divide(day, 146_096.0)), 365.0
    )
    from_march = minus(plus(day, floor_divide(year, 100.0)), times(year, 365.0), floor_divide(year, 4.0))
    is_fourth, is_hundredth = (nodes.add("Equal", times(floor_divide(year, n), n), year) for n in (4.0, 100.0))
    is_common = nodes.add("And", is_hundredth, nodes.add("Greater", year, nodes.numbers(0.0)))
    leap = nodes.double(nodes.add("And", is_fourth, nodes.add("Not", is_common)))
    is_january = nodes.add("GreaterOrEqual", from_march, nodes.numbers(306.0))
    from_january = plus(from_march, nodes.numbers(59.0), leap)
    of_year = nodes.add("Where", is_january, minus(from_march, nodes.numbers(306.0)), from_january)
    monday = plus(whole, nodes.numbers(3.0))
    week = minus(monday, times(floor_divide(monday, 7.0), 7.0))
    turns = [nodes.add("Div", of_year, nodes.numbers(365.25)), nodes.add("Div", week, nodes.numbers(7.0))]
    turns += [minus(days, whole)] * has_time
    angles = [times(turn, 2 * np.pi) for turn in turns]
    return nodes.add("Concat", *(nodes.add(wave, angle) for angle in angles for wave in ("Sin", "Cos")), axis=1)


def _text(nodes: Nodes, column: Column) -> tuple[list[tuple[int, str]], str, list[str]]:
    """The blocks of inputs of a boolean or category column, and whether cells are missing; none are invalid."""
    cell = nodes.input(column["name"], np.dtype(object))
    levels = [*map(canonical, column["words"])] if column["role"] == "boolean" else column["levels"]
    keys = {text: code for code, level in enumerate(levels) for text in _spellings(column, level, code)}
    keys |= {text: MISSING for marker in column["missing"] for text in spellings_of(marker)}
    code = nodes.add(
        "LabelEncoder", cell, domain="ai.onnx.ml", keys_strings=[*keys], values_int64s=[*keys.values()],
        default_int64=OTHER,
    )  # fmt: skip
    is_missing = nodes.add("Equal", code, nodes.const(np.asarray(MISSING)))
    if "sign" in column:
        is_no, is_yes = (nodes.double(nodes.add("Equal", code, nodes.const(np.asarray(side)))) for side in (0, 1))
        return [(column["sign"], nodes.add("Sub", is_yes, is_no))], is_missing, []
    codes = [*range(len(levels))]
    codes += [MISSING] * (column["missing_level"] is not None) + [OTHER] * (column["other_level"] is not None)
    if not codes:
        return [], is_missing, []
    is_level = nodes.add("Equal", code, nodes.const(np.asarray([codes])))
    return [(column["first"], nodes.double(is_level))], is_missing, []


def _spellings(column: Column, level: str, code: int) -> list[str]:
    """Every text that is read as this level."""
    if column["role"] == "boolean":
        words = [word for pair in boolean_pairs(column["words"]) for word in _case_variants(column, pair[code])]
        return [level, *(text for word in words for text in spellings_of(word))]
    return _case_variants(column, level) if level in column["words"] else spellings_of(level)


def _case_variants(column: Column, word: str) -> list[str]:
    """Every combination of upper and lower case of a word; raises MlpError if there are too many."""
    if len(word) > MAX_LETTERS:
        raise MlpError(f"--to onnx: column {column['name']}: {word!r} is too long to be written in every capital.")
    return ["".join(letters) for letters in product(*({letter.lower(): None, letter.upper(): None} for letter in word))]
