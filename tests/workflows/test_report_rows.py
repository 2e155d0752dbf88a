"""The rows of a report: all if they fit, otherwise a random sample of bounded size, independent of chunks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.errors import DataError
from mlpcli.storage.model.model_file import load_model
from mlpcli.workflows.evaluate import evaluate
from mlpcli.workflows.reporting import rows as room
from mlpcli.workflows.reporting.rows import BoundedSample, read_rows, row_numbers
from tests.program import DATA, train, write_csv


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 25))
def test_a_bounded_sample_has_the_rows_with_the_smallest_numbers_independent_of_chunks(sizes, most):
    numbers = row_numbers(0, sum(sizes))
    sample, start = BoundedSample(most), 0
    for size in sizes:
        some = slice(start, start := start + size)
        sample.add(numbers[some], {"row": np.arange(some.start, some.stop)})
    whole = BoundedSample(most)
    whole.add(numbers, {"row": np.arange(len(numbers))})
    assert sample.n_rows <= most
    held = sample.arrays().get("row", np.array([], int)).tolist()
    assert held == whole.arrays()["row"].tolist()
    assert held == np.flatnonzero(numbers <= np.uint64(sample.bound)).tolist()
    if len(numbers) <= most:
        assert held == list(range(len(numbers)))


def test_row_numbers_are_uniform_and_depend_on_the_row_alone():
    numbers = row_numbers(0, 100_000)
    counts, _ = np.histogram(numbers.astype(np.float64), 50, (0, 2.0**64))
    assert np.abs(counts - 2000).max() < 250
    np.testing.assert_array_equal(row_numbers(5_000, 10), numbers[5_000:5_010])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return train(folder, {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"]}, {"epochs": 3})


def test_if_all_rows_fit_the_scores_are_bit_identical_to_those_of_eval(run):
    model = load_model(str(run))
    rows = read_rows(model, str(DATA / "penguins.csv"), None, None)
    assert rows.n_rows == len(rows.sample) == len(rows.detailed.sample) == 344
    from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS
    from mlpcli.workflows.reporting.scores import score_rows

    found = score_rows(model, rows, DEFAULT_OPTIONS).scored
    expected = evaluate(str(run), str(DATA / "penguins.csv")).scored
    assert found.scores == expected.scores
    assert found.intervals == expected.intervals
    assert rows.counts == evaluate(str(run), str(DATA / "penguins.csv")).counts


def test_of_more_rows_a_sample_is_kept_with_its_cells(run, monkeypatch):
    monkeypatch.setattr(room, "MAX_ROWS", 200)
    monkeypatch.setattr(room, "MAX_DETAILED", 60)
    monkeypatch.setattr(room, "MIN_DETAILED", 10)
    model = load_model(str(run))
    rows = read_rows(model, str(DATA / "penguins.csv"), None, None)
    assert rows.n_rows == 344
    assert 100 <= len(rows.sample) <= 200
    assert 30 <= len(rows.detailed.sample) <= 60
    assert rows.detailed.X.shape == (len(rows.detailed.sample), model.ensemble.first.n_in)
    assert {len(column) for column in rows.detailed.table.columns.values()} == {len(rows.detailed.sample)}
    np.testing.assert_allclose(
        model.predict_inputs(rows.detailed.X, rows.detailed.table), rows.detailed.sample.predictions, atol=1e-6
    )


def test_rows_without_a_target_are_left_out_and_counted(run, tmp_path):
    lines = (DATA / "penguins.csv").read_text().splitlines()
    path = tmp_path / "some.csv"
    path.write_text("\n".join([*lines[:50], *("NA," + line.partition(",")[2] for line in lines[50:60])]) + "\n")
    rows = read_rows(load_model(str(run)), str(path), None, None)
    assert (rows.n_rows, rows.n_left_out) == (49, 10)
    assert any("10 rows without a value for species: left out." in note for note in rows.notes)
    path.write_text("\n".join([lines[0], *("NA," + line.partition(",")[2] for line in lines[1:9])]) + "\n")
    with pytest.raises(DataError, match="no row has a value for species"):
        read_rows(load_model(str(run)), str(path), None, None)
    path.write_text(lines[0] + "\n")
    with pytest.raises(DataError, match="header only"):
        read_rows(load_model(str(run)), str(path), None, None)


def test_rows_of_weight_0_do_not_count(tmp_path):
    rng = np.random.default_rng(0)
    table = [[x, 2 * x + 1, number % 3] for number, x in enumerate(rng.normal(size=90).round(3))]
    path = write_csv(tmp_path / "w.csv", ["x", "y", "w"], table)
    run = train(tmp_path, {"train": str(path), "target": "y", "weight": "w"}, {"epochs": 2})
    rows = read_rows(load_model(str(run)), str(path), None, None)
    assert (rows.n_rows, rows.n_left_out) == (60, 30)
    assert set(rows.sample.weights.tolist()) == {1.0, 2.0}
