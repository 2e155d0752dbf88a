"""The levels of a text column in bounded memory: a sample of levels by hash, and row counts in hash buckets.

Levels selected by frequency are biased: they are partly frequent by chance, and less frequent in later tables. Hashes
are independent of counts, so levels selected by hash, and buckets, have the same expected fraction of rows in every
table of one source (Cohen and Kaplan 2007, "Summarizing Data using Bottom-k Sketches").
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Hashes = NDArray[np.uint64]

N_BUCKETS = 64


def hash_levels(texts: Collection[str]) -> Hashes:
    """64-bit BLAKE2b hashes of texts in UTF-8 (n_texts,); a lone surrogate is encoded in three bytes."""
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def hash_buckets(hashes: Hashes) -> Counts:
    """The bucket of each hash, by its lowest bits: levels with the lowest hashes are spread over all buckets."""
    return (hashes % np.uint64(N_BUCKETS)).astype(np.int64)


def fill_buckets(hashes: Hashes, counts: Collection[int]) -> Counts:
    """Rows per bucket (N_BUCKETS,) from the `counts` of levels; exact up to 2^53."""
    rows = np.fromiter(counts, np.float64, len(counts))
    return np.bincount(hash_buckets(hashes), rows, N_BUCKETS).astype(np.int64)


def keep_lowest_hashes(counts: Mapping[str, int], limit: int) -> dict[str, int]:
    """Counts of the `limit` texts with the lowest hashes; independent of the order in which tables are merged."""
    if len(counts) <= limit:
        return dict(counts)
    lowest = frozenset(np.argsort(hash_levels(counts), kind="stable")[:limit].tolist())
    return {text: count for index, (text, count) in enumerate(counts.items()) if index in lowest}
