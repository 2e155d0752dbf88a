"""From the columns of a table to the inputs of the networks, as nodes of ONNX."""

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
NAT = np.iinfo(np.int64).min  # NumPy's date that is none
MOST_CAPITALS = 12  # letters of a word whose capitals do not matter: each way of writing it is a key
MISSING, OTHER = -1, -2  # what texts become beside the places of levels


def inputs(nodes: Nodes, columns: Sequence[Column], n_inputs: int) -> tuple[str, str]:
    """The inputs (n_rows, n_inputs) of the networks, and which rows cannot be answered (n_rows, 1)."""
    parts: list[tuple[int, str]] = []  # first place, and a matrix of the inputs from there on
    flags: dict[int, str] = {}
    unsound: list[str] = []
    for column in columns:
        write = _number if "fill" in column else _text
        own, is_missing, faults = write(nodes, column)
        parts += own
        unsound += faults + ([is_missing] if column["refuses_missing"] else [])
        if (flag := column["flag"]) is not None:
            flags[flag] = nodes.add("Or", flags[flag], is_missing) if flag in flags else is_missing
    parts += [(place, _as_number(nodes, is_missing)) for place, is_missing in flags.items()]
    ordered = [part for _, part in sorted(parts)]
    X = nodes.add("Cast", nodes.add("Concat", *ordered, axis=1), to=nodes.type_of(nodes.dtype))
    size = nodes.add("ReduceMax", nodes.add("Abs", X), nodes.const(np.asarray([1])))
    is_unsound = nodes.add("Greater", size, nodes.weights(np.finfo(nodes.dtype).max))
    for fault in unsound:
        is_unsound = nodes.add("Or", is_unsound, fault)
    return X, is_unsound


def _as_number(nodes: Nodes, condition: str) -> str:
    return nodes.add("Cast", condition, to=nodes.type_of(np.float64))


def _number(nodes: Nodes, column: Column) -> tuple[list[tuple[int, str]], str, list[str]]:
    """Its inputs, where it is missing, and where it cannot be used."""
    if column["role"] == "date":
        stamp = nodes.input(column["name"], np.int64)
        is_missing = nodes.add("Equal", stamp, nodes.const(np.asarray(NAT)))
        value = nodes.add("Div", nodes.double(stamp), nodes.numbers(DAY))
    else:
        value = nodes.input(column["name"], np.float64)
        is_missing = nodes.add("IsNaN", value)
        for marker in column["missing_numbers"]:
            is_missing = nodes.add("Or", is_missing, nodes.add("Equal", value, nodes.numbers(marker)))
    filled = nodes.add("Where", is_missing, nodes.numbers(column["fill"]), value)
    is_infinite = nodes.add("Greater", nodes.add("Abs", filled), nodes.numbers(np.finfo(np.float64).max))
    parts = [(column["at"], _scaled(nodes, column, filled))]
    if bins := column.get("bins"):
        parts.append((bins["first"], _bins(nodes, bins, filled)))
    if cycles := column.get("cycles"):
        known = nodes.add("Sub", nodes.numbers(1.0), _as_number(nodes, is_missing))
        parts.append((cycles["first"], nodes.add("Mul", _cycles(nodes, filled, cycles["has_time"]), known)))
    return parts, is_missing, [is_infinite]


def _scaled(nodes: Nodes, column: Column, value: str) -> str:
    if "quantiles" in column:
        knots, heights = np.asarray(column["quantiles"]), np.asarray(column["scores"])
        shares = _shares(nodes, value, knots)
        climbed = nodes.add("MatMul", shares, nodes.numbers(np.diff(heights)[:, None]))
        return nodes.add("Add", climbed, nodes.numbers(heights[0]))
    z = nodes.add("Div", nodes.add("Sub", value, nodes.numbers(column["center"])), nodes.numbers(column["scale"]))
    if (clip := column["clip"]) is None:
        return z
    u = nodes.add("Clip", nodes.add("Div", z, nodes.numbers(clip)), nodes.numbers(-1e100), nodes.numbers(1e100))
    root = nodes.add("Sqrt", nodes.add("Add", nodes.add("Mul", u, u), nodes.numbers(1.0)))
    return nodes.add("Mul", nodes.add("Div", u, root), nodes.numbers(clip))


def _shares(nodes: Nodes, value: str, edges: Any) -> str:
    """How far a value fills what is between each two edges, from 0 to 1."""
    above = nodes.add("Sub", nodes.add("Mul", value, nodes.numbers(0.5)), nodes.numbers(edges[None, :-1] / 2))
    parts = nodes.add("Div", above, nodes.numbers(np.diff(edges / 2)[None]))
    return nodes.add("Clip", parts, nodes.numbers(0.0), nodes.numbers(1.0))


def _bins(nodes: Nodes, bins: Column, value: str) -> str:
    shares = _shares(nodes, value, np.asarray(bins["edges"]))
    if (span := bins["span"]) is None:
        return shares
    doubled = nodes.add("Sub", nodes.add("Mul", shares, nodes.numbers(2.0)), nodes.numbers(1.0))
    return nodes.add("Mul", doubled, nodes.numbers(span))


def _cycles(nodes: Nodes, days: str, has_time: bool) -> str:
    """Sine and cosine of the place in the year, in the week from Monday and in the day (as H. Hinnant counts them)."""

    def by(value: str, divisor: float) -> str:
        return nodes.add("Floor", nodes.add("Div", value, nodes.numbers(divisor)))

    def less(value: str, *others: str) -> str:
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
    moved = plus(whole, nodes.numbers(719_468.0))
    day = less(moved, times(by(moved, 146_097.0), 146_097.0))
    year = by(less(plus(day, by(day, 36_524.0)), by(day, 1_460.0), by(day, 146_096.0)), 365.0)
    from_march = less(plus(day, by(year, 100.0)), times(year, 365.0), by(year, 4.0))
    is_fourth, is_hundredth = (nodes.add("Equal", times(by(year, n), n), year) for n in (4.0, 100.0))
    is_common = nodes.add("And", is_hundredth, nodes.add("Greater", year, nodes.numbers(0.0)))
    leap = _as_number(nodes, nodes.add("And", is_fourth, nodes.add("Not", is_common)))
    is_january = nodes.add("GreaterOrEqual", from_march, nodes.numbers(306.0))
    behind = plus(from_march, nodes.numbers(59.0), leap)
    place = nodes.add("Where", is_january, less(from_march, nodes.numbers(306.0)), behind)
    monday = plus(whole, nodes.numbers(3.0))
    week = less(monday, times(by(monday, 7.0), 7.0))
    turns = [nodes.add("Div", place, nodes.numbers(365.25)), nodes.add("Div", week, nodes.numbers(7.0))]
    turns += [less(days, whole)] * has_time
    angles = [times(turn, 2 * np.pi) for turn in turns]
    return nodes.add("Concat", *(nodes.add(wave, angle) for angle in angles for wave in ("Sin", "Cos")), axis=1)


def _text(nodes: Nodes, column: Column) -> tuple[list[tuple[int, str]], str, list[str]]:
    """Its inputs, where it is missing, and nothing that cannot be used."""
    cell = nodes.input(column["name"], np.dtype(object))
    levels = [*map(canonical, column["words"])] if column["role"] == "boolean" else column["levels"]
    keys = {text: place for place, level in enumerate(levels) for text in _spellings(column, level, place)}
    keys |= {text: MISSING for marker in column["missing"] for text in spellings_of(marker)}
    code = nodes.add(
        "LabelEncoder", cell, domain="ai.onnx.ml", keys_strings=[*keys], values_int64s=[*keys.values()],
        default_int64=OTHER,
    )  # fmt: skip
    is_missing = nodes.add("Equal", code, nodes.const(np.asarray(MISSING)))
    if "sign" in column:
        is_no, is_yes = (_as_number(nodes, nodes.add("Equal", code, nodes.const(np.asarray(side)))) for side in (0, 1))
        return [(column["sign"], nodes.add("Sub", is_yes, is_no))], is_missing, []
    hot = [*range(len(levels))]
    hot += [MISSING] * (column["missing_level"] is not None) + [OTHER] * (column["other_level"] is not None)
    if not hot:
        return [], is_missing, []
    is_level = nodes.add("Equal", code, nodes.const(np.asarray([hot])))
    return [(column["first"], _as_number(nodes, is_level))], is_missing, []


def _spellings(column: Column, level: str, place: int) -> list[str]:
    """Every text that is this level."""
    if column["role"] == "boolean":
        words = [word for pair in boolean_pairs(column["words"]) for word in _capitals(column, pair[place])]
        return [level, *(text for word in words for text in spellings_of(word))]
    return _capitals(column, level) if level in column["words"] else spellings_of(level)


def _capitals(column: Column, word: str) -> list[str]:
    """A word in all capitals and small letters."""
    if len(word) > MOST_CAPITALS:
        raise MlpError(f"--to onnx: column {column['name']}: {word!r} is too long to be written in every capital.")
    return ["".join(letters) for letters in product(*({sign.lower(): None, sign.upper(): None} for sign in word))]
