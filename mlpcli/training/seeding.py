"""Random generators, all from one seed: changing one random choice does not change the others.

A generator is addressed by purpose, epoch and member: the order of rows in epoch 7 depends on the seed and on 7 only,
so that a resumed training draws what an uninterrupted one would have drawn, without a saved generator state.
"""

import numpy as np

PURPOSES = (
    "split", "weights", "order", "dropout", "bootstrap", "folds", "sample", "curves", "permutations", "apart", "draws",
    "features",
)  # fmt: skip


def rng_of(seed: int, name: str, epoch: int = 0, member: int = 0) -> np.random.Generator:
    """The generator for one of PURPOSES, an epoch and a member; that of member 0 is that of a single network."""
    address = (PURPOSES.index(name), epoch, member) if member else (PURPOSES.index(name), epoch)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))
