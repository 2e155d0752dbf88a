"""Every model answers the same in every language, row for row."""

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from mlpcli.export import agreement as agreements
from mlpcli.export.agreement import Agreement, agreement, sample_rows, table_of
from mlpcli.export.description import describe
from mlpcli.export.python.program import PARTS
from mlpcli.export.python.standalone.predictor import Predictor
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows import export as workflow
from tests.export.models import CONFIGS, write_table
from tests.program import DATA, done, mlp, train, write_csv

PENGUINS = DATA / "penguins.csv"


def predictor_of(path):
    return Predictor(json.loads(json.dumps(describe(load_model(str(path))), allow_nan=False)))


def program(path, rows=b"", *arguments):
    """What an exported program does with CSV, in an empty folder and with no package at hand."""
    return subprocess.run([sys.executable, "-I", "-S", str(path)], input=rows, capture_output=True, timeout=60)


@pytest.mark.parametrize("name", CONFIGS)
def test_plain_python_answers_as_the_model_does(models, name):
    model, predictor = load_model(str(models[name])), predictor_of(models[name])
    found = agreement(model, sample_rows(model), lambda rows: np.array([*map(predictor.probabilities, rows)]))
    assert found.n_rows > 200
    assert found.difference < (5e-5 if model.target.task == "regression" else 1e-5)
    assert found.n_labels == 0


@pytest.mark.parametrize("name", ["bins", "booleans", "numbers"])
def test_the_program_answers_a_file_as_predict_does(models, name, tmp_path):
    done("export", models[name], "--to", "python", "-o", tmp_path / "it.py", "--no-check")
    table = write_table(tmp_path / "rows.csv", 60)
    ended = program(tmp_path / "it.py", table.read_bytes())
    assert ended.returncode == 0, ended.stderr
    found = list(csv.DictReader(ended.stdout.decode().splitlines()))
    options = [] if name == "numbers" else ["--proba"]
    truth = done("predict", models[name], table, *options).rows
    assert [row.keys() for row in found] == [row.keys() for row in truth]
    for one, other in zip(found, truth, strict=True):
        for key, cell in other.items():
            assert (
                one[key] == cell
                if key in ("label", "hot", "wet")
                else float(one[key]) == pytest.approx(float(cell), 1e-4)
            )


@pytest.mark.parametrize("n_rows", [1, 3000])
def test_the_program_ends_quietly_where_nobody_reads_its_answers(models, n_rows, tmp_path):
    done("export", models["numbers"], "--to", "python", "-o", tmp_path / "it.py", "--no-check")
    lines = write_table(tmp_path / "rows.csv", 60).read_bytes().splitlines(keepends=True)
    (tmp_path / "long.csv").write_bytes(lines[0] + b"".join((lines[1:] * 50)[:n_rows]))
    read_end, write_end = os.pipe()
    os.close(read_end)
    with (tmp_path / "long.csv").open("rb") as rows:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", tmp_path / "it.py"],
            stdin=rows, stdout=write_end, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_cells_may_be_numbers_booleans_dates_and_none(models):
    predictor = predictor_of(models["plain"])
    texts = {
        "plain": "1.5", "money": "$2,000", "days": "03.02.2004", "seen": "2024-02-03T10:30:00", "city": "1",
        "pair": "left", "code": "007", "member": "yes",
    }  # fmt: skip
    values = texts | {"plain": 1.5, "money": 2000, "days": date(2004, 2, 3), "city": 1.0, "member": True}
    values["seen"] = datetime(2024, 2, 3, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    assert predictor.predict(values) == predictor.predict(texts)
    assert predictor.predict(values | {"seen": datetime(2024, 2, 3, 10, 30)}) == predictor.predict(texts)
    assert predictor.predict(texts | {"plain": None}) == predictor.predict(texts | {"plain": float("nan")})
    assert predictor.predict(texts | {"plain": "-99.0"}) == predictor.predict(texts | {"plain": "?"})


def test_labels_are_of_the_type_of_their_column(models):
    row = dict.fromkeys(predictor_of(models["plain"]).columns)
    assert type(predictor_of(models["two classes"]).predict(row)["bit"]) is int
    assert type(predictor_of(models["booleans"]).predict(row)["hot"]) is bool
    assert type(predictor_of(models["plain"]).predict(row)["label"]) is str


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("plain", "many", "column plain: 'many' is not a number"),
        ("plain", "inf", "column plain: an infinite value"),
        ("plain", "1e300", "a number of this row is too large"),
        ("days", "31.02.2024", "column days: '31.02.2024' is not a date written DD.MM.YYYY"),
        ("plain", KeyError, "column plain is missing"),
    ],
)
def test_what_is_no_such_cell_is_refused(models, column, cell, message):
    predictor = predictor_of(models["plain"])
    row = dict.fromkeys(predictor.columns) | {column: cell}
    if cell is KeyError:
        del row[column]
    with pytest.raises(ValueError, match=message):
        predictor.predict(row)


def test_the_program_tells_the_line_it_cannot_answer(models, tmp_path):
    done("export", models["plain"], "--to", "python", "-o", tmp_path / "it.py", "--no-check")
    table = write_table(tmp_path / "rows.csv", 3).read_text("utf-8").splitlines()
    table[2] = "many" + table[2][table[2].index(",") :]
    ended = program(tmp_path / "it.py", "\n".join(table).encode())
    assert ended.returncode == 2
    assert ended.stderr.decode() == "standard input:3: column plain: 'many' is not a number\n"


def test_names_and_labels_stay_texts_in_the_program(tmp_path):
    odd = '"""\nimport os; os._exit(9)\n"""'
    rows = [[value, f"{odd}{value > 4}", f"'{odd}\\" if value % 2 else "b"] for value in range(20)]
    table = write_csv(tmp_path / "t.csv", ["a", "odd", 'y "x"'], rows)
    weights = train(tmp_path, {"train": str(table), "target": 'y "x"'})
    done("export", weights, "--to", "python", "-o", tmp_path / "it.py")
    ended = program(tmp_path / "it.py", table.read_bytes())
    assert ended.returncode == 0, ended.stderr
    assert len(list(csv.DictReader(ended.stdout.decode().splitlines()))) == 20


def test_the_program_is_made_of_the_standard_library_alone():
    for part in PARTS:
        for node in ast.walk(ast.parse(Path(str(part.__file__)).read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
            if isinstance(node, ast.ImportFrom):
                assert node.module in {one.__name__ for one in PARTS} | sys.stdlib_module_names | {"collections.abc"}


def test_equal_models_give_equal_files(models, tmp_path):
    for language in ("json", "python"):
        for name in ("one", "two"):
            done("export", models["plain"], "--to", language, "-o", tmp_path / name, "--no-check")
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_rows_that_are_tried_have_what_training_never_saw(models):
    model = load_model(str(models["plain"]))
    rows = sample_rows(model)
    _, counts = model.predict(model.cast(table_of(rows, model)))
    assert set(counts.n_missing) == {
        *model.preprocessor.columns[0:0],
        *(one.name for one in model.preprocessor.columns),
    }
    assert {"city", "pair", "code"} <= set(counts.n_unseen)
    dates = {row["days"] for row in rows}
    assert {"01.01.1900", "01.01.2100", "29.02.2000"} <= dates


def test_wide_tables_are_tried_on_all_that_is_rare_in_a_bounded_number_of_rows(models, monkeypatch):
    model = load_model(str(models["plain"]))
    alone = sample_rows(model)
    monkeypatch.setattr(agreements, "RARE_CELLS", 1)
    rows = sample_rows(model)
    assert len(rows) == agreements.DRAWN_ROWS + agreements.FEWEST_RARE + 1 < len(alone)
    for name in rows[0]:
        assert {row[name] for row in alone[agreements.DRAWN_ROWS :]} >= {row[name] for row in rows[-9:]}
    _, counts = model.predict(model.cast(table_of(rows, model)))
    assert set(counts.n_missing) == {one.name for one in model.preprocessor.columns}
    assert {"city", "pair", "code"} <= set(counts.n_unseen)


def test_numbers_of_a_quantile_transform_are_held_against_their_spread(loaded):
    model = loaded["quantile target"]
    rows = sample_rows(model)
    answers = model.predict(model.cast(table_of(rows, model)))[0]
    quantiles = model.target_state["target_quantiles"]
    moved = agreement(model, rows, lambda _: answers + 1e-3 * np.std(quantiles))
    assert moved.difference <= 1.001e-3


def test_a_model_that_answers_otherwise_is_not_written(models, tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "agreement", lambda *_: Agreement(7, 0.5, 3))
    ended = mlp("export", models["plain"], "--to", "json", "-o", tmp_path / "it.json")
    assert ended.code == 1
    assert "3 of 7 labels, probabilities or numbers up to 0.5 apart): nothing was written" in ended.stderr
    assert not (tmp_path / "it.json").exists()


def test_a_difference_is_found(models):
    model, predictor = load_model(str(models["plain"])), predictor_of(models["plain"])

    def shifted(rows):
        return np.array([predictor.probabilities(row)[::-1] for row in rows])

    found = agreement(model, sample_rows(model), shifted)
    assert found.difference > 1e-3
    assert found.n_labels > 0
    assert agreements.TIE < 1e-3


def test_what_is_written_and_how_it_was_tried_is_told(models, tmp_path):
    ended = done("export", models["plain"], "--to", "python", "-o", tmp_path / "it.py")
    assert ended.lines[0] == f"Wrote {tmp_path / 'it.py'}: 1 network, {ended_numbers(models['plain'])} numbers."
    assert ended.lines[1].startswith("Tested on ")
    document = done("export", models["number"], "--to", "json", "-o", tmp_path / "it.json", "--json").document
    assert document["tried"]["rows"] > 200
    assert document["bytes"] == (tmp_path / "it.json").stat().st_size


def test_standard_output_gets_the_file_and_nothing_else(models, tmp_path):
    done("export", models["plain"], "--to", "sql", "-o", tmp_path / "it.sql")
    ended = mlp("export", models["plain"], "--to", "sql", "-o", "-")
    assert (ended.code, ended.stdout) == (0, (tmp_path / "it.sql").read_text())
    assert ended.stderr.startswith("Tested on ")
    assert not os.path.exists("-")


def test_the_model_is_not_replaced_by_what_is_made_of_it(models, tmp_path):
    path = tmp_path / "weights.npz"
    shutil.copy(models["plain"], path)
    before = path.read_bytes()
    ended = mlp("export", path, "--to", "json", "-o", path)
    assert ended.code == 2
    assert "is the model itself" in ended.stderr
    assert path.read_bytes() == before


def ended_numbers(path):
    return load_model(str(path)).ensemble.n_parameters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "pyton", "-o", "x"], "--to pyton: is not a supported format. Did you mean python?"),
        (["--to", "python", "-o", "no/such/x.py"], "the folder no/such does not exist"),
        (["--to", "python"], "--output FILE is missing"),
        (["--to", "python", "-o", "-", "--json"], "-o - and --json: two results on standard output."),
    ],
)
def test_a_mistake_is_told(models, arguments, message, folder):
    ended = mlp("export", models["plain"], *arguments)
    assert ended.code == 2
    assert message in " ".join(ended.stderr.split())


def test_answers_of_one_name_are_told_apart(tmp_path):
    rows = [[value, "yes" if value > 9 else "no"] for value in range(20)]
    weights = train(tmp_path, {"train": str(write_csv(tmp_path / "t.csv", ["a", "p_yes"], rows)), "target": "p_yes"})
    done("export", weights, "--to", "python", "-o", tmp_path / "it.py")
    assert program(tmp_path / "it.py", b"a\n3\n").stdout.startswith(b"p_yes,p_no,p_yes_\n")
    assert done("predict", weights, tmp_path / "t.csv", "--proba").lines[0] == "p_yes,p_no,p_yes_"


@pytest.mark.parametrize("name", ["selected", "selected number"])
def test_the_selected_models_of_these_tests_count_their_members_unequally(models, name):
    assert len(set(load_model(str(models[name])).ensemble.member_counts)) > 1
