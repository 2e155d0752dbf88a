"""How weights start: the scale keeps the variance of signals (and gradients) alike from layer to layer.

Glorot & Bengio 2010 (fan_in + fan_out), He et al. 2015 (fan_in, gain 2), LeCun et al. 1998 (fan_in, gain 1). Biases
start at zero, except where a fixed `bias_scale` is asked for.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.options import Setting, options


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
    initializer: str | Normal | Uniform, W: NDArray[np.floating], b: NDArray[np.floating], rng: np.random.Generator
) -> None:
    """Fill `W` (n_out, n_in) and `b` (n_out,) in place; `initializer` is a key of INITIALIZERS or a fixed scale."""
    if isinstance(initializer, str):
        record = INITIALIZERS[initializer]
        sigma = record.scale(n_in=W.shape[1], n_out=W.shape[0])
        W[...] = _draw(rng, W.shape, sigma if record.is_normal else sigma * np.sqrt(3.0), record.is_normal)
        b[...] = 0.0
        return
    is_normal = isinstance(initializer, Normal)
    W[...] = _draw(rng, W.shape, initializer.scale, is_normal)
    b[...] = _draw(rng, b.shape, initializer.bias_scale, is_normal)


def _draw(rng: np.random.Generator, shape: tuple[int, ...], scale: float, is_normal: bool) -> NDArray[np.float64]:
    if is_normal:
        return rng.normal(0.0, scale, shape)
    return rng.uniform(-scale, scale, shape)
