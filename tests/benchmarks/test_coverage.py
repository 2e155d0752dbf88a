"""The simulation of intervals: what is known of its kinds, what it counts, and what it writes."""

import json
import math

import numpy as np
import pytest

from benchmarks.coverage import page, simulating
from benchmarks.coverage.kinds import KINDS, SCORE_ALL
from benchmarks.printing import RESULTS


@pytest.mark.parametrize("name", ["normal", "skewed", "two outputs", "many classes", "money"])
def test_a_true_score_is_that_of_many_rows(name, monkeypatch):
    kind, n_rows = KINDS[name], 60
    truth = kind.exact(kind.n_parts(n_rows))
    rows = kind.draw(np.random.default_rng(0), 400_000, 1, kind.n_parts(n_rows))
    scores = SCORE_ALL[kind.task](rows.y, rows.predictions[0], kind.names(n_rows), rows.weights)
    for key, value in truth.items():
        # Squares of money stray by a tenth in so many rows.
        assert math.isinf(value) or scores[key] == pytest.approx(value, rel=0.1 if name == "money" else 0.01)


@pytest.mark.parametrize("name", KINDS)
def test_two_models_of_a_kind_are_equally_good(name):
    kind = KINDS[name]
    rows = kind.draw(np.random.default_rng(0), 20_000, 2, kind.n_parts(300))
    first, second = (
        SCORE_ALL[kind.task](rows.y, predictions, kind.names(300), rows.weights) for predictions in rows.predictions
    )
    key = {"classification": "brier", "multilabel": "brier", "regression": "median_absolute_error"}[kind.task]
    assert first[key] != second[key]
    assert first[key] == pytest.approx(second[key], rel=0.1)


def test_what_is_counted_is_shown(monkeypatch):
    monkeypatch.setattr(simulating, "SIZES", (30, 100))
    counts = simulating.run(True, "normal")
    of_mae = [one for one in counts if one["metric"] == "mae"]
    assert [(one["rows"], one["given"], one["repeats"]) for one in of_mae] == [(30, 10, 10), (100, 10, 10)]
    assert all(one["below"] + one["above"] <= 3 for one in of_mae)
    json.dumps(counts, allow_nan=False)
    (line,) = [line for line in page.tables(counts).splitlines() if "`rmse`" in line]
    assert line.split("|")[2].strip() == "none"


def test_the_page_keeps_its_prose_around_the_tables(tmp_path):
    where = tmp_path / "page.md"
    where.write_text("before\n<!-- coverage: begin -->\nold\n<!-- coverage: end -->\nafter\n")
    one = {"kind": "money", "rows": 30, "metric": "mae", "true": 1.0, "repeats": 10, "given": 8, "below": 0, "above": 2}
    page.write_page(where, [{**one, "compared": 8, "better": 1, "worse": 0}])
    text = where.read_text()
    assert "| `mae` " in text
    assert "0.75 (0 25) of 80% |" in text
    assert " 10.0 |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    where.write_text("no marks")
    with pytest.raises(ValueError, match="no <!-- coverage"):
        page.write_page(where, [])


def test_the_recorded_intervals_hold_what_they_say():
    """Nominal less three points among the intervals that are shown, and what a share of so many strays by.

    Where fewer than one sample in twenty has one, of all samples.
    """
    counts = json.loads((RESULTS / "coverage.json").read_text())["results"]
    assert {one["kind"] for one in counts} == set(KINDS)
    for one in counts:
        missed, where = one["below"] + one["above"], (one["kind"], one["rows"], one["metric"])
        n_shown = one["given"] if one["given"] > 0.05 * one["repeats"] else one["repeats"]
        assert missed / n_shown <= 0.08 + 2.5 * math.sqrt(0.92 * 0.08 / n_shown), where
        assert (
            one["better"] + one["worse"] <= (0.05 + 2.5 * math.sqrt(0.05 * 0.95 / one["repeats"])) * one["repeats"]
        ), where


def test_a_score_without_a_true_mean_has_no_recorded_interval():
    counts = json.loads((RESULTS / "coverage.json").read_text())["results"]
    without = [one for one in counts if one["true"] is None]
    assert {one["kind"] for one in without} == {"normal", "heavy tails"}
    assert all(one["given"] == 0 for one in without)
