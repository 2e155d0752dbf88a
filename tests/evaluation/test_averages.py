"""Scores are taken block by block: they do not depend on the blocks, and what they hold hardly on the rows."""

import tracemalloc

import numpy as np
import pytest

from mlpcli.evaluation import averages, ranking
from mlpcli.evaluation.scores import score_classes, score_multilabel, score_numbers

NAMES = ["a", "b", "c"]
N_ROWS = 500


def numbers():
    rng = np.random.default_rng(1)
    return rng.normal(size=(N_ROWS, 2)), rng.normal(size=(N_ROWS, 2)).round(1)


def yes_no():
    rng = np.random.default_rng(2)
    return rng.integers(2, size=(N_ROWS, 3)), rng.random((N_ROWS, 3)).round(2)


def classes(n_classes, n_rows=N_ROWS):
    rng = np.random.default_rng(n_classes)
    p = rng.random((n_rows, n_classes)).round(2) + 0.01
    return rng.integers(n_classes, size=n_rows), p / p.sum(axis=1, keepdims=True)


CASES = {
    "two classes": (score_classes, *classes(2)),
    "three classes": (score_classes, *classes(3)),
    "numbers": (score_numbers, *numbers()),
    "yes and no": (score_multilabel, *yes_no()),
}


class InBlocks:
    """Predictions that are never there as a whole."""

    def __init__(self, predicted):
        self.shape, self._predicted = predicted.shape, predicted

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        assert rows.stop - rows.start < self.shape[0]
        return self._predicted[rows].copy()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(averages, "BLOCK_CELLS", 1)
    monkeypatch.setattr(averages, "FEWEST_ROWS", 7)
    monkeypatch.setattr(ranking, "LOOKED_UP", 5)
    monkeypatch.setattr(ranking, "MOST_PASSES", 2)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_scores_do_not_depend_on_the_blocks(case, is_weighted, request):
    score_all, y, predicted = CASES[case]
    weights = np.random.default_rng(3).random(N_ROWS) if is_weighted else None
    whole = score_all(y, predicted, NAMES[: predicted.shape[1]], weights)
    request.getfixturevalue("small_blocks")
    assert score_all(y, predicted, NAMES[: predicted.shape[1]], weights) == pytest.approx(whole, rel=1e-13)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("case", CASES)
def test_predictions_may_come_block_by_block(case):
    score_all, y, predicted = CASES[case]
    names = NAMES[: predicted.shape[1]]
    assert score_all(y, InBlocks(predicted), names) == score_all(y, predicted, names)


@pytest.mark.parametrize(("dtype", "n_bytes"), [(np.float64, 9), (np.float32, 5)])
def test_scoring_two_classes_holds_a_score_and_a_byte_for_each_further_row(dtype, n_bytes):
    def peak(n_rows):
        y, p = classes(2, n_rows)
        y, p = y.astype(np.uint8), InBlocks(p.astype(dtype).astype(np.float64))
        tracemalloc.start()
        score_classes(y, p, NAMES[:2])
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    fewer, more = 200_000, 600_000
    assert peak(more) - peak(fewer) < n_bytes * (more - fewer)
