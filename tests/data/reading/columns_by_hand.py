"""What the tests of readers share: the cells of columns, and whole columns out of batches."""

from contextlib import closing

import numpy as np

from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.sources import Source
from mlpcli.data.table import CategoricalColumn, NumericColumn, TableFormat

TEXTS = Request(texts=None)


def cells(column):
    if isinstance(column, NumericColumn):
        return [None if value != value else value for value in column.values.tolist()]
    return [column.levels[code] if code >= 0 else None for code in column.codes.tolist()]


def opened(reader_type, path, *arguments, **format):
    return reader_type(Source(str(path)), TableFormat(**format), *arguments)


def whole(reader, request=Request()):  # noqa: B008
    """Role and cells of each column, all batches together; as texts where batches differ in kind. Closes the reader."""
    with closing(reader):
        return _whole(reader, request)


def _whole(reader, request):
    tables = [batch() for batch in reader.batches(request)]
    assert [table.first_row for table in tables] == list(np.cumsum([0, *(len_of(table) for table in tables)])[:-1])
    merged = {}
    for name in [name for name in reader.names if request.wants(name)]:
        batches = [table.columns[name] for table in tables]
        filled = [column for column in batches if any(cell is not None for cell in cells(column))] or batches[:1]
        if len({(type(column), column.role) for column in filled}) > 1:
            again = [batch() for batch in reader.batches(Request(frozenset([name]), frozenset([name])))]
            batches = filled = [table.columns[name] for table in again]
        merged[name] = (filled[0].role if filled else None, [cell for column in batches for cell in cells(column)])
    return merged


def len_of(table):
    assert all(len(column) == table.n_rows for column in table.columns.values())
    for column in table.columns.values():
        if isinstance(column, CategoricalColumn):
            assert len(set(column.levels)) == len(column.levels)
            assert "" not in column.levels
    return table.n_rows


def damaged(content, seed, n_times):
    """The bytes cut short, or with some of them changed."""
    rng = np.random.default_rng(seed)
    for _ in range(n_times):
        data = bytearray(content[: rng.integers(len(content))] if rng.random() < 0.3 else content)
        for _ in range(int(rng.integers(1, 4)) if len(data) else 0):
            data[rng.integers(len(data))] = rng.integers(256)
        yield bytes(data)
