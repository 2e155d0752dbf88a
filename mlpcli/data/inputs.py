"""Which inputs of the network each column feeds, and in which order.

Inputs stand in blocks: numbers (of a date its day number), sine and cosine of each date's place in year, week and day,
yes/no as -1 and +1 (missing 0), missing flags, one-hot levels. Within a block the columns keep their order.
"""

from collections.abc import Iterator, Sequence

from mlpcli.data.columns import Column
from mlpcli.data.dates import cycle_names


def input_blocks(columns: Sequence[Column]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Blocks of inputs in order: what it is, its column, the names of its inputs."""
    for column in columns:
        if column.role in ("number", "date"):
            yield "amount", column.name, (column.name,)
    for column in columns:
        if column.role == "date":
            yield "cycle", column.name, tuple(f"{column.name}.{part}" for part in cycle_names(column.has_time))
    for column in columns:
        if column.role == "yes_no":
            yield "sign", column.name, (column.name,)
    for column in columns:
        if column.flag_of == column.name:
            yield "flag", column.name, (f"{column.name}=(missing)",)
    for column in columns:
        if column.role == "category":
            extra = ["(missing)"] * column.has_missing_level + ["(other)"] * column.has_other_level
            yield "level", column.name, tuple(f"{column.name}={level}" for level in [*column.levels, *extra])


def input_places(columns: Sequence[Column]) -> dict[tuple[str, str], int]:
    """First input of each block."""
    places, position = {}, 0
    for block, name, inputs in input_blocks(columns):
        places[block, name] = position
        position += len(inputs)
    return places
