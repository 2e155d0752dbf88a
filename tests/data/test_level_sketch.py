"""Levels by their hash: the same in every process, spread evenly, and bounded whatever the order."""

from collections import Counter
from hashlib import blake2b

import numpy as np

from mlpcli.data.level_sketch import N_BUCKETS, fill_buckets, hash_buckets, hash_levels, keep_lowest_hashes


def test_the_hash_is_the_one_that_the_file_format_names():
    digest = blake2b("Zürich".encode(), digest_size=8).digest()
    one, other, third = hash_levels(["Zürich", "\ud800", "\ud801"]).tolist()
    assert one == sum(byte << 8 * place for place, byte in enumerate(digest))
    assert other != third
    assert hash_levels([]).tolist() == []


def test_levels_are_spread_evenly_over_the_buckets_and_so_are_those_with_the_lowest_hashes():
    names = {f"level {number}": 1 for number in range(64_000)}
    for some in (names, keep_lowest_hashes(names, 6400)):
        counts = fill_buckets(hash_levels(some), some.values())
        mean = len(some) / N_BUCKETS
        assert counts.sum() == len(some)
        assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)


def test_a_bucket_has_the_rows_of_its_levels():
    counts = {"a": 3, "b": 5, "c": 7}
    expected = np.zeros(N_BUCKETS, int)
    for bucket, count in zip(hash_buckets(hash_levels(counts)), counts.values(), strict=True):
        expected[bucket] += count
    assert fill_buckets(hash_levels(counts), counts.values()).tolist() == expected.tolist()


def test_bounded_counts_are_those_of_the_whole_whatever_is_added_first():
    rng = np.random.default_rng(0)
    chunks = [Counter(f"n{number}" for number in rng.integers(0, 300, 200)) for _ in range(6)]
    whole = sum(chunks, Counter())
    highest = np.sort(hash_levels(whole))[49]
    expected = {text: count for text, count in whole.items() if hash_levels([text])[0] <= highest}
    for order in (chunks, chunks[::-1]):
        total = Counter()
        for chunk in order:
            total = Counter(keep_lowest_hashes(total + Counter(keep_lowest_hashes(chunk, 50)), 50))
        assert total == expected
    assert keep_lowest_hashes(whole, len(whole)) == whole
