"""Decides whether the rows of a training are stored in memory or on disk, and transforms them there."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.sections import parse_memory
from mlpcli.data.features.preprocessor import Preprocessor, TransformCounts, transform
from mlpcli.data.reading.building import StoreOptions
from mlpcli.data.reading.prefetch import prefetch_map
from mlpcli.data.remote_columns import RemoteColumns
from mlpcli.data.store import PAGE_WATCHER, MappedFile
from mlpcli.data.table import Rows, Table
from mlpcli.machine import memory_of_machine
from mlpcli.training.rows import MIXED_CHUNKS
from mlpcli.workflows.preparing.networks.input_size import count_inputs, max_inputs

# Memory of the program itself: Python, NumPy, pandas, buffers. And the least memory that is assumed for data.
BASE_BYTES = 150_000_000
MIN_BYTES = 32_000_000
# Bytes of memory per byte of inputs, for copies, targets and row indices. And the bytes for reading a table.
OVERHEAD = 1.3
READING_BYTES = 32_000_000
# Fraction of the memory for data that mapped pages may use, and that the chunks that are shuffled together may use.
MAPPED_FRACTION = 0.25
# Cells that are transformed in one chunk, and its least rows, since each column costs a few calls per chunk.
CHUNK_CELLS, MIN_CHUNK_ROWS = 1 << 21, 1 << 13
# Training rows on disk that are scored at the end, as a random sample.
SCORED_ROWS = 1_000_000


def memory_limit(loaded: LoadedConfig) -> int | None:
    """The limit of the process's memory in bytes, None without one; raises ConfigError for an invalid amount."""
    configured = loaded.config.budget.memory
    if configured is None:
        return None
    try:
        return parse_memory(configured)
    except ValueError as error:
        raise loaded.error(
            "budget.memory", f"{configured!r} is not an amount of memory. Write 500MB, 2GB or 2GiB."
        ) from error


def memory_for_data(loaded: LoadedConfig) -> int | None:
    """Bytes available for rows, of the budget or else of half the memory of the container or machine.

    None if that is unknown.
    """
    limit, machine = memory_limit(loaded), memory_of_machine()
    if limit is None and machine is None:
        return None
    total = limit if limit is not None else (machine or 0) // 2
    return max(total - BASE_BYTES, MIN_BYTES)


def store_options(loaded: LoadedConfig) -> StoreOptions:
    """Where columns that do not fit into memory are stored, and over how many buckets their rows are scattered."""
    config = loaded.config
    budget = memory_for_data(loaded)
    itemsize = np.dtype(config.training.dtype).itemsize

    def fits(needed: int) -> bool:
        return budget is None or needed * OVERHEAD + READING_BYTES <= budget

    def n_buckets(table: Table, n_texts: Mapping[str, int]) -> int:
        if budget is None or fits(table.n_rows * max_inputs(loaded, n_texts) * itemsize):
            return 1
        needed = table.n_rows * count_inputs(loaded, table) * itemsize
        return 1 if fits(needed) else math.ceil(needed * MIXED_CHUNKS / (MAPPED_FRACTION * budget))

    return StoreOptions(temporary_folder(loaded), n_buckets, config.training.seed)


def temporary_folder(loaded: LoadedConfig) -> str:
    """The folder for temporary data: `data.cache`, or the parent of the run folder.

    Raises ConfigError if `data.cache` is not a folder.
    """
    cache = loaded.config.data.cache
    if cache is not None:
        if not os.path.isdir(cache):
            raise loaded.error("data.cache", f"{cache}: no such folder. Create it, or leave the key out.")
        return cache
    output = loaded.config.output or f"runs/{Path(loaded.path).stem}"
    return os.path.dirname(os.path.abspath(output))


def chunk_rows(table: Table, n_rows: int) -> int | None:
    """Rows of a chunk on disk, for `n_rows` training rows; None for rows in memory."""
    return None if table.n_buckets == 1 else max(1, math.ceil(n_rows / table.n_buckets))


def disk_notes(table: Table, n_rows: int) -> list[str]:
    """Notes for the user if the `n_rows` training rows are on disk."""
    if table.n_buckets == 1:
        return []
    return [
        f"the rows do not fit into the memory for data: trained on from disk, in {table.n_buckets} chunks; "
        f"the train scores are of {min(SCORED_ROWS, n_rows)} random rows."
    ]


def transform_rows(
    loaded: LoadedConfig, preprocessor: Preprocessor, table: Table, rows: Rows, dtype: DTypeLike
) -> tuple[NDArray[np.floating], TransformCounts]:
    """Transform rows to inputs (n_rows, n_in); returns them and the counts of missing and unseen cells.

    The inputs are in memory, or on disk if the table is; those of remote columns are a proxy.
    """
    if isinstance(table.columns, RemoteColumns):
        return table.columns.shards.inputs(preprocessor, rows, dtype)
    shape = (len(rows), len(preprocessor.feature_names))
    if table.n_buckets == 1:
        X: NDArray[np.floating] = np.zeros(shape, dtype)
        n_columns = len(preprocessor.columns)
    else:
        PAGE_WATCHER.limit = int((memory_for_data(loaded) or MIN_BYTES) * MAPPED_FRACTION)
        X = MappedFile(temporary_folder(loaded), shape[0] * shape[1] * np.dtype(dtype).itemsize).array(shape, dtype)
        n_columns = shape[1]  # written pages stay in memory until they are released
    # Scattered rows of a column on disk read as many pages as all rows between them.
    density = len(rows) / max(table.n_rows, 1)
    n_chunk_rows = max(int(density * CHUNK_CELLS) // max(n_columns, 1), MIN_CHUNK_ROWS)

    def write(chunk: slice) -> TransformCounts:
        _, counts = transform(preprocessor, table, dtype, rows[chunk], out=X[chunk])
        PAGE_WATCHER.release()  # releases pages of columns on disk
        return counts

    slices = [slice(start, start + n_chunk_rows) for start in range(0, len(rows), n_chunk_rows)]
    return X, sum(prefetch_map(write, slices, n_waiting=0), TransformCounts({}, {}))
