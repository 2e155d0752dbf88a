"""One seed, separate streams that are addressed and not advanced."""

from itertools import product

import numpy as np

from mlpcli.training.seeding import PURPOSES, rng_of


def numbers(*address):
    return tuple(rng_of(*address).integers(2**62, size=4))


def test_the_same_address_gives_the_same_numbers():
    assert numbers(7, "order", 3) == numbers(7, "order", 3)


def test_seed_name_and_epoch_each_lead_to_other_numbers():
    addresses = list(product((0, 1, 2, 2**63 - 1), PURPOSES, range(20)))
    assert len({number for address in addresses for number in numbers(*address)}) == 4 * len(addresses)


def test_drawing_from_one_stream_does_not_move_another():
    before = numbers(0, "order", 1)
    rng_of(0, "dropout", 1).random(1000)
    rng_of(0, "order", 0).random(1000)
    assert numbers(0, "order", 1) == before


def test_neighbouring_seeds_and_epochs_are_not_correlated():
    draws = np.array([rng_of(seed, "order", epoch).random(2000) for seed in range(4) for epoch in range(4)])
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 0.1


def test_the_addresses_of_the_streams_never_change():
    """A seed means the same training in every version: new streams join at the end."""
    assert PURPOSES[:5] == ("split", "weights", "order", "dropout", "bootstrap")
