"""Elementary functions made of multiplications and additions have the digits of their dtype."""

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit

from mlpcli.compiled import elementary


def longest(z):
    return np.asarray(z, np.longdouble)


EXACT = {
    "exp": np.exp,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "tanh_of_softplus": lambda z: np.tanh(np.log1p(np.exp(z))),
    "expm1_of_negative": lambda z: np.expm1(np.minimum(z, 0)),
    "log1p_of_exp": lambda z: np.log1p(np.exp(z)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_all_digits_but_the_last_ones_are_those_of_the_function(name, dtype):
    function = getattr(elementary, name)

    @njit
    def evaluate(z, out):
        for i in range(z.size):
            out[i] = function(z[i], z.dtype.type)

    sizes = np.logspace(-6, np.log10(60.0), 2000)
    z = np.concatenate([-sizes[::-1], [0.0], sizes if name != "log1p_of_exp" else []]).astype(dtype)
    out = np.empty_like(z)
    evaluate(z, out)
    expected = EXACT[name](longest(z))
    np.testing.assert_allclose(longest(out), expected, rtol=float(8 * np.finfo(dtype).eps), atol=0)
