"""`--to sql`: one SELECT over a table whose columns have the types of the model's columns.

Every step of the computation is a common table expression of its own, materialized, so that nothing is computed twice.
docs/export.md says what the columns must be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mlpcli.errors import MlpError
from mlpcli.export.description import Plain, n_numbers
from mlpcli.export.python.standalone.predictor import answer_columns
from mlpcli.export.regions import read_columns
from mlpcli.export.sql.answers import answers, labels
from mlpcli.export.sql.cells import group_of, inputs, read_cells
from mlpcli.export.sql.regions import Regions
from mlpcli.export.sql.steps import Dialect, Steps, Vector, literal, number, power, quoted, total
from mlpcli.messages import count
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, SELU_ALPHA, SELU_SCALE

# Of the weights and of the knots of scalers: databases take minutes to plan a longer query.
MOST_NUMBERS = 20_000


def sql_query(model: Plain, dialect: Dialect, table: str, kept: Sequence[str] = ()) -> str:
    """The text of the query; `kept` are columns of the table that stand in front of the answers.

    Raises MlpError for a model that is too large for a query.
    """
    size = n_numbers([model])
    if size > MOST_NUMBERS:
        raise MlpError(
            f"--to sql: the model has {count(size, 'number')} (weights, those that scale columns, scores), more than "
            f"the {count(MOST_NUMBERS, 'number')} that a query can carry.\n"
            "Train a smaller network without members, or choose another language."
        )
    steps = Steps(dialect, table, kept)
    columns = read_columns(model)
    cells, is_sound = read_cells(steps, columns)
    steps.pin([is_sound])
    n_columns, group = len(model["columns"]), "0"
    if len(columns) > n_columns:
        with steps.pinned(cells):
            (group,) = steps.add([group_of(model["regions"]["by"], cells[-1])])
        steps.pin([group])
    regions = Regions(steps, model, group) if model.get("regions") else None
    x = inputs(steps, model["columns"], cells[:n_columns], len(model["inputs"]))
    steps.pin(x)
    shown = [f"CASE WHEN {is_sound} = 1 THEN {column} END" for column in _answered(steps, model, regions, x)]
    names = _free(answer_columns(model["target"], regions is not None), kept)
    named = (f"{column} AS {quoted(name)}" for column, name in zip(shown, names, strict=True))
    return steps.text([*map(quoted, kept), *named])


def _answered(steps: Steps, model: Plain, regions: Regions | None, x: Vector) -> Vector:
    """What the columns of answers are, as expressions of the last step."""
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
    found = answers(steps, target, outputs)
    if target["kind"] == "numbers":
        return found if regions is None else regions.ends(folds, found)
    if regions is None:
        return [*labels(steps, target, found), *found]
    steps.pin(found)
    label = steps.add(labels(steps, target, found))
    steps.pin(label)
    shares = []
    for own in folds:
        shares.append(answers(steps, target, own))
        steps.pin(shares[-1])
    sets = regions.sets(shares, label)
    return [*(one for pair in zip(label, sets, strict=True) for one in pair), *found]


def _mean(steps: Steps, members: Sequence[Vector], counts: Sequence[int]) -> Vector:
    """The mean of the outputs of some networks, which is carried to the end."""
    if len(members) == 1:
        return members[0]
    counted = [
        [one if count == 1 else f"{one} * {number(count)}" for one in member]
        for member, count in zip(members, counts, strict=True)
    ]
    found = steps.add(f"{total(each)} / {number(sum(counts))}" for each in zip(*counted, strict=True))
    steps.pin(found)
    return found


def _free(names: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Names of answers that are none of the kept columns."""
    return [f"predicted_{name}" if name in kept else name for name in names]


def _network(steps: Steps, network: Mapping[str, Any], x: Vector, largest: float) -> Vector:
    z = _chain(steps, network["layers"], x)
    if network["output"] == "softmax":
        return softmax(steps, z)
    if network["output"] == "exp":  # beyond it the outputs of the model are infinite
        return steps.add(f"CASE WHEN EXP({power(one)}) <= {literal(largest)} THEN EXP({power(one)}) END" for one in z)
    return z if network["output"] == "identity" else steps.add(map(ACTIVATIONS[network["output"]], z))


def _chain(steps: Steps, layers: Iterable[Mapping[str, Any]], x: Vector) -> Vector:
    for layer in layers:
        x = LAYERS[layer["layer"]](steps, layer, x)
    return x


def _weighted(weights: Sequence[float], x: Vector) -> str:
    """Sum of weights times columns."""
    return total([f"{number(weight)} * {one}" for weight, one in zip(weights, x, strict=True) if weight])


def _dense(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    biases = layer["b"] or [0.0] * len(layer["W"])
    return steps.add(
        f"{_weighted(weights, x)} + {number(bias)}" for weights, bias in zip(layer["W"], biases, strict=True)
    )


def _activation(steps: Steps, layer: Mapping[str, Any], z: Vector) -> Vector:
    f = ACTIVATIONS[layer["function"]]
    if layer["slope"] is None:
        return z if layer["function"] == "identity" else steps.add(map(f, z))
    return steps.add(f"{one} + {number(s)} * ({f(one)} - {one})" for one, s in zip(z, layer["slope"], strict=True))


def softmax(steps: Steps, z: Vector) -> Vector:
    """exp(z) / sum(exp(z))."""
    with steps.pinned(z):
        (highest,) = steps.add([steps.largest(z)])
        powers = steps.add(f"EXP({power(f'({one} - {highest})')})" for one in z)
    return shared(steps, powers)


def shared(steps: Steps, parts: Vector) -> Vector:
    """Each part of the sum of all."""
    with steps.pinned(parts):
        (whole,) = steps.add([total(parts)])
        return steps.add(f"{part} / {whole}" for part in parts)


def _layer_norm(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    n = number(len(x))
    with steps.pinned(x):
        (mean,) = steps.add([f"{total(x)} / {n}"])
        centered = steps.add(f"{one} - {mean}" for one in x)
    with steps.pinned(centered):
        squares = total([f"{one} * {one}" for one in centered])
        (deviation,) = steps.add([f"SQRT({squares} / {n} + {number(layer['epsilon'])})"])
        scaled = zip(centered, layer["gain"], layer["shift"], strict=True)
        return steps.add(f"{one} / {deviation} * {number(gain)} + {number(shift)}" for one, gain, shift in scaled)


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
                    f"{_weighted(weights, waves[start : start + width])} + {number(offset)}"
                    for start, mixing, offsets in zip(starts, layer["mixing"], layer["offset"], strict=True)
                    for weights, offset in zip(mixing, offsets, strict=True)
                ),
            ]
        )


def _embed(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    found = [x[index] for index in layer["kept"]]
    for first, table in zip(layer["firsts"], layer["tables"], strict=True):
        found += [_weighted(column, x[first : first + len(table)]) for column in zip(*table, strict=True)]
    return steps.add(found)


def _residual(steps: Steps, layer: Mapping[str, Any], x: Vector) -> Vector:
    with steps.pinned(x):
        return steps.add(f"{one} + {y}" for one, y in zip(x, _chain(steps, layer["layers"], x), strict=True))


LAYERS: dict[str, Callable[[Steps, Mapping[str, Any], Vector], Vector]] = {
    "dense": _dense,
    "activation": _activation,
    "softmax": lambda steps, _, z: softmax(steps, z),
    "layer_norm": _layer_norm,
    "scale": lambda steps, layer, x: steps.add(
        f"{one} * {number(factor)}" for one, factor in zip(x, layer["factors"], strict=True)
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


# Of a column z, which an expression may name several times.
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
