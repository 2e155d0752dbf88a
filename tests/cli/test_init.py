"""`mlp init`: a config that trains as it is."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from mlpcli.config.loading import load_config
from mlpcli.data.schema.column import ColumnOptions
from mlpcli.workflows.preparing.rows.tables import read_training_table, resolve_columns
from mlpcli.workflows.training.estimates import time_budget as workflow
from tests.program import DATA, done, mlp, write_csv


def messy(path, n_rows=60):
    """A table with a column of each kind."""
    rows = [
        (
            1000 + i,
            f"note {i} on row",
            "same",
            "",
            ("north", "south", "east")[i % 3],
            ("yes", "no")[i % 2],
            f"2024-{1 + i % 12:02}-{1 + i % 28:02}",
            i % 7 + 1,
            "" if i % 9 == 0 else i * 0.37,
            ("a", "b")[i % 4 == 0],
            ("x1", "x2")[i % 4 == 0],
        )
        for i in range(n_rows)
    ]
    names = ["order_id", "note", "source", "empty", "region", "paid", "day", "grade", "amount", "label", "label_code"]
    return write_csv(path, names, rows)


def test_the_config_trains_without_edits_and_keeps_the_roles(folder):
    messy(folder / "t.csv")
    done("init", "t.csv", "--target", "label", "-o", "t.yaml")
    config = load_config("t.yaml").config
    assert config.data.target == ("label",)
    assert config.data.drop == ("order_id", "note", "source", "empty", "label_code")
    assert {name: column.role for name, column in config.data.columns.items()} == {
        "region": "category", "paid": "boolean", "day": "date", "grade": "number", "amount": "number"
    }  # fmt: skip
    ended = done("train", "t.yaml", "--set", "training.epochs=2", "--json")
    assert ended.document["output"] == "runs/t"
    document = done("inspect", "runs/t/weights.npz", "--json").document
    assert {column["name"]: column["role"] for column in document["columns"]} == {
        name: column.role for name, column in config.data.columns.items()
    }


def test_codes_that_look_like_amounts_are_classes_where_the_task_says_so(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 7 + 0.5, (1, 2, 5, 7)[i % 4]) for i in range(60)])
    guessed = done("init", "t.csv", "-o", "guessed.yaml")
    assert "read as numeric; mlp init --task classification if they are codes" in guessed.stderr
    assert load_config("guessed.yaml").config.task == "regression"
    asked = done("init", "t.csv", "-o", "asked.yaml", "--task", "classification")
    assert "4 classes (1 15, 2 15, 5 15, 7 15)" in asked.stderr
    config = load_config("asked.yaml").config
    assert (config.task, config.training.loss.name) == ("classification", "cross_entropy")
    assert config.training.early_stopping.metric == "log_loss"
    done("train", "asked.yaml", "--set", "training.epochs=2", "--quiet")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("ranking", "--task ranking: must be one of auto, classification, regression, multilabel."),
        ("classifcation", "Did you mean classification?"),
        ("regression", "species"),
        ("multilabel", "species"),
    ],
)
def test_a_task_that_is_none_or_does_not_fit_the_target_is_refused(folder, task, words):
    ended = mlp("init", DATA / "iris.csv", "--target", "species", "--task", task)
    assert ended.code == 2
    assert words in ended.stderr
    assert ended.stdout == ""


def test_what_was_dropped_is_said_with_its_reason_on_screen_and_in_the_file(folder):
    messy(folder / "t.csv")
    ended = done("init", "t.csv", "--target", "label", "-o", "t.yaml")
    assert ended.stdout == ""
    text = (folder / "t.yaml").read_text()
    for name, reason in {
        "order_id": "its name is that of an id (1000 to 1059)",
        "note": "60 distinct texts in 60 rows",
        "source": "one value only (same)",
        "empty": "all cells are missing",
        "label_code": "leaks the target (label can be derived from it alone)",
    }.items():
        assert f"dropped    {name}: {reason}" in ended.stderr
        entries = re.sub(r"\n +# ", " ", text).splitlines()  # a reason that has no room stands above its column
        assert any(name in f"{above} {line}" and reason in f"{above} {line}" for above, line in pairwise(entries))


@pytest.mark.parametrize(("n_districts", "most"), [(60, ""), (120, ", max_levels: 120")])
def test_numbers_that_act_as_levels_are_categories_and_the_others_stay_numbers(folder, n_districts, most):
    rng = np.random.default_rng(1)
    district, age = rng.integers(n_districts, size=6000), rng.integers(20, 90, size=6000)
    price = rng.normal(size=n_districts)[district] + np.sin(age / 20) + rng.normal(size=6000)
    pd.DataFrame({"district": 100 + 3 * district, "age": age, "price": price}).to_csv("t.csv", index=False)
    ended = done("init", "t.csv", "--target", "price", "-o", "t.yaml")
    assert re.search(
        r"note  column district: numbers taken as category levels, because the mean of the target jumps from one "
        r"to the next \(\d\d\.\d% of its variance\)",
        ended.stderr,
    )
    columns = load_config("t.yaml").config.data.columns
    assert (columns["district"].role, columns["age"].role) == ("category", "number")
    assert f"binary: one{most}}}" in (folder / "t.yaml").read_text()
    # The textbook's network takes the table as it is.
    done("init", "t.csv", "--target", "price", "-o", "t.yaml", "--recipe", "textbook", "--force")
    assert load_config("t.yaml").config.data.columns["district"].role == "number"


def test_the_summary_counts_rows_classes_and_missing_cells(folder):
    ended = done("init", DATA / "penguins.csv", "--target", "species", "-o", "penguins.yaml")
    assert ended.stderr.splitlines()[0] == (
        "344 rows, 8 columns. Target species: 3 classes (Adelie 152, Gentoo 124, Chinstrap 68)."
    )
    assert "  category   island (3), sex (2, 11 missing)" in ended.stderr
    assert ended.stderr.splitlines()[-1] == "Wrote penguins.yaml. Next: mlp train penguins.yaml"
    assert done("init", DATA / "iris.csv", "-o", "iris.yaml", "--quiet").stderr == ""


def test_without_a_target_the_last_column_is_taken_and_said(folder):
    ended = done("init", DATA / "iris.csv")
    assert "Target species (the last column; to choose another: --target)" in ended.stderr
    assert "  target: species\n" in ended.stdout


def test_without_an_output_the_config_goes_to_standard_output(folder):
    ended = done("init", DATA / "iris.csv", "--target", "species")
    (folder / "iris.yaml").write_text(ended.stdout)
    assert load_config("iris.yaml").config.data.target == ("species",)
    done("init", DATA / "iris.csv", "--target", "species", "-o", "again.yaml")
    assert (folder / "again.yaml").read_text() == ended.stdout


def test_a_config_that_is_there_is_not_replaced_unless_forced(folder):
    (folder / "iris.yaml").write_text("mine")
    ended = mlp("init", DATA / "iris.csv", "-o", "iris.yaml")
    assert ended.code == 2
    assert ended.stderr == "iris.yaml: exists already. Choose another name, or replace it with --force.\n"
    assert (folder / "iris.yaml").read_text() == "mine"
    done("init", DATA / "iris.csv", "-o", "iris.yaml", "--force")
    assert (folder / "iris.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("targets", "task"),
    [(["progression"], "regression"), (["progression", "bmi"], "regression"), (["sex"], "classification")],
)
def test_the_task_is_found_and_trains(folder, targets, task):
    options = [word for target in targets for word in ("--target", target)]
    done("init", DATA / "diabetes.csv", *options, "-o", "d.yaml")
    assert load_config("d.yaml").config.task == task
    done("train", "d.yaml", "--set", "training.epochs=1", "--quiet")


@pytest.mark.parametrize("name", ["iris", "wine", "digits", "breast_cancer", "diabetes", "penguins"])
def test_the_samples_get_configs_that_drop_nothing(folder, name):
    done("init", DATA / f"{name}.csv", "-o", "c.yaml")
    assert set(load_config("c.yaml").config.data.drop) <= {"pixel_0_0", "pixel_4_0", "pixel_3_7", "pixel_4_7"}


def test_odd_names_survive_the_way_through_yaml(folder):
    names = ["yes", "1", "a: b", "# c", "t\ttab", "'q\"", "no", "ünï", "last"]
    rows = [[round((i * (k + 2)) % 17 + i / 100, 2) for k in range(len(names))] for i in range(50)]
    write_csv(folder / "t.csv", names, rows)
    done("init", "t.csv", "--target", "no", "-o", "t.yaml")
    config = load_config("t.yaml").config
    assert config.data.target == ("no",)
    assert list(config.data.columns) == [name for name in names if name != "no"]
    done("train", "t.yaml", "--set", "training.epochs=1", "--quiet")


def test_keys_that_decide_how_a_file_is_read_are_set_and_written_into_the_config(folder):
    rows = [f"{i},{i * i % 7},{'no' if i % 3 else 'yes'}" for i in range(60)]
    (folder / "t.csv").write_text("\n".join([*rows[:30], "# a remark", "-99,5,yes", *rows[30:]]))
    assert "leave such lines out with data.comment: '#'" in mlp("init", "t.csv").stderr
    settings = ["data.comment=#", "data.header=false", "data.missing=['-99']"]
    done("init", "t.csv", *(word for setting in settings for word in ("--set", setting)), "-o", "t.yaml")
    data = load_config("t.yaml").config.data
    assert (data.comment, data.header, data.missing, data.sheet) == ("#", False, ("-99",), None)
    assert "c1: number" in (folder / "t.yaml").read_text()
    done("check", "t.yaml")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.drop=[a]", "--set data.drop=[a]: mlp init sets how the file is read"),
        ("data.delimiter=tab", "or data.sheet, beside --delimiter and --encoding. Set other keys in its config."),
        ("training.epochs=5", "--set training.epochs=5: mlp init sets how the file is read"),
        ("data.skip_rows=x", "--set data.skip_rows=x: must be an integer"),
    ],
)
def test_other_keys_are_left_to_the_config(folder, setting, message):
    ended = mlp("init", DATA / "iris.csv", "--set", setting, "-o", "t.yaml")
    assert ended.code == 2
    assert message in ended.stderr
    assert not (folder / "t.yaml").exists()


def test_delimiter_and_encoding_given_are_written_into_the_config(folder):
    text = (DATA / "iris.csv").read_text().replace(",", ";")
    (folder / "t.csv").write_text(text, "utf-16")
    done("init", "t.csv", "--delimiter", ";", "--encoding", "utf-16", "-o", "t.yaml")
    config = load_config("t.yaml").config
    assert (config.data.delimiter, config.data.encoding) == (";", "utf-16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "specie"], "iris.csv: no column 'specie'. Did you mean species?"),
        (
            ["--target", "petal_width,petal_length"],
            "no column 'petal_width,petal_length'. Several targets: --target petal_width --target petal_length",
        ),
        (
            [word for name in ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")
             for word in ("--target", name)],
            "the table has no column besides the target",
        ),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused_and_nothing_is_written(folder, options, message):
    ended = mlp("init", DATA / "iris.csv", *options, "-o", "c.yaml")
    assert (ended.code, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert list(folder.iterdir()) == []


TABLES = {
    "classification": ("penguins.csv", ["species"]),
    "regression": ("diabetes.csv", ["progression"]),
    "multilabel": ("labels.csv", ["a", "b"]),
}


def labels_table(path):
    rows = [(i % 23 / 7, "uvw"[i % 3], ("yes", "no")[i % 2], ("yes", "no")[i % 5 > 1]) for i in range(80)]
    write_csv(path, ["x", "letter", "a", "b"], rows)


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("recipe", ["best", "strong", "fast", "textbook"])
def test_every_recipe_trains_for_every_task_as_it_is_written(folder, recipe, task):
    name, targets = TABLES[task]
    labels_table(folder / "labels.csv")
    source = folder / name if task == "multilabel" else DATA / name
    options = [word for target in targets for word in ("--target", target)]
    done("init", source, *options, "--recipe", recipe, "-o", "t.yaml")
    assert load_config("t.yaml").config.task == task
    done("train", "t.yaml", "--set", "training.epochs=2", "--quiet")
    assert '"epochs": 2' in (folder / "runs/t/metrics.json").read_text()
    assert len(done("predict", "runs/t/weights.npz", source).rows) > 70
    members = done("inspect", "runs/t/weights.npz", "--json").document["record"]["config"]["model"]["members"]["count"]
    assert members == {"best": 24, "strong": 8, "fast": 5, "textbook": 1}[recipe]


def test_a_recipe_that_is_none_is_refused_with_those_there_are(folder):
    ended = mlp("init", DATA / "iris.csv", "--recipe", "stong", "-o", "c.yaml")
    assert ended.code == 2
    assert ended.stderr == "--recipe stong: must be one of best, strong, fast, textbook. Did you mean strong?\n"
    assert mlp("init", DATA / "iris.csv", "--recipe", "nonsense").code == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "soon"])
def test_a_time_budget_is_a_number_of_seconds(folder, budget):
    ended = mlp("init", DATA / "iris.csv", "--time-budget", budget)
    assert ended.code == 2
    assert ended.stderr.startswith(f"--time-budget {budget}: must be ")


@pytest.mark.parametrize(
    ("budget", "recipe", "members", "epochs"),
    [("1000", "strong", 8, 48), ("300", "strong", 4, 48), ("150", "strong", 4, 24), ("55", "strong", 4, 12),
     ("54", "fast", 5, 10), ("20", "fast", 5, 3), ("0.001", "fast", 5, 1)],
)  # fmt: skip
def test_a_time_budget_takes_the_strongest_recipe_that_fits(folder, monkeypatch, budget, recipe, members, epochs):
    def seconds(prepared):
        return float(len(prepared.networks) * prepared.spec.epochs + 6)

    monkeypatch.setattr(workflow, "expected_seconds", seconds)
    ended = done("init", DATA / "iris.csv", "--target", "species", "--time-budget", budget, "-o", "c.yaml")
    config = load_config("c.yaml").config
    assert (config.model.members.count, config.training.epochs) == (members, epochs)
    assert config.budget.seconds == float(budget)
    assert f"# Recipe {recipe};" in (folder / "c.yaml").read_text()
    shown = f"{epochs} epoch{'s' if epochs > 1 else ''}"
    shown = f"{members} members, {shown}" if members > 1 else shown
    assert f"Recipe {recipe}, {shown}: about " in ended.stderr


def test_without_a_time_budget_nothing_is_timed(folder, monkeypatch):
    monkeypatch.delattr(workflow, "expected_seconds")
    ended = done("init", DATA / "iris.csv", "-o", "c.yaml")
    assert "about" not in ended.stderr


@pytest.mark.parametrize("n_rows", [4, 5, 8, 12])
def test_a_table_of_few_rows_gets_a_config_that_trains(folder, n_rows):
    write_csv(folder / "t.csv", ["x", "z", "y"], [(i * 0.7, i % 3, "ab"[i % 2]) for i in range(n_rows)])
    done("init", "t.csv", "-o", "t.yaml")
    done("train", "t.yaml", "--set", "training.epochs=2", "--quiet")


def written_in_german(number):
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize("n_points", [0, 1])
def test_a_table_of_decimal_commas_gets_one_key_and_is_read_as_it_is_written(folder, n_points):
    numbers = [[i * 97.31 % 3001, i * i % 71 / 8, i % 60 / 3, i * 13 % 3700 + 0.5] for i in range(80)]
    rows = [
        ";".join([*map(written_in_german, row[:2]), f"{row[2]:.1f} %".replace(".", ","), str(i * 7 % 53),
                  *[f"{i * 37 % 80 / 8:.3f}"] * n_points, written_in_german(row[3])])
        for i, row in enumerate(numbers)
    ]  # fmt: skip
    (folder / "t.csv").write_text("\n".join([";".join(["a", "b", "p", "n", *["q"] * n_points, "t"]), *rows, ""]))
    done("init", "t.csv", "--target", "t", "-o", "t.yaml")
    data = load_config("t.yaml").config.data
    assert (data.decimal, data.thousands) == (",", ".")
    written = {name: column for name, column in data.columns.items() if column != ColumnOptions(role="number")}
    assert written == {"p": ColumnOptions(role="number", suffix="%")} | (
        {"q": ColumnOptions(role="number", decimal=".", thousands="")} if n_points else {}
    )
    table = resolve_columns(load_config("t.yaml"), read_training_table(load_config("t.yaml"))).table
    assert table.columns["a"].values.tolist() == [round(row[0], 2) for row in numbers]
    assert table.columns["t"].values.tolist() == [row[3] for row in numbers]
    if n_points:
        assert table.columns["q"].values.tolist() == [i * 37 % 80 / 8 for i in range(80)]


def test_what_was_guessed_stands_in_the_config(folder):
    lines = [f'"{i % 7 + 1},{i * 37 % 1000:03}",{i * 7 % 53},"{i % 9 + 1},{i * 31 % 1000:03}"' for i in range(80)]
    (folder / "t.csv").write_text("\n".join(["# made by x", "Sales", "a,b,y", *lines, ""]))
    ended = done("init", "t.csv", "-o", "t.yaml")
    text, doubt = (folder / "t.yaml").read_text(), "a comma before three digits can also be a decimal comma"
    for name in "ay":
        assert f"note  column {name}: {doubt}" in ended.stderr
        assert f'# {doubt}\n    {name}: {{role: number, thousands: ","}}\n' in text
    note = "t.csv: 2 lines above the table skipped (see data.comment and data.skip_rows)."
    assert f"\n  # {note}\n  " in re.sub(r"(and)\n  # ", r"\1 ", text)


@pytest.mark.parametrize("cells", [["yes", "no", "#VALUE!"], [f"{i} {('kg', 'lb')[i % 2]}" for i in range(30)]])
def test_what_training_refuses_it_refuses_of_the_config_that_init_writes_too(folder, cells):
    write_csv(
        folder / "t.csv", ["x", "z", "y"], [(cells[i % len(cells)], i % 7 + 0.5, "ab"[i % 4 > 1]) for i in range(120)]
    )
    ended = done("init", "t.csv", "-o", "t.yaml")
    refused = mlp("train", "t.yaml")
    assert refused.code == 2
    assert refused.stderr.partition(" (data.train")[0].splitlines()[0] in ended.stderr  # init has no config to name
    assert re.search(r"\n    # .*\n    x: \{role: null\}\n", (folder / "t.yaml").read_text())


TINY = {
    "amount": (["y"], lambda i: (1.7 * i,)),
    "amounts": (["y", "z"], lambda i: (1.7 * i, i * i)),
    "classes": (["y"], lambda i: ("ab"[i % 2],)),
    "columns": (["y", "z"], lambda i: (i % 2, int(i == 0))),
}


@pytest.mark.parametrize("recipe", ["best", "strong", "fast", "textbook"])
@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("n_rows", [3, 4, 5, 8])
def test_what_init_writes_for_a_few_rows_is_accepted_by_train(folder, recipe, kind, n_rows):
    names, targets = TINY[kind]
    write_csv(folder / "t.csv", ["a", "b", *names], [(i + 0.5, 7 * i % 11 + 0.25, *targets(i)) for i in range(n_rows)])
    done("init", "t.csv", *(f"-t{name}" for name in names), "-o", "c.yaml", "--recipe", recipe)
    # Few rows refuse splits, folds, scores and scales, but no width; the layers as written are trained above.
    done("train", "c.yaml", "--quiet", "--set", "training.epochs=2", "--set", "model.layers=[auto, 8, auto]")


def test_json_is_one_document_with_what_was_found_and_the_config(folder):
    options = ("init", DATA / "penguins.csv", "--target", "species", "--json")
    document = done(*options).document
    assert document["config"] == done(*options[:-1]).stdout
    assert (document["output"], document["rows"], document["task"]) == (None, 344, "classification")
    assert document["target"] == ["species"]
    assert document["classes"] == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    columns = {one["name"]: one for one in document["columns"]}
    assert columns["island"]["role"] == "category"
    assert columns["sex"]["missing"] == 11
    assert document["recipe"]["name"] == "strong"
    written = done(*options, "-o", "a.yaml").document
    assert (written["output"], (folder / "a.yaml").read_text()) == ("a.yaml", document["config"])
