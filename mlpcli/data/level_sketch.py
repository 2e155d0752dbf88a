"""The levels of a text column in bounded memory: some by name, chosen by their hash, and all rows in buckets of hashes.

Levels that are kept for their counts have less of any later table: that they were frequent is partly chance. A hash
knows nothing of counts, so levels chosen by it, and buckets, hold the same fraction of rows in tables of one source
(Cohen and Kaplan 2007, "Summarizing Data using Bottom-k Sketches").
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

N_BUCKETS = 64


def level_hash(text: str) -> int:
    """64 bits of BLAKE2b of the text in UTF-8; a lone surrogate counts as its three bytes."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def bucket_of(hashed: int) -> int:
    """The bucket of a hash: its lowest bits, so that levels with the lowest hashes are spread over all buckets."""
    return hashed % N_BUCKETS


def lowest(texts: Iterable[str], most: int) -> frozenset[str]:
    """The `most` texts with the lowest hashes, or all of them."""
    unique = frozenset(texts)
    return unique if len(unique) <= most else frozenset(sorted(unique, key=level_hash)[:most])


def bounded(counts: Mapping[str, int], most: int) -> Mapping[str, int]:
    """The counts of the `most` texts with the lowest hashes; the same whatever the order in which tables are added."""
    if len(counts) <= most:
        return counts
    kept = lowest(counts, most)
    return {text: count for text, count in counts.items() if text in kept}


def fill_buckets(counts: Mapping[str, int]) -> Counts:
    """Rows in each bucket (N_BUCKETS,)."""
    buckets = np.zeros(N_BUCKETS, np.int64)
    for text, count in counts.items():
        buckets[bucket_of(level_hash(text))] += count
    return buckets
