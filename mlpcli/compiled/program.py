"""Lower a network to a table of instructions, which one compiled function executes; does not import Numba."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.compiled import codes
from mlpcli.compiled.arguments import FIELDS, INSTRUCTION, Program
from mlpcli.compiled.division import assign_chunks, blocks_per_step, is_shared, tile_bounds, tile_ranks
from mlpcli.nn.chain import Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding, Span, span_slices
from mlpcli.nn.layers import Activation, Dense, Dropout, InputScale, Layer, LayerNorm, neuron_salts
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, UpdateRule
from mlpcli.nn.steps import ParameterGroup, UpdateSpec, parameter_groups

IN_BATCH, LINE_BYTES = -1, 64


class NotSupported(Exception):
    """The compiled engine does not support this; the text names it."""


class Value(NamedTuple):
    """A value between two layers: its width, and the first neurons of its panel and of its delta in the workspace.

    If `start` is IN_BATCH, it is columns of the gathered rows, from `first` on. `delta` is -1 if no layer below has
    parameters.
    """

    width: int
    start: int
    delta: int
    first: int = 0


@dataclass
class Builder:
    """Collects instructions, the tensors of each, and the size of the workspace; `offsets` of tensors by key."""

    offsets: dict[str, int]
    ops: list[dict[str, int]] = field(default_factory=list)
    tensors: list[tuple[str, ...]] = field(default_factory=list)
    salts: list[NDArray[np.uint32]] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    n_workspace_rows: int = 0

    def allocate(self, width: int) -> int:
        """Allocate a panel of `width` neurons; returns its first neuron in the workspace."""
        self.n_workspace_rows += width
        return self.n_workspace_rows - width

    def emit(self, code: int, x: Value, y: Value, tensors: tuple[str, ...] = (), **more: int) -> Value:
        """Append an instruction from `x` to `y`; `tensors` are the keys of its parameters. Returns `y`."""
        offsets = {f"p{i}": self.offsets.get(key, -1) for i, key in enumerate(tensors)}
        op = {"code": code, "n_in": x.width, "n_out": y.width, "x": x.start, "y": y.start, "dx": x.delta, "dy": y.delta}
        self.ops.append({"first": x.first, "saved": -1, "p1": -1, "chunks": 0, **op, **offsets, **more})
        self.tensors.append(tuple(key for key in tensors if key in self.offsets))
        return y

    def as_panel(self, x: Value) -> Value:
        """The value as a panel in the workspace."""
        return self.emit(codes.TAKE, x, Value(x.width, self.allocate(x.width), -1)) if x.start == IN_BATCH else x

    def elementwise(self, code: int, x: Value, tensors: tuple[str, ...] = (), **more: int) -> Value:
        """Append an element-wise instruction; without tensors, output and input share their delta."""
        x = self.as_panel(x)
        delta = self.allocate(x.width) if tensors else x.delta
        return self.emit(code, x, Value(x.width, self.allocate(x.width), delta), tensors, **more)


def _dense(layer: Dense, x: Value, path: str, build: Builder) -> Value:
    y = Value(layer.width, build.allocate(layer.width), build.allocate(layer.width))
    return build.emit(codes.DENSE, x, y, (f"{path}W", f"{path}b"))


def _activation(layer: Activation, x: Value, path: str, build: Builder) -> Value:
    if layer.function not in codes.ACTIVATION_CODES:
        raise NotSupported(f"activation {layer.function}")
    code, keys = (codes.PARAMETRIC, (f"{path}slope",)) if layer.is_learnt else (codes.ACTIVATION, ())
    saved, option = build.allocate(2 * x.width), codes.ACTIVATION_CODES[layer.function]
    return build.elementwise(code, x, keys, saved=saved, option=option)


def _dropout(layer: Dropout, x: Value, path: str, build: Builder) -> Value:
    saved, size0 = build.allocate(x.width), sum(map(len, build.salts))
    build.salts.append(neuron_salts(layer.stream, x.width))
    return build.elementwise(codes.DROPOUT, x, saved=saved, option=layer.fixed_point_rate, size0=size0)


def _layer_norm(layer: LayerNorm, x: Value, path: str, build: Builder) -> Value:
    return build.elementwise(codes.NORM, x, (f"{path}gain", f"{path}shift"), saved=build.allocate(x.width + 3))


def _input_scale(layer: InputScale, x: Value, path: str, build: Builder) -> Value:
    return build.elementwise(codes.SCALE, x, (f"{path}scale",))


def _column_mask(layer: ColumnMask, x: Value, path: str, build: Builder) -> Value:
    if x.start != IN_BATCH:
        raise NotSupported("a column mask after other layers")
    if len(layer.spans) == 1:
        return _columns_of(x, *layer.spans[0])
    width = layer.n_out(x.width)
    y = Value(width, build.allocate(width), -1)
    _copy_columns(x, layer.spans, y, build)
    return y


def _periodic_embedding(layer: PeriodicEmbedding, x: Value, path: str, build: Builder) -> Value:
    first, n = len(build.columns), len(layer.columns)
    if x.delta >= 0:
        raise NotSupported("a periodic embedding after layers with parameters")
    build.columns += layer.columns
    x, width, saved = build.as_panel(x), layer.n_out(x.width), build.allocate(2 * n * layer.frequencies)
    sizes = {"size0": n, "size1": layer.frequencies, "size2": layer.outputs}
    keys = tuple(f"{path}{name}" for name in ("frequency", "phase", "mixing", "offset"))
    y = Value(width, build.allocate(width), build.allocate(width))
    return build.emit(codes.PERIODIC, x, y, keys, saved=saved, option=first, **sizes)


def _category_embedding(layer: CategoryEmbedding, x: Value, path: str, build: Builder) -> Value:
    width = layer.n_out(x.width)
    y = Value(width, build.allocate(width), build.allocate(width))
    _copy_columns(x, layer.passthrough_spans(x.width), y, build)
    key = f"{path}table"
    for target, rows, (start, stop) in layer.embedding_slices(x.width):
        own, part = _columns_of(x, start, stop), _columns_of(y, target.start, target.stop)
        build.emit(codes.EMBED, own, part, (key,), p0=build.offsets[key] + rows.start * layer.size)
    return y


def _residual(layer: Residual, x: Value, path: str, build: Builder) -> Value:
    x = build.as_panel(x)
    # The delta of x is the sum of the deltas of both paths: of the layers, and of the sum.
    skip = build.emit(codes.SKIP, x, Value(x.width, x.start, build.allocate(x.width) if x.delta >= 0 else -1))
    number, y = len(build.ops) - 1, skip
    for i, inner in enumerate(layer.layers):
        y = lower(inner, y, f"{path}{i}.", build)
    total = build.emit(codes.ADD, y, Value(x.width, build.allocate(x.width), build.allocate(x.width)), saved=x.start)
    build.ops[number]["saved"] = total.delta
    return total


def _copy_columns(x: Value, spans: tuple[Span, ...], y: Value, build: Builder) -> None:
    """Copy spans of columns of x, one after the other, to the first columns of y."""
    for target, source in span_slices(spans):
        own, part = _columns_of(x, source.start, source.stop), _columns_of(y, target.start, target.stop)
        build.emit(codes.TAKE if x.start == IN_BATCH else codes.COPY, own, part)


def _columns_of(value: Value, start: int, stop: int) -> Value:
    """Columns `start` to `stop` of a value."""
    if value.start == IN_BATCH:
        return value._replace(width=stop - start, first=value.first + start)
    return Value(stop - start, value.start + start, value.delta if value.delta < 0 else value.delta + start)


Lowering = Callable[[Any, Value, str, Builder], Value]
# Looked up by exact type: a subclass may compute something else, and is left to NumPy.
LOWERINGS: dict[type[Layer], Lowering] = {
    Dense: _dense, Activation: _activation, Dropout: _dropout, LayerNorm: _layer_norm, InputScale: _input_scale,
    ColumnMask: _column_mask, PeriodicEmbedding: _periodic_embedding, CategoryEmbedding: _category_embedding,
    Residual: _residual,
}  # fmt: skip
# Losses with their canonical output activation.
OUTPUTS = {CrossEntropy: codes.SOFTMAX, BinaryCrossEntropy: codes.SIGMOID, SquaredError: codes.IDENTITY}
# Code of an update rule, and its three hyperparameters: momentum; beta1, beta2; or decay rate, weight of the squared
# gradient, momentum.
RULES: dict[type[UpdateRule], Callable[[Any], tuple[int, float, float, float]]] = {
    SGD: lambda one: (
        codes.NESTEROV if one.nesterov else codes.MOMENTUM if one.momentum else codes.SGD, one.momentum, 0.0, 0.0
    ),
    Adam: lambda one: (codes.ADAM, one.beta1, one.beta2, 0.0),
    AdamW: lambda one: (codes.ADAM, one.beta1, one.beta2, 0.0),
    RMSprop: lambda one: (
        codes.ROOT_MOMENTUM if one.momentum else codes.ROOT, one.decay, 1.0 - one.decay, one.momentum
    ),
    Adagrad: lambda one: (codes.ROOT, 1.0, 1.0, 0.0),
}  # fmt: skip


def lower(layer: Layer, x: Value, path: str, build: Builder) -> Value:
    """Append the instructions of a layer, the keys of whose tensors begin with `path`; raises NotSupported."""
    if type(layer) not in LOWERINGS:
        raise NotSupported(f"the layer {type(layer).__name__}")
    return LOWERINGS[type(layer)](layer, x, path, build)


def lower_network(network: Network, loss: Loss) -> tuple[Builder, Value]:
    """The instructions of a network, and its logits; raises NotSupported."""
    if type(loss) not in OUTPUTS or network.output != loss.canonical_activation:
        raise NotSupported(f"{loss.name} on {network.output}")
    build = Builder({placed.key: placed.span.start for placed in network.tensors})
    x = Value(network.n_in, IN_BATCH, -1)
    for i, layer in enumerate(network.layers):
        x = lower(layer, x, f"{i}.", build)
    return build, x


def rule_hyperparameters(rule: UpdateRule) -> tuple[int, NDArray[np.float64]]:
    """Code and hyperparameters of an update rule, see RULES; raises NotSupported."""
    if type(rule) not in RULES:
        raise NotSupported(f"the optimizer {type(rule).__name__.lower()}")
    code, *hyperparameters = RULES[type(rule)](rule)
    return code, np.array(hyperparameters)


def assemble(
    network: Network, loss: Loss, spec: UpdateSpec, batch_size: int, dtype: "np.dtype[Any]", n_threads: int | None = 1
) -> Program:
    """The program of a network for batches of up to `batch_size` rows; undivided if `n_threads` is None."""
    build, logits = lower_network(network, loss)
    n_blocks = 1 if n_threads is None else blocks_per_step(network, batch_size)
    if n_threads is not None and is_shared(network, batch_size):
        assign_chunks(build.ops)
    ops = np.array([tuple(op.get(name, 0) for name in FIELDS) for op in build.ops], INSTRUCTION)
    groups = parameter_groups(network, spec)
    tiles, updates = _tiles(build, network, groups, n_blocks)
    return Program(
        ops,
        tiles,
        tile_ranks(ops, tiles, n_threads or 1),
        updates,
        np.array([group.factors for group in groups]),
        np.concatenate([*build.salts, np.zeros(1, np.uint32)]),
        np.array([*build.columns, 0], np.int64),
        _aligned(build.n_workspace_rows * batch_size, dtype),
        _aligned(batch_size * network.n_in, dtype),
        logits.start,
        logits.delta,
        network.n_in,
        logits.width,
        OUTPUTS[type(loss)],
        n_blocks,
        np.empty(logits.width * batch_size, dtype),
        np.empty((5, batch_size), dtype),
        np.zeros(len(tiles)),
    )


def _tiles(
    build: Builder, network: Network, groups: Sequence[ParameterGroup], n_blocks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tiles of all instructions with tensors, and their updates, see `Program`."""
    by_key = {item.key: item for item in network.tensors}
    tiles, updates = list[tuple[int, ...]](), list[tuple[int, ...]]()
    for number, (op, keys) in enumerate(zip(build.ops, build.tensors, strict=True)):
        if not keys:
            continue
        tensors = [by_key[key] for key in keys]
        is_table = op["code"] == codes.EMBED
        count = 1 if is_table else tensors[0].tensor.shape[0]
        size, n_parts = op["n_in"] if op["code"] == codes.DENSE else 1, op["chunks"] or n_blocks
        for first, last in pairwise(tile_bounds(count, size, n_parts).tolist()):
            n_before = len(updates)
            for item in tensors:
                start, size = item.span.start, prod(item.tensor.shape) // count
                if is_table:
                    start, size = op["p0"], op["n_in"] * op["n_out"]
                group = next(n for n, group in enumerate(groups) if group.start <= start < group.stop)
                updates.append((start + first * size, start + last * size, group))
            tiles.append((number, first, last, n_before, len(updates)))
    # The parameters updated last are read first in the next step, and may still be in the cache.
    tiles.reverse()
    return np.array(tiles, np.int64).reshape(-1, 5), np.array(updates, np.int64).reshape(-1, 3)


def _aligned(size: int, dtype: "np.dtype[Any]") -> NDArray[Any]:
    """An empty array that starts at a cache line: vectors across two lines cost a seventh of a small step."""
    array = np.empty(size + LINE_BYTES // dtype.itemsize, dtype)
    start = -array.ctypes.data % LINE_BYTES // dtype.itemsize
    return array[start : start + size]
