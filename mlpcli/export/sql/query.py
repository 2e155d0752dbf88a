"""`--to sql`: one SELECT over a table whose columns have the types of the model's columns.

Each step of the computation is a materialized common table expression, so that nothing is computed twice.
docs/export.md lists the column types.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mlpcli.errors import MlpError
from mlpcli.export.description import Plain, n_numbers
from mlpcli.export.python.standalone.predictor import prediction_columns
from mlpcli.export.regions import read_columns
from mlpcli.export.sql.cells import group_of, inputs, read_cells
from mlpcli.export.sql.decode import decode, labels, normalize
from mlpcli.export.sql.regions import Regions
from mlpcli.export.sql.steps import Dialect, Steps, Vector, literal, number, power, quoted, total
from mlpcli.messages import format_count
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, SELU_ALPHA, SELU_SCALE

# Limit for weights, scaler parameters and scores together: databases take minutes to plan a longer query.
MOST_NUMBERS = 20_000


def sql_query(model: Plain, dialect: Dialect, table: str, kept: Sequence[str] = ()) -> str:
    """The query; `kept` are columns of the table that precede the predictions.

    Raises MlpError for a model that is too large for a query.
    """
    size = n_numbers([model])
    if size > MOST_NUMBERS:
        raise MlpError(
            f"--to sql: the model has {format_count(size, 'number')} (weights, those that scale columns, scores), "
            f"more than the {format_count(MOST_NUMBERS, 'number')} that a query can carry.\n"
            "Train a smaller network without members, or choose another language."
        )
    steps = Steps(dialect, table, kept)
    columns = read_columns(model)
    cells, is_valid = read_cells(steps, columns)
    steps.pin([is_valid])
    n_columns, group = len(model["columns"]), "0"
    if len(columns) > n_columns:
        with steps.pinned(cells):
            (group,) = steps.add([group_of(model["regions"]["by"], cells[-1])])
        steps.pin([group])
    regions = Regions(steps, model, group) if model.get("regions") else None
    x = inputs(steps, model["columns"], cells[:n_columns], len(model["inputs"]))
    steps.pin(x)
    shown = [f"CASE WHEN {is_valid} = 1 THEN {column} END" for column in _predictions(steps, model, regions, x)]
    names = prediction_columns(model["target"], regions is not None)
    names = [f"predicted_{name}" if name in kept else name for name in names]
    named = (f"{column} AS {quoted(name)}" for column, name in zip(shown, names, strict=True))
    return steps.text([*map(quoted, kept), *named])


def _predictions(steps: Steps, model: Plain, regions: Regions | None, x: Vector) -> Vector:
    """The prediction columns as expressions over the last step."""
    target, networks = model["target"], model["networks"]
    members, counts = [], [network["count"] for network in networks]
    for network in networks:
        members.append(_network(steps, network, x, model["largest_input"]))
        steps.pin(members[-1])
    n_folds = 0 if regions is None else model["regions"]["n_folds"]
    folds = [_mean(steps, members[fold::n_folds], counts[fold::n_folds]) for fold in range(n_folds)]
    outputs = _mean(steps, members, counts)
    if regions is not None and model["regions"].get("has_quantiles"):
        outputs = outputs[len(target["names"]) : 2 * len(target["names"])]
    decoded = decode(steps, target, outputs)
    if target["kind"] == "numbers":
        return decoded if regions is None else regions.ends(folds, decoded)
    if regions is None:
        return [*labels(steps, target, decoded), *decoded]
    steps.pin(decoded)
    label = steps.add(labels(steps, target, decoded))
    steps.pin(label)
    by_fold = []
    for own in folds:
        by_fold.append(decode(steps, target, own))
        steps.pin(by_fold[-1])
    sets = regions.sets(by_fold, label)
    return [*(column for pair in zip(label, sets, strict=True) for column in pair), *decoded]


def _mean(steps: Steps, members: Sequence[Vector], counts: Sequence[int]) -> Vector:
    """The weighted mean of the outputs of some networks, pinned to the end of the query."""
    if len(members) == 1:
        return members[0]
    weighted = [
        [column if count == 1 else f"{column} * {number(count)}" for column in member]
        for member, count in zip(members, counts, strict=True)
    ]
    mean = steps.add(f"{total(terms)} / {number(sum(counts))}" for terms in zip(*weighted, strict=True))
    steps.pin(mean)
    return mean


def _network(steps: Steps, network: Mapping[str, Any], x: Vector, largest: float) -> Vector:
    z = _chain(steps, network["layers"], x)
    if network["output"] == "softmax":
        return softmax(steps, z)
    if network["output"] == "exp":  # larger outputs overflow in the model
        return steps.add(f"CASE WHEN EXP({power(zi)}) <= {literal(largest)} THEN EXP({power(zi)}) END" for zi in z)
    return z if network["output"] == "identity" else steps.add(map(ACTIVATIONS[network["output"]], z))


def _chain(steps: Steps, layers: Iterable[Mapping[str, Any]], x: Vector) -> Vector:
    for layer in layers:
        x = LAYERS[layer["layer"]](steps, layer, x)
    return x


def _weighted_sum(weights: Sequence[float], x: Vector) -> str:
    return total([f"{number(weight)} * {xi}" for weight, xi in zip(weights, x, strict=True) if weight])


def _dense(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    biases = layer["b"] or [0.0] * len(layer["W"])
    return steps.add(
        f"{_weighted_sum(weights, x)} + {number(bias)}" for weights, bias in zip(layer["W"], biases, strict=True)
    )


def _activation(steps: Steps, layer: Mapping[str, Any], z: Vector) -> Vector:
    f = ACTIVATIONS[layer["function"]]
    if layer["slope"] is None:
        return z if layer["function"] == "identity" else steps.add(map(f, z))
    return steps.add(f"{zi} + {number(s)} * ({f(zi)} - {zi})" for zi, s in zip(z, layer["slope"], strict=True))


def softmax(steps: Steps, z: Vector) -> Vector:
    """exp(z) / sum(exp(z))."""
    with steps.pinned(z):
        (highest,) = steps.add([steps.largest(z)])
        powers = steps.add(f"EXP({power(f'({zi} - {highest})')})" for zi in z)
    return normalize(steps, powers)


def _layer_norm(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    n = number(len(x))
    with steps.pinned(x):
        (mean,) = steps.add([f"{total(x)} / {n}"])
        centered = steps.add(f"{xi} - {mean}" for xi in x)
    with steps.pinned(centered):
        squares = total([f"{xi} * {xi}" for xi in centered])
        (deviation,) = steps.add([f"SQRT({squares} / {n} + {number(layer['epsilon'])})"])
        scaled = zip(centered, layer["gain"], layer["shift"], strict=True)
        return steps.add(f"{xi} / {deviation} * {number(gain)} + {number(shift)}" for xi, gain, shift in scaled)


def _periodic(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    with steps.pinned(x):
        angles = [
            f"COS({number(frequency)} * {x[column]} + {number(phase)})"
            for column, *pairs in zip(layer["columns"], layer["frequency"], layer["phase"], strict=True)
            for frequency, phase in zip(*pairs, strict=True)
        ]
        waves, width = steps.add(angles), len(layer["phase"][0])
        starts = range(0, len(waves), width)
        return steps.add(
            [
                *x,
                *(
                    f"{_weighted_sum(weights, waves[start : start + width])} + {number(offset)}"
                    for start, mixing, offsets in zip(starts, layer["mixing"], layer["offset"], strict=True)
                    for weights, offset in zip(mixing, offsets, strict=True)
                ),
            ]
        )


def _embed(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    h = [x[index] for index in layer["kept"]]
    for first, table in zip(layer["firsts"], layer["tables"], strict=True):
        h += [_weighted_sum(column, x[first : first + len(table)]) for column in zip(*table, strict=True)]
    return steps.add(h)


def _residual(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    with steps.pinned(x):
        return steps.add(f"{xi} + {y}" for xi, y in zip(x, _chain(steps, layer["layers"], x), strict=True))


LAYERS: dict[str, Callable[[Steps, Mapping[str, Any], Vector], Vector]] = {
    "dense": _dense,
    "activation": _activation,
    "softmax": lambda steps, _, z: softmax(steps, z),
    "layer_norm": _layer_norm,
    "scale": lambda steps, layer, x: steps.add(
        f"{xi} * {number(factor)}" for xi, factor in zip(x, layer["factors"], strict=True)
    ),
    "select": lambda steps, layer, x: [x[index] for index in layer["indices"]],
    "periodic": _periodic,
    "embed": _embed,
    "residual": _residual,
}


def _logistic(z: str) -> str:
    return f"1e0 / (1e0 + EXP({power(f'(-{z})')}))"


def _tanh(z: str) -> str:
    return f"1e0 - 2e0 / (EXP({power(f'(2e0 * {z})')}) + 1e0)"


def _above_zero(z: str, below: str) -> str:
    return f"CASE WHEN {z} > 0e0 THEN {z} ELSE {below} END"


def _mish(z: str) -> str:
    e = f"EXP(CASE WHEN {z} > 20e0 THEN 20e0 WHEN {z} < -70e0 THEN -70e0 ELSE {z} END)"
    return f"{z} * {e} * ({e} + 2e0) / ({e} * ({e} + 2e0) + 2e0)"


def _gelu(z: str) -> str:
    inner = f"({number(GELU_ROOT)} * {z} * (1e0 + {number(GELU_CUBE)} * {z} * {z}))"
    return f"{z} * 0.5e0 * (1e0 + ({_tanh(inner)}))"


# Expressions of a column z, which may occur several times.
ACTIVATIONS: dict[str, Callable[[str], str]] = {
    "identity": lambda z: z,
    "sigmoid": _logistic,
    "tanh": _tanh,
    "relu": lambda z: _above_zero(z, "0e0"),
    "leaky_relu": lambda z: _above_zero(z, f"{number(LEAK)} * {z}"),
    "elu": lambda z: _above_zero(z, f"EXP({power(z)}) - 1e0"),
    "selu": lambda z: f"{number(SELU_SCALE)} * ({_above_zero(z, f'{number(SELU_ALPHA)} * (EXP({power(z)}) - 1e0)')})",
    "softplus": lambda z: f"({_above_zero(z, '0e0')}) + LN(1e0 + EXP({power(f'(-ABS({z}))')}))",
    "silu": lambda z: f"{z} * ({_logistic(z)})",
    "gelu": _gelu,
    "mish": _mish,
}
