"""A network becomes a table of instructions, for one function that runs the epochs of any table; imports no Numba."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlpcli.compiled import codes
from mlpcli.compiled.arguments import OP, Program
from mlpcli.nn.chain import Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.layers import Activation, Dense, Dropout, InputScale, Layer, LayerNorm, neuron_salts
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from mlpcli.nn.network import Network
from mlpcli.nn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, UpdateRule
from mlpcli.nn.steps import UpdateSpec, parameter_groups
from mlpcli.training.threads import step_work

ON_ROWS = -1
# Rows of a block, at least: BLAS lays the weights out anew for each.
ROWS_OF_A_BLOCK, MOST_BLOCKS = 64, 8
# Multiply-adds of a step that each block must have.
WORK_OF_A_BLOCK = 10_000_000
# Weights of a layer from which its neurons are cut into chunks and not the rows: half of them, in float32, fill half of
# a second-level cache, and what each thread reads of them counts more than one barrier more. Neurons of a chunk, at
# least: BLAS lays the rows out anew for each.
WEIGHTS_IN_CHUNKS, NEURONS_OF_A_CHUNK, MOST_CHUNKS = 262_144, 256, 8
# Weights whose gradient is made at once: it must still be in the cache when the optimizer comes to it, and BLAS is at
# its best with many. Pieces are the same whatever the number of threads.
WEIGHTS_OF_A_PIECE = 131_072


class NotSupported(Exception):
    """The compiled engine does not know this; the text says what."""


class Value(NamedTuple):
    """What flows between two layers: its width, and where its panel and that of its delta begin.

    With line ON_ROWS it is columns of the gathered rows, from `first` on. Without anything below that learns there is
    no delta (-1).
    """

    width: int
    line: int
    delta: int
    first: int = 0


@dataclass
class Builder:
    """Instructions, with the tensors of each, and the lines that they need."""

    offsets: dict[str, int]
    ops: list[dict[str, int]] = field(default_factory=list)
    tensors: list[tuple[str, ...]] = field(default_factory=list)
    salts: list[NDArray[np.uint32]] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    n_lines: int = 0

    def new(self, width: int) -> int:
        """The first of so many new lines."""
        self.n_lines += width
        return self.n_lines - width

    def emit(self, code: int, x: Value, y: Value, tensors: tuple[str, ...] = (), **more: int) -> Value:
        """Add an instruction that makes `y` of `x`; `tensors` are its parameters by key."""
        offsets = {f"p{place}": self.offsets.get(key, -1) for place, key in enumerate(tensors)}
        op = {"code": code, "n_in": x.width, "n_out": y.width, "x": x.line, "y": y.line, "dx": x.delta, "dy": y.delta}
        self.ops.append({"first": x.first, "spare": -1, "p1": -1, **op, **offsets, **more})
        self.tensors.append(tuple(key for key in tensors if key in self.offsets))
        return y

    def on_lines(self, x: Value) -> Value:
        """The value as a panel."""
        return self.emit(codes.TAKE, x, Value(x.width, self.new(x.width), -1)) if x.line == ON_ROWS else x

    def elementwise(self, code: int, x: Value, tensors: tuple[str, ...] = (), **more: int) -> Value:
        """An output of the same width; its delta becomes that of the input in its place, unless its tensors need it."""
        x = self.on_lines(x)
        delta = self.new(x.width) if tensors else x.delta
        return self.emit(code, x, Value(x.width, self.new(x.width), delta), tensors, **more)


def _dense(layer: Dense, x: Value, path: str, build: Builder) -> Value:
    y = Value(layer.width, build.new(layer.width), build.new(layer.width))
    return build.emit(codes.DENSE, x, y, (f"{path}W", f"{path}b"))


def _activation(layer: Activation, x: Value, path: str, build: Builder) -> Value:
    if layer.function not in codes.FUNCTIONS:
        raise NotSupported(f"activation {layer.function}")
    spare, option = build.new(2 * x.width), codes.FUNCTIONS[layer.function]
    if layer.is_learnt:
        return build.elementwise(codes.LEARNT, x, (f"{path}slope",), spare=spare, option=option)
    return build.elementwise(codes.ACTIVATION, x, spare=spare, option=option)


def _dropout(layer: Dropout, x: Value, path: str, build: Builder) -> Value:
    first = sum(map(len, build.salts))
    build.salts.append(neuron_salts(layer.stream, x.width))
    return build.elementwise(codes.DROPOUT, x, spare=build.new(x.width), option=layer.fixed_point_rate, size0=first)


def _layer_norm(layer: LayerNorm, x: Value, path: str, build: Builder) -> Value:
    return build.elementwise(codes.NORM, x, (f"{path}gain", f"{path}shift"), spare=build.new(x.width + 3))


def _input_scale(layer: InputScale, x: Value, path: str, build: Builder) -> Value:
    return build.elementwise(codes.SCALE, x, (f"{path}scale",))


def _column_mask(layer: ColumnMask, x: Value, path: str, build: Builder) -> Value:
    if x.line != ON_ROWS:
        raise NotSupported("a column mask behind other layers")
    if len(layer.spans) == 1:
        ((start, stop),) = layer.spans
        return x._replace(width=stop - start, first=x.first + start)
    width = layer.n_out(x.width)
    y = Value(width, build.new(width), -1)
    line = y.line
    for start, stop in layer.spans:
        own = stop - start
        build.emit(codes.TAKE, x._replace(width=own, first=x.first + start), Value(own, line, -1))
        line += own
    return y


def _periodic_embedding(layer: PeriodicEmbedding, x: Value, path: str, build: Builder) -> Value:
    first, n = len(build.columns), len(layer.columns)
    if x.delta >= 0:
        raise NotSupported("cosines of columns that learn")
    build.columns += layer.columns
    x, width = build.on_lines(x), layer.n_out(x.width)
    spare = build.new(2 * n * layer.frequencies)
    sizes = {"size0": n, "size1": layer.frequencies, "size2": layer.outputs}
    keys = tuple(f"{path}{name}" for name in ("frequency", "phase", "mixing", "offset"))
    y = Value(width, build.new(width), build.new(width))
    return build.emit(codes.PERIODIC, x, y, keys, spare=spare, option=first, **sizes)


def _category_embedding(layer: CategoryEmbedding, x: Value, path: str, build: Builder) -> Value:
    width = layer.n_out(x.width)
    y = Value(width, build.new(width), build.new(width))
    place = 0
    for start, stop in layer.passthrough_spans(x.width):
        own, part = _part(x, start, stop), _part(y, place, place + stop - start)
        build.emit(codes.TAKE if x.line == ON_ROWS else codes.COPY, own, part)
        place += stop - start
    row = build.offsets[f"{path}table"]
    for start, stop in layer.spans:
        own, part = _part(x, start, stop), _part(y, place, place + layer.size)
        build.emit(codes.EMBED, own, part, (f"{path}table",), p0=row)
        row += (stop - start) * layer.size
        place += layer.size
    return y


def _residual(layer: Residual, x: Value, path: str, build: Builder) -> Value:
    x = build.on_lines(x)
    # The delta of what goes in is that of the layers' input plus that of the sum.
    skip = build.emit(codes.SKIP, x, Value(x.width, x.line, build.new(x.width) if x.delta >= 0 else -1))
    number, y = len(build.ops) - 1, skip
    for place, inner in enumerate(layer.layers):
        y = lower(inner, y, f"{path}{place}.", build)
    total = build.emit(codes.ADD, y, Value(x.width, build.new(x.width), build.new(x.width)), spare=x.line)
    build.ops[number]["spare"] = total.delta
    return total


def _part(value: Value, start: int, stop: int) -> Value:
    """Some columns of a value."""
    if value.line == ON_ROWS:
        return value._replace(width=stop - start, first=value.first + start)
    return Value(stop - start, value.line + start, value.delta if value.delta < 0 else value.delta + start)


Lowering = Callable[[Any, Value, str, Builder], Value]
# By the very type: a subclass may compute something else, and is left to NumPy.
LOWERINGS: dict[type[Layer], Lowering] = {
    Dense: _dense, Activation: _activation, Dropout: _dropout, LayerNorm: _layer_norm, InputScale: _input_scale,
    ColumnMask: _column_mask, PeriodicEmbedding: _periodic_embedding, CategoryEmbedding: _category_embedding,
    Residual: _residual,
}  # fmt: skip
# Of cost functions on their partners.
OUTPUTS = {CrossEntropy: codes.SOFTMAX, BinaryCrossEntropy: codes.SIGMOID, SquaredError: codes.IDENTITY}
# Code of a rule, and its numbers: momentum, whether it is Nesterov's; beta1, beta2; memory, addition, momentum.
RULES: dict[type[UpdateRule], tuple[int, Callable[[Any], tuple[float, ...]]]] = {
    SGD: (codes.MOMENTUM_RULE, lambda rule: (rule.momentum, float(rule.nesterov), 0.0)),
    Adam: (codes.ADAM_RULE, lambda rule: (rule.beta1, rule.beta2, 0.0)),
    AdamW: (codes.ADAM_RULE, lambda rule: (rule.beta1, rule.beta2, 0.0)),
    RMSprop: (codes.ROOT_RULE, lambda rule: (rule.decay, 1.0 - rule.decay, rule.momentum)),
    Adagrad: (codes.ROOT_RULE, lambda rule: (1.0, 1.0, 0.0)),
}


def lower(layer: Layer, x: Value, path: str, build: Builder) -> Value:
    """Add the instructions of a layer whose tensors have keys that begin with `path`; raises NotSupported."""
    if type(layer) not in LOWERINGS:
        raise NotSupported(f"the layer {type(layer).__name__}")
    return LOWERINGS[type(layer)](layer, x, path, build)


def lower_network(network: Network, loss: Loss) -> tuple[Builder, Value]:
    """The instructions of a network and its logits; raises NotSupported for what the engine does not know."""
    if type(loss) not in OUTPUTS or network.output != loss.canonical_activation:
        raise NotSupported(f"{loss.name} on {network.output}")
    build = Builder({placed.key: placed.span.start for placed in network.tensors})
    x = Value(network.n_in, ON_ROWS, -1)
    for place, layer in enumerate(network.layers):
        x = lower(layer, x, f"{place}.", build)
    return build, x


def rule_numbers(rule: UpdateRule) -> tuple[int, NDArray[np.float64]]:
    """Code and numbers of an optimizer's rule, see RULES; raises NotSupported."""
    if type(rule) not in RULES:
        raise NotSupported(f"the optimizer {type(rule).__name__.lower()}")
    code, numbers = RULES[type(rule)]
    return code, np.array(numbers(rule))


def assemble(
    network: Network, loss: Loss, spec: UpdateSpec, batch_size: int, dtype: "np.dtype[Any]", n_threads: int = 1
) -> Program:
    """The program of a network for batches of up to so many rows."""
    build, logits = lower_network(network, loss)
    ops, placed = np.zeros(len(build.ops), OP), {one.key: one for one in network.tensors}
    groups, is_shared = parameter_groups(network, spec), step_work(network, batch_size) >= 2 * WORK_OF_A_BLOCK
    pieces, updates = list[tuple[int, int, int, int]](), list[tuple[int, int, int]]()
    for number, (op, keys) in enumerate(zip(build.ops, build.tensors, strict=True)):
        op["chunks"] = _chunks(op) if is_shared else 0
        for name, value in op.items():
            ops[number][name] = value
        if not keys:
            continue
        tensors = [placed[key] for key in keys]
        is_table = op["code"] == codes.EMBED
        count = 1 if is_table else tensors[0].tensor.shape[0]
        for first, last in pairwise(_cuts(count, op["n_in"] if op["code"] == codes.DENSE else 1)):
            pieces.append((number, first, last, len(updates)))
            for one in tensors:
                start, size = one.span.start, prod(one.tensor.shape) // count
                if is_table:
                    start, size = op["p0"], op["n_in"] * op["n_out"]
                group = next(n for n, group in enumerate(groups) if group.start <= start < group.stop)
                updates.append((start + first * size, start + last * size, group))
    # What is moved last is read first in the next step, and may still be in the cache.
    pieces.reverse()
    sizes = [(last - first) * max(ops[number]["n_in"], 1) for number, first, last, _ in pieces]
    ends = np.cumsum(sizes)
    shares = np.searchsorted(ends, [ends[-1] * rank / n_threads for rank in range(n_threads + 1)])
    return Program(
        ops,
        np.array(pieces, np.int64).reshape(-1, 4),
        np.array([*shares[:-1], len(pieces)], np.int64),
        np.array([*updates, (0, 0, 0)], np.int64),
        np.array([group.factors for group in groups]),
        np.concatenate([*build.salts, np.zeros(1, np.uint32)]),
        np.array([*build.columns, 0], np.int64),
        np.empty(build.n_lines * batch_size, dtype),
        np.empty(batch_size * network.n_in, dtype),
        logits.line,
        logits.delta,
        logits.width,
        OUTPUTS[type(loss)],
        blocks_of_step(network, batch_size),
    )


def blocks_of_step(network: Network, batch_size: int) -> int:
    """Into how many blocks rows are cut, on any number of threads: a power of two, for of three on two one waits."""
    n = min(MOST_BLOCKS, batch_size // ROWS_OF_A_BLOCK, step_work(network, batch_size) // WORK_OF_A_BLOCK)
    return 1 << max(0, n.bit_length() - 1)


def most_threads(network: Network, batch_size: int) -> int:
    """How many threads can share a step."""
    build = [placed.tensor.shape for placed in network.tensors if placed.tensor.group == "weights"]
    if step_work(network, batch_size) < 2 * WORK_OF_A_BLOCK:
        return 1
    chunks = [_chunks({"code": codes.DENSE, "n_out": n_out, "n_in": n_in}) for n_out, n_in in build]
    return max(blocks_of_step(network, batch_size), *chunks)


def _chunks(op: dict[str, int]) -> int:
    """Into how many chunks of neurons, two at least, an instruction is cut; 0 for one whose rows are."""
    if op["code"] != codes.DENSE or op["n_in"] * op["n_out"] < WEIGHTS_IN_CHUNKS:
        return 0
    n_chunks = min(MOST_CHUNKS, op["n_out"] // NEURONS_OF_A_CHUNK)
    return n_chunks if n_chunks > 1 else 0


def _cuts(count: int, size: int) -> list[int]:
    """Where `count` neurons of so many weights each are cut into pieces."""
    return [*range(0, count, max(1, WEIGHTS_OF_A_PIECE // size)), count]
