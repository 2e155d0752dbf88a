"""Parquet and Arrow (Feather) files, with pyarrow."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

from mlpcli.data.reading.faults import escape_text
from mlpcli.data.reading.typed.arrow import load_pyarrow
from mlpcli.data.reading.typed.kept import KeptArray, kept_text
from mlpcli.data.store import temporary_file
from mlpcli.data.writing.csv import Cells, Labels, LabelSets
from mlpcli.errors import OutputError

EXACT = 2**53  # float64 does not represent all larger integers


class _WriteFunctionFile(io.RawIOBase):
    """A write function as a file object."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._n_written = write, 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._n_written

    def write(self, data: Any, /) -> int:
        self._write(bytes(data))
        self._n_written += len(data)
        return len(data)


class ArrowWriter:
    """As `TextWriter`, of Parquet and Arrow (Feather) files; a chunk is a row group, missing cells are null.

    Cell lists have no declared type (JSON Lines, workbooks): from the first such chunk on, chunks are spilled to a
    temporary file until the type that fits all of them is known.
    """

    is_typed = True

    def __init__(self, name: str, is_parquet: bool) -> None:
        self._name, self._is_parquet = name, is_parquet
        self._pa = load_pyarrow(name)
        self._writer: Any = None
        self._spill: BinaryIO | None = None
        self._sizes: list[int] = []
        self._types: dict[str, list[Any]] = {}

    def begin(self, write: Callable[[bytes], object], names: Sequence[str], has_header: bool = True) -> None:
        """Start a table with these columns; `has_header` is ignored."""
        self._file, self._names = _WriteFunctionFile(write), list(names)

    def encode(self, names: Sequence[str], columns: Sequence[Cells]) -> Any:
        """A record batch, and the names of its columns without a declared type."""
        untyped_names = [name for name, cells in zip(names, columns, strict=True) if isinstance(cells, list)]
        arrays = [self._array(column) for column in columns]
        return self._pa.RecordBatch.from_arrays(arrays, names=list(names)), untyped_names

    def write(self, chunk: Any) -> None:
        """Write an encoded chunk, or spill it; raises OutputError if a column changes its type."""
        batch, untyped_names = chunk
        if not untyped_names and self._spill is None:
            self._write(batch)
            return
        for name in untyped_names:
            self._types.setdefault(name, []).append(_type_of(self._pa, batch.column(name)))
        self._spill = self._spill or temporary_file(None)
        sink = self._pa.BufferOutputStream()
        with self._pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        self._sizes.append(self._spill.write(sink.getvalue()))

    def end(self) -> None:
        """Write spilled chunks and the end of the file."""
        pa = self._pa
        types = {name: _common_type(pa, cell_types) for name, cell_types in self._types.items()}
        for batch in self._chunks():
            arrays = [
                _as_type(pa, column, types.get(name, column.type))
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            self._write(pa.RecordBatch.from_arrays(arrays, names=batch.schema.names))
        self._open(pa.schema([(name, pa.string()) for name in self._names]))
        self._writer.close()
        self._writer = None

    def close(self) -> None:
        """Close the spill file and the writer."""
        if self._spill is not None:
            self._spill.close()
        if self._writer is not None:
            with suppress(
                OSError, ValueError, self._pa.ArrowException
            ):  # an error in writing has been reported already
                self._writer.close()
            if self._is_parquet:
                self._writer.is_open = False  # otherwise its destructor closes it again

    def _chunks(self) -> Iterator[Any]:
        """Read the spilled chunks."""
        if self._spill is not None:
            self._spill.seek(0)
            for size in self._sizes:
                yield from self._pa.ipc.open_stream(self._spill.read(size))

    def _write(self, batch: Any) -> None:
        self._open(batch.schema)
        for first, field in zip(self._schema, batch.schema, strict=True):
            if first != field:
                raise OutputError(
                    f"{self._name}: column {escape_text(field.name)} is of type {first.type} in the first rows and "
                    f"{field.type} in later ones. Write .csv or .jsonl."
                )
        self._writer.write_batch(batch)

    def _open(self, schema: Any) -> None:
        if self._writer is None:
            self._schema = schema
            open_writer = self._pa.parquet.ParquetWriter if self._is_parquet else self._pa.ipc.new_file
            self._writer = open_writer(self._file, schema)

    def _array(self, column: Cells) -> Any:
        pa = self._pa
        if isinstance(column, KeptArray):
            # An Arrow file has one dictionary per column, a Parquet file one per chunk.
            is_dictionary = pa.types.is_dictionary(column.array.type) and not self._is_parquet
            return column.array.dictionary_decode() if is_dictionary else column.array
        if isinstance(column, LabelSets):
            sets, codes = column.distinct()
            is_text = isinstance(column.labels, Sequence)
            item = pa.string() if is_text else pa.array(column.labels).type
            return pa.array(sets, pa.list_(item)).take(pa.array(codes))
        if isinstance(column, Labels):
            is_text = isinstance(column.values, Sequence)
            labels = [text or None for text in column.values] if is_text else column.values
            values = pa.array(labels, pa.string()) if is_text else pa.array(labels)
            return values.take(pa.array(column.codes, mask=column.codes < 0))
        if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
            return pa.array(column, from_pandas=True)
        cells = [None if isinstance(cell, str) and not cell else cell for cell in column]
        try:
            return pa.array(cells)
        except (pa.ArrowException, OverflowError):  # cells of several types, or integers beyond 64 bits
            return _texts(pa, cells)


def _type_of(pa: Any, array: Any) -> Any:
    """The type of an array; for integers, a pair with whether any is too large for float64."""
    if not pa.types.is_integer(array.type) or not array.null_count < len(array):
        return array.type
    bounds = pa.compute.min_max(array)
    return (array.type, max(abs(bounds["min"].as_py()), abs(bounds["max"].as_py())) > EXACT)


def _common_type(pa: Any, cell_types: list[Any]) -> Any:
    """The type to which arrays of these types are promoted: text if there is no other."""
    types = {found_type[0] if isinstance(found_type, tuple) else found_type for found_type in cell_types} - {pa.null()}
    if len(types) < 2:
        return next(iter(types), pa.string())
    is_exact = not any(isinstance(found_type, tuple) and found_type[1] for found_type in cell_types)
    return pa.float64() if is_exact and types == {pa.int64(), pa.float64()} else pa.string()


def _as_type(pa: Any, array: Any, arrow_type: Any) -> Any:
    if arrow_type == pa.string() and array.type != arrow_type:
        return _texts(pa, array.to_pylist())
    return array.cast(arrow_type)


def _texts(pa: Any, cells: Sequence[Any]) -> Any:
    return pa.array([None if cell is None else kept_text(cell) or None for cell in cells], pa.string())
