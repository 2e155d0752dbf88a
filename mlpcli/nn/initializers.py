"""How weights start: the scale keeps the variance of signals (and gradients) alike from layer to layer.

Glorot & Bengio 2010 (fan_in + fan_out), He et al. 2015 (fan_in, gain 2), LeCun et al. 1998 (fan_in, gain 1). Biases
start at zero, except where a fixed `bias_scale` is asked for, or where the data says how to start.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.dataclass import dataclass
from mlpcli.options import Setting, options

# A neuron whose input varies less than this over the data is left at its own scale.
SMALLEST_SPREAD = 1e-6


@dataclass(frozen=True)
class VarianceScaling:
    """Weights with variance `gain / fan`, fan being `n_in` or the mean of `n_in` and `n_out`."""

    gain: float
    averages_fans: bool
    is_normal: bool

    def scale(self, n_in: int, n_out: int) -> float:
        """Standard deviation of a weight."""
        fan = (n_in + n_out) / 2 if self.averages_fans else n_in
        return float(np.sqrt(self.gain / fan))


@options
class Normal:
    """Weights from a normal distribution of a fixed scale, as in the older textbooks."""

    name: Literal["normal"] = "normal"
    scale: Annotated[float, Setting("Standard deviation of the weights.", gt=0)] = 0.1
    bias_scale: Annotated[float, Setting("Standard deviation of the biases; 0 starts them at zero.", ge=0)] = 0.0


@options
class Uniform:
    """Weights from a uniform distribution of a fixed half-width."""

    name: Literal["uniform"] = "uniform"
    scale: Annotated[float, Setting("Weights lie in [-scale, scale].", gt=0)] = 0.1
    bias_scale: Annotated[float, Setting("Biases lie in [-bias_scale, bias_scale].", ge=0)] = 0.0


@options
class DataDriven:
    """Each neuron's input has variance 1 on training rows, and its bend passes through a random point of them.

    Layer after layer, on the training rows: normal weights divided by the deviation of W h (Mishkin & Matas 2016); the
    bias is minus the W h of a random mixture of `points` rows, drawn with flat Dirichlet shares (He et al.'s setting
    with data, RealMLP's "he+5").
    """

    name: Literal["data_driven"] = "data_driven"
    points: Annotated[int, Setting("Training rows mixed for each bias; 0 starts biases at zero.", ge=0)] = 5


@options
class ByFan:
    """Weights scaled by the sizes of their layer, as the names alone say, with a start of its own for the rest."""

    name: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"] = (
        "lecun_normal"
    )
    bias_scale: Annotated[float, Setting("Standard deviation of the hidden biases; 0 starts them at zero.", ge=0)] = 0.0
    zero_last: Annotated[bool, Setting("Start the last layer at zero: the first outputs are all alike.")] = False


Initializer = Normal | Uniform | ByFan | DataDriven

InitializerName = Literal[
    "auto", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"
]

INITIALIZERS: dict[str, VarianceScaling] = {
    "glorot_uniform": VarianceScaling(gain=1.0, averages_fans=True, is_normal=False),
    "glorot_normal": VarianceScaling(gain=1.0, averages_fans=True, is_normal=True),
    "he_uniform": VarianceScaling(gain=2.0, averages_fans=False, is_normal=False),
    "he_normal": VarianceScaling(gain=2.0, averages_fans=False, is_normal=True),
    "lecun_uniform": VarianceScaling(gain=1.0, averages_fans=False, is_normal=False),
    "lecun_normal": VarianceScaling(gain=1.0, averages_fans=False, is_normal=True),
}


def draw_layer(
    initializer: str | Normal | Uniform | ByFan, W: NDArray[np.floating], b: NDArray[np.floating],
    rng: np.random.Generator, is_last: bool = False,
) -> None:  # fmt: skip
    """Fill `W` (n_out, n_in) and `b` (n_out,) in place; `initializer` is a key of INITIALIZERS or has options."""
    if isinstance(initializer, ByFan) and is_last and initializer.zero_last:
        W[...], b[...] = 0.0, 0.0
        return
    if isinstance(initializer, str | ByFan):
        record = INITIALIZERS[initializer if isinstance(initializer, str) else initializer.name]
        sigma = record.scale(n_in=W.shape[1], n_out=W.shape[0])
        W[...] = _draw(rng, W.shape, sigma if record.is_normal else sigma * np.sqrt(3.0), record.is_normal)
        bias_scale = 0.0 if isinstance(initializer, str) or is_last else initializer.bias_scale
        b[...] = _draw(rng, b.shape, bias_scale, is_normal=True) if bias_scale else 0.0
        return
    is_normal = isinstance(initializer, Normal)
    W[...] = _draw(rng, W.shape, initializer.scale, is_normal)
    b[...] = _draw(rng, b.shape, initializer.bias_scale, is_normal)


def draw_on_data(
    initializer: DataDriven, W: NDArray[np.floating], b: NDArray[np.floating], h: NDArray[np.floating],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Fill `W` (n_out, n_in) and `b` (n_out,) in place, so that they suit the entries `h` (n_rows, n_in)."""
    n_out, n_in = W.shape
    W[...] = rng.normal(0.0, 1.0 / np.sqrt(n_in), W.shape)
    z = h @ W.T
    spread = z.std(axis=0)
    spread[spread < SMALLEST_SPREAD] = 1.0
    W /= spread[:, None].astype(W.dtype)
    z /= spread
    b[...] = 0.0
    if initializer.points:
        rows = rng.integers(len(h), size=(initializer.points, n_out))
        shares = rng.dirichlet(np.ones(initializer.points), size=n_out).T
        b[...] = -(shares * np.take_along_axis(z, rows, axis=0)).sum(axis=0)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], scale: float, is_normal: bool) -> NDArray[np.float64]:
    if is_normal:
        return rng.normal(0.0, scale, shape)
    return rng.uniform(-scale, scale, shape)
