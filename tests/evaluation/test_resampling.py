"""Scores of many resamples at once are those of each resample by itself."""

import numpy as np
import pytest

from mlpcli.evaluation.resampling import RESAMPLED, draw_counts
from mlpcli.evaluation.scores import gather, score

N_ROWS = 60


def staged(task, n_classes=3):
    """Truth, answers and threshold of some rows, with ties among the answers."""
    rng = np.random.default_rng(3)
    if task == "classification":
        shares = rng.dirichlet(np.ones(n_classes), N_ROWS).round(1) + 0.01
        threshold = np.array([0.4]) if n_classes == 2 else None
        return rng.integers(0, n_classes, N_ROWS), shares / shares.sum(axis=1, keepdims=True), threshold
    if task == "regression":
        y = rng.normal(1e6, 2.0, (N_ROWS, 2))
        return y, y + rng.normal(size=(N_ROWS, 2)), None
    return rng.integers(0, 2, (N_ROWS, 2)), rng.random((N_ROWS, 2)).round(1), np.array([0.3, 0.6])


CASES = [
    (task, metric, n_classes)
    for task, metric in RESAMPLED
    for n_classes in ((2, 3) if task == "classification" else (2,))
]


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(("task", "metric", "n_classes"), CASES)
def test_each_resample_has_the_score_of_its_rows(task, metric, n_classes, is_weighted):
    y, answers, threshold = staged(task, n_classes)
    counts = np.concatenate(list(draw_counts(N_ROWS, 20, np.random.default_rng(0))))
    weights = counts * np.random.default_rng(1).random(N_ROWS) if is_weighted else counts
    found = RESAMPLED[task, metric](gather(task, y, answers, None, threshold), weights)
    names = ("a", "b", "c")[: n_classes if task == "classification" else 2]
    expected = [score(task, metric, y, answers, names, row, threshold) for row in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_a_resample_does_not_define_is_nan_and_what_it_lacks_is_left_out():
    y, shares, _ = staged("classification")
    evidence = gather("classification", y, shares, None, None)
    counts = np.where(y == 0, 1.0, 0.0)[None]
    assert np.isnan(RESAMPLED["classification", "roc_auc"](evidence, counts)).all()
    recall = (shares[y == 0].argmax(axis=1) == 0).mean()
    assert RESAMPLED["classification", "balanced_accuracy"](evidence, counts) == pytest.approx(recall)


def test_every_resample_draws_as_many_rows_as_there_are_and_the_seed_alone_decides_which():
    counts = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    again = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    np.testing.assert_array_equal(counts, again)
    assert len(np.unique(counts, axis=0)) > 40


def test_many_rows_are_drawn_in_blocks_of_bounded_size():
    sizes = [block.shape for block in draw_counts(900_000, 5, np.random.default_rng(0))]
    assert sizes == [(2, 900_000), (2, 900_000), (1, 900_000)]
