"""What the bootstrap draws; that resamples score as the rows they repeat is proved with the intervals."""

import numpy as np

from mlpcli.evaluation.uncertainty.resampling import draw_counts


def test_every_resample_draws_as_many_rows_as_there_are_and_the_seed_alone_decides_which():
    counts = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    again = np.concatenate(list(draw_counts(7, 50, np.random.default_rng(0))))
    np.testing.assert_array_equal(counts, again)
    assert len(np.unique(counts, axis=0)) > 40


def test_the_size_of_the_blocks_does_not_change_what_is_drawn():
    single, several = (np.concatenate(list(draw_counts(9, 20, np.random.default_rng(0), n))) for n in (1, 7))
    np.testing.assert_array_equal(single, several)
    assert [len(block) for block in draw_counts(900_000, 3, np.random.default_rng(0))] == [1, 1, 1]
