"""`mlp report`: a page for each task, from a run, a model or two, and what is refused."""

import importlib
import json
import re
import shutil
from html import escape

import numpy as np
import pytest

from tests.program import DATA, done, mlp, train, write_csv
from tests.report.staging import CLOSING, IMAGE, SCRIPT, STYLED, hostile_run

pytest.importorskip("matplotlib", reason="the extra report is not installed")
pytest.importorskip("jinja2", reason="the extra report is not installed")

ALWAYS = {"scores-table", "curves", "importance", "dependence", "slices", "quality", "columns", "record"}
OF_CLASSES = {"confusion", "thresholds", "calibration", "scores"}
TASKS = {
    "two classes": ("breast_cancer.csv", "diagnosis", ALWAYS | OF_CLASSES),
    "many classes": ("wine.csv", "cultivar", ALWAYS | OF_CLASSES),
    "numbers": ("diabetes.csv", "progression", ALWAYS | {"numbers"}),
    "several numbers": ("several.csv", ["a", "b"], ALWAYS | {"numbers"}),
    "yes and no": ("flags.csv", ["late", "lost"], ALWAYS | OF_CLASSES - {"confusion"}),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Paths of the tables by name."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).round(3)
    write_csv(folder / "several.csv", ["x", "y", "z", "a", "b"], [[*row, row[0] * 2, row[1] - row[2]] for row in x])
    flags = [[*row, "yes" if row[0] > 0 else "no", "yes" if row[1] + row[2] > 0.5 else "no"] for row in x]
    write_csv(folder / "flags.csv", ["x", "y", "z", "late", "lost"], flags)
    return lambda name: folder / name if (folder / name).exists() else DATA / name


@pytest.mark.parametrize("kind", TASKS)
def test_each_task_has_its_sections_and_the_scores_of_eval(kind, tables, tmp_path, monkeypatch):
    name, target, sections = TASKS[kind]
    monkeypatch.chdir(tmp_path)
    train(tmp_path, {"train": str(tables(name)), "target": target, "validation": 0.3}, {"epochs": 2})
    answer = done("report", "run", tables(name), "--json").document
    assert set(answer["sections"]) == sections
    assert answer["scores"] == done("eval", "run/weights.npz", tables(name), "--json").document["scores"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert len(page.encode()) == answer["bytes"] < 1_000_000
    assert set(re.findall(r'<section id="([^"]+)"', page)) == sections
    assert answer["verdict"] in page.replace("&#39;", "'")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return hostile_run(folder)


@pytest.fixture(scope="module")
def page(hostile):
    """The page on a run with names that would be markup."""
    path = hostile.parent / "page.html"
    done("report", hostile, hostile.parent / "hostile.csv", "--compare", hostile, "-o", path)
    return path.read_text("utf-8")


def test_a_page_loads_nothing_and_says_so_to_the_browser(page):
    assert "default-src 'none'" in page
    without_names = page.replace("http://www.w3.org/1999/xlink", "").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|<link|<iframe|<object", without_names)
    assert all(found.startswith("#") for found in re.findall(r'(?:href|src)="([^"]*)"', page))


def test_names_of_the_data_are_text_wherever_they_stand(page):
    assert page.count("<script>") == 1
    for markup in (SCRIPT, IMAGE, CLOSING, "target <i>"):
        assert markup not in page
    for text in ("&lt;script&gt;window.hacked", "&lt;img src=x", "&lt;/svg&gt;", "{{ 7 * 7 }}", "$x^2$"):
        assert text in page
    # A name that looks like a colour or an id of a figure stays as it is.
    assert escape(STYLED) in page


def test_every_figure_has_a_sentence_and_a_name_for_screen_readers(page):
    figures = re.findall(r"<figure.*?</figure>", page, re.S)
    assert len(figures) > 10
    for figure in figures:
        assert re.search(r"<figcaption>[^<]{20,}</figcaption>", figure)
        assert re.search(r'<svg [^>]*role="img" aria-label="[^"]+"', figure)


def test_no_two_things_in_a_page_have_the_same_id(page):
    ids = re.findall(r'\bid="([^"]+)"', re.sub(r">[^<]*<", "><", page))
    assert len(ids) == len(set(ids))


def test_the_same_run_and_rows_give_the_same_page(hostile, page):
    path = hostile.parent / "page.html"
    path.unlink()
    done("report", hostile, hostile.parent / "hostile.csv", "--compare", hostile, "-o", path)
    assert path.read_text("utf-8") == page


def test_a_model_beside_itself_is_no_other(page):
    section = page.partition('<section id="compare"')[2].partition("</section>")[0]
    assert "better</td>" not in section
    assert "worse</td>" not in section


def test_probabilities_are_shown_before_and_after_the_temperature(page):
    section = page.partition('<section id="calibration"')[2].partition("</section>")[0]
    assert "without the temperature" in section


def test_the_temperature_of_members_is_taken_out_of_their_weights(tmp_path):
    from mlpcli.storage.model.model_file import load_model
    from mlpcli.workflows.reporting.rows import read_rows
    from mlpcli.workflows.reporting.scores import temperature_of, uncalibrated_predictions

    data = {"train": str(DATA / "iris.csv"), "target": "species", "validation": None}
    members = {"model": {"members": {"count": 4, "rows": "folds", "folds": 2}}}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = load_model(str(train(tmp_path / "a", data, {"epochs": 8}, **members)))
    fitted = load_model(
        str(train(tmp_path / "b", data, {"epochs": 8}, **members, postprocess={"calibration": "temperature"}))
    )
    assert temperature_of(plain) is None
    assert temperature_of(fitted) == fitted.record["temperature"] != 1.0
    rows = read_rows(fitted, str(DATA / "iris.csv"), None, None).detailed
    found = uncalibrated_predictions(fitted, rows.X)
    np.testing.assert_allclose(found, uncalibrated_predictions(plain, rows.X), atol=2e-6)
    assert np.abs(found - rows.sample.predictions).max() > 0.01


def test_without_a_table_a_page_has_what_the_model_knows(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = done("report", hostile, "--json").document
    assert set(answer["sections"]) == {"scores-table", "curves", "columns", "record"}
    assert answer["table"] is None
    assert "No table was given" in answer["notes"][0]
    # Of a model file alone there is no history.
    alone = tmp_path / "alone" / "m.npz"
    alone.parent.mkdir()
    alone.write_bytes((hostile / "weights.npz").read_bytes())
    assert "curves" not in done("report", alone, "--json").document["sections"]


def test_a_history_that_cannot_be_read_costs_the_curves_and_not_the_page(hostile, tmp_path):
    shutil.copytree(hostile, tmp_path / "run")
    (tmp_path / "run" / "history.csv").write_text("a,b\n")
    (tmp_path / "run" / "config.yaml").write_text("{")
    answer = done("report", tmp_path / "run", "-o", tmp_path / "page.html", "--json").document
    assert "curves" not in answer["sections"]
    assert any("There are no learning curves" in note and "history.csv" in note for note in answer["notes"])


def test_the_test_file_of_the_config_is_taken_and_the_gates_of_the_config_judge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"train": str(DATA / "iris.csv"), "target": "species", "test": str(DATA / "iris.csv")}
    ended = mlp("train", _config(tmp_path, data, expect={"min": {"accuracy": 0.999}}), "-o", "run", "--quiet")
    assert ended.code == 1
    ended = mlp("report", "run")
    assert ended.code == 1
    assert "accuracy >= 0.999" in ended.stdout
    assert "FAIL" in ended.stdout
    assert re.search(r"<b>FAIL</b> accuracy &gt;= 0.999", (tmp_path / "report.html").read_text())
    # Those of the command line take their place.
    assert done("report", "run", "--min", "accuracy=0.1", "--json").document["passed"]


def _config(folder, data, **sections):
    path = folder / "c.yaml"
    path.write_text(json.dumps({"data": data, "training": {"epochs": 1}, **sections}))
    return path


def test_a_user_s_mistake_is_a_sentence_and_leaves_no_page(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = hostile.parent / "hostile.csv"
    other = train(tmp_path, {"train": str(DATA / "iris.csv"), "target": "species"}, {"epochs": 1})
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        (["nothing"], "no such run or model"),
        (["empty"], "holds no weights.npz"),
        ([table], "hostile.csv"),
        ([hostile, "nothing.csv"], "nothing.csv"),
        ([hostile, DATA / "iris.csv"], "target <i>"),
        ([table, other], "The model comes first"),
        ([hostile, table, "-o", table], "is one of the inputs"),
        ([hostile, table, "--compare", other], "targets differ"),
        ([hostile, "--compare", hostile], "needs rows to compare on"),
        ([hostile, table, "--min", "acuracy=1"], "accuracy"),
        ([hostile, table, "--confidence", "2"], "--confidence 2"),
        ([hostile, table, "-o", "no/such/folder.html"], "no/such"),
    ):
        ended = mlp("report", *arguments)
        assert ended.code == 2, (arguments, ended)
        assert words in ended.stderr, (arguments, ended)
        assert "Traceback" not in ended.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_without_the_extra_a_sentence_says_what_to_install(hostile, tmp_path, monkeypatch, package):
    real = importlib.import_module

    def missing(name, *rest):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib, "import_module", missing)
    ended = mlp("report", hostile)
    assert ended.code == 2
    assert f"needs the package {package}" in ended.stderr
    assert 'pip install "mlp-train[report]"' in ended.stderr


def test_a_page_on_standard_output_is_the_answer_and_the_verdict_is_said_beside_it(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = done("report", hostile, "-o", "-")
    assert ended.stdout.startswith("<!doctype html>")
    assert ended.stdout.rstrip().endswith("</html>")
    assert ended.stderr.startswith("Scores in training, on the validation rows")
    assert list(tmp_path.iterdir()) == []
    assert mlp("report", hostile, "-o", "-", "--json").code == 2


def test_few_rows_one_class_and_one_row_have_a_page_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"train": str(DATA / "iris.csv"), "target": "species"}
    train(tmp_path, data, {"epochs": 1})
    lines = (DATA / "iris.csv").read_text().splitlines()
    for n_rows in (1, 3):
        (tmp_path / "few.csv").write_text("\n".join(lines[: n_rows + 1]) + "\n")
        assert "confusion" in done("report", "run", "few.csv", "--json").document["sections"]
