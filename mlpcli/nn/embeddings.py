"""Layers that stand on the inputs: which columns a network sees, and what it makes of numbers and categories."""

from math import pi, sqrt
from typing import Annotated, Literal

import numpy as np

from mlpcli.nn.layers import MOST, Allocator, Array, Buffers, Layer, Noise, Tensor, Tensors
from mlpcli.options import Setting, options

Span = tuple[int, int]  # first column, and the one after the last


@options
class ColumnMask(Layer):
    """The columns that a member of an ensemble sees (feature bagging)."""

    name: Literal["column_mask"] = "column_mask"
    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        stops = [0, *(stop for _, stop in self.spans)]
        if not self.spans or any(
            start < before or stop <= start for before, (start, stop) in zip(stops, self.spans, strict=False)
        ):
            raise ValueError("spans of columns must rise")

    def n_out(self, n_in: int) -> int:
        _check_end(self.spans[-1][1], n_in)
        return sum(stop - start for start, stop in self.spans)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        is_view = len(self.spans) == 1
        return {"h": None if is_view else new(self.n_out(n_in)), "dx": new(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        h: Array | None = buffers["h"]
        if h is None:
            return x[:, slice(*self.spans[0])]
        for own, source in places(self.spans):
            h[:, own] = x[:, source]
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        dx: Array | None = buffers["dx"]
        if dx is None:
            return None
        dx[...] = 0.0
        for own, source in places(self.spans):
            dx[:, source] = delta[:, own]
        return dx


@options
class PeriodicEmbedding(Layer):
    """[x, mixing cos(2 pi frequency x_i + phase) + offset of each column i]: PBLD (Holzmueller et al. 2024)."""

    name: Literal["periodic"] = "periodic"
    columns: tuple[int, ...]
    frequencies: Annotated[int, Setting("Number of cosines for each numeric input.", ge=1, le=4096)] = 16
    outputs: Annotated[int, Setting("Number of outputs of the projection for each numeric input.", ge=1, le=4096)] = 3
    sigma: Annotated[float, Setting("Standard deviation of the initial frequencies.", gt=0)] = 0.1

    def __post_init__(self) -> None:
        if (
            not self.columns
            or self.columns[0] < 0
            or any(a >= b for a, b in zip(self.columns, self.columns[1:], strict=False))
        ):
            raise ValueError("columns must rise")

    def n_out(self, n_in: int) -> int:
        _check_end(self.columns[-1] + 1, n_in)
        return n_in + len(self.columns) * self.outputs

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        n, k, m = len(self.columns), self.frequencies, self.outputs
        shapes = {"frequency": (n, k), "phase": (n, k), "mixing": (n, m, k), "offset": (n, m)}
        return {name: Tensor(shape, "periodic") for name, shape in shapes.items()}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        edge = 1.0 / sqrt(self.frequencies)
        params["frequency"][...] = rng.normal(0.0, self.sigma, params["frequency"].shape)
        params["phase"][...] = rng.uniform(-pi, pi, params["phase"].shape)
        for name in ("mixing", "offset"):
            params[name][...] = rng.uniform(-edge, edge, params[name].shape)
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        h, n = new(self.n_out(n_in)), len(self.columns)
        is_range = self.columns[-1] - self.columns[0] == n - 1
        waves = (n, self.frequencies, new.n_rows)  # as in h.T, the rows of the batch come last
        return {
            "h": h,
            "mixed": h.T[n_in:].reshape(n, self.outputs, new.n_rows),
            "columns": slice(self.columns[0], self.columns[-1] + 1) if is_range else list(self.columns),
            "angle": np.empty(waves, h.dtype),
            "cos": np.empty(waves, h.dtype),
            "dx": new(n_in) if needs_dx else None,
        }

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        h, mixed, angle = buffers["h"], buffers["mixed"], buffers["angle"]
        numbers = buffers["x"] = x.T[buffers["columns"]]  # (n_columns, n_rows)
        h[:, : x.shape[1]] = x
        np.multiply(numbers[:, None, :], (2.0 * pi) * params["frequency"][:, :, None], out=angle)
        angle += params["phase"][:, :, None]
        np.matmul(params["mixing"], np.cos(angle, out=buffers["cos"]), out=mixed)
        mixed += params["offset"][:, :, None]
        return h  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        angle, cos, numbers = buffers["angle"], buffers["cos"], buffers["x"]
        n_in = delta.shape[1] - len(self.columns) * self.outputs
        d_mixed = delta.T[n_in:].reshape(buffers["mixed"].shape)
        np.matmul(d_mixed, cos.swapaxes(1, 2), out=gradient["mixing"])
        np.add.reduce(d_mixed, axis=2, out=gradient["offset"])
        d_angle = np.matmul(params["mixing"].swapaxes(1, 2), d_mixed, out=cos)
        d_angle *= np.sin(angle, out=angle)
        np.negative(d_angle, out=d_angle)
        np.add.reduce(d_angle, axis=2, out=gradient["phase"])
        np.matmul(d_angle, numbers[:, :, None], out=gradient["frequency"][:, :, None])
        gradient["frequency"][...] *= 2.0 * pi
        dx: Array | None = buffers["dx"]
        if dx is None:
            return None
        dx[...] = delta[:, :n_in]
        dx.T[buffers["columns"]] += 2.0 * pi * np.einsum("ikr,ik->ir", d_angle, params["frequency"])
        return dx


@options
class CategoryEmbedding(Layer):
    """Each span of one-hot columns as `size` learnt numbers, behind the columns that are none of them."""

    name: Literal["category"] = "category"
    spans: tuple[Span, ...]
    size: Annotated[int, Setting("Embedding size of each level.", ge=1, le=MOST)]

    def __post_init__(self) -> None:
        ColumnMask(spans=self.spans)

    def other_spans(self, n_in: int) -> tuple[Span, ...]:
        """The spans of columns that are not embedded."""
        edges = [0, *(edge for span in self.spans for edge in span), n_in]
        return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)

    def n_out(self, n_in: int) -> int:
        _check_end(self.spans[-1][1], n_in)
        return sum(stop - start for start, stop in self.other_spans(n_in)) + len(self.spans) * self.size

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"table": Tensor((sum(stop - start for start, stop in self.spans), self.size), "embedding")}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> Array | None:
        params["table"][...] = rng.normal(size=params["table"].shape)
        return super().init(params, rng, x)

    def buffers(self, n_in: int, new: Allocator, needs_dx: bool) -> Buffers:
        return {"h": new(self.n_out(n_in)), "dx": new(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["x"], h = x, buffers["h"]
        for own, source in places(self.other_spans(x.shape[1])):
            h[:, own] = x[:, source]
        for own, rows, (start, stop) in self.embedded(x.shape[1]):
            np.matmul(x[:, start:stop], params["table"][rows], out=h[:, own])
        return h  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        x, dx = buffers["x"], buffers["dx"]
        for own, rows, (start, stop) in self.embedded(x.shape[1]):
            np.matmul(x[:, start:stop].T, delta[:, own], out=gradient["table"][rows])
            if dx is not None:
                np.matmul(delta[:, own], params["table"][rows].T, out=dx[:, start:stop])
        if dx is None:
            return None
        for own, source in places(self.other_spans(x.shape[1])):
            dx[:, source] = delta[:, own]
        return dx  # type: ignore[no-any-return]

    def embedded(self, n_in: int) -> list[tuple[slice, slice, Span]]:
        """Where each span goes in the output, its rows of the table, and where it comes from."""
        found, row, end = [], 0, self.n_out(n_in) - len(self.spans) * self.size
        for start, stop in self.spans:
            first, row = row, row + stop - start
            begin, end = end, end + self.size
            found.append((slice(begin, end), slice(first, row), (start, stop)))
        return found


def places(spans: tuple[Span, ...]) -> list[tuple[slice, slice]]:
    """Where each of some spans of columns goes when they stand side by side, and where it comes from."""
    found, end = [], 0
    for start, stop in spans:
        begin, end = end, end + stop - start
        found.append((slice(begin, end), slice(start, stop)))
    return found


def _check_end(stop: int, n_in: int) -> None:
    if stop > n_in:
        raise ValueError(f"column {stop} of {n_in}")
