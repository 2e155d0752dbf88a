"""Initializers of weights and biases: the scale keeps the variance of activations (and gradients) across layers.

Glorot & Bengio 2010 (fan_in + fan_out), He et al. 2015 (fan_in, gain 2), LeCun et al. 1998 (fan_in, gain 1). Biases
start at 0 unless `bias_scale` is set or the initializer is data-driven.
"""

from math import sqrt
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]

# A neuron whose input has a smaller standard deviation than this is not rescaled.
SMALLEST_DEVIATION = 1e-6


ByFanName = Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"]
InitializerName = Literal["auto", ByFanName]
BY_FAN_NAMES: tuple[str, ...] = get_args(ByFanName)


@options
class Normal:
    """Weights from a normal distribution of a fixed standard deviation, as in the older textbooks."""

    name: Literal["normal"] = "normal"
    scale: Annotated[float, Setting("Standard deviation of the weights.", gt=0)] = 0.1
    bias_scale: Annotated[float, Setting("Standard deviation of the biases; 0: all biases start at 0.", ge=0)] = 0.0


@options
class Uniform:
    """Weights from a uniform distribution of a fixed half-width."""

    name: Literal["uniform"] = "uniform"
    scale: Annotated[float, Setting("Weights lie in [-scale, scale].", gt=0)] = 0.1
    bias_scale: Annotated[float, Setting("Biases lie in [-bias_scale, bias_scale].", ge=0)] = 0.0


@options
class DataDriven:
    """Weights scaled to variance 1 of each neuron's input on training rows; biases that place its kink at a random row.

    Layer after layer, on the training rows: normal weights divided by the deviation of W h (Mishkin & Matas 2016); the
    bias is minus the W h of a random mixture of `points` rows, drawn with flat Dirichlet shares (He et al.'s setting
    with data, RealMLP's "he+5").
    """

    name: Literal["data_driven"] = "data_driven"
    points: Annotated[int, Setting("Training rows mixed for each bias; 0: biases start at 0.", ge=0)] = 5


@options
class ByFan:
    """The initializer of that name, with options for the biases and the last layer."""

    name: ByFanName = "lecun_normal"
    bias_scale: Annotated[float, Setting("Standard deviation of the hidden biases; 0: they start at 0.", ge=0)] = 0.0
    zero_last: Annotated[bool, Setting("The last layer starts at 0: all rows have the same output at first.")] = False

    def deviation(self, n_in: int, n_out: int) -> float:
        """Standard deviation of a weight."""
        variances = {"glorot": 2 / (n_in + n_out), "he": 2 / n_in, "lecun": 1 / n_in}
        return 0.0 if self.zero_last else sqrt(variances[self.name.split("_")[0]])


Initializer = Normal | Uniform | ByFan | DataDriven


def initialize(initializer: Initializer, W: Array, b: Array | None, rng: np.random.Generator, x: Array | None) -> None:
    """Fill `W` (n_out, n_in) and `b` (n_out,) in place; `DataDriven` requires training rows `x` (n_rows, n_in)."""
    biases = np.empty(0, W.dtype) if b is None else b
    match initializer:
        case ByFan():
            sigma, is_normal = initializer.deviation(n_in=W.shape[1], n_out=W.shape[0]), "normal" in initializer.name
            W[...] = _sample(rng, W.shape, sigma if is_normal else sigma * sqrt(3.0), is_normal)
            biases[...] = _sample(rng, biases.shape, initializer.bias_scale, is_normal=True)
        case DataDriven():
            if x is None:
                raise ValueError("a data-driven initializer needs rows")
            _initialize_on_data(initializer, W, biases, x, rng)
        case _:
            W[...] = _sample(rng, W.shape, initializer.scale, isinstance(initializer, Normal))
            biases[...] = _sample(rng, biases.shape, initializer.bias_scale, isinstance(initializer, Normal))


def _initialize_on_data(initializer: DataDriven, W: Array, b: Array, x: Array, rng: np.random.Generator) -> None:
    n_out, n_in = W.shape
    W[...] = rng.normal(0.0, 1.0 / np.sqrt(n_in), W.shape)
    z = x @ W.T
    deviation = z.std(axis=0)
    deviation[deviation < SMALLEST_DEVIATION] = 1.0
    W /= deviation[:, None].astype(W.dtype)
    z /= deviation
    b[...] = 0.0
    if initializer.points and b.size:
        rows = rng.integers(len(x), size=(initializer.points, n_out))
        weights = rng.dirichlet(np.ones(initializer.points), size=n_out).T
        b[...] = -(weights * np.take_along_axis(z, rows, axis=0)).sum(axis=0)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], scale: float, is_normal: bool) -> NDArray[np.float64]:
    if not scale:
        return np.zeros(shape)
    return rng.normal(0.0, scale, shape) if is_normal else rng.uniform(-scale, scale, shape)
