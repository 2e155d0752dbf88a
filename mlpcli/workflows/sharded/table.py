"""A training table on the workers of a cluster: each reads its shard, and a column is gathered when it is asked for."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.cluster.address import ClusterAddress
from mlpcli.config.loading import LoadedConfig
from mlpcli.data.column_sketch import ColumnSketch, hash_missing, merge_sketches
from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts
from mlpcli.data.reading import faults
from mlpcli.data.reading.faults import table_error
from mlpcli.data.reading.read import joined_names
from mlpcli.data.reading.shards import (
    ShardSummary,
    TableFiles,
    divide_files,
    global_rows,
    merge_column,
    merge_kinds,
    merge_spellings,
    mixed_columns,
)
from mlpcli.data.reading.sources import find_sources, sha256_together
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import Column, NumericColumn, Rows, Table, TableFormat, row_dtype
from mlpcli.progress import report_progress
from mlpcli.workflows.preparing.rows.tables import check_train_location, table_format, training_request
from mlpcli.workflows.sharded.inputs import ShardedInputs
from mlpcli.workflows.sharded.requirements import must_sketch, refuse_unsharded
from mlpcli.workflows.sharded.shard import TrainingShard

if TYPE_CHECKING:
    from mlpcli.cluster.pool import ShardPool


@contextmanager
def table_on_cluster(cluster: ClusterAddress, loaded: LoadedConfig, note: Callable[[str], object]) -> Iterator[Table]:
    """The table of `data.train`, a shard on each worker that is there now, for as long as the block runs.

    The workers must see the files under the same paths. `note` hears of workers that are lost. Raises ConfigError for
    what cannot be trained so, DataError as `read_table`, MlpError where the cluster is at fault.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.pool import ShardPool, connect_directly, wait_for_workers

    refuse_unsharded(loaded)
    files = files_of(loaded)
    with loaded.naming("data.train"), connected(cluster.address, cluster.tls) as client, client.as_current():
        n_shards = len(wait_for_workers(client))
        connect_directly(client)
        rows, folder = divide_files(files.sources, n_shards), os.getcwd()
        arguments = [(loaded, files, own, folder) for own in rows]
        pool = ShardPool(client, TrainingShard, lambda shard: arguments[shard], n_shards, note)
        report_progress("stage", "reading", 0)
        table = read_shards(pool, files, loaded.config.data.train)
        assert isinstance(table.columns, ShardedColumns)
        table.columns.sketches = must_sketch(loaded, table.n_rows)
        yield table


def files_of(loaded: LoadedConfig) -> TableFiles:
    """The files of `data.train`, and what is wanted of them."""
    train = loaded.config.data.train
    check_train_location(loaded)
    request, named = training_request(loaded)
    sources = find_sources(train)
    name = sources[0].name if len(sources) == 1 else joined_names(train)
    return TableFiles(sources, table_format(loaded), tuple(named), request, name)


def read_shards(pool: "ShardPool", files: TableFiles, train: Sequence[str]) -> Table:
    """The table whose shards the objects of a pool are to read; raises DataError as `read_table`."""
    expected: list[Any] = [None] * pool.n_shards  # known once all have read: who reads again must find the same
    summaries: list[ShardSummary] = pool.broadcast("rows", "read", lambda shard: (expected[shard],))
    expected[:] = [summary.fingerprint for summary in summaries]
    if not any(summary.pieces for summary in summaries):
        raise table_error(files.sources[0].name, None, faults.HEADER_ONLY)
    if mixed := mixed_columns(summaries):
        pool.broadcast("texts", "read_again", lambda shard: (mixed,))
    names, format = next(summary.first for summary in summaries if summary.first is not None)
    hashes = _hashes(summaries, files)
    notes = {number: own for summary in summaries for number, own in summary.notes.items()}
    known = mixed.union(*(summary.kinds for summary in summaries))
    rows = global_rows(summaries)
    kinds = merge_kinds(summaries, mixed)
    columns = ShardedColumns(pool, [name for name in names if name in known], rows, names, format, kinds)
    return Table(
        columns,
        sum(map(len, rows)),
        files.name,
        names,
        format,
        columns.where,
        sha256_together([hashes[number] for number in sorted(hashes)]),
        tuple(dict.fromkeys(note for number in sorted(notes) for note in notes[number])),
        spellings=merge_spellings(summaries),
    )


def _hashes(summaries: Sequence[ShardSummary], files: TableFiles) -> dict[int, str]:
    """The hash of each file by its number; raises DataError if shards have read different versions of a file."""
    hashes: dict[int, str] = {}
    for summary in summaries:
        for number, own in summary.hashes.items():
            if hashes.setdefault(number, own) != own:
                raise table_error(files.sources[number].name, None, faults.CHANGED)
    return hashes


class ShardedColumns(RemoteColumns):
    """The columns of the shards; `rows` are the numbers that the rows of each have in the table.

    `kinds` has some cells of each column, of its kind. Where it `sketches`, numbers are sketched, not fetched.
    """

    def __init__(
        self,
        pool: "ShardPool",
        names: Sequence[str],
        rows: Sequence[Rows],
        column_names: tuple[str, ...],
        format: TableFormat,
        kinds: Mapping[str, Column],
    ) -> None:
        super().__init__(names)
        self._pool, self._rows, self._column_names, self._format = pool, rows, column_names, format
        self.kinds, self.sketches = kinds, False
        self._n_parts, self._rank_error, self._picked = 0, 0.0, np.zeros(0, np.int64)
        n_rows = sum(map(len, rows))
        self._owner = np.empty(n_rows, np.min_scalar_type(pool.n_shards))
        self._place = np.empty(n_rows, row_dtype(n_rows))
        for shard, own in enumerate(rows):
            self._owner[own], self._place[own] = shard, np.arange(len(own))

    def fetch(self, name: str) -> Column:
        """See `RemoteColumns`."""
        return merge_column(self._pool.call("column", lambda shard: (name,)), self._rows, name)

    def sample(self, name: str) -> Column:
        """See `RemoteColumns`."""
        kind = self.kinds.get(name)
        return kind if isinstance(kind, NumericColumn) else self[name]

    def where(self, row: int) -> str:
        """The place of a row in its file."""
        (place,) = self._pool.call("where", lambda shard: (int(self._place[row]),), [int(self._owner[row])])
        return str(place)

    def row_hashes(self, columns: Sequence[ColumnSchema], rows: Rows | None) -> NDArray[np.uint64]:
        """See `RemoteColumns`."""
        self._pick(np.arange(len(self._owner)) if rows is None else rows)
        found = self._pool.call("row_hashes", lambda shard: (columns, self._format, self._column_names))
        hashes = np.empty(len(self._picked), np.uint64)
        for shard, own in enumerate(found):
            hashes[self._places(self._picked, shard)] = own
        return hashes

    def sketch(self, schema: ColumnSchema, rows: Rows) -> ColumnSketch | None:
        """See `RemoteColumns`."""
        if not self.sketches:
            return None
        self._pick(rows)
        sketch = merge_sketches(self._pool.call("sketch", lambda shard: (schema, self._format, self._column_names)))
        self._rank_error = max(self._rank_error, sketch.error / max(sketch.n_known, 1))
        return sketch

    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """See `RemoteColumns`."""
        places = [self._places(rows, shard) for shard in range(self._pool.n_shards)]
        return b"".join(hash_missing(is_missing[own]) for own in places)

    @property
    def is_sketched(self) -> bool:
        """See `RemoteColumns`."""
        return self.sketches

    @property
    def rank_error(self) -> float:
        """See `RemoteColumns`."""
        return self._rank_error

    def inputs(self, preprocessor: Preprocessor, rows: Rows, dtype: Any) -> tuple[Any, TransformCounts]:
        """See `RemoteColumns`."""
        self._n_parts += 1
        part, own_rows, format = f"part-{self._n_parts}", self._dealt(rows), self._format
        counts = self._pool.broadcast(
            part,
            "make_inputs",
            lambda shard: (part, preprocessor, own_rows[shard], str(dtype), format, self._column_names),
        )
        n_in = len(preprocessor.feature_names)
        inputs = ShardedInputs(self._pool, part, self._owner[rows], n_in, np.dtype(dtype))
        return inputs, sum(counts, TransformCounts({}, {}))

    def _pick(self, rows: Rows) -> None:
        """Tell each shard which of its rows are looked at next."""
        if rows is not self._picked:
            own_rows = self._dealt(rows)
            self._pool.broadcast("selected rows", "select", lambda shard: (own_rows[shard],))
            self._picked = rows

    def _dealt(self, rows: Rows) -> list[Rows]:
        """The places in each shard of its own ones among some rows."""
        return [self._place[rows[self._places(rows, shard)]] for shard in range(self._pool.n_shards)]

    def _places(self, rows: Rows, shard: int) -> Rows:
        """Which of some rows are in a shard."""
        return np.flatnonzero(self._owner[rows] == shard)
