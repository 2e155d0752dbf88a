"""A training table on the workers of a cluster: each reads its shard, and columns are gathered on access."""

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
    merge_summaries,
)
from mlpcli.data.reading.sources import find_sources, sha256_together
from mlpcli.data.remote_columns import RemoteColumns, Shards
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
    """Distribute the table of `data.train` over the current workers, one shard each, until the context exits.

    The workers must see the files under the same paths. `note` is called when a worker is lost. Raises ConfigError for
    a config that cannot be trained on shards, DataError as `read_table`, MlpError for a fault of the cluster.
    """
    from mlpcli.cluster.connection import connected
    from mlpcli.cluster.pool import ShardPool, connect_directly, wait_for_workers

    refuse_unsharded(loaded)
    files = training_files(loaded)
    with loaded.naming("data.train"), connected(cluster.address, cluster.tls) as client, client.as_current():
        n_shards = len(wait_for_workers(client))
        connect_directly(client)
        rows, folder = divide_files(files.sources, n_shards), os.getcwd()
        arguments = [(loaded, files, shard_rows, folder) for shard_rows in rows]
        pool = ShardPool(client, TrainingShard, lambda shard: arguments[shard], n_shards, note)
        report_progress("stage", "reading", 0)
        table = read_shards(pool, files, loaded.config.data.train)
        assert isinstance(table.columns, RemoteColumns)
        table.columns.shards.is_sketched = must_sketch(loaded, table.n_rows)
        yield table


def training_files(loaded: LoadedConfig) -> TableFiles:
    """The files of `data.train`, with their format and the columns to read."""
    train = loaded.config.data.train
    check_train_location(loaded)
    request, named = training_request(loaded)
    sources = find_sources(train)
    name = sources[0].name if len(sources) == 1 else joined_names(train)
    return TableFiles(sources, table_format(loaded), tuple(named), request, name)


def read_shards(pool: "ShardPool", files: TableFiles, train: Sequence[str]) -> Table:
    """Let the objects of a pool read their shards; returns the table of these. Raises DataError as `read_table`."""
    expected: list[Any] = [None] * pool.n_shards  # fingerprints, for workers that replace others and read again
    summaries: list[ShardSummary] = pool.broadcast("rows", "read", lambda shard: (expected[shard],))
    expected[:] = [summary.fingerprint for summary in summaries]
    if not any(summary.pieces for summary in summaries):
        raise table_error(files.sources[0].name, None, faults.HEADER_ONLY)
    mixed, kinds, spellings = merge_summaries(summaries)
    if mixed:
        pool.broadcast("texts", "read_again", lambda shard: (mixed,))
    names, format = next(summary.first for summary in summaries if summary.first is not None)
    hashes = _hashes(summaries, files)
    notes = {number: file_notes for summary in summaries for number, file_notes in summary.notes.items()}
    read_columns = mixed.union(*(summary.kinds for summary in summaries))
    rows = global_rows(summaries)
    shards = TableShards(pool, rows, names, format, kinds)
    columns = RemoteColumns(shards, shards.column, [name for name in names if name in read_columns])
    return Table(
        columns,
        sum(map(len, rows)),
        files.name,
        names,
        format,
        shards.where,
        sha256_together([hashes[number] for number in sorted(hashes)]),
        tuple(dict.fromkeys(note for number in sorted(notes) for note in notes[number])),
        spellings=spellings,
    )


def _hashes(summaries: Sequence[ShardSummary], files: TableFiles) -> dict[int, str]:
    """The hash of each file by its number; raises DataError if shards have read different versions of a file."""
    hashes: dict[int, str] = {}
    for summary in summaries:
        for number, sha256 in summary.hashes.items():
            if hashes.setdefault(number, sha256) != sha256:
                raise table_error(files.sources[number].name, None, faults.CHANGED)
    return hashes


class TableShards(Shards):
    """The rows of a table on shards; `rows` has the row numbers in the table of each shard.

    `kinds` has a column with a few cells for each column, of the same kind.
    """

    def __init__(
        self,
        pool: "ShardPool",
        rows: Sequence[Rows],
        column_names: tuple[str, ...],
        format: TableFormat,
        kinds: Mapping[str, Column],
    ) -> None:
        self._pool, self._rows, self._column_names, self._format, self._kinds = pool, rows, column_names, format, kinds
        self._n_inputs, self._selected = 0, np.zeros(0, np.int64)
        n_rows = sum(map(len, rows))
        self._shard_of = np.empty(n_rows, np.min_scalar_type(pool.n_shards))
        self._row_in_shard = np.empty(n_rows, row_dtype(n_rows))
        for shard, shard_rows in enumerate(rows):
            self._shard_of[shard_rows], self._row_in_shard[shard_rows] = shard, np.arange(len(shard_rows))

    def column(self, name: str) -> Column:
        """Fetch a column, all rows, as it was read."""
        return merge_column(self._pool.call("column", lambda shard: (name,)), self._rows, name)

    def sample(self, name: str) -> Column | None:
        """See `Shards`."""
        kind = self._kinds.get(name)
        return kind if isinstance(kind, NumericColumn) else None

    def where(self, row: int) -> str:
        """File and line of a row, for messages."""
        row_in_shard, shard = int(self._row_in_shard[row]), int(self._shard_of[row])
        (location,) = self._pool.call("where", lambda _: (row_in_shard,), [shard])
        return str(location)

    def row_hashes(self, schemas: Sequence[ColumnSchema], rows: Rows | None) -> NDArray[np.uint64]:
        """See `Shards`."""
        self._select(np.arange(len(self._shard_of)) if rows is None else rows)
        hashes_by_shard = self._pool.call("row_hashes", lambda shard: (schemas, self._format, self._column_names))
        hashes = np.empty(len(self._selected), np.uint64)
        for shard, shard_hashes in enumerate(hashes_by_shard):
            hashes[self._positions(self._selected, shard)] = shard_hashes
        return hashes

    def sketch(self, schema: ColumnSchema, rows: Rows) -> ColumnSketch:
        """See `Shards`."""
        self._select(rows)
        sketch = merge_sketches(self._pool.call("sketch", lambda shard: (schema, self._format, self._column_names)))
        self.rank_error = max(self.rank_error, sketch.error / max(sketch.n_known, 1))
        return sketch

    def missing_hash(self, is_missing: NDArray[np.bool_], rows: Rows) -> bytes:
        """See `Shards`."""
        positions = [self._positions(rows, shard) for shard in range(self._pool.n_shards)]
        return b"".join(hash_missing(is_missing[shard_positions]) for shard_positions in positions)

    def inputs(self, preprocessor: Preprocessor, rows: Rows, dtype: Any) -> tuple[Any, TransformCounts]:
        """See `Shards`."""
        self._n_inputs += 1
        split, rows_by_shard, format = f"split-{self._n_inputs}", self._rows_by_shard(rows), self._format
        counts = self._pool.broadcast(
            split,
            "make_inputs",
            lambda shard: (split, preprocessor, rows_by_shard[shard], str(dtype), format, self._column_names),
        )
        n_in = len(preprocessor.feature_names)
        inputs = ShardedInputs(self._pool, split, self._shard_of[rows], n_in, np.dtype(dtype))
        return inputs, sum(counts, TransformCounts({}, {}))

    def _select(self, rows: Rows) -> None:
        """Send each shard the rows that its methods `sketch` and `row_hashes` use."""
        if rows is not self._selected:
            rows_by_shard = self._rows_by_shard(rows)
            self._pool.broadcast("selected rows", "select", lambda shard: (rows_by_shard[shard],))
            self._selected = rows

    def _rows_by_shard(self, rows: Rows) -> list[Rows]:
        """The row numbers in its shard of each of `rows`, by shard."""
        return [self._row_in_shard[rows[self._positions(rows, shard)]] for shard in range(self._pool.n_shards)]

    def _positions(self, rows: Rows, shard: int) -> Rows:
        """The positions in `rows` of those that a shard has."""
        return np.flatnonzero(self._shard_of[rows] == shard)
