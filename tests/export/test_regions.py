"""Intervals and sets in exported models: those of predict, in every language."""

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from mlpcli.export.agreement import Expected, agreement, sample_rows, schemas_of, table_of
from mlpcli.export.c.source import c_source
from mlpcli.export.description import describe
from mlpcli.export.onnx.graph import onnx_model
from mlpcli.export.python.program import python_source
from mlpcli.export.python.standalone.predictor import Predictor
from mlpcli.export.regions import with_regions
from mlpcli.export.sql import query
from mlpcli.export.sql.query import sql_query
from mlpcli.export.trials import (
    C_COMPILER,
    run_c,
    run_json,
    run_onnx,
    run_python,
    run_sqlite,
    typed_columns,
    values_of,
)
from mlpcli.model import Model
from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.strict_json import format_json
from mlpcli.workflows.export import ExportRequest, expected_regions, export
from mlpcli.workflows.predicting.intervals import ConformalPredictor
from tests.export.conftest import Made
from tests.export.models import write_table
from tests.export.postgres import load_rows
from tests.export.regions import CASES, LEVEL, train_case
from tests.export.test_schema import VALIDATOR, changed, objects_of, shortened
from tests.program import done, mlp, train, write_csv

# The models of all tests of exports that have one fold.
KNOWN = (
    *("number", "numbers", "log", "quantile target", "clamped", "counts", "slopes", "quantiles"),
    *("plain", "two classes", "booleans", "calibrated", "weights", "sigmoids", "selected", "double"),
)
IN_ALL = ("numbers", "quantile target", "booleans", "weights", "double")  # of these in every language
STRICT = ["-Wall", "-Wextra", "-Werror"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1"]
# Between them every line of C that lies around answers.
SANITIZED_MODELS = ("folds of three quantiles", "groups of folds", "sets by text", "sets by text, yes or no")


@pytest.fixture(scope="module")
def weights(models, tmp_path_factory):
    """A function that gives weights.npz of a model, trained when it is first asked for."""
    own = Made(lambda name: train_case(tmp_path_factory.mktemp("model"), *CASES[name]))
    return lambda name: own[name] if name in CASES else models[name]


@dataclass(frozen=True)
class Known:
    """A model with its description, rows, and what predict says of them."""

    model: Model
    description: dict
    rows: list
    expected: Expected


@pytest.fixture(scope="module")
def known(weights):
    """A function that gives what several languages are compared with, computed when it is first asked for."""

    def compute(name):
        model = load_model(str(weights(name)))
        rows = sample_rows(model, 40, with_groups=True)
        expected = expected_regions(ConformalPredictor(model, LEVEL), table_of(rows, model))
        return Known(model, with_regions(describe(model), model, LEVEL), rows, expected)

    own = Made(compute)
    return lambda name: own[name]


def answer_in(language, model, description, flags=("-O0",)):
    """What answers rows by the model in a language."""
    if language == "json":
        return run_json(format_json(description))
    if language == "python":
        return run_python(python_source(description).encode(), description)
    if language == "sql":
        return run_sqlite(sql_query(description, "sqlite", "data"), model, "data", [], description)
    if language == "onnx":
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
        return run_onnx(onnx_model(description, model.record, model.ensemble.dtype.name), model, description)
    if not C_COMPILER:
        pytest.skip("no C compiler on this machine")
    return run_c(*c_source(description, "model", "model"), "model", "model", model, description, [*STRICT, *flags])


@pytest.mark.parametrize(
    ("name", "language"),
    [
        *((name, "json") for name in (*KNOWN, *CASES)),
        *((name, language) for name in (*IN_ALL, *CASES) for language in ("sql", "c", "onnx")),
    ],
)
def test_intervals_and_sets_are_those_of_predict(known, name, language):
    case = known(name)
    answer = answer_in(language, case.model, case.description, SANITIZED if name in SANITIZED_MODELS else ["-O0"])
    found = agreement(case.model, case.rows, answer, lambda table: case.expected)
    assert found.difference < (1e-9 if name == "double" and language in ("json", "sql") else 5e-5)
    assert found.n_labels == 0


@pytest.mark.parametrize("name", [*KNOWN, *CASES])
def test_the_published_schema_takes_every_document(known, name):
    faults = [*VALIDATOR.iter_errors(known(name).description)]
    assert [fault.message[:200] for fault in faults] == []


@pytest.mark.parametrize("name", ["groups of folds", "groups of numbers", "sets by label of folds"])
def test_a_key_less_or_one_more_is_a_fault_of_the_schema(known, name):
    whole = known(name).description
    document = shortened(whole | {"columns": whole["columns"][:1], "networks": whole["networks"][:1]})  # to be quick
    assert VALIDATOR.is_valid(document)
    found = [(path, one) for path, one in objects_of(document) if path[:1] == ("regions",)]
    assert len(found) > 3
    for path, one in found:
        assert not VALIDATOR.is_valid(changed(document, path, lambda here: here.update(surplus=1))), path
        for key in one:
            assert not VALIDATOR.is_valid(changed(document, path, lambda here, key=key: here.pop(key))), (path, key)


PREDICTED = ("numbers", "folds of logarithms", "groups of numbers", "plain", "sets of folds, yes or no")


@pytest.mark.parametrize("name", PREDICTED)
def test_the_program_writes_the_columns_of_predict(weights, tmp_path, name):
    table, program = write_table(tmp_path / "rows.csv", 12), tmp_path / "it.py"
    options = [] if name in PREDICTED[:3] else ["--proba"]
    wanted = done("predict", weights(name), table, "--interval", LEVEL, *options).rows
    done("export", weights(name), "--to", "python", "-o", program, "--interval", LEVEL)
    ended = subprocess.run([sys.executable, "-I", "-S", program], input=table.read_bytes(), capture_output=True)
    found = list(csv.DictReader(io.StringIO(ended.stdout.decode())))
    assert [list(row) for row in found] == [list(row) for row in wanted]
    for own, other in zip(found, wanted, strict=True):
        for key, cell in other.items():
            is_text = key.endswith("_set") or key in ("label", "hot", "wet")
            assert own[key] == cell if is_text else float(own[key]) == pytest.approx(float(cell), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize("language", ["python", "sql", "json", "c", "onnx"])
@pytest.mark.parametrize("name", ["folds of several", "groups of texts", "sets of folds"])
def test_every_language_is_written_and_tried_with_what_lies_around_the_answers(weights, tmp_path, name, language):
    if language == "onnx":
        pytest.importorskip("onnx", reason="the extra onnx is not installed")
    result = export(ExportRequest(str(weights(name)), language, str(tmp_path / f"it.{language}"), level=LEVEL))
    assert result.agreement is None or (result.agreement.difference < 5e-5 and result.agreement.n_labels == 0)
    assert result.agreement is not None or not C_COMPILER


def predicted(path, name, rows):
    """What the exported program answers to rows."""
    done("export", path, "--to", "json", "-o", name, "--interval", LEVEL)
    predictor = Predictor(json.loads(name.read_bytes()))
    return predictor, [predictor.predict(row) for row in rows]


def test_a_row_of_no_group_has_an_interval_without_end(weights, tmp_path):
    row = dict.fromkeys(("plain", "money", "days", "seen", "city", "pair", "code", "member"))
    predictor, found = predicted(weights("groups of numbers"), tmp_path / "it.json", [row | {"size": -7}])
    assert predictor.columns == [*row, "size"]
    assert (found[0]["price_low"], found[0]["price_high"]) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="column size is missing"):
        predictor.predict(row)


def test_a_set_is_a_tuple_of_labels_that_holds_the_answer(weights, tmp_path):
    row = dict.fromkeys(("plain", "money", "days", "seen", "city", "pair", "code", "member"))
    for name, targets in (("two classes", ["bit"]), ("booleans", ["hot", "wet"])):
        _, (found,) = predicted(weights(name), tmp_path / "it.json", [row])
        for target in targets:
            assert found[target] in found[f"{target}_set"]
            assert type(found[f"{target}_set"]) is tuple
            assert type(found[f"{target}_set"][0]) is type(found[target])


def test_a_date_tells_the_group_of_a_row_and_so_does_a_missing_cell(tmp_path):
    rng = np.random.default_rng(3)
    days = ["2024-02-29", "2023-12-31", "1969-07-20", ""]
    rows = [[f"{x:.3f}", days[place % 4], f"{(1 + place % 4) * x:.3f}"] for place, x in enumerate(rng.normal(size=400))]
    data = {"train": str(write_csv(tmp_path / "t.csv", ["x", "day", "y"], rows)), "target": "y", "validation": 0.5}
    sections = {"task": "regression", "intervals": {"by": "day"}}
    for drop in ([], ["day"]):
        path = train(tmp_path, data | {"drop": drop, "columns": {"day": "date"}}, options=["--force"], **sections)
        model = load_model(str(path))
        description = with_regions(describe(model), model, LEVEL)
        found = [group["name"] for group in description["regions"]["by"]["groups"]]
        assert sorted(found) == ["(missing)", *sorted(days[:3])]
        expected = partial(expected_regions, ConformalPredictor(model, LEVEL))
        for language in ("json", "sql", "c", "onnx"):
            rows = sample_rows(model, 40, with_groups=True)
            found = agreement(model, rows, answer_in(language, model, description), expected)
            assert found.difference < 5e-5, (language, drop)


def run_duckdb(rows, model, description):
    duckdb = pytest.importorskip("duckdb", reason="the extra sql is not installed")
    types = {"number": "DOUBLE", "date": "TIMESTAMP"}
    columns = {"id": [*range(len(rows))], **typed_columns(rows, model)}  # it returns the rows in any order
    with duckdb.connect() as database:
        kinds = ["BIGINT", *(types.get(schema.role, "VARCHAR") for schema in schemas_of(rows, model))]
        declared = ", ".join(f'"{name}" {kind}' for name, kind in zip(columns, kinds, strict=True))
        database.execute(f"CREATE TABLE data ({declared})")
        places = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO data VALUES ({places})", [*zip(*columns.values(), strict=True)])
        return sorted(database.execute(sql_query(description, "duckdb", "data", ["id"])).fetchall())


def run_postgresql(rows, model, description, psql):
    columns = {"id": [*range(len(rows))], **typed_columns(rows, model)}
    roles = {"id": "integer", **{schema.name: schema.role for schema in schemas_of(rows, model)}}
    query = sql_query(description, "postgresql", "data", ["id"])
    return sorted(psql(f"{load_rows(columns, roles)}{query}")[1:], key=lambda row: int(row[0]))


@pytest.mark.parametrize("name", [
    "folds of several", "groups of folds", "groups of numbers", "sets by text", "sets of folds, yes or no",
])  # fmt: skip
@pytest.mark.parametrize("database", ["duckdb", "postgresql"])
def test_a_database_has_the_same_ends_and_sets(weights, request, database, name):
    model = load_model(str(weights(name)))
    description = with_regions(describe(model), model, LEVEL)
    query_rows = run_duckdb if database == "duckdb" else partial(run_postgresql, psql=request.getfixturevalue("psql"))

    def run(rows):
        return values_of([row[1:] for row in query_rows(rows, model, description)], description)

    rows = sample_rows(model, 40, with_groups=True)
    found = agreement(model, rows, run, partial(expected_regions, ConformalPredictor(model, LEVEL)))
    assert found.difference < 5e-5
    assert found.n_labels == 0


def test_onnx_has_an_output_for_each_end_and_for_each_set(weights, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    for name, outputs in (
        ("number", ["price", "price_low", "price_high"]),
        ("booleans", ["hot", "hot_set", "wet", "wet_set", "probabilities"]),
    ):
        export(ExportRequest(str(weights(name)), "onnx", str(tmp_path / "it.onnx"), level=0.9))
        assert [one.name for one in onnx.load(str(tmp_path / "it.onnx")).graph.output] == outputs


@pytest.mark.parametrize("distance", [1, 2])  # of 20,000,001, which is no group, float32 makes the first one
def test_groups_that_float32_cannot_tell_apart_are_refused_by_name_where_it_is_used(tmp_path, distance):
    rows = [[place % 7, 20_000_000 + distance * (place % 2), place % 7 + 0.5 * (place % 3)] for place in range(200)]
    data = {"train": str(write_csv(tmp_path / "t.csv", ["x", "plant", "y"], rows)), "target": "y"}
    path = train(tmp_path, data | {"columns": {"plant": "number"}}, task="regression", intervals={"by": "plant"})
    for language in ("c", "onnx") if find_spec("onnx") else ("c",):
        ended = mlp("export", path, "--to", language, "-o", tmp_path / f"it.{language}", "--interval", LEVEL)
        assert ended.code == 2
        assert "cannot tell the groups of plant apart" in ended.stderr
    done("export", path, "--to", "sql", "-o", tmp_path / "it.sql", "--interval", LEVEL)


def test_a_query_that_would_carry_too_many_scores_is_refused_by_name(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(query, "MOST_NUMBERS", 500)
    ended = mlp("export", weights("folds of several"), "--to", "sql", "-o", tmp_path / "it.sql", "--interval", LEVEL)
    assert ended.code == 2
    assert "(weights, those that scale columns, scores)" in ended.stderr


def test_networks_in_integers_have_no_sets(weights, tmp_path):
    arguments = ("--to", "c", "--fixed-point", "--interval", LEVEL, "-o", tmp_path / "it.c")
    ended = mlp("export", weights("plain"), *arguments)
    assert ended.code == 2
    assert "--fixed-point keeps labels, and no sets of them" in ended.stderr
