"""Elementary functions of multiplications and additions only, which LLVM vectorizes.

Constants are cast to the dtype of the arguments, otherwise Numba computes in float64. NaN and infinity propagate.
Division follows NumPy: Python's check for a zero divisor prevents vectorization.
"""

import math
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
# sin(t) / t = p(t^2) and cos(t) = p(t^2) for |t| <= pi / 2.
SIN32, COS32 = (tuple((-1) ** (k // 2) / factorial(k) for k in range(highest, -1, -2)) for highest in (11, 12))


def _polynomial(coefficients):
    """The compiled polynomial of these coefficients, by Horner's rule."""
    first, rest = coefficients[0], coefficients[1:]

    @njit(fastmath=FUSED, **INTERNAL)
    def evaluate(x, dtype):
        q = dtype(first)
        for c in rest:
            q = q * x + dtype(c)
        return q

    return evaluate


def _by_precision(single, double):
    """A function of `(x, dtype)` for compiled code: `single` for float32, `double` for float64."""

    def function(x, dtype):
        raise NotImplementedError("is called by compiled code only")

    @overload(function, jit_options={"fastmath": FUSED, "error_model": "numpy"})
    def implementation(x, dtype):
        is_single = dtype.instance_type == float32
        return (lambda x, dtype: single(x, dtype)) if is_single else (lambda x, dtype: double(x, dtype))

    return function


@njit(fastmath=FUSED, **INTERNAL)
def _power_of_two32(k, dtype):
    return np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(fastmath=FUSED, **INTERNAL)
def _power_of_two64(k, dtype):
    return np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)


@njit(fastmath=FUSED, **INTERNAL)
def _cos_sin32(at, dtype):
    # t = turns in [-1/2, 1/2] times pi: cos = 1 - 2 s^2, sin = 2 s c, with s and c the sine and cosine of t.
    x, frequency, phase = at
    u = x * frequency + phase * dtype(0.5 / math.pi)
    t = (u - np.floor(u + dtype(0.5))) * dtype(math.pi)
    s, c = _sin32(t * t, dtype) * t, _cos32(t * t, dtype)
    return dtype(1.0) - dtype(2.0) * s * s, dtype(2.0) * s * c


@njit(fastmath=FUSED, **INTERNAL)
def _cos_sin64(at, dtype):
    x, frequency, phase = at
    angle = (2.0 * math.pi) * x * frequency + phase
    return math.cos(angle), math.sin(angle)


_sin32, _cos32 = _polynomial(SIN32), _polynomial(COS32)
_exp_terms = _by_precision(_polynomial(EXP32), _polynomial(EXP64))
_atanh_terms = _by_precision(_polynomial(ATANH32), _polynomial(ATANH64))
_power_of_two = _by_precision(_power_of_two32, _power_of_two64)  # 2**k for an integral float k
cos_sin = _by_precision(_cos_sin32, _cos_sin64)  # of 2 pi x frequency + phase, for at = (x, frequency, phase)


@njit(fastmath=FUSED, **INTERNAL)
def exp_parts(x, dtype):
    """`(s, q)` with exp(x) = s + s q, for |x| up to 80; s q + (s - 1) is an accurate expm1(x)."""
    k = np.floor(x * dtype(LOG2_E) + dtype(0.5))
    r = (x - k * dtype(LN2_HIGH)) - k * dtype(LN2_LOW)
    # NaN has no integral part; it propagates through r.
    return _power_of_two(k if x == x else dtype(0.0), dtype), _exp_terms(r, dtype) * r * r + r


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
