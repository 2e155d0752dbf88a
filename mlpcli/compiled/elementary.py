"""Elementary functions from multiplications and additions alone, which the compiler makes vector instructions of.

Constants are cast to the dtype of their arguments, for Numba would compute with float64 otherwise. What NaN and
infinity do is left alone. Division is NumPy's: the check for zero that Python asks for ends vector instructions.
"""

import numpy as np
from numba import float32, njit
from numba.extending import overload

from mlpcli.compiled.codes import INNER
from mlpcli.nn.activations import MOST_NEGATIVE, MOST_POSITIVE

FUSED = {"contract"}  # multiply-adds are rounded once

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693145751953125  # ln 2 in two parts: this one has few bits, so that a multiple of it is exact
LN2_LOW = 1.42860682030941723212e-6


def _series(r):
    """exp(r) - 1 for |r| <= ln(2) / 2: as many terms of its Taylor series as the dtype shows."""


def _atanh_series(t):
    """atanh(s) / s from t = s s, for t <= 1 / 9."""


def _power_of_two(k):
    """2 to the whole number `k`."""


@overload(_series, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _series_of(r):
    if r == float32:
        return _series32
    return _series64


def _series32(r):
    q = np.float32(1 / 5040) * r + np.float32(1 / 720)
    q = q * r + np.float32(1 / 120)
    q = q * r + np.float32(1 / 24)
    q = q * r + np.float32(1 / 6)
    q = q * r + np.float32(0.5)
    return q * r * r + r


def _series64(r):
    q = r / 6227020800.0 + 1 / 479001600
    q = q * r + 1 / 39916800
    q = q * r + 1 / 3628800
    q = q * r + 1 / 362880
    q = q * r + 1 / 40320
    q = q * r + 1 / 5040
    q = q * r + 1 / 720
    q = q * r + 1 / 120
    q = q * r + 1 / 24
    q = q * r + 1 / 6
    q = q * r + 0.5
    return q * r * r + r


@overload(_atanh_series, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _atanh_series_of(t):
    if t == float32:
        return _atanh_series32
    return _atanh_series64


def _atanh_series32(t):
    q = np.float32(1 / 15) * t + np.float32(1 / 13)
    q = q * t + np.float32(1 / 11)
    q = q * t + np.float32(1 / 9)
    q = q * t + np.float32(1 / 7)
    q = q * t + np.float32(1 / 5)
    q = q * t + np.float32(1 / 3)
    return q * t + np.float32(1.0)


def _atanh_series64(t):
    q = t / 33.0 + 1 / 31
    q = q * t + 1 / 29
    q = q * t + 1 / 27
    q = q * t + 1 / 25
    q = q * t + 1 / 23
    q = q * t + 1 / 21
    q = q * t + 1 / 19
    q = q * t + 1 / 17
    q = q * t + 1 / 15
    q = q * t + 1 / 13
    q = q * t + 1 / 11
    q = q * t + 1 / 9
    q = q * t + 1 / 7
    q = q * t + 1 / 5
    q = q * t + 1 / 3
    return q * t + 1.0


@overload(_power_of_two)
def _power_of_two_of(k):
    if k == float32:
        return lambda k: np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return lambda k: np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@njit(fastmath=FUSED, **INNER)
def exp_parts(x, dtype):
    """`(s, q)` with exp(x) = s + s q, for |x| up to 80; s q + (s - 1) is exp(x) - 1 with all its digits."""
    k = np.floor(x * dtype(LOG2_E) + dtype(0.5))
    r = (x - k * dtype(LN2_HIGH)) - k * dtype(LN2_LOW)
    # NaN has no whole number; it goes on through r.
    return _power_of_two(k if x == x else dtype(0.0)), _series(r)


@njit(fastmath=FUSED, **INNER)
def exp(x, dtype):
    """The exponential of `x`, for |x| up to 80."""
    s, q = exp_parts(x, dtype)
    return s + s * q


@njit(fastmath=FUSED, **INNER)
def sigmoid(z, dtype):
    """1 / (1 + exp(-z))."""
    x = -z
    x = dtype(MOST_POSITIVE) if x > dtype(MOST_POSITIVE) else x
    x = dtype(-MOST_POSITIVE) if x < dtype(-MOST_POSITIVE) else x
    return dtype(1.0) / (dtype(1.0) + exp(x, dtype))


@njit(fastmath=FUSED, **INNER)
def tanh(z, dtype):
    """The hyperbolic tangent of `z`."""
    x = z + z
    x = dtype(40.0) if x > dtype(40.0) else x
    x = dtype(-40.0) if x < dtype(-40.0) else x
    s, q = exp_parts(x, dtype)
    e = s * q + (s - dtype(1.0))
    return e / (e + dtype(2.0))


@njit(fastmath=FUSED, **INNER)
def tanh_of_softplus(z, dtype):
    """tanh(log(1 + exp(z))), the factor of mish."""
    x = dtype(20.0) if z > dtype(20.0) else z
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    e = exp(x, dtype)
    e = e * (e + dtype(2.0))
    return e / (e + dtype(2.0))


@njit(fastmath=FUSED, **INNER)
def expm1_of_negative(z, dtype):
    """exp(z) - 1 below zero, and 0 above."""
    x = z if z < dtype(0.0) else dtype(0.0)
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    s, q = exp_parts(x, dtype)
    return s * q + (s - dtype(1.0))


@njit(fastmath=FUSED, **INNER)
def log1p_of_exp(z, dtype):
    """log(1 + exp(z)) for z <= 0, as 2 atanh(e / (2 + e)): its last digits hold for small e, too."""
    e = exp(dtype(MOST_NEGATIVE) if z < dtype(MOST_NEGATIVE) else z, dtype)
    s = e / (e + dtype(2.0))
    return dtype(2.0) * s * _atanh_series(s * s)
