"""Input layers: column masks, and embeddings of numeric columns and of categories."""

from itertools import pairwise
from math import pi, sqrt
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.nn.layers import MAX_SIZE, Allocator, Array, Buffers, Layer, Noise, Tensor, Tensors
from mlpcli.options import Setting, options

Span = tuple[int, int]  # columns from start to stop (excluded)


@options
class ColumnMask(Layer):
    """Selects the columns that a member of an ensemble is trained on (feature bagging)."""

    name: Literal["column_mask"] = "column_mask"
    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        stops = [0, *(stop for _, stop in self.spans)]
        if not self.spans or any(
            start < before or stop <= start for before, (start, stop) in zip(stops, self.spans, strict=False)
        ):
            raise ValueError("spans of columns must rise")

    @staticmethod
    def from_mask(mask: NDArray[np.bool_]) -> "ColumnMask":
        """The layer that selects the columns of `mask` (n_in,), of which at least one is true."""
        edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
        return ColumnMask(spans=tuple(zip(edges[::2], edges[1::2], strict=True)))

    def to_mask(self, n_in: int) -> NDArray[np.bool_]:
        """Whether each column is selected (n_in,)."""
        selected = np.zeros(n_in, np.bool_)
        for start, stop in self.spans:
            selected[start:stop] = True
        return selected

    def n_out(self, n_in: int) -> int:
        _check_end(self.spans[-1][1], n_in)
        return sum(stop - start for start, stop in self.spans)

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        is_view = len(self.spans) == 1
        return {"h": None if is_view else allocate(self.n_out(n_in)), "dx": allocate(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        h: Array | None = buffers["h"]
        if h is None:
            return x[:, slice(*self.spans[0])]
        for target, source in span_slices(self.spans):
            h[:, target] = x[:, source]
        return h

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        dx: Array | None = buffers["dx"]
        if dx is None:
            return None
        dx[...] = 0.0
        for target, source in span_slices(self.spans):
            dx[:, source] = delta[:, target]
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
        if not self.columns or self.columns[0] < 0 or any(a >= b for a, b in pairwise(self.columns)):
            raise ValueError("columns must rise")

    def n_out(self, n_in: int) -> int:
        _check_end(self.columns[-1] + 1, n_in)
        return n_in + len(self.columns) * self.outputs

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        n, k, m = len(self.columns), self.frequencies, self.outputs
        shapes = {"frequency": (n, k), "phase": (n, k), "mixing": (n, m, k), "offset": (n, m)}
        return {name: Tensor(shape, "periodic") for name, shape in shapes.items()}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> None:
        bound = 1.0 / sqrt(self.frequencies)
        params["frequency"][...] = rng.normal(0.0, self.sigma, params["frequency"].shape)
        params["phase"][...] = rng.uniform(-pi, pi, params["phase"].shape)
        for name in ("mixing", "offset"):
            params[name][...] = rng.uniform(-bound, bound, params[name].shape)

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        h, n = allocate(self.n_out(n_in)), len(self.columns)
        is_range = self.columns[-1] - self.columns[0] == n - 1
        wave_shape = (n, self.frequencies, allocate.n_rows)  # feature-major, as h.T
        return {
            "h": h,
            "mixed": h.T[n_in:].reshape(n, self.outputs, allocate.n_rows),
            "columns": slice(self.columns[0], self.columns[-1] + 1) if is_range else list(self.columns),
            "angle": np.empty(wave_shape, h.dtype),
            "cos": np.empty(wave_shape, h.dtype),
            "dx": allocate(n_in) if needs_dx else None,
        }

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        h, mixed, angle = buffers["h"], buffers["mixed"], buffers["angle"]
        numeric = buffers["x"] = x.T[buffers["columns"]]  # (n_columns, n_rows)
        h[:, : x.shape[1]] = x
        np.multiply(numeric[:, None, :], (2.0 * pi) * params["frequency"][:, :, None], out=angle)
        angle += params["phase"][:, :, None]
        np.matmul(params["mixing"], np.cos(angle, out=buffers["cos"]), out=mixed)
        mixed += params["offset"][:, :, None]
        return h  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        angle, cos, numeric = buffers["angle"], buffers["cos"], buffers["x"]
        n_in = delta.shape[1] - len(self.columns) * self.outputs
        d_mixed = delta.T[n_in:].reshape(buffers["mixed"].shape)
        np.matmul(d_mixed, cos.swapaxes(1, 2), out=gradient["mixing"])
        np.add.reduce(d_mixed, axis=2, out=gradient["offset"])
        d_angle = np.matmul(params["mixing"].swapaxes(1, 2), d_mixed, out=cos)
        d_angle *= np.sin(angle, out=angle)
        np.negative(d_angle, out=d_angle)
        np.add.reduce(d_angle, axis=2, out=gradient["phase"])
        np.matmul(d_angle, numeric[:, :, None], out=gradient["frequency"][:, :, None])
        gradient["frequency"][...] *= 2.0 * pi
        dx: Array | None = buffers["dx"]
        if dx is None:
            return None
        dx[...] = delta[:, :n_in]
        dx.T[buffers["columns"]] += 2.0 * pi * np.einsum("ikr,ik->ir", d_angle, params["frequency"])
        return dx


@options
class CategoryEmbedding(Layer):
    """Replaces each span of one-hot columns by `size` learnt numbers per level, after the other columns."""

    name: Literal["category"] = "category"
    spans: tuple[Span, ...]
    size: Annotated[int, Setting("Embedding size of each level.", ge=1, le=MAX_SIZE)]

    def __post_init__(self) -> None:
        ColumnMask(spans=self.spans)

    def passthrough_spans(self, n_in: int) -> tuple[Span, ...]:
        """Spans of the columns that are not embedded."""
        edges = [0, *(edge for span in self.spans for edge in span), n_in]
        return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)

    def n_out(self, n_in: int) -> int:
        _check_end(self.spans[-1][1], n_in)
        return sum(stop - start for start, stop in self.passthrough_spans(n_in)) + len(self.spans) * self.size

    def tensors(self, n_in: int) -> dict[str, Tensor]:
        return {"table": Tensor((sum(stop - start for start, stop in self.spans), self.size), "embedding")}

    def init(self, params: Tensors, rng: np.random.Generator, x: Array | None) -> None:
        params["table"][...] = rng.normal(size=params["table"].shape)

    def buffers(self, n_in: int, allocate: Allocator, needs_dx: bool) -> Buffers:
        return {"h": allocate(self.n_out(n_in)), "dx": allocate(n_in) if needs_dx else None}

    def forward(self, x: Array, params: Tensors, buffers: Buffers, noise: Noise | None = None) -> Array:
        buffers["x"], h = x, buffers["h"]
        for target, source in span_slices(self.passthrough_spans(x.shape[1])):
            h[:, target] = x[:, source]
        for target, rows, (start, stop) in self.embedding_slices(x.shape[1]):
            np.matmul(x[:, start:stop], params["table"][rows], out=h[:, target])
        return h  # type: ignore[no-any-return]

    def backward(self, delta: Array, params: Tensors, gradient: Tensors, buffers: Buffers) -> Array | None:
        x, dx = buffers["x"], buffers["dx"]
        for target, rows, (start, stop) in self.embedding_slices(x.shape[1]):
            np.matmul(x[:, start:stop].T, delta[:, target], out=gradient["table"][rows])
            if dx is not None:
                np.matmul(delta[:, target], params["table"][rows].T, out=dx[:, start:stop])
        if dx is None:
            return None
        for target, source in span_slices(self.passthrough_spans(x.shape[1])):
            dx[:, source] = delta[:, target]
        return dx  # type: ignore[no-any-return]

    def embedding_slices(self, n_in: int) -> list[tuple[slice, slice, Span]]:
        """For each span: its columns of the output, its rows of the table, and the span."""
        slices, row, column = [], 0, self.n_out(n_in) - len(self.spans) * self.size
        for start, stop in self.spans:
            first_row, row = row, row + stop - start
            first_column, column = column, column + self.size
            slices.append((slice(first_column, column), slice(first_row, row), (start, stop)))
        return slices


def span_slices(spans: tuple[Span, ...]) -> list[tuple[slice, slice]]:
    """For each span: its columns in the concatenation of all spans, and its columns in the input."""
    slices, end = [], 0
    for start, stop in spans:
        begin, end = end, end + stop - start
        slices.append((slice(begin, end), slice(start, stop)))
    return slices


def _check_end(stop: int, n_in: int) -> None:
    if stop > n_in:
        raise ValueError(f"column {stop} of {n_in}")
