"""Tables without a file: rows have the lines they would have below a header, and columns are read as decided."""

from dataclasses import replace

import pandas as pd

from mlpcli.data.reading.read import map_tables
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.schema.column import ColumnOptions, ColumnSchema, cast_table
from mlpcli.data.schema.roles import INFER, infer_schema
from mlpcli.data.table import NumericColumn, Table, TableFormat

AS_WRITTEN, ALL = TableFormat(), Request()


def iter_tables(source, format=AS_WRITTEN, request=ALL):
    """The chunks in which a table is answered."""
    return map_tables(lambda table: table, source, format, request)


def frame_table(frame: pd.DataFrame) -> Table:
    """A frame as the table of a file new.csv."""
    table = table_from_frame(frame, "new.csv")
    columns = {name: replace(column, cell_type=None) for name, column in table.columns.items()}
    return replace(table, columns=columns, locate=lambda row: f"new.csv:{row + 2}", is_file=True)


def hand_table(**columns) -> Table:
    """A table as it comes from a file: numbers as numbers, texts as texts; None and NaN are missing cells."""
    typed = {
        name: pd.Series(cells, dtype=object if any(isinstance(cell, str) for cell in cells) else None)
        for name, cells in columns.items()
    }
    return frame_table(pd.DataFrame(typed))


def schemas_of(table: Table, roles=None) -> list[ColumnSchema]:
    """How each column is read, with the roles that are given."""
    options = {name: ColumnOptions(role=role) for name, role in (roles or {}).items()}
    return [infer_schema(table, name, options.get(name, INFER))[0] for name in table.names]


def read_as(table: Table, roles=None) -> tuple[Table, list[ColumnSchema]]:
    """The table with its columns cast, and how."""
    schemas = schemas_of(table, roles)
    return cast_table(table, schemas), schemas


def cells_of(column) -> list:
    """The cells of a column, None where one is missing."""
    if isinstance(column, NumericColumn):
        return [None if cell != cell else cell for cell in column.values.tolist()]
    return [column.levels[code] if code >= 0 else None for code in column.codes.tolist()]
