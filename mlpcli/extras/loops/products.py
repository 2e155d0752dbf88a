"""Matrix products: BLAS's, called by its address, and loops for where there is none.

Sums are taken in the order that suits the machine: the same one every time.
"""

from numba import njit

from mlpcli.extras.loops.intrinsics import call_gemm32, call_gemm64

SUMS = {"contract", "reassoc", "nsz"}


@njit(error_model="numpy")
def _layout(A):
    """Whether a matrix lies in memory turned over, and how far it is from one of its lines there to the next."""
    if A.strides[1] == A.itemsize:
        return False, max(A.strides[0] // A.itemsize, A.shape[1])
    return True, max(A.strides[1] // A.itemsize, A.shape[0])


@njit(error_model="numpy")
def multiply_blas(blas, A, B, out):
    """`out` (m, n) = `A` (m, k) @ `B` (k, n); the factors may be turned over, and all be parts of larger arrays."""
    if out.size == 0:
        return
    (turns_a, step_a), (turns_b, step_b), (_, step) = _layout(A), _layout(B), _layout(out)
    (m, n), k = out.shape, A.shape[1]
    if blas.is_wide:
        call_gemm64(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, out, step)
    else:
        call_gemm32(blas.address, turns_a, turns_b, m, n, k, A, step_a, B, step_b, out, step)


@njit(fastmath=SUMS, error_model="numpy")
def multiply(W, below, out):
    """`out` = W @ below, in blocks of 4 x 4 weights: few loads for each product."""
    n_out, n_in = W.shape
    n = out.shape[1]
    out[:] = W.dtype.type(0.0)
    blocks_out, blocks_in = n_out - n_out % 4, n_in - n_in % 4
    for j in range(0, blocks_out, 4):
        z0, z1, z2, z3 = out[j], out[j + 1], out[j + 2], out[j + 3]
        for i in range(0, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            u0, u1, u2, u3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            v0, v1, v2, v3 = W[j + 1, i], W[j + 1, i + 1], W[j + 1, i + 2], W[j + 1, i + 3]
            w0, w1, w2, w3 = W[j + 2, i], W[j + 2, i + 1], W[j + 2, i + 2], W[j + 2, i + 3]
            x0, x1, x2, x3 = W[j + 3, i], W[j + 3, i + 1], W[j + 3, i + 2], W[j + 3, i + 3]
            for r in range(n):
                b0, b1, b2, b3 = a0[r], a1[r], a2[r], a3[r]
                z0[r] += (u0 * b0 + u1 * b1) + (u2 * b2 + u3 * b3)
                z1[r] += (v0 * b0 + v1 * b1) + (v2 * b2 + v3 * b3)
                z2[r] += (w0 * b0 + w1 * b1) + (w2 * b2 + w3 * b3)
                z3[r] += (x0 * b0 + x1 * b1) + (x2 * b2 + x3 * b3)
    for j in range(n_out):
        z0, first = out[j], blocks_in if j < blocks_out else 0
        for i in range(first, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            u0, u1, u2, u3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            for r in range(n):
                z0[r] += (u0 * a0[r] + u1 * a1[r]) + (u2 * a2[r] + u3 * a3[r])
        for i in range(blocks_in, n_in):
            a0, u0 = below[i], W[j, i]
            for r in range(n):
                z0[r] += u0 * a0[r]


@njit(fastmath=SUMS, error_model="numpy")
def multiply_turned(delta, below, out):
    """`out` = delta @ below.T, in blocks of 2 x 4 sums."""
    n_out, n_in = out.shape
    n = delta.shape[1]
    blocks_out, blocks_in = n_out - n_out % 2, n_in - n_in % 4
    zero = out.dtype.type(0.0)
    for j in range(0, blocks_out, 2):
        d0, d1 = delta[j], delta[j + 1]
        for i in range(0, blocks_in, 4):
            a0, a1, a2, a3 = below[i], below[i + 1], below[i + 2], below[i + 3]
            s0, s1, s2, s3, t0, t1, t2, t3 = zero, zero, zero, zero, zero, zero, zero, zero
            for r in range(n):
                d, e, b0, b1, b2, b3 = d0[r], d1[r], a0[r], a1[r], a2[r], a3[r]
                s0 += d * b0
                s1 += d * b1
                s2 += d * b2
                s3 += d * b3
                t0 += e * b0
                t1 += e * b1
                t2 += e * b2
                t3 += e * b3
            for k, s, t in ((i, s0, t0), (i + 1, s1, t1), (i + 2, s2, t2), (i + 3, s3, t3)):
                out[j, k] = s
                out[j + 1, k] = t
    for j in range(n_out):
        for i in range(blocks_in if j < blocks_out else 0, n_in):
            out[j, i] = _dot(delta[j], below[i])


@njit(fastmath=SUMS, error_model="numpy")
def add_up(a):
    """The sum of `a` (n,), in its dtype."""
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r]
    return total


@njit(fastmath=SUMS, error_model="numpy")
def add_up_squares(a):
    """The sum of the squares of `a` (n,), in float64."""
    total = 0.0
    for r in range(a.size):
        total += float(a[r]) * float(a[r])
    return total


@njit(fastmath=SUMS, error_model="numpy")
def _dot(a, b):
    total = a.dtype.type(0.0)
    for r in range(a.size):
        total += a[r] * b[r]
    return total
