import pytest

from mlpcli.config.schema.sections import parse_memory


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("2GB", 2 * 10**9), ("2gb", 2 * 10**9), ("2G", 2 * 10**9), ("1.5 GB", 15 * 10**8), ("512MiB", 2**29),
        ("500MB", 5 * 10**8), ("64kB", 64_000), ("1TiB", 2**40), ("1000", 1000), (1000, 1000), ("7B", 7),
    ],
)  # fmt: skip
def test_memory_is_read_with_and_without_units(text, n_bytes):
    assert parse_memory(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "2XB", "-2GB", "0", "0.0GB", "2 G B", "1e9", "inf", "1_000", "0.1B"])
def test_anything_else_is_no_amount_of_memory(text):
    with pytest.raises(ValueError, match="not an amount of memory"):
        parse_memory(text)
