"""Which inputs of the network each column feeds, and in which order.

Inputs stand in blocks: numbers (of a date its day number), their bins, sine and cosine of each date's place in year,
week and day, yes/no and other pairs of levels as -1 and +1 (missing 0), missing flags, one-hot levels. Within a block
the columns keep their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from mlpcli.data.amounts import Amount
from mlpcli.data.columns import Column
from mlpcli.data.dates import cycle_names
from mlpcli.data.piecewise import bin_names

Block = Literal["amount", "bins", "cycle", "sign", "flag", "level"]


def input_blocks(columns: Sequence[Column]) -> Iterator[tuple[Block, Column, int]]:
    """Blocks of inputs in order: what it is, its column, how many inputs it has."""
    amounts = [column for column in columns if column.role in ("number", "date")]
    for column in amounts:
        yield "amount", column, 1
    for column in amounts:
        if column.n_bins:
            yield "bins", column, column.n_bins
    for column in columns:
        if column.role == "date":
            yield "cycle", column, len(cycle_names(column.has_time))
    for column in columns:
        if column.role == "yes_no" or column.is_signed:
            yield "sign", column, 1
    for column in columns:
        if column.flag_of == column.name:
            yield "flag", column, 1
    for column in columns:
        if column.role == "category" and not column.is_signed:
            yield "level", column, column.n_inputs


def input_names(columns: Sequence[Column], amounts: Mapping[str, Amount]) -> tuple[str, ...]:
    """A name for each input, in order."""
    return tuple(name for block, column, _ in input_blocks(columns) for name in _names(block, column, amounts))


def input_places(columns: Sequence[Column]) -> dict[tuple[Block, str], slice]:
    """The inputs of each block, by what it is and the name of its column."""
    places, start = {}, 0
    for block, column, n_inputs in input_blocks(columns):
        places[block, column.name] = slice(start, start + n_inputs)
        start += n_inputs
    return places


def _names(block: Block, column: Column, amounts: Mapping[str, Amount]) -> list[str]:
    match block:
        case "amount":
            return [column.name]
        case "bins":
            spans = bin_names(amounts[column.name].edges, column.role == "date")
            return [f"{column.name}[{span}]" for span in spans]
        case "cycle":
            return [f"{column.name}.{part}" for part in cycle_names(column.has_time)]
        case "sign":
            return [f"{column.name}={column.levels[1]}" if column.is_signed else column.name]
        case "flag":
            return [f"{column.name}=(missing)"]
        case "level":
            extra = ["(missing)"] * column.has_missing_level + ["(other)"] * column.has_other_level
            return [f"{column.name}={level}" for level in [*column.levels, *extra]]
