"""One seed, separate streams: changing one random choice does not shift the others.

A stream is addressed, not advanced: the order of rows in epoch 7 depends on the seed and on 7 alone, so a resumed
training draws what the uninterrupted one would have drawn, with no generator state to save.
"""

import numpy as np

PURPOSES = (
    "split", "weights", "order", "dropout", "bootstrap", "folds", "sample", "curves", "permutations", "apart", "draws",
)  # fmt: skip


def rng_of(seed: int, name: str, epoch: int = 0, member: int = 0) -> np.random.Generator:
    """The generator of one of PURPOSES at one epoch, for one member; the first member's is that of a single network."""
    address = (PURPOSES.index(name), epoch, member) if member else (PURPOSES.index(name), epoch)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=address))
