"""Layers: frozen options with a forward and a backward pass over the rows of a batch, (n_rows, width).

`forward` saves in `buffers` what `backward` needs, and writes its output, never its input. `backward` takes `delta` =
d cost / d output, which it may overwrite, fills `gradient`, and returns d cost / d x, in `delta` itself if the width
does not change; None if no layer below has parameters. Neither allocates an array of a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.activations import ACTIVATIONS, softmax
from mlpcli.nn.initializers import ByFan, Initializer, initialize
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
Tensors = Any  # name -> view of the flat vector; for a chain, a tuple with one such dict per layer
Buffers = Any  # the result of `Layer.buffers`
MatMul = Callable[..., Any]  # called as np.matmul(A, B, out=C)
Group = Literal["weights", "biases", "scale", "slopes", "norm", "periodic", "embedding"]
GROUPS: tuple[Group, ...] = get_args(Group)

# More than any memory holds; a larger number comes from a damaged file.
MAX_SIZE = 1 << 40
# Two rounds (shift, multiplier) of a 32-bit hash: bits ^= bits >> shift; bits *= multiplier (lowbias32, C. Wellons
# 2018, without its last xor, which does not change the upper bits).
HASH_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B))
GOLDEN_RATIO = 0x9E3779B9
EPSILON = 1e-5  # added to the variance in layer normalization; torch's default


@dataclass(frozen=True)
class Tensor:
    """Shape and parameter group of an array of parameters, and their initial value unless `Layer.init` draws it."""

    shape: tuple[int, ...]
    group: Group
    start: float = 0.0

    @property
    def fan_in(self) -> int:
        """Number of inputs of each neuron, for a weight matrix."""
        return self.shape[-1]


@dataclass(frozen=True)
class Allocator:
    """Allocates the buffers for batches of `n_rows` rows.

    Arrays are feature-major, in memory (width, n_rows): BLAS computes W @ x.T faster than x @ W.T, and the values of a
    neuron are contiguous. If not `is_training`, nothing is saved for `backward`. `matmul` is used by dense layers.
    """

    n_rows: int
    dtype: "np.dtype[Any]"
    is_training: bool
    matmul: MatMul = np.matmul

    def __call__(self, width: int) -> Array:
        """An array (n_rows, width)."""
        return np.empty((width, self.n_rows), self.dtype).T


@dataclass(frozen=True)
class Noise:
    """Randomness of a training step: `key` (32 bits) seeds it, `factor` multiplies every dropout rate.

    `positions` (n_rows,) uint32 are the positions of these rows in the batch if they are a shard of it; None: 0, 1, ...
    """

    key: int
    factor: float = 1.0
    positions: NDArray[np.uint32] | None = None


class Layer:
    """Interface of a layer; the defaults are those of a layer without parameters that keeps the width."""

    def n_out(self, n_in: int) -> int:
        """Width of the output."""
        return n_in

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        """Shapes of the parameters, by name."""
        return {}

    def unflatten(self, tensors: dict[str, Array]) -> Tensors:
        """`params` or `gradient` as `forward` and `backward` take them, from views by name."""
        return tensors

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> None:
        """Draw initial parameters in place; `x` (n_rows, n_in) are inputs for data-driven initializers."""

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        """Arrays for batches of one size; `needs_dx` if a layer below has parameters to train."""
        return {}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        """The output (n_rows, n_out) for `x` (n_rows, n_in); `noise` is None except in training."""
        raise NotImplementedError

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        """d cost / d x (n_rows, n_in), after `forward` on the same buffers."""
        return None


@options
class Dense(Layer):
    """z = x W' + b."""

    name: Literal["dense"] = "dense"
    width: Annotated[int, Setting("Neurons.", ge=1, le=MAX_SIZE)]
    has_bias: bool = True
    start: Initializer = ByFan()

    def n_out(self, n_in: int) -> int:
        return self.width

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        weights = {"W": Tensor((self.width, n_in), "weights")}
        return weights | ({"b": Tensor((self.width,), "biases")} if self.has_bias else {})

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> None:
        initialize(self.start, params["W"], params["b"] if self.has_bias else None, rng, x)

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        z = allocate(self.width)
        ones, dx = np.ones(len(z), z.dtype), allocate(n_in) if needs_dx else None
        return {"z": z, "ones": ones, "dx": dx, "matmul": allocate.matmul}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["x"] = x
        z: Array = buffers["matmul"](x, params["W"].T, out=buffers["z"])  # (n_rows, width)
        if self.has_bias:
            z += params["b"]
        return z

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        buffers["matmul"](delta.T, buffers["x"], out=gradient["W"])  # (width, n_in)
        if self.has_bias:
            np.matmul(buffers["ones"], delta, out=gradient["b"])  # three times as fast as delta.sum(axis=0)
        dx: Array | None = buffers["dx"]
        if dx is None:
            return None
        if self.width == 1:
            np.multiply(delta, params["W"], out=dx)  # five times as fast as BLAS for an outer product
        else:
            buffers["matmul"](delta, params["W"], out=dx)
        return dx


@options
class Activation(Layer):
    """a = f(z), or if `is_learnt` a = z + s (f(z) - z) with a slope s per neuron, which starts at 1."""

    name: Literal["activation"] = "activation"
    function: str = "relu"
    is_learnt: bool = False

    def __post_init__(self) -> None:
        if self.function not in ACTIVATIONS:
            raise ValueError(f"no activation {self.function[:40]!r}")

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"slope": Tensor((n_in,), "slopes", start=1.0)} if self.is_learnt else {}

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        return {"a": allocate(n_in), "residual": allocate(n_in), "derivative": allocate(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        a, derivative, residual = buffers["a"], buffers["derivative"], buffers["residual"]
        ACTIVATIONS[self.function].evaluate(x, a, derivative, residual)
        if self.is_learnt:
            s = params["slope"]
            np.subtract(a, x, out=residual)  # f(z) - z, which is d a / d s
            np.multiply(residual, s, out=a)
            a += x
            if derivative is not None:  # 1 + s (f' - 1)
                derivative -= 1.0
                derivative *= s
                derivative += 1.0
        return a  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        if self.is_learnt:
            np.einsum("ij,ij->j", delta, buffers["residual"], out=gradient["slope"])
        if buffers["derivative"] is None:
            return None
        delta *= buffers["derivative"]
        return delta


@options
class Softmax(Layer):
    """a = exp(z) / sum(exp(z)): the output layer of a network whose loss is not computed from logits."""

    name: Literal["softmax"] = "softmax"

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        return {"a": allocate(n_in), "scratch": allocate(n_in)}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        softmax(x, buffers["a"])
        return buffers["a"]  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        # dz = a (delta - sum(delta a))
        np.multiply(delta, buffers["a"], out=buffers["scratch"])
        delta -= np.add.reduce(buffers["scratch"], axis=1, keepdims=True)
        delta *= buffers["a"]
        return delta


@options
class LayerNorm(Layer):
    """Layer normalization: mean 0 and variance 1 over the neurons of a row, times gain, plus shift (Ba et al. 2016)."""

    name: Literal["layer_norm"] = "layer_norm"

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"gain": Tensor((n_in,), "norm", start=1.0), "shift": Tensor((n_in,), "biases")}

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        return {name: allocate(n_in) for name in ("y", "normalized")} | {name: allocate(1) for name in ("mean", "rstd")}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        normalized, rstd, mean = buffers["normalized"], buffers["rstd"], buffers["mean"]
        np.mean(x, axis=1, keepdims=True, out=mean)
        np.subtract(x, mean, out=normalized)
        np.einsum("ij,ij->i", normalized, normalized, out=rstd[:, 0])
        rstd /= x.shape[1]
        rstd += EPSILON
        np.sqrt(rstd, out=rstd)
        np.reciprocal(rstd, out=rstd)  # 1 / standard deviation
        normalized *= rstd
        y: Array = np.multiply(normalized, params["gain"], out=buffers["y"])
        y += params["shift"]
        return y

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        # dx = (d - mean(d) - normalized mean(d normalized)) rstd, d = delta gain; means over the neurons of a row.
        normalized, mean = buffers["normalized"], buffers["mean"]
        np.einsum("ij,ij->j", delta, normalized, out=gradient["gain"])
        np.add.reduce(delta, axis=0, out=gradient["shift"])
        delta *= params["gain"]
        np.einsum("ij,ij->i", delta, normalized, out=mean[:, 0])
        mean /= delta.shape[1]
        normalized *= mean
        np.mean(delta, axis=1, keepdims=True, out=mean)
        delta -= mean
        delta -= normalized
        delta *= buffers["rstd"]
        return delta


@options
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): kept neurons are scaled by 1 / (1 - rate); without noise the identity.

    A hash of the step's key, the row's position in the batch and the neuron decides whether a neuron is dropped, so
    that every engine, on any number of threads, drops the same ones. `stream` is different for each dropout layer.
    """

    name: Literal["dropout"] = "dropout"
    rate: Annotated[float, Setting("Fraction of neurons switched off.", ge=0, lt=1)]
    stream: Annotated[int, Setting("Index among the dropout layers.", ge=0, le=MAX_SIZE)] = 0

    @property
    def fixed_point_rate(self) -> int:
        """The rate in units of 2^-16."""
        return round(self.rate * 65536)

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        if not allocate.is_training:
            return {}
        return {
            "h": allocate(n_in),
            "mask": allocate(n_in),
            "positions": np.arange(allocate.n_rows, dtype=np.uint32),
            "salts": neuron_salts(self.stream, n_in)[:, None],
            "bits": np.empty((2, n_in, allocate.n_rows), np.uint32),
        }

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["is_on"] = noise is not None
        if noise is None:
            return x
        mask, (bits, scratch) = buffers["mask"], buffers["bits"]
        threshold = dropout_threshold(self.fixed_point_rate, noise.factor)
        positions = buffers["positions"] if noise.positions is None else noise.positions
        np.bitwise_xor(positions * np.uint32(GOLDEN_RATIO), buffers["salts"] ^ np.uint32(noise.key), out=bits)
        _hash(bits, scratch)
        np.greater_equal(bits, np.uint32(threshold << 16), out=mask.T)
        mask *= 1.0 / (1.0 - threshold / 65536.0)
        h: Array = np.multiply(x, mask, out=buffers["h"])
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        if buffers["is_on"]:
            delta *= buffers["mask"]
        return delta


@options
class InputScale(Layer):
    """h = scale x, with a learnt scale per input that starts at 1."""

    name: Literal["input_scale"] = "input_scale"

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"scale": Tensor((n_in,), "scale", start=1.0)}

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        return {"h": allocate(n_in)}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["x"] = x
        h: Array = np.multiply(x, params["scale"], out=buffers["h"])
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        np.einsum("ij,ij->j", delta, buffers["x"], out=gradient["scale"])
        delta *= params["scale"]
        return delta


def dropout_threshold(fixed_point_rate: int, factor: float) -> int:
    """The dropout rule of every engine: a neuron is dropped if the upper 16 bits of its hash are below this."""
    return min(round(fixed_point_rate * factor), 65535)


def neuron_salts(stream: int, width: int) -> NDArray[np.uint32]:
    """A salt per neuron (width,), by which their dropout is independent."""
    bits = np.arange(width, dtype=np.uint32) + np.uint32(stream * 0x85EBCA6B & 0xFFFFFFFF)
    _hash(bits, np.empty_like(bits))
    return bits


def _hash(bits: NDArray[np.uint32], scratch: NDArray[np.uint32]) -> None:
    for shift, multiplier in HASH_ROUNDS:
        np.right_shift(bits, np.uint32(shift), out=scratch)
        bits ^= scratch
        bits *= np.uint32(multiplier)
