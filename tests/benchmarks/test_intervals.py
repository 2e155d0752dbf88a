"""The measurement of intervals: what it draws, and what it writes."""

import json

import numpy as np
import pytest

from benchmarks.intervals import page, simulating
from benchmarks.printing import RESULTS
from tests.program import ROOT


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_rows_are_drawn_alike_and_differ_from_draw_to_draw(task):
    first, again, other = (simulating.draw(np.random.default_rng(seed), 50, task) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert first.y.nunique() == (3 if task == "classification" else 50)


def test_the_tables_of_the_page_are_those_of_the_results():
    results = json.loads((RESULTS / "intervals.json").read_text())["results"]
    text = (ROOT / "docs" / "intervals.md").read_text("utf-8")
    for kind, table in page.tables(results).items():
        begin, end = page.MARKS[kind]
        assert text.partition(begin)[2].partition(end)[0].strip() == table


def test_a_page_without_marks_is_left_alone(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("nothing\n")
    results = json.loads((RESULTS / "intervals.json").read_text())["results"]
    with pytest.raises(ValueError, match="to write between"):
        page.write_page(path, results)
    assert path.read_text() == "nothing\n"
