"""Tables without a file: a frame, a name, and the line of each row as if a header came first."""

import pandas as pd

from mlpcli.data.tables import Table


class HandTable(Table):
    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__(frame, "new.csv", tuple(frame.columns))

    def where(self, row: int) -> str:
        return f"{self.name}:{row + 2}"


def hand_table(**columns):
    """A table as it comes from a file: numbers as numbers, texts as objects."""
    typed = {
        name: pd.Series(cells, dtype=object if any(isinstance(cell, str) for cell in cells) else None)
        for name, cells in columns.items()
    }
    return HandTable(pd.DataFrame(typed))
