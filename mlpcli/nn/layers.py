"""Layers: frozen options, and functions forward and backward over the rows of a batch, (n_rows, width).

`forward` leaves in `buffers` what `backward` needs. A layer writes its own output, never its input. `backward` uses up
`delta` = d cost / d output, fills `gradient`, and returns d cost / d x, in `delta` itself where the width allows; None
where nothing below learns. Nothing is allocated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.activations import ACTIVATIONS, softmax
from mlpcli.nn.initializers import ByFan, Initializer, draw
from mlpcli.options import Setting, options

Array = NDArray[np.floating[Any]]
Tensors = Any  # name -> view of the flat vector; of a chain, a tuple with those of each of its layers
Buffers = Any  # what `Layer.buffers` made
Product = Callable[..., Any]  # called as np.matmul(A, B, out=C)
Group = Literal["weights", "biases", "scale", "slopes", "norm", "periodic", "embedding"]
GROUPS: tuple[Group, ...] = ("weights", "biases", "scale", "slopes", "norm", "periodic", "embedding")

# Beyond any memory; a larger number comes from a damaged file.
MOST = 1 << 40
# A hash of 32 bits: xor with itself shifted, then a product, twice (lowbias32, C. Wellons 2018, without its last xor,
# which does not touch the upper bits).
HASH = ((16, 0x7FEB352D), (15, 0x846CA68B))
GOLDEN = 0x9E3779B9
EPSILON = 1e-5  # added to the variance of a row; the value of torch


@dataclass(frozen=True)
class Tensor:
    """Shape and parameter group of one array of parameters."""

    shape: tuple[int, ...]
    group: Group

    @property
    def fan_in(self) -> int:
        """Inputs of each neuron, for a matrix of weights."""
        return self.shape[-1]


@dataclass(frozen=True)
class Allocator:
    """Makes the buffers for batches of `n_rows` rows.

    Arrays lie in memory as (width, n_rows): BLAS is quicker at W @ x.T than at x @ W.T, and the values of one neuron
    stand side by side. In prediction nothing is kept for `backward`. `matmul` makes the products of dense layers.
    """

    n_rows: int
    dtype: "np.dtype[Any]"
    is_training: bool
    matmul: Product = np.matmul

    def __call__(self, width: int) -> Array:
        """An array (n_rows, width)."""
        return np.empty((width, self.n_rows), self.dtype).T


@dataclass(frozen=True)
class Noise:
    """What one training step draws: `key` (32 bits) seeds it, `factor` multiplies every dropout rate.

    `places` (n_rows,) uint32 are those of the rows in their batch, where only some of it are here; None: from 0 on.
    """

    key: int
    factor: float = 1.0
    places: NDArray[np.uint32] | None = None


class Layer:
    """What every layer has; the defaults are those of a layer without parameters that keeps the width."""

    def n_out(self, n_in: int) -> int:
        """Width of the output."""
        return n_in

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        """The parameters, by name."""
        return {}

    def bind(self, tensors: dict[str, Array]) -> Tensors:
        """What `forward` and `backward` take as `params` and `gradient`, from the views by name."""
        return tensors

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        """Draw the parameters; given rows `x` (n_rows, n_in), returns what the layer makes of them."""
        if x is None:
            return None
        n_rows, n_in = x.shape
        return self.forward(x, params, self.buffers(n_in, Allocator(n_rows, x.dtype, False), needs_dx=False))

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        """Arrays for batches of one number of rows; `needs_dx` says whether something below learns, in training."""
        return {}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        """The output (n_rows, n_out) for `x` (n_rows, n_in); `noise` is given in training."""
        raise NotImplementedError

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        """d cost / d x, after `forward`."""
        return None


@options
class Dense(Layer):
    """z = x W' + b."""

    name: Literal["dense"] = "dense"
    width: Annotated[int, Setting("Neurons.", ge=1, le=MOST)]
    has_bias: bool = True
    start: Initializer = ByFan()

    def n_out(self, n_in: int) -> int:
        return self.width

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        weights = {"W": Tensor((self.width, n_in), "weights")}
        return weights | ({"b": Tensor((self.width,), "biases")} if self.has_bias else {})

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        draw(self.start, params["W"], params["b"] if self.has_bias else None, rng, x)
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        z = new(self.width)
        ones, dx = np.ones(len(z), z.dtype), new(n_in) if needs_dx else None
        return {"z": z, "ones": ones, "dx": dx, "matmul": new.matmul}

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
            np.multiply(delta, params["W"], out=dx)  # BLAS takes five times as long for a product of vectors
        else:
            buffers["matmul"](delta, params["W"], out=dx)
        return dx


@options
class Activation(Layer):
    """a = f(z); with a learnt slope s of each neuron, a = z + s (f(z) - z), which starts as f."""

    name: Literal["activation"] = "activation"
    function: str = "relu"
    is_learnt: bool = False

    def __post_init__(self) -> None:
        if self.function not in ACTIVATIONS:
            raise ValueError(f"no activation {self.function[:40]!r}")

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"slope": Tensor((n_in,), "slopes")} if self.is_learnt else {}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        if self.is_learnt:
            params["slope"][...] = 1.0
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        return {"a": new(n_in), "spare": new(n_in), "derivative": new(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        a, derivative, excess = buffers["a"], buffers["derivative"], buffers["spare"]
        ACTIVATIONS[self.function].evaluate(x, a, derivative, excess)
        if self.is_learnt:
            s = params["slope"]
            np.subtract(a, x, out=excess)
            np.multiply(excess, s, out=a)
            a += x
            if derivative is not None:  # 1 + s (f' - 1)
                derivative -= 1.0
                derivative *= s
                derivative += 1.0
        return a  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        if self.is_learnt:
            np.einsum("ij,ij->j", delta, buffers["spare"], out=gradient["slope"])
        if buffers["derivative"] is None:
            return None
        delta *= buffers["derivative"]
        return delta


@options
class Softmax(Layer):
    """a = exp(z) / sum(exp(z)): the output of a network whose cost function is not softmax's partner."""

    name: Literal["softmax"] = "softmax"

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        return {"a": new(n_in), "spare": new(n_in)}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        softmax(x, buffers["a"])
        return buffers["a"]  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        # a (delta - sum(delta a))
        np.multiply(delta, buffers["a"], out=buffers["spare"])
        delta -= np.add.reduce(buffers["spare"], axis=1, keepdims=True)
        delta *= buffers["a"]
        return delta


@options
class LayerNorm(Layer):
    """Mean 0 and variance 1 over the neurons of a row, times gain, plus shift (Ba et al. 2016)."""

    name: Literal["layer_norm"] = "layer_norm"

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"gain": Tensor((n_in,), "norm"), "shift": Tensor((n_in,), "biases")}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        params["gain"][...], params["shift"][...] = 1.0, 0.0
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        return {name: new(n_in) for name in ("y", "normal")} | {name: new(1) for name in ("mean", "rstd")}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        normal, rstd, mean = buffers["normal"], buffers["rstd"], buffers["mean"]
        np.mean(x, axis=1, keepdims=True, out=mean)
        np.subtract(x, mean, out=normal)
        np.einsum("ij,ij->i", normal, normal, out=rstd[:, 0])
        rstd /= x.shape[1]
        rstd += EPSILON
        np.sqrt(rstd, out=rstd)
        np.reciprocal(rstd, out=rstd)
        normal *= rstd
        y: Array = np.multiply(normal, params["gain"], out=buffers["y"])
        y += params["shift"]
        return y

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        normal, mean = buffers["normal"], buffers["mean"]
        np.einsum("ij,ij->j", delta, normal, out=gradient["gain"])
        np.add.reduce(delta, axis=0, out=gradient["shift"])
        delta *= params["gain"]
        np.einsum("ij,ij->i", delta, normal, out=mean[:, 0])
        mean /= delta.shape[1]
        normal *= mean
        np.mean(delta, axis=1, keepdims=True, out=mean)
        delta -= mean
        delta -= normal
        delta *= buffers["rstd"]
        return delta


@options
class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): what is kept is scaled up; without noise the identity.

    A neuron of a row is kept by a hash of the step's key, the row's place in the batch and the neuron, so that every
    engine, on any number of threads, draws the same. `stream` tells the dropout layers of a network apart.
    """

    name: Literal["dropout"] = "dropout"
    rate: Annotated[float, Setting("Fraction of neurons switched off.", ge=0, lt=1)]
    stream: Annotated[int, Setting("Number of the layer among those that drop.", ge=0, le=MOST)] = 0

    @property
    def steps(self) -> int:
        """The rate in steps of 2^-16."""
        return round(self.rate * 65536)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        if not new.is_training:
            return {}
        rows = np.arange(new.n_rows, dtype=np.uint32) * np.uint32(GOLDEN)
        salts = neuron_salts(self.stream, n_in)[:, None]
        bits = np.empty((2, n_in, new.n_rows), np.uint32)
        return {"h": new(n_in), "mask": new(n_in), "places": rows ^ salts, "salts": salts, "bits": bits}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["is_on"] = noise is not None
        if noise is None:
            return x
        mask, (bits, spare) = buffers["mask"], buffers["bits"]
        lowest = lowest_kept(self.steps, noise.factor)
        if noise.places is None:
            np.bitwise_xor(buffers["places"], np.uint32(noise.key), out=bits)
        else:
            np.bitwise_xor(noise.places * np.uint32(GOLDEN), buffers["salts"], out=bits)
            bits ^= np.uint32(noise.key)
        for shift, factor in HASH:
            np.right_shift(bits, np.uint32(shift), out=spare)
            bits ^= spare
            bits *= np.uint32(factor)
        np.greater_equal(bits, np.uint32(lowest << 16), out=mask.T)
        mask *= 1.0 / (1.0 - lowest / 65536.0)
        h: Array = np.multiply(x, mask, out=buffers["h"])
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        if buffers["is_on"]:
            delta *= buffers["mask"]
        return delta


@options
class InputScale(Layer):
    """A learnt factor for each input, which starts at 1."""

    name: Literal["input_scale"] = "input_scale"

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"scale": Tensor((n_in,), "scale")}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        params["scale"][...] = 1.0
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        return {"h": new(n_in)}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["x"] = x
        h: Array = np.multiply(x, params["scale"], out=buffers["h"])
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        np.einsum("ij,ij->j", delta, buffers["x"], out=gradient["scale"])
        delta *= params["scale"]
        return delta


def lowest_kept(steps: int, factor: float) -> int:
    """The dropout rule of every engine: hashes whose upper 16 bits are below it drop their neuron."""
    return min(round(steps * factor), 65535)


def neuron_salts(stream: int, width: int) -> NDArray[np.uint32]:
    """What makes the hashes of each neuron its own (width,)."""
    bits = np.arange(width, dtype=np.uint32) + np.uint32(stream * 0x85EBCA6B & 0xFFFFFFFF)
    for shift, factor in HASH:
        bits ^= bits >> np.uint32(shift)
        bits *= np.uint32(factor)
    return bits
