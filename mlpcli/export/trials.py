"""Run an exported file on rows of texts; `mlp export` compares the result with the model."""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.schema.column import cast_table
from mlpcli.data.schema.dates.parsing import date_texts
from mlpcli.data.table import CategoricalColumn, NumericColumn
from mlpcli.errors import GateMissed
from mlpcli.export.agreement import Row, schemas_of, table_of
from mlpcli.export.description import Plain
from mlpcli.export.python.standalone.predictor import Predictor
from mlpcli.export.sql.steps import quoted
from mlpcli.model import Model

# The C compiler of this machine, "" if there is none.
C_COMPILER = which("cc") or which("gcc") or which("clang") or ""

# Separators of cells and rows for the C program, because levels and labels may contain tabs and newlines.
CELL_END, ROW_END = "\x1f", "\x1e"

Values = NDArray[np.float64]
# Maps rows of texts to probabilities or numbers (n_rows, n_values).
Predict = Callable[[Sequence[Row]], Values]


def run_json(data: bytes) -> Predict:
    """A JSON description, run by the code of `--to python`."""
    predictor = Predictor(json.loads(data))

    def predict(rows: Sequence[Row]) -> Values:
        values = []
        for row in rows:
            predictions, _, regions = predictor.regions_of(row)
            if predictor.target["kind"] == "numbers":
                pairs = zip(predictions, regions or [[]] * len(predictions), strict=True)
                values.append([value for prediction, ends in pairs for value in (prediction, *ends)])
            else:
                values.append([*predictions, *chain(*regions)])
        return np.asarray(values, np.float64)

    return predict


def run_python(data: bytes, description: Plain) -> Predict:
    """The program as a filter on CSV, in a separate process."""

    def predict(rows: Sequence[Row]) -> Values:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "exported.py"
            program.write_bytes(data)
            ended = subprocess.run([sys.executable, "-I", "-S", program], input=_csv(rows), capture_output=True)
        if ended.returncode:
            raise GateMissed(f"the exported program ends with {ended.returncode}: {ended.stderr.decode().strip()}")
        lines = csv.reader(io.StringIO(ended.stdout.decode(), newline=""))
        next(lines)
        return values_of(lines, description)

    return predict


def run_c(
    source: str, header: str, file: str, name: str, model: Model, description: Plain, flags: Sequence[str] = ()
) -> Predict:
    """The source compiled as a program, which reads rows from standard input."""

    def predict(rows: Sequence[Row]) -> Values:
        columns = typed_columns(rows, model, has_days=True)
        cells = zip(*columns.values(), strict=True)
        lines = (CELL_END.join("" if cell is None else str(cell) for cell in row) for row in cells)
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            (directory / f"{file}.c").write_text(source, "utf-8")
            (directory / f"{file}.h").write_text(header, "utf-8")
            ends = {"MAIN": 1, "CELL_END": ord(CELL_END), "ROW_END": ord(ROW_END)}
            defined = [f"-D{name.upper()}_{key}={value}" for key, value in ends.items()]
            options = ["-std=c99", "-O2", *defined, *flags, f"{file}.c", "-o", "program", "-lm"]
            compiled = subprocess.run([C_COMPILER, *options], cwd=directory, capture_output=True)
            if compiled.returncode:
                raise GateMissed(f"the exported source does not compile: {compiled.stderr.decode()}")
            ended = subprocess.run(
                [directory / "program"], input=ROW_END.join([*lines, ""]).encode(), capture_output=True
            )
        if ended.returncode:
            raise GateMissed(f"the exported program ends with {ended.returncode}: {ended.stderr.decode()}")
        return values_of((line.split(CELL_END) for line in ended.stdout.decode().split(ROW_END)[:-1]), description)

    return predict


def run_sqlite(query: str, model: Model, table: str, kept: Sequence[str], description: Plain) -> Predict:
    """The query in an in-memory SQLite database."""

    def predict(rows: Sequence[Row]) -> Values:
        columns = typed_columns(rows, model)
        others = [name for name in kept if name not in columns]
        with sqlite3.connect(":memory:") as database:
            *schema, name = table.split(".")
            for one in {*schema} - {"main"}:
                database.execute(f"ATTACH ':memory:' AS {quoted(one)}")
            where = ".".join(map(quoted, [*schema, name]))
            database.execute(f"CREATE TABLE {where} ({', '.join(map(quoted, [*columns, *others]))})")
            parameters = ", ".join("?" * (len(columns) + len(others)))
            cells = [(*row, *[None] * len(others)) for row in zip(*columns.values(), strict=True)]
            database.executemany(f"INSERT INTO {where} VALUES ({parameters})", cells)
            result = database.execute(query).fetchall()
        return values_of((row[len(kept) :] for row in result), description)

    return predict


def run_onnx(data: bytes, model: Model, description: Plain) -> Predict:
    """The graph in onnxruntime if installed, otherwise in the slower reference evaluator of the package onnx."""
    session: Any
    if find_spec("onnxruntime") is not None:
        session = import_module("onnxruntime").InferenceSession(data)
    else:
        session = import_module("onnx.reference").ReferenceEvaluator(data)
    n_labels = n_label_columns(description)

    def predict(rows: Sequence[Row]) -> Values:
        with np.errstate(all="ignore"):  # log(0), and exponentials that overflow before a division
            outputs = session.run(None, onnx_inputs(rows, model))
        if not n_labels:
            return np.hstack(outputs)
        sets = [outputs[index] for index in range(1, n_labels, 2)] if description.get("regions") else []
        return np.hstack([outputs[-1], *sets]).astype(np.float64)

    return predict


def onnx_inputs(rows: Sequence[Row], model: Model) -> dict[str, NDArray[Any]]:
    """The cells of each column (n_rows, 1): numbers, microseconds since 1970-01-01, texts."""
    arrays: dict[str, NDArray[Any]] = {}
    columns = typed_columns(rows, model)
    for schema in schemas_of(rows, model):
        cells = columns[schema.name]
        if schema.role == "number":
            arrays[schema.name] = np.asarray([[np.nan if cell is None else cell] for cell in cells], np.float64)
        elif schema.role == "date":
            stamps = np.asarray([["NaT" if cell is None else cell] for cell in cells], "datetime64[us]")
            arrays[schema.name] = stamps.astype(np.int64)
        else:
            arrays[schema.name] = np.asarray([["" if cell is None else cell] for cell in cells], object)
    return arrays


def typed_columns(rows: Sequence[Row], model: Model, has_days: bool = False) -> dict[str, list[float | str | None]]:
    """The typed cells of each column: numbers, ISO dates, texts, None for a missing one.

    With `has_days` dates are days since 1970-01-01.
    """
    schemas = schemas_of(rows, model)
    table = cast_table(table_of(rows, model), schemas)
    typed: dict[str, list[float | str | None]] = {}
    for schema in schemas:
        column = table.columns[schema.name]
        if isinstance(column, NumericColumn):
            values = np.asarray(column.values, np.float64)
            cells = date_texts(values) if schema.role == "date" and not has_days else values.tolist()
            pairs = zip(cells, np.isnan(values).tolist(), strict=True)
            typed[schema.name] = [None if is_missing else cell for cell, is_missing in pairs]
        else:
            assert isinstance(column, CategoricalColumn)
            typed[schema.name] = [None if code < 0 else column.levels[code] for code in column.codes.tolist()]
    return typed


def n_label_columns(description: Plain) -> int:
    """The number of columns before the probabilities: labels and their sets."""
    target = description["target"]
    return 0 if target["kind"] == "numbers" else len(target["names"]) * (2 if description.get("regions") else 1)


def values_of(rows: Iterable[Sequence[Any]], description: Plain) -> Values:
    """The numbers in rows of predictions; for labels their probabilities, and whether each set contains each label."""
    n_labels, values = n_label_columns(description), []
    has_sets = description.get("regions") and n_labels
    for row in rows:
        numbers = [*map(float, row[n_labels:])]
        for labels, cell in zip(description["target"]["labels"], row[1:n_labels:2], strict=True) if has_sets else ():
            members = [re.sub(r"\\(.)", r"\1", label) for label in re.findall(r"(?:[^|\\]|\\.)+", cell)]
            numbers += [label in members for label in labels]
        values.append(numbers)
    return np.asarray(values, np.float64)


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
