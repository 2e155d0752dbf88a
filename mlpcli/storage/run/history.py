"""history.csv: one row per epoch, readable by pandas and DVC."""

import contextlib
import csv
import io
import os
from collections.abc import Mapping, Sequence

from mlpcli.errors import ModelFileError
from mlpcli.storage.atomic import BINARY, output_error, write_file


class History:
    """A CSV file that is appended to row by row.

    The keys of the first row are the header, with `epoch` first. Later rows may omit keys, but not add any.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._header: list[str] = []
        self._descriptor = -1

    def append(self, row: Mapping[str, float | int | str | None]) -> None:
        """Add one row; None and NaN become empty cells. Raises OutputError."""
        lines: list[Sequence[object]] = []
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | BINARY, 0o666)
                self._header = _read_header(self._path)
            if not self._header:
                self._header = list(row)
                lines.append(self._header)
            if unknown := set(row).difference(self._header):
                raise ValueError(f"keys that are not in the header of {self._path}: {sorted(unknown)}")
            lines.append([_cell(row.get(name)) for name in self._header])
            # One write per row, so that a crash can only cut the last line, which `rewind` removes.
            rest = memoryview(_format(lines))
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise output_error(self._path, error) from error

    def rewind(self, epoch: int, columns: Sequence[str] | None = None) -> None:
        """Remove the rows after `epoch`, and an incomplete last row; does nothing if there is no file.

        Raises ModelFileError for a file that is not a history or does not have `columns`; OutputError if it cannot be
        written.
        """
        self.close()
        try:
            with open(self._path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ModelFileError(f"{self._path}: cannot be read: {error.strerror}.") from error
        complete = text[: text.rfind("\n") + 1]
        try:
            rows = list(csv.reader(io.StringIO(complete, newline="")))
            kept_rows = rows[:1] + [row for row in rows[1:] if int(row[0]) <= epoch]
            is_history = not rows or (rows[0][0] == "epoch" and all(len(row) == len(rows[0]) for row in kept_rows))
            is_history = is_history and (not rows or columns is None or rows[0] == list(columns))
        except (csv.Error, ValueError, IndexError):
            is_history = False
        if not is_history:
            raise ModelFileError(f"{self._path}: not the history of this run. Remove it and resume again.")
        write_file(self._path, _format(kept_rows))

    def close(self) -> None:
        """Flush to disk and close the file. Raises OutputError."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise output_error(self._path, error) from error

    def abandon(self) -> None:
        """Close the file, ignoring errors."""
        with contextlib.suppress(Exception):
            self.close()


def _read_header(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return next(csv.reader(file), [])


def _cell(value: float | int | str | None) -> object:
    return "" if value is None or value != value else value


def _format(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def read_history(path: str) -> dict[str, list[float]]:
    """The columns of a history.csv by name, with NaN for empty cells; raises ModelFileError for another file."""
    try:
        if not os.path.isfile(path):
            raise FileNotFoundError(2, os.strerror(2))
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.reader(file))
        header = rows[0]
        if header[0] != "epoch" or len(set(header)) != len(header):
            raise ValueError("no history")
        cells = zip(*([float(cell or "nan") for cell in row] for row in rows[1:]), strict=True)
        columns = [list(column) for column in cells] or [[] for _ in header]
        return dict(zip(header, columns, strict=True))
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}.") from error
    except (csv.Error, ValueError, IndexError) as error:
        raise ModelFileError(
            f"{path}: not the history of a run: a row for each epoch, with the same columns."
        ) from error
