"""The resamples of the bootstrap; test_intervals.py compares their scores with those of repeated rows."""

import numpy as np

from mlpcli.evaluation.uncertainty.resampling import draw_counts


def test_every_resample_has_n_rows_and_depends_only_on_the_seed():
    counts = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    again = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    np.testing.assert_array_equal(counts, again)
    assert len(np.unique(counts, axis=0)) > 40


def test_the_block_size_does_not_change_the_resamples():
    single, several = (np.concatenate(list(draw_counts(9, 20, np.random.default_rng(0), n))) for n in (1, 7))
    np.testing.assert_array_equal(single, several)
    assert [len(block) for block in draw_counts(900_000, 3, np.random.default_rng(0))] == [1, 1, 1]
