"""The query answers as the model does in SQLite, DuckDB, and a PostgreSQL server that the test starts."""

import sqlite3

import numpy as np
import pytest

from mlpcli.export.agreement import agreement, sample_rows
from mlpcli.export.description import describe
from mlpcli.export.sql.query import sql_query
from mlpcli.export.trials import run_sqlite, typed_columns, values_of
from tests.export.models import CONFIGS
from tests.export.postgres import load_rows
from tests.program import done, mlp, train, write_csv

SEVERAL = ("plain", "booleans", "quantile target", "cosines", "norm", "double")


def check(model, run):
    found = agreement(model, sample_rows(model), run)
    is_double = model.ensemble.dtype == np.float64
    assert found.difference < (1e-9 if is_double else 5e-5 if model.target.task == "regression" else 1e-5)
    assert found.n_labels == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_sqlite_answers_as_the_model_does(loaded, name):
    model = loaded[name]
    description = describe(model)
    query = sql_query(description, "sqlite", "main.rows of today", ["code", "id"])
    check(model, run_sqlite(query, model, "main.rows of today", ["code", "id"], description))


def test_duckdb_answers_as_the_model_does(loaded):
    duckdb = pytest.importorskip("duckdb", reason="the extra sql is not installed")
    types = {"number": "DOUBLE", "date": "TIMESTAMP"}
    for name in SEVERAL:
        model = loaded[name]
        description = describe(model)
        query = sql_query(description, "duckdb", "data")

        def run(rows, model=model, query=query, description=description):
            columns = typed_columns(rows, model)
            with duckdb.connect() as database:
                kinds = [types.get(schema.role, "VARCHAR") for schema in model.preprocessor.schemas]
                made = ", ".join(f'"{name}" {kind}' for name, kind in zip(columns, kinds, strict=True))
                database.execute(f"CREATE TABLE data ({made})")
                places = ", ".join("?" * len(columns))
                database.executemany(f"INSERT INTO data VALUES ({places})", [*zip(*columns.values(), strict=True)])
                found = database.execute(query).fetchall()
            return values_of(found, description)

        check(model, run)


@pytest.mark.parametrize("dates", ["timestamp", "timestamptz"])
def test_postgresql_answers_as_the_model_does(loaded, psql, dates):
    for name in CONFIGS if dates == "timestamp" else SEVERAL:
        model = loaded[name]
        description = describe(model)
        query = sql_query(description, "postgresql", "data")
        roles = {schema.name: schema.role for schema in model.preprocessor.schemas}

        def run(rows, model=model, query=query, description=description, roles=roles):
            found = psql(f"{load_rows(typed_columns(rows, model), roles, dates)}{query}")
            return values_of(found[1:], description)

        check(model, run)


def answered(loaded, name, rows, query=None):
    """What SQLite answers to typed rows, a dict each."""
    model = loaded[name]
    query = query or sql_query(describe(model), "sqlite", "data")
    columns = [schema.name for schema in model.preprocessor.schemas]
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE data ({', '.join(columns)})")
        places = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO data VALUES ({places})", [[row.get(one) for one in columns] for row in rows])
        found = database.execute(query)
        names = [one[0] for one in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("plain", "1.5"),
        ("plain", "many"),
        ("plain", float("inf")),
        ("days", "2024-02-31"),
        ("days", 2024),
        ("days", "soon"),
    ],
)
def test_a_cell_that_is_not_of_its_column_has_no_answer(loaded, column, cell):
    sound, odd = answered(loaded, "plain", [{}, {column: cell}])
    assert sound["label"] in ("low", "middle", "high")
    assert set(odd.values()) == {None}


def test_numbers_of_a_code_and_levels_are_the_same_in_every_type(loaded):
    cells = [1, 1.0, "1", " 1 ", "1.0"]
    first, *others = answered(loaded, "plain", [{"city": cell} for cell in cells])
    assert all(other == first for other in others)
    assert first != answered(loaded, "plain", [{"city": "Ülm"}])[0]
    yes, *rest = answered(loaded, "plain", [{"member": cell} for cell in ("yes", "YES", "true", 1, "t")])
    assert all(one == yes for one in rest)


def test_labels_have_the_type_of_their_column(loaded):
    assert type(answered(loaded, "two classes", [{}])[0]["bit"]) is int
    assert answered(loaded, "booleans", [{}])[0]["hot"] in (0, 1)
    assert list(answered(loaded, "numbers", [{}])[0]) == ["price", "size"]


def test_names_and_labels_stay_texts_in_the_query(tmp_path):
    odd = "a'; DROP TABLE data; --\""
    rows = [[value, f"{odd}{value > 4}", f"{odd}{value % 2}"] for value in range(20)]
    weights = train(
        tmp_path, {"train": str(write_csv(tmp_path / "t.csv", [odd, "b", 'y "x"'], rows)), "target": 'y "x"'}
    )
    ended = done(
        "export", weights, "--to", "sql", "-o", tmp_path / "it.sql", "--keep", '"' + odd.replace('"', '""') + '"'
    )
    assert "no label differs" in ended.stdout


def test_a_kept_column_of_the_name_of_an_answer_is_told_apart(loaded):
    query = sql_query(describe(loaded["plain"]), "sqlite", "data", ["city"])
    assert list(answered(loaded, "plain", [{"city": "x"}], query)[0]) == [
        "city",
        "label",
        "p_high",
        "p_low",
        "p_middle",
    ]
    description = describe(loaded["plain"])
    description["target"]["names"] = ["city"]
    query = sql_query(description, "sqlite", "data", ["city"])
    assert list(answered(loaded, "plain", [{"city": "x"}], query)[0])[:2] == ["city", "predicted_city"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dialect", "sqlit"], "--dialect sqlit: is not supported. Did you mean sqlite?"),
        (["--dialect", "duckdb", "--to", "json"], "--dialect applies to SQL"),
        (["--keep", "a", "--to", "python"], "--keep applies to SQL"),
    ],
)
def test_a_mistake_is_told(tmp_path, arguments, message):
    rows = [[value, "ab"[value > 9]] for value in range(20)]
    weights = train(tmp_path, {"train": str(write_csv(tmp_path / "t.csv", ["a", "y"], rows)), "target": "y"})
    ended = mlp(
        "export", weights, "-o", tmp_path / "it", *(["--to", "sql"] if "--to" not in arguments else []), *arguments
    )
    assert ended.code == 2
    assert message in ended.stderr


def test_a_model_too_large_for_a_query_is_refused(tmp_path):
    rows = [[value, "ab"[value > 9]] for value in range(20)]
    data = {"train": str(write_csv(tmp_path / "t.csv", ["a", "y"], rows)), "target": "y"}
    weights = train(tmp_path, data, model={"layers": ["auto", 200, 200, "auto"]})
    ended = mlp("export", weights, "--to", "sql", "-o", tmp_path / "it.sql")
    assert ended.code == 2
    assert "more than the 20 000 numbers that a query can carry" in ended.stderr
    assert not (tmp_path / "it.sql").exists()


def test_what_no_database_here_can_try_is_told(tmp_path):
    rows = [[value, "ab"[value > 9]] for value in range(20)]
    weights = train(tmp_path, {"train": str(write_csv(tmp_path / "t.csv", ["a", "y"], rows)), "target": "y"})
    ended = done("export", weights, "--to", "sql", "--dialect", "postgresql", "-o", tmp_path / "it.sql")
    assert "not tested: " in ended.stderr
