import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from mlpcli.data.digits import float_cells, plain_texts


def texts(numbers):
    return float_cells(numbers, "\n").tobytes().translate(None, b"\0").decode().split("\n")[:-1]


@given(hnp.arrays(np.float32, (20,)))
def test_any_number_is_written_as_numpy_writes_it(numbers):
    assert texts(numbers) == plain_texts(numbers)


EDGES = np.float32(10.0) ** np.arange(-12, 9, dtype=np.float32)
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e6, 999999.9, 0.0001, 0.00011, 9.9999999e-5, 123456.7]


@pytest.mark.parametrize(
    "numbers",
    [
        EDGES,
        np.nextafter(EDGES, np.float32(0)),
        np.nextafter(EDGES, np.float32(np.inf)),
        2.0 ** np.arange(-149, 127),
        np.random.default_rng(0).integers(0, 2**32, 20_000, np.uint32).view(np.float32),
        np.random.default_rng(0).random(20_000),
        -(10 ** np.random.default_rng(0).uniform(-10, 7, 20_000)),
        SPECIAL,
    ],
)
def test_numbers_of_every_size_and_next_to_every_border_too(numbers):
    numbers = np.asarray(numbers, np.float32)
    assert texts(numbers) == plain_texts(numbers)
