"""Figures of permutation importance and partial dependence."""

import numpy as np
import pytest

from mlpcli.report.columns import ColumnImportance
from mlpcli.report.explained import MAX_BARS, dependence_image, importance_image
from tests.program import DATA, done, mlp

pytest.importorskip("matplotlib", reason="the extra report is not installed")
HOSTILE = "<script>$x^2$ & _y"


def bars(n):
    return [ColumnImportance(f"c{i}", 1.0 - i, float("nan") if i else 0.5, 1.5) for i in range(n)]


def panel(values, n_predictions=1, positions=None, name="a"):
    rng = np.random.default_rng(0)
    mean, curves = rng.random((len(values), n_predictions)), rng.random((5, len(values), n_predictions))
    return {"name": name, "values": values, "positions": positions, "mean": mean, "curves": curves}


def test_names_in_a_figure_are_text():
    svg = importance_image([ColumnImportance(HOSTILE, 1.0, 0.5, 1.5)], "log_loss rises by", "x.svg").decode()
    svg += dependence_image([panel([HOSTILE, "b"], 2, name=HOSTILE)], [HOSTILE, "_b"], "x.svg").decode()
    assert "<script" not in svg
    assert svg.count("&lt;script&gt;$x^2$ &amp; _y") >= 3


def test_columns_that_are_not_drawn_are_counted():
    assert "more columns" not in importance_image(bars(MAX_BARS), "rmse rises by", "x.svg").decode()
    assert "5 more columns" in importance_image(bars(MAX_BARS + 5), "rmse rises by", "x.svg").decode()


def test_no_column_and_one_value_are_drawn():
    assert importance_image([], "rmse rises by", "x.png").startswith(b"\x89PNG")
    assert dependence_image([panel(["1"], positions=[1.0])], ["y"], "x.png").startswith(b"\x89PNG")


def test_curves_of_rows_are_drawn_for_a_single_output():
    lines = [dependence_image([panel(["1", "2"], n, [1.0, 2.0])], "abc"[:n], "x.svg").count(b"opacity") for n in (1, 2)]
    assert lines[0] > lines[1]


@pytest.mark.parametrize(("options", "ending"), [((), "png"), (("--columns", "bill_length_mm,island"), "svg")])
def test_the_verb_draws_what_it_shows(penguins, tmp_path, options, ending):
    path = tmp_path / f"figure.{ending}"
    shown = done("explain", penguins, DATA / "penguins.csv", *options, "-q")
    drawn = done("explain", penguins, DATA / "penguins.csv", *options, "-q", "-o", path)
    assert shown.stdout == drawn.stdout
    assert path.read_bytes()[:4] in (b"\x89PNG", b"<?xm")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "figure.gif"), "-o figure.gif: the ending says what is drawn. Write .svg or .png."),
        (("-o", "figure.png", "--rows"), "--rows and -o figure.png: lines for rows cannot be drawn."),
        (("-o", "nowhere/figure.png"), "nowhere"),
    ],
)
def test_an_invalid_image_file_is_an_error_before_any_computation(penguins, folder, options, said):
    ended = mlp("explain", penguins, DATA / "penguins.csv", *options)
    assert ended.code == 2
    assert said in ended.stderr
    assert ended.stdout == ""
    assert not list(folder.iterdir())
