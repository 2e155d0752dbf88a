"""`mlp split`: split the rows of a table into files for training, validation and test."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.reading.faults import CHANGED, table_error
from mlpcli.data.reading.read import map_tables, read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.sources import FileStats, find_sources, refuse_changed_files, stat_files
from mlpcli.data.row_hashes import hash_positions, row_hashes
from mlpcli.data.schema.cells import name_hint
from mlpcli.data.schema.column import as_category, cast_table
from mlpcli.data.schema.findings import findings_of_key, raise_faults
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.split import split_rows
from mlpcli.data.split_by_key import EXCLUDED, SplitKeys, group_codes, split_by_keys
from mlpcli.data.table import CategoricalColumn, NumericColumn, Rows, Table, TableFormat
from mlpcli.data.writing.table_writers import Writer, source_cells, take_cells, writer_for
from mlpcli.errors import DataError, IndivisibleRows, MlpError, OutputError
from mlpcli.messages import format_count
from mlpcli.storage.atomic import AtomicFile
from mlpcli.training.seeding import rng_of

TRAIN, VALIDATION, TEST = "train", "validation", "test"
COMPRESSIONS = (".bz2", ".xz", ".zst", ".zip")

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class SplitRequest:
    """The table, the output folder, and how to split; "" for a column that is not used.

    `validation` and `test` are fractions of all rows; a split of fraction 0 has no file. Rows with equal values in the
    column `group` are in one split. `time` is a column by which the latest rows are the test rows, with `gap` days or
    units between splits. `hash` is a column of ids whose hashes determine the split. `stratify` is a column whose
    values have the same frequencies in each split. `ending` is the file name extension, "" for that of the table.
    """

    source: str
    folder: str = "."
    validation: float = 0.2
    test: float = 0.2
    group: str = ""
    time: str = ""
    hash: str = ""
    gap: float = 0.0
    stratify: str = ""
    keeps_copies_together: bool = False
    seed: int = 0
    ending: str = ""
    overwrites: bool = False
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class SplitFile:
    """The file of one split, and its number of rows."""

    name: str
    path: str
    n_rows: int


@dataclass(frozen=True)
class SplitResult:
    """The files in the order train, validation, test; `n_left_out` rows are in no file."""

    source: str
    n_rows: int
    n_left_out: int
    files: tuple[SplitFile, ...]
    notes: tuple[str, ...]


def split(request: SplitRequest) -> SplitResult:
    """Assign each row of the table to a split, and write a file per split; all files appear, or none does.

    The table is read twice. Raises MlpError for options that cannot be combined, OutputError for existing files, and
    DataError.
    """
    _check(request)
    all_fractions = {TRAIN: 1.0 - request.validation - request.test, VALIDATION: request.validation, TEST: request.test}
    fractions = {name: fraction for name, fraction in all_fractions.items() if fraction > 0.0}
    paths = {name: os.path.join(request.folder, name + _ending(request)) for name in fractions}
    for path in paths.values():
        _refuse_existing(path, request)
        writer_for(path).close()  # refuses an ending that cannot be written
    stats = stat_files(find_sources(request.source))
    table = _read_keys(request)
    split_of = _assign_splits(request, table, list(fractions.values()))
    notes = [*table.notes, *_notes(request, table)]
    try:
        os.makedirs(request.folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{request.folder}: cannot be made: {error.strerror}. Choose another folder: -o") from error
    _write(request, split_of, list(paths.values()), table, stats)
    sizes = np.bincount(split_of[split_of >= 0], minlength=len(paths)).tolist()
    files = tuple(SplitFile(name, path, n_rows) for (name, path), n_rows in zip(paths.items(), sizes, strict=True))
    return SplitResult(request.source, len(split_of), int((split_of == EXCLUDED).sum()), files, tuple(notes))


def _check(request: SplitRequest) -> None:
    """Raise MlpError for fractions out of bounds, and for options that cannot be combined."""
    for option, fraction in (("--validation", request.validation), ("--test", request.test)):
        if not 0.0 <= fraction < 1.0:
            raise MlpError(f"{option} {fraction:g}: must be a fraction of the rows, from 0 to below 1.")
    if not 0.0 < request.validation + request.test < 1.0:
        raise MlpError("--validation and --test: their sum must be above 0 and below 1.")
    columns_given = {
        "--group": request.group, "--time": request.time, "--hash": request.hash, "--stratify": request.stratify,
        "--copies": request.keeps_copies_together,
    }  # fmt: skip
    options = [option for option, value in columns_given.items() if value]
    if len(options) > 1 and set(options) not in ({"--group", "--time"}, {"--group", "--stratify"}):
        raise MlpError(f"{' and '.join(options)} cannot be combined. Choose one.")
    if request.gap and not request.time:
        raise MlpError("--gap requires --time.")
    if not 0.0 <= request.gap < np.inf:
        raise MlpError(
            f"--gap {request.gap:g}: must be greater than 0: days for dates, else in the unit of the column."
        )
    if request.source == "-":
        raise MlpError("-: the table is read twice. Save it to a file first.")


def _ending(request: SplitRequest) -> str:
    """The extension of the files: the requested one, or that of the table without a compression other than gzip."""
    if request.ending:
        return "." + request.ending.lstrip(".")
    name = os.path.basename(request.source).lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    plain = name.removesuffix(".gz")
    suffix = os.path.splitext(plain)[1]
    return (suffix or ".csv") + (".gz" if name != plain else "")


def _refuse_existing(path: str, request: SplitRequest) -> None:
    """Raise OutputError for an existing file unless it may be overwritten, and MlpError if it is the table."""
    if not os.path.lexists(path):
        return
    if os.path.exists(request.source) and os.path.samefile(path, request.source):
        raise MlpError(f"{path}: is the table itself. Choose another folder: -o DIR")
    if not request.overwrites:
        raise OutputError(f"{path}: exists already. Replace it with --force, or choose another folder: -o DIR")


def _read_keys(request: SplitRequest) -> Table:
    """The columns that determine the split, cast; all columns if duplicate rows are kept together.

    A cell of a key that is not what the others are is a note, as there is no config that could declare the column.
    """
    keys = [name for name in (request.group, request.hash, request.stratify) if name]
    names = [*keys, *([request.time] if request.time else [])]
    format = TableFormat(request.delimiter, request.encoding)
    columns = Request(None if request.keeps_copies_together else names, written=keys)
    table = read_table(request.source, format, columns, configured=names)
    for name in names:
        if name not in table.columns:
            raise DataError(f"{table.name}: no column {name!r}.{name_hint(name, table.column_names)}")
    schemas, findings, notes = [], [], list(table.notes)
    for name in names:
        schema, column_findings = infer_schema(table, name)
        schemas.append(as_category(schema) if name in keys else schema)
        if name not in keys:
            findings += column_findings
            continue
        faults = [finding for finding in findings_of_key(schema, column_findings) if finding.is_fault]
        notes += [f"{fault.text.splitlines()[0]} Read as a value of its own." for fault in faults]
    raise_faults(findings)
    return replace(table.with_columns({**table.columns, **cast_table(table, schemas).columns}), notes=tuple(notes))


def _assign_splits(request: SplitRequest, table: Table, fractions: Sequence[float]) -> Codes:
    rng = rng_of(request.seed, "split")
    try:
        if not (request.group or request.time or request.hash or request.keeps_copies_together):
            return _random_split(request, table, fractions, rng)
        return split_by_keys(_split_keys(request, table), fractions, rng)
    except IndivisibleRows as error:
        raise DataError(f"{table.name}: {error}") from error


def _split_keys(request: SplitRequest, table: Table) -> SplitKeys:
    groups = group_codes(_texts(table, request.group)) if request.group else None
    if request.keeps_copies_together:
        groups = np.unique(row_hashes(table, list(table.columns)), return_inverse=True)[1]
    times = None
    if request.time:
        column = table.columns[request.time]
        if not isinstance(column, NumericColumn):
            raise IndivisibleRows(f"column {request.time} holds neither dates nor numbers: --time needs one that does.")
        times = np.asarray(column.values, np.float64)
    positions = hash_positions(_texts(table, request.hash)) if request.hash else None
    strata = _strata(request, table) if request.stratify else None
    return SplitKeys(groups, times, positions, strata, request.gap)


def _texts(table: Table, name: str) -> CategoricalColumn:
    column = table.columns[name]
    assert isinstance(column, CategoricalColumn)
    return column


def _strata(request: SplitRequest, table: Table) -> Codes:
    """An integer code for each value of the column `stratify` (n_rows,); missing cells have code 0."""
    return _texts(table, request.stratify).codes.astype(np.int64) + 1


def _random_split(request: SplitRequest, table: Table, fractions: Sequence[float], rng: np.random.Generator) -> Codes:
    """A random split: the index of the split of each row (n_rows,).

    The last split is drawn first, and each earlier one from the remaining rows. Raises DataError for fewer rows than
    splits.
    """
    if table.n_rows < len(fractions):
        raise DataError(f"{table.name}: {format_count(table.n_rows, 'row')} for {len(fractions)} files: add rows.")
    split_of = np.zeros(table.n_rows, np.int64)
    rest, n_rest = np.arange(table.n_rows), 1.0
    strata = _strata(request, table) if request.stratify else None
    for index in range(len(fractions) - 1, 0, -1):
        strata_of_rest = None if strata is None else np.unique(strata[rest], return_inverse=True)[1]
        kept, held_out = split_rows(len(rest), fractions[index] / n_rest, strata_of_rest, rng)
        split_of[rest[held_out]] = index
        rest, n_rest = rest[kept], n_rest - fractions[index]
    return split_of


def _notes(request: SplitRequest, table: Table) -> list[str]:
    meanings = (
        (request.group, "each forms a separate group"), (request.time, "treated as the earliest"),
        (request.hash, "used for training"),
    )  # fmt: skip
    notes = []
    for name, treatment in meanings:
        if name and (n_missing := int(table.columns[name].is_missing.sum())):
            notes.append(f"{table.name}: {format_count(n_missing, 'row')} without a value of {name}: {treatment}.")
    return notes


def _write(request: SplitRequest, split_of: Codes, paths: Sequence[str], table: Table, stats: FileStats) -> None:
    """Write every row to the file of its split, with cells as in the table; the files appear together at the end."""
    format = TableFormat(request.delimiter, request.encoding)
    delimiter = table.format.delimiter if (table.format.delimiter or "") in (",", ";", "\t", "|") else None
    writers = [writer_for(path, delimiter) for path in paths]
    start = 0
    with ExitStack() as files:
        opened = [files.enter_context(AtomicFile(path)) for path in paths]
        try:
            for chunk in map_tables(_unchanged, request.source, format, Request((), kept=None)):
                splits_of_chunk = split_of[start : start + chunk.n_rows]
                for index, (writer, file) in enumerate(zip(writers, opened, strict=True)):
                    _add(writer, file if start == 0 else None, chunk, np.flatnonzero(splits_of_chunk == index))
                start += chunk.n_rows
            if start != len(split_of):
                raise table_error(table.name, None, CHANGED)
            refuse_changed_files(stats)
            for writer in writers:
                writer.end()
        finally:
            for writer in writers:
                writer.close()


def _unchanged(table: Table) -> Table:
    return table


def _add(writer: Writer, file: AtomicFile | None, chunk: Table, rows: Rows) -> None:
    """Write some rows of a chunk; `file` is given for the first chunk, to write the header."""
    names = list(chunk.column_names)
    if file is not None:
        writer.begin(file.write, names, chunk.format.header is not False)
    if len(rows) or file is not None:
        writer.write(writer.encode(names, [take_cells(source_cells(chunk, name), rows) for name in names]))
