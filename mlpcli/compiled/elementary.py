"""Elementary functions of multiplications and additions only, which LLVM vectorizes.

Constants are cast to the dtype of the arguments, otherwise Numba computes in float64. NaN and infinity propagate.
Division follows NumPy: Python's check for a zero divisor prevents vectorization.
"""

from math import factorial

import numpy as np
from numba import float32, njit
from numba.extending import overload

from mlpcli.compiled.codes import INTERNAL
from mlpcli.nn.activations import MOST_NEGATIVE, MOST_POSITIVE

FUSED = {"contract"}  # allow fused multiply-add

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693145751953125  # ln 2 = high + low (Cody-Waite): high has few bits, so that k * high is exact
LN2_LOW = 1.42860682030941723212e-6


# Coefficients of Taylor series to the precision of the dtype, from the highest power: exp(r) - 1 = r + r^2 p(r) for
# |r| <= ln(2) / 2, and atanh(s) / s = p(s^2) for s^2 <= 1 / 9.
EXP32, EXP64 = (tuple(1.0 / factorial(k) for k in range(highest, 1, -1)) for highest in (7, 13))
ATANH32, ATANH64 = (tuple(1.0 / k for k in range(highest, 0, -2)) for highest in (15, 33))


def _polynomial(coefficients):
    """The compiled polynomial of these coefficients, by Horner's rule."""

    @njit(fastmath=FUSED, **INTERNAL)
    def evaluate(x, dtype):
        q = dtype(0.0)
        for c in coefficients:
            q = q * x + dtype(c)
        return q

    return evaluate


_exp32, _exp64, _atanh32, _atanh64 = (_polynomial(one) for one in (EXP32, EXP64, ATANH32, ATANH64))


def _exp_terms(r, dtype):
    """The polynomial of EXP32 or EXP64."""


def _atanh_terms(t, dtype):
    """The polynomial of ATANH32 or ATANH64."""


def _power_of_two(k):
    """2**k for an integral float `k`."""


@overload(_exp_terms, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _exp_terms_of(r, dtype):
    return (lambda r, dtype: _exp32(r, dtype)) if r == float32 else (lambda r, dtype: _exp64(r, dtype))


@overload(_atanh_terms, jit_options={"fastmath": FUSED, "error_model": "numpy"})
def _atanh_terms_of(t, dtype):
    return (lambda t, dtype: _atanh32(t, dtype)) if t == float32 else (lambda t, dtype: _atanh64(t, dtype))


@overload(_power_of_two)
def _power_of_two_of(k):
    if k == float32:
        return lambda k: np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    return lambda k: np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@njit(fastmath=FUSED, **INTERNAL)
def exp_parts(x, dtype):
    """`(s, q)` with exp(x) = s + s q, for |x| up to 80; s q + (s - 1) is an accurate expm1(x)."""
    k = np.floor(x * dtype(LOG2_E) + dtype(0.5))
    r = (x - k * dtype(LN2_HIGH)) - k * dtype(LN2_LOW)
    # NaN has no integral part; it propagates through r.
    return _power_of_two(k if x == x else dtype(0.0)), _exp_terms(r, dtype) * r * r + r


@njit(fastmath=FUSED, **INTERNAL)
def exp(x, dtype):
    """The exponential of `x`, for |x| up to 80."""
    s, q = exp_parts(x, dtype)
    return s + s * q


@njit(fastmath=FUSED, **INTERNAL)
def sigmoid(z, dtype):
    """1 / (1 + exp(-z))."""
    x = -z
    x = dtype(MOST_POSITIVE) if x > dtype(MOST_POSITIVE) else x
    x = dtype(-MOST_POSITIVE) if x < dtype(-MOST_POSITIVE) else x
    return dtype(1.0) / (dtype(1.0) + exp(x, dtype))


@njit(fastmath=FUSED, **INTERNAL)
def tanh(z, dtype):
    """The hyperbolic tangent of `z`."""
    x = z + z
    x = dtype(40.0) if x > dtype(40.0) else x
    x = dtype(-40.0) if x < dtype(-40.0) else x
    s, q = exp_parts(x, dtype)
    e = s * q + (s - dtype(1.0))
    return e / (e + dtype(2.0))


@njit(fastmath=FUSED, **INTERNAL)
def tanh_of_softplus(z, dtype):
    """tanh(log(1 + exp(z))), the factor of mish."""
    x = dtype(20.0) if z > dtype(20.0) else z
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    e = exp(x, dtype)
    e = e * (e + dtype(2.0))
    return e / (e + dtype(2.0))


@njit(fastmath=FUSED, **INTERNAL)
def expm1_of_negative(z, dtype):
    """exp(z) - 1 below zero, and 0 above."""
    x = z if z < dtype(0.0) else dtype(0.0)
    x = dtype(MOST_NEGATIVE) if x < dtype(MOST_NEGATIVE) else x
    s, q = exp_parts(x, dtype)
    return s * q + (s - dtype(1.0))


@njit(fastmath=FUSED, **INTERNAL)
def log1p_of_exp(z, dtype):
    """log(1 + exp(z)) for z <= 0, as 2 atanh(e / (2 + e)), which is accurate for small e."""
    e = exp(dtype(MOST_NEGATIVE) if z < dtype(MOST_NEGATIVE) else z, dtype)
    s = e / (e + dtype(2.0))
    return dtype(2.0) * s * _atanh_terms(s * s, dtype)
