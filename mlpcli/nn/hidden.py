"""What may stand in a hidden layer beside its activation: layer normalization and learnt slopes.

Arrays are (n_rows, width), or (members, n_rows, width) with tensors (members, width).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Added to a row's variance; the value of torch.
EPSILON = 1e-5


def normalize(z: Array, gain: Array, normal: Array, spread: Array) -> None:
    """Layer normalization in place (Ba et al. 2016): over the neurons of each row mean 0 and variance 1, times gain.

    The layer's bias is the shift that belongs to it. `normal` (like `z`) and `spread` (..., n_rows, 1), one over the
    deviation, are kept for `normalize_backward`.
    """
    np.subtract(z, z.mean(axis=-1, keepdims=True), out=normal)
    np.einsum("...ij,...ij->...i", normal, normal, out=spread[..., 0])
    spread /= z.shape[-1]
    spread += EPSILON
    np.sqrt(spread, out=spread)
    np.reciprocal(spread, out=spread)
    normal *= spread
    np.multiply(normal, gain[..., None, :], out=z)


def normalize_backward(delta: Array, gain: Array, normal: Array, spread: Array, d_gain: Array) -> None:
    """Turn d cost / d (normalized z) into d cost / d z in place; gives the gain's gradient, uses up `normal`."""
    np.einsum("...ij,...ij->...j", delta, normal, out=d_gain)
    delta *= gain[..., None, :]
    along = np.einsum("...ij,...ij->...i", delta, normal)[..., None] / delta.shape[-1]
    delta -= delta.mean(axis=-1, keepdims=True)
    normal *= along
    delta -= normal
    delta *= spread


def mix_slopes(z: Array, a: Array, slope: Array, excess: Array, out: Array) -> None:
    """`out` = z + slope (a - z): between the identity and the activation; `excess` = a - z is kept."""
    np.subtract(a, z, out=excess)
    np.multiply(excess, slope[..., None, :], out=out)
    out += z


def split_slopes(delta: Array, slope: Array, excess: Array, d_slope: Array, out: Array) -> None:
    """From `delta` = d cost / d mixture: the gradient of the slopes, `out` = the part through the activation.

    What stays in `delta` is the part that goes straight to z.
    """
    np.einsum("...ij,...ij->...j", delta, excess, out=d_slope)
    np.multiply(delta, slope[..., None, :], out=out)
    delta -= out
