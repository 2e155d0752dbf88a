"""Where the rows of a training are kept: in memory, or on disk where they would not fit."""

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

# What the program itself takes: Python, NumPy, pandas, buffers.
BASE_BYTES = 150_000_000
MIN_BYTES = 32_000_000
# Bytes in memory for each byte of the inputs: copies, targets, row numbers. And those of a table that is being read.
OVERHEAD = 1.3
READING_BYTES = 32_000_000
# Fraction of the memory for data that mapped pages may take, and the chunks that are mixed together.
MAPPED_FRACTION = 0.25
# Cells that are transformed together, and the fewest rows: each column of them costs a few calls.
CHUNK_CELLS, MIN_CHUNK_ROWS = 1 << 21, 1 << 13
# Training rows that are scored at the end where they lie on disk: a random sample.
SCORED_ROWS = 1_000_000


def memory_limit(loaded: LoadedConfig) -> int | None:
    """Bytes the process may hold, None for any number; raises ConfigError for a text that is no amount."""
    asked = loaded.config.budget.memory
    if asked is None:
        return None
    try:
        return parse_memory(asked)
    except ValueError as error:
        raise loaded.error(
            "budget.memory", f"{asked!r} is not an amount of memory. Write 500MB, 2GB or 2GiB."
        ) from error


def memory_for_data(loaded: LoadedConfig) -> int | None:
    """Bytes for the rows: of the budget, else of half of what the container or machine has; None: unknown."""
    limit, machine = memory_limit(loaded), memory_of_machine()
    if limit is None and machine is None:
        return None
    total = limit if limit is not None else (machine or 0) // 2
    return max(total - BASE_BYTES, MIN_BYTES)


def store_options(loaded: LoadedConfig) -> StoreOptions:
    """Where the columns of a large training table go, and over how many buckets its rows are scattered."""
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
    """The folder of temporary data: `data.cache`, or where the run will be; raises ConfigError for no folder."""
    cache = loaded.config.data.cache
    if cache is not None:
        if not os.path.isdir(cache):
            raise loaded.error("data.cache", f"{cache}: no such folder. Create it, or leave the key out.")
        return cache
    output = loaded.config.output or f"runs/{Path(loaded.path).stem}"
    return os.path.dirname(os.path.abspath(output))


def chunk_rows(table: Table, n_rows: int) -> int | None:
    """Rows that stand together on disk, of `n_rows` training rows; None for rows in memory."""
    return None if table.n_buckets == 1 else max(1, math.ceil(n_rows / table.n_buckets))


def disk_notes(table: Table, n_rows: int) -> list[str]:
    """What the user should know of `n_rows` training rows that are read from disk."""
    if table.n_buckets == 1:
        return []
    return [
        f"the rows do not fit into the memory for data: trained on from disk, in {table.n_buckets} chunks; "
        f"the train scores are of {min(SCORED_ROWS, n_rows)} random rows."
    ]


def transform_rows(
    loaded: LoadedConfig, preprocessor: Preprocessor, table: Table, rows: Rows, dtype: DTypeLike
) -> tuple[NDArray[np.floating], TransformCounts]:
    """The inputs of some rows; and what was odd.

    They are in memory or, where the table was scattered over buckets, on disk; those of distant columns stay where they
    are.
    """
    if isinstance(table.columns, RemoteColumns):
        return table.columns.inputs(preprocessor, rows, dtype)
    shape = (len(rows), len(preprocessor.feature_names))
    if table.n_buckets == 1:
        X: NDArray[np.floating] = np.zeros(shape, dtype)
        width = len(preprocessor.columns)
    else:
        PAGE_WATCHER.limit = int((memory_for_data(loaded) or MIN_BYTES) * MAPPED_FRACTION)
        X = MappedFile(temporary_folder(loaded), shape[0] * shape[1] * np.dtype(dtype).itemsize).array(shape, dtype)
        width = shape[1]  # what is written stays in memory until it is released
    # Rows far apart touch as many pages of a column on disk as those between them.
    density = len(rows) / max(table.n_rows, 1)
    n_at_once = max(int(density * CHUNK_CELLS) // max(width, 1), MIN_CHUNK_ROWS)

    def write(some: slice) -> TransformCounts:
        _, counts = transform(preprocessor, table, dtype, rows[some], out=X[some])
        PAGE_WATCHER.release()  # of columns on disk
        return counts

    slices = [slice(start, start + n_at_once) for start in range(0, len(rows), n_at_once)]
    return X, sum(prefetch_map(write, slices, n_waiting=0), TransformCounts({}, {}))
