"""`--on-drift` of predict and eval, and `mlp check WEIGHTS TABLE`."""

import json

import numpy as np
import pytest

from mlpcli.storage.npz import encode_npz
from tests.program import DATA, done, mlp, train, write_csv

PENGUINS = DATA / "penguins.csv"


@pytest.fixture
def moved(folder):
    """The penguins, on another island, most of them much heavier, and every third without a sex."""
    text = PENGUINS.read_text().replace("Torgersen", "Atlantis")
    header, *rows = [line.split(",") for line in text.splitlines()]
    mass, sex = header.index("body_mass_g"), header.index("sex")
    for number, row in enumerate(rows):
        row[mass] = row[mass] if row[mass] == "NA" else str(int(row[mass]) + 3000)
        row[sex] = "NA" if number % 3 == 0 else row[sex]
    return write_csv(folder / "moved.csv", header, rows)


@pytest.fixture
def without_profile(folder, penguins):
    """The model as an older program would have written it."""
    with np.load(penguins) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays.pop("header").tobytes())
    header["reference"] = {"n_rows": 0, "columns": []}
    path = folder / "old.npz"
    path.write_bytes(encode_npz(arrays, header))
    return path


def told(ended):
    return [line for line in ended.stderr.splitlines() if "drifted from the training data" in line]


@pytest.mark.parametrize("verb", ["predict", "eval"])
def test_rows_like_those_of_the_training_are_used_without_a_word_on_drift(penguins, verb):
    for choice in ((), ("--on-drift", "warn"), ("--on-drift", "fail")):
        assert "drift" not in done(verb, penguins, PENGUINS, *choice).stderr


@pytest.mark.parametrize("verb", ["predict", "eval"])
def test_drift_is_one_line_by_default_and_ignored_on_request(penguins, moved, verb):
    (line,) = told(done(verb, penguins, moved))
    assert line.startswith("note  3 of 6 columns drifted from the training data: island (distribution: PSI ")
    assert "body_mass_g (distribution: PSI" in line
    assert "sex (missing cells: " in line
    assert line.endswith(f"Details: mlp check {penguins} {moved}")
    assert told(done(verb, penguins, moved, "--on-drift", "ignore")) == []
    assert done(verb, penguins, moved, "--quiet").stderr == ""


def test_a_failed_prediction_loses_no_row(penguins, moved, folder):
    whole = done("predict", penguins, moved, "--on-drift", "ignore").stdout
    ended = mlp("predict", penguins, moved, "--on-drift", "fail")
    assert (ended.code, ended.stdout) == (1, whole)
    assert ended.stderr.splitlines()[-1] == "3 of 6 columns drifted: island, body_mass_g, sex"
    assert mlp("predict", penguins, moved, "--on-drift", "fail", "-o", "out.csv").code == 1
    assert (folder / "out.csv").read_text() == whole


def test_eval_shows_its_scores_and_then_fails(penguins, moved):
    ended = mlp("eval", penguins, moved, "--on-drift", "fail", "--json")
    assert ended.code == 1
    assert ended.document["n_rows"] == 344
    assert ended.stderr.endswith("3 of 6 columns drifted: island, body_mass_g, sex\n")


def test_drift_is_seen_in_a_pipe_and_with_kept_columns(penguins, moved):
    ended = done("predict", penguins, "-", "--keep", "all", stdin=moved.read_bytes())
    assert told(ended)[0].endswith(f"mlp check {penguins} TABLE")


def test_what_is_seen_does_not_depend_on_the_blocks_of_a_long_table(penguins, folder):
    header, *rows = PENGUINS.read_text().splitlines()
    (folder / "long.csv").write_text("\n".join([header, *rows * 300]) + "\n")
    assert told(done("predict", penguins, "long.csv")) == []
    assert done("check", penguins, "long.csv", "--json").document["n_rows"] == 344 * 300


def test_check_reports_every_column(penguins, moved):
    ended = done("check", penguins, moved)
    assert ended.lines[0] == "344 rows beside 275 training rows · 6 columns"
    verdicts = {line.split()[0]: line for line in ended.lines if line and line.split()[0] in moved.read_text()}
    assert verdicts["bill_length_mm"].endswith("  ok")
    assert verdicts["island"].endswith("distribution, new levels")
    assert verdicts["body_mass_g"].endswith("distribution, range")
    assert verdicts["sex"].endswith("missing cells")
    assert "island: not among the levels of the reference profile: Atlantis 52" in ended.lines
    assert ended.lines[-1] == "3 of 6 columns drifted"
    assert mlp("check", penguins, moved, "--on-drift", "fail").code == 1
    assert done("check", penguins, PENGUINS, "--on-drift", "fail").lines[-1] == "no drift in 6 columns"


def test_check_as_a_document_has_every_count(penguins, moved):
    ended = mlp("check", penguins, moved, "--json", "--on-drift", "fail")
    assert ended.code == 1
    document = ended.document
    assert document["drifted"] == ["island", "body_mass_g", "sex"]
    assert document["passed"] is False
    island, *_, sex = document["columns"]
    assert (island["n_outside"], island["unseen"], island["distance"]) == (52, {"Atlantis": 52}, None)
    assert sex["missing"] == sex["n_missing"] / 344
    mass = next(column for column in document["columns"] if column["name"] == "body_mass_g")
    assert mass["maximum"] == 9300
    assert 0 <= mass["p_value"] < 1e-6


def test_a_table_of_few_rows_is_reported_without_a_verdict(penguins, folder):
    header, *rows = PENGUINS.read_text().splitlines()
    (folder / "few.csv").write_text("\n".join([header, *rows[:9]]).replace("Torgersen", "Atlantis") + "\n")
    ended = done("check", penguins, "few.csv", "--on-drift", "fail")
    assert "note  fewer than 50 rows: too few to test for drift" in ended.stderr
    (folder / "none.csv").write_text(header + "\n")
    assert done("predict", penguins, "none.csv", "--on-drift", "fail").lines == ["species"]


def test_a_column_that_is_missing_or_of_another_type_is_an_error(penguins, moved, folder):
    text = moved.read_text()
    (folder / "lacking.csv").write_text(text.replace("bill_depth_mm", "depth"))
    ended = mlp("check", penguins, "lacking.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert "column bill_depth_mm is missing" in ended.stderr
    header, *rows = text.splitlines()
    cells = rows[4].split(",")
    cells[header.split(",").index("body_mass_g")] = "heavy"
    (folder / "retyped.csv").write_text("\n".join([header, *rows[:4], ",".join(cells), *rows[5:]]) + "\n")
    ended = mlp("check", penguins, "retyped.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert "retyped.csv:6: column body_mass_g: 'heavy' is not a number." in ended.stderr


def test_an_infinite_cell_is_an_error_with_its_place(iris, folder):
    rows = (DATA / "iris.csv").read_text().splitlines()
    rows[3] = rows[3].replace(rows[3].split(",")[1], "1e999")
    (folder / "infinite.csv").write_text("\n".join(rows) + "\n")
    ended = mlp("check", iris, "infinite.csv")
    assert ended.code == 2
    assert "infinite.csv:4: column sepal_width: an infinite value." in ended.stderr


def test_the_verb_knows_a_model_from_a_config_and_what_goes_with_each(penguins, folder):
    ended = mlp("check", penguins)
    assert ended.code == 2
    assert "a model is checked with a table: mlp check" in ended.stderr
    assert "--set, --output and --seed go with a config" in mlp("check", penguins, PENGUINS, "--seed", 1).stderr
    (folder / "c.yaml").write_text("data: {train: t.csv, target: y}\n")
    assert "a config, which is checked without a table" in mlp("check", "c.yaml", PENGUINS).stderr
    assert "nowhere.npz" in mlp("check", "nowhere.npz", PENGUINS).stderr
    renamed = folder / "model"
    renamed.write_bytes(penguins.read_bytes())
    assert done("check", renamed, PENGUINS).lines[-1] == "no drift in 6 columns"


def test_a_model_without_profile_says_so_once_and_cannot_be_a_gate(without_profile):
    for verb in ("predict", "eval"):
        ended = done(verb, without_profile, PENGUINS)
        assert ended.stderr.count("no reference profile") == 1
        assert "no reference profile" not in done(verb, without_profile, PENGUINS, "--on-drift", "ignore").stderr
        ended = mlp(verb, without_profile, PENGUINS, "--on-drift", "fail")
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr.startswith("--on-drift fail: the model has no reference profile")
    assert "no reference profile" in mlp("check", without_profile, PENGUINS).stderr


@pytest.mark.parametrize("verb", ["predict", "eval", "check"])
def test_an_unknown_choice_is_refused_before_a_byte_is_written(penguins, verb):
    ended = mlp(verb, penguins, PENGUINS, "--on-drift", "warm")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == "--on-drift warm: no such choice. Did you mean warn?\n"


def test_texts_that_look_like_formulas_are_quoted_on_request_only(folder):
    labels = ("=1+1", "+up", "@home", "plain")
    rows = [(i, f"-{i}.5", ("-x", "\tt", "a-b", "=A1")[i % 4], labels[i % 4]) for i in range(40)]
    write_csv(folder / "t.csv", ["n", "-m", "text", "label"], rows)
    weights = train(folder, {"train": "t.csv", "target": "label"})
    asked = ("predict", weights, "t.csv", "--keep", "all", "--proba", "--on-drift", "ignore")
    plain, safe = done(*asked).rows, done(*asked, "--safe-csv").rows
    assert {row["predicted_label"] for row in plain} <= set(labels)
    assert {row["text"] for row in plain} == {"-x", "t", "a-b", "=A1"}
    assert {row["label"] for row in safe} == {"'=1+1", "'+up", "'@home", "plain"}
    assert {row["text"] for row in safe} == {"'-x", "t", "a-b", "'=A1"}
    assert {row["predicted_label"] for row in safe} <= {"'=1+1", "'+up", "'@home", "plain"}
    assert [row["'-m"] for row in safe] == [row["-m"] for row in plain] == [f"-{i}.5" for i in range(40)]
    assert [row["p_plain"] for row in safe] == [row["p_plain"] for row in plain]
