"""Tables without a file: a frame, a name, and the line of each row as if a header came first."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class HandTable:
    frame: pd.DataFrame
    name: str = "new.csv"

    @property
    def column_names(self):
        return tuple(self.frame.columns)

    def where(self, row: int) -> str:
        return f"{self.name}:{row + 2}"


def hand_table(**columns):
    """A table as it comes from a file: numbers as numbers, texts as objects."""
    typed = {
        name: pd.Series(cells, dtype=object if any(isinstance(cell, str) for cell in cells) else None)
        for name, cells in columns.items()
    }
    return HandTable(pd.DataFrame(typed))
