"""Texts to inputs: which levels of a column get an input of their own."""

from collections.abc import Mapping
from typing import Annotated, Literal

from mlpcli.data.schema.cells import sort_levels
from mlpcli.options import Setting, options


@options
class OneHot:
    """One input per level, 1 where the row has that level; rare levels share one input, missing cells have one."""

    name: Literal["onehot"] = "onehot"
    min_count: Annotated[int, Setting("Levels with fewer training rows share one input.", ge=1)] = 5
    max_levels: Annotated[int, Setting("At most this many levels, the most frequent, get an input.", ge=2)] = 100
    binary: Annotated[
        Literal["one", "two"],
        Setting(
            "Inputs of a column with exactly two levels and no missing cells: two (one-hot), or one that is -1 or 1."
        ),
    ] = "two"


def choose_levels(options: OneHot, counts: Mapping[str, float]) -> tuple[tuple[str, ...], bool]:
    """Levels that get an input, in order, and whether any are left over; `counts` are (weighted) rows per level."""
    frequent = [level for level, count in counts.items() if count >= options.min_count]
    # Equal counts are kept in the order of the levels, so the choice does not depend on the order of the rows.
    ranked = sorted(sort_levels(frequent), key=lambda level: -counts[level])
    chosen = ranked[: options.max_levels]
    return sort_levels(chosen), len(chosen) < len(counts)
