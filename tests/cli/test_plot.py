"""`mlp plot` and `mlp train --plot`: the learning curves of runs, in the terminal and in files."""

import csv
import importlib
import io
import json
import re
import shutil
from contextlib import redirect_stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.cli.document import Chart, Curve
from mlpcli.cli.rendering.chart import MARK, chart_lines
from mlpcli.messages import display_width
from tests.program import DATA, done, mlp, write_config

IRIS = {"train": str(DATA / "iris.csv"), "target": "species", "validation": 0.3}
BRAILLE = re.compile("[⠁-⣿]")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two runs of six epochs."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder / "iris.yaml", IRIS, {"epochs": 6, "early_stopping": {"metric": "log_loss"}})
    done("train", config, "-o", folder / "runs" / "one", "--quiet")
    done("train", config, "-o", folder / "runs" / "two", "--seed", 1, "--quiet")
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch):
    shutil.copytree(made / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def history(run):
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_points_are_those_of_the_history(runs):
    document = done("plot", runs / "one", "--json").document
    assert document["metric"] == "log_loss"
    [one] = document["runs"]
    for side in ("train", "validation"):
        rows = [row for row in history(runs / "one") if row[f"{side}_log_loss"]]
        assert one[side] == {
            "epoch": [int(row["epoch"]) for row in rows],
            "value": [float(row[f"{side}_log_loss"]) for row in rows],
        }
    assert one["kept_epoch"] == json.loads((runs / "one" / "metrics.json").read_text())["best_epoch"]


def test_of_one_run_both_sides_are_drawn_and_the_kept_epoch_is_marked(runs):
    text = done("plot", "runs/one").stdout
    assert len(BRAILLE.findall(text)) > 20
    assert MARK in text
    assert re.search(r"[⠁-⣿│ ] validation$", text, re.M)
    assert re.search(r"[⠁-⣿│ ] train$", text, re.M)


def test_of_several_runs_each_has_its_name_at_its_end_and_a_row(runs):
    text = done("plot", "runs/one", "runs/two", "--metric", "accuracy").stdout
    assert text.startswith("accuracy by epoch · 2 runs · on the validation rows")
    for name in ("one", "two"):
        assert re.search(rf"[⠁-⣿│┤ ] {name}$", text, re.M)
        row = next(line.split() for line in text.splitlines() if line.startswith(name))
        kept = next(one for one in history(runs / name) if one["epoch"] == row[2])
        assert float(row[4]) == pytest.approx(float(kept["validation_accuracy"]), abs=5e-4)


def test_losses_of_another_kind_on_one_axis_are_told(runs, tmp_path):
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression", "validation": 0.3}
    done("train", write_config(tmp_path / "c.yaml", data, {"epochs": 2}), "-o", runs / "three", "--quiet")
    told = "have different losses, so their curves cannot be compared"
    assert told in done("plot", "runs/one", "runs/three").stderr
    assert told not in done("plot", "runs/one", "runs/two", "--metric", "loss").stderr
    huber = {"epochs": 2, "loss": "huber"}
    done("train", write_config(tmp_path / "h.yaml", data, huber), "-o", runs / "four", "--quiet")
    squared = {"epochs": 2, "loss": "squared_error"}
    done("train", write_config(tmp_path / "s.yaml", data, squared), "-o", runs / "five", "--quiet")
    assert told in done("plot", "runs/four", "runs/five", "--metric", "loss").stderr


def test_runs_of_one_name_are_told_apart_by_the_folder_above(runs):
    (runs / "other").mkdir()
    shutil.copytree(runs / "one", runs / "other" / "one")
    documents = done("plot", runs / "one", runs / "other" / "one", "--json").document["runs"]
    assert [one["name"] for one in documents] == ["runs/one", "other/one"]


@pytest.mark.parametrize("name", ["runs/one", "runs/one/weights.npz", "runs/one/history.csv"])
def test_a_run_may_be_named_by_a_file_in_it(runs, name):
    assert done("plot", name, "--json").document["runs"][0]["folder"] == "runs/one"


def test_a_run_under_way_is_found_by_its_future_name_and_half_a_line_is_no_epoch(runs):
    (runs / "one").rename(runs / "new.partial")
    (runs / "new.partial" / "metrics.json").unlink()
    path = runs / "new.partial" / "history.csv"
    whole = len(history(runs / "new.partial"))
    path.write_text(path.read_text() + "7,0.1")
    [one] = done("plot", "runs/new", "--json").document["runs"]
    assert (one["kept_epoch"], len(one["validation"]["epoch"])) == (None, whole)
    assert MARK not in done("plot", "runs/new").stdout


def test_a_logarithmic_axis_leaves_out_what_is_not_above_zero_and_says_so(runs):
    path = runs / "one" / "history.csv"
    rows = history(runs / "one")
    rows[2]["validation_log_loss"] = "-1"
    rows[3]["train_log_loss"] = "0"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    ended = done("plot", "runs/one", "--log")
    assert "2 values of 0 or less are left out" in ended.stderr
    assert "log_loss by epoch (logarithmic)" in ended.stdout


def test_wrong_names_get_a_sentence_and_exit_code_2(runs):
    (runs / "damaged").mkdir()
    for content in (
        b"epoch\n1,2\n",
        b"a,b\n1,2\n",
        b"\xff\xfe\n",
        b"epoch,train_loss\n1,x\n",
        b"epoch,train_loss\nx,1\n",
        b"",
        b"a,b\n",
    ):
        (runs / "damaged" / "history.csv").write_bytes(content)
        ended = mlp("plot", "runs/damaged")
        assert ended.code == 2, (content, ended)
        assert "runs/damaged" in ended.stderr
        assert "Traceback" not in ended.stderr
    for arguments, words in (
        (["runs/nothing"], "no such run"),
        (["runs"], "list yours with: mlp runs runs"),
        (["runs/one", "--metric", "rmse"], "no curve of rmse. It has: loss, accuracy"),
        (["runs/one", "-o", "curves.jpg"], "Write .svg or .png"),
        (["runs/one", "-o", "no/such/folder/x.svg"], "x.svg"),
    ):
        ended = mlp("plot", *arguments)
        assert ended.code == 2, ended
        assert words in ended.stderr
        assert "Traceback" not in ended.stderr


def test_without_matplotlib_a_file_is_refused_with_what_to_install(runs, monkeypatch):
    real = importlib.import_module

    def missing(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    ended = mlp("plot", "runs/one", "-o", "x.svg")
    assert ended.code == 2
    assert 'pip install "mlp-train[report]"' in ended.stderr


def test_markdown_and_html_have_the_curve_as_text(runs):
    assert BRAILLE.search(done("plot", "runs/one", "--markdown").stdout.partition("```text")[2])
    assert BRAILLE.search(done("plot", "runs/one", "--html").stdout.partition("<pre>")[2])


def test_a_training_draws_its_curve_at_the_end_outside_of_the_answer(made, tmp_path):
    ended = done("train", made / "iris.yaml", "-o", tmp_path / "run", "--plot")
    assert "log_loss by epoch" in ended.stderr
    assert BRAILLE.search(ended.stderr)
    assert not BRAILLE.search(ended.stdout)
    assert not BRAILLE.search(done("train", made / "iris.yaml", "-o", tmp_path / "run", "--plot", "--quiet").stderr)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_curve_stands_above_the_bar_while_it_trains(made, tmp_path, monkeypatch):
    from mlpcli.cli.main import run
    from mlpcli.cli.progress import bars

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bars, "REFRESH_SECONDS", 0.0)
    terminal = Terminal()
    with redirect_stderr(terminal):
        assert run(["train", str(made / "iris.yaml"), "-o", str(tmp_path / "run"), "--plot", "--json"]) == 0
    live = terminal.getvalue().partition("epoch    3/6")[0]
    assert BRAILLE.search(live)


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    st.lists(st.tuples(st.text(max_size=30), st.lists(finite, max_size=6)), max_size=5),
    st.integers(30, 140),
    st.booleans(),
)
def test_any_curves_fit_into_any_terminal(named, width, is_log):
    """Equal values, one point, none, huge and tiny ones; names of any letters."""
    curves = [
        Curve(name, range(len(values)), [abs(value) + 1e-30 for value in values] if is_log else values)
        for name, values in named
    ]
    lines = chart_lines(Chart(curves, "epoch", is_log), width)
    for line in lines:
        assert sum(display_width(cell.text) for cell in line) <= width
        assert all(cell.text.isprintable() for cell in line)


@given(st.lists(finite, min_size=2, max_size=40, unique=True))
def test_the_highest_point_is_in_the_first_row_and_the_lowest_in_the_last(values):
    lines = chart_lines(Chart([Curve("y", range(len(values)), values)], "epoch"), 80, rows=10)
    plotted = ["".join(cell.text for cell in line) for line in lines[:10]]
    assert BRAILLE.search(plotted[0])
    assert BRAILLE.search(plotted[-1])


@pytest.mark.parametrize("n_epochs", [2, 3, 5, 11, 100])
@pytest.mark.parametrize("width", [60, 80, 97])
@pytest.mark.parametrize("name", ["a", "cal", "validation"])
def test_the_x_axis_has_whole_epochs_and_its_whole_name(n_epochs, width, name):
    curve = Curve(name, range(n_epochs), [float(value) for value in range(n_epochs)])
    *labels, title = "".join(cell.text for cell in chart_lines(Chart([curve], "epoch"), width)[-1]).split()
    assert title == "epoch"
    assert labels
    assert all(label.isdigit() for label in labels)
