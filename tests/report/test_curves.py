"""Learning curves as a figure."""

import pytest

from mlpcli.report.curves import MAX_POINTS, _thinned, curves_image

pytest.importorskip("matplotlib", reason="the extra report is not installed")


def run(name, n_epochs=5, kept=3):
    epochs = tuple(range(n_epochs))
    return {
        "name": name,
        "kept": kept,
        "train": (epochs, tuple(1 / (epoch + 1) for epoch in epochs)),
        "validation": (epochs, tuple(2 / (epoch + 1) for epoch in epochs)),
    }


HOSTILE = "<script>alert(1)</script> $x^2$ & _y"


@pytest.mark.parametrize("is_log", [False, True])
def test_names_in_a_figure_are_text_and_never_markup(is_log):
    runs = [run(HOSTILE), run("_underscored"), run("plain")]
    svg = curves_image(runs, HOSTILE, is_log, "x.svg").decode()
    assert "<script" not in svg
    for text in ("&lt;script&gt;alert(1)&lt;/script&gt; $x^2$ &amp; _y", "_underscored", "plain"):
        assert text in svg
    assert "mathdefault" not in svg


def test_equal_runs_give_equal_bytes():
    assert curves_image([run("a")], "loss", False, "x.svg") == curves_image([run("a")], "loss", False, "x.svg")
    assert curves_image([run("a")], "loss", False, "x.PNG").startswith(b"\x89PNG")


def test_long_curves_are_thinned_and_keep_every_spike():
    n = 50_000
    values = [1.0] * n
    values[12_345], values[40_000] = 9.0, -9.0
    epochs, kept = _thinned(range(n), values)
    assert len(epochs) <= 2 * MAX_POINTS
    assert (max(kept), min(kept)) == (9.0, -9.0)
    assert (epochs[0], epochs[-1]) == (0, n - 1)
    assert [values[epoch] for epoch in epochs] == kept
