"""Sequences of layers and residual connections, and the union of all layers that a network may consist of."""

from typing import Literal

import numpy as np

from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.layers import (
    Activation,
    Allocator,
    Array,
    Buffers,
    Dense,
    Dropout,
    InputScale,
    Layer,
    LayerNorm,
    Noise,
    Softmax,
    Tensor,
    Tensors,
)
from mlpcli.options import options


@options
class Chain(Layer):
    """Layers in sequence; parameters, gradient and buffers are tuples with an item per layer."""

    layers: "tuple[AnyLayer, ...]"

    def widths(self, n_in: int) -> tuple[int, ...]:
        """Width of the input of each layer, then of the output of the last."""
        widths = [n_in]
        for layer in self.layers:
            widths.append(layer.n_out(widths[-1]))
        return tuple(widths)

    def n_out(self, n_in: int) -> int:
        return self.widths(n_in)[-1]

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        pairs = enumerate(zip(self.layers, self.widths(n_in), strict=False))
        return {f"{i}.{name}": tensor for i, (layer, n) in pairs for name, tensor in layer.tensors(n).items()}

    def unflatten(self, tensors: dict[str, Array]) -> Tensors:
        by_layer: list[dict[str, Array]] = [{} for _ in self.layers]
        for key, tensor in tensors.items():
            index, _, rest = key.partition(".")
            by_layer[int(index)][rest] = tensor
        return tuple(layer.unflatten(views) for layer, views in zip(self.layers, by_layer, strict=True))

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> None:
        for layer, own in zip(self.layers, params, strict=True):
            layer.init(own, rng, x)
            if x is not None:
                x = layer.forward(x, own, layer.buffers(x.shape[1], Allocator(len(x), x.dtype, False), needs_dx=False))

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        buffers = []
        for layer, n in zip(self.layers, self.widths(n_in), strict=False):
            buffers.append(layer.buffers(n, allocate, needs_dx))
            needs_dx = needs_dx or (allocate.is_training and bool(layer.tensors(n)))
        return tuple(buffers)

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        for layer, own, own_buffers in zip(self.layers, params, buffers, strict=True):
            x = layer.forward(x, own, own_buffers, noise)
        return x

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        dx: Array | None = delta
        for layer, *arrays in zip(self.layers[::-1], params[::-1], gradient[::-1], buffers[::-1], strict=True):
            if dx is None:  # no layer below has parameters
                break
            dx = layer.backward(dx, *arrays)
        return dx


@options
class Residual(Chain):
    """x + layers(x), of the same width (He et al. 2016)."""

    name: Literal["residual"] = "residual"

    def n_out(self, n_in: int) -> int:
        if (width := super().n_out(n_in)) != n_in:
            raise ValueError(f"a residual connection from {n_in} to {width}")
        return n_in

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        skip = allocate(n_in) if allocate.is_training else None
        return super().buffers(n_in, allocate, needs_dx), allocate(n_in), skip

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        inner, h, _ = buffers
        np.add(x, super().forward(x, params, inner, noise), out=h)
        return h  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        inner, _, skip = buffers
        skip[...] = delta
        dx = super().backward(delta, params, gradient, inner)
        if dx is not None:
            dx += skip
        return dx


AnyLayer = (
    Dense | Activation | Softmax | LayerNorm | Dropout | InputScale | ColumnMask | PeriodicEmbedding | CategoryEmbedding
    | Residual
)  # fmt: skip
