"""`--to onnx`: a model as an ONNX graph (opset 18, ai.onnx.ml 3), from cells to labels."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from mlpcli import __version__
from mlpcli.errors import MlpError
from mlpcli.export.description import Plain
from mlpcli.export.onnx.cells import inputs
from mlpcli.export.onnx.decode import decode, labels
from mlpcli.export.onnx.nodes import Nodes
from mlpcli.export.onnx.regions import Regions
from mlpcli.export.python.standalone.predictor import prediction_columns
from mlpcli.export.regions import n_read, read_columns
from mlpcli.nn.activations import GELU_CUBE, GELU_ROOT, LEAK, SELU_ALPHA, SELU_SCALE

Layer = Mapping[str, Any]
OPSETS = (("", 18), ("ai.onnx.ml", 3))
IR = 8  # that of onnx 1.13, the first version with opset 18
INSTALL = 'pip install "mlp-train[onnx]"'


def _mean(nodes: Nodes, members: Sequence[str], counts: Sequence[int]) -> str:
    """The mean of the outputs of some networks, weighted by their counts, in double precision."""
    total = ""
    for own, count in zip(members, counts, strict=True):
        if len(members) > 1 and count > 1:
            own = nodes.add("Mul", own, nodes.const(np.asarray(count, nodes.dtype_of(own))))
        total = nodes.add("Add", total, own) if total else own
    if len(members) == 1:
        return nodes.double(total)
    return nodes.double(nodes.add("Div", total, nodes.const(np.asarray(sum(counts), nodes.dtype_of(total)))))


def _predictions(nodes: Nodes, model: Plain, x: str) -> tuple[str, list[str], Regions | None]:
    """The predictions, those of each fold (raw outputs of numbers, probabilities of labels), and the regions."""
    networks, target, regions = model["networks"], model["target"], model.get("regions")
    n_in, counts = len(model["inputs"]), [network["count"] for network in networks]
    own = nodes.columns(x, 0, n_in) if n_read(model) > n_in else x
    members = [_network(nodes, network, own) for network in networks]
    outputs, n_outputs = _mean(nodes, members, counts), model["n_outputs"]
    if not regions:
        return decode(nodes, target, outputs, n_outputs), [], None
    n_folds = regions["n_folds"]
    folds = [_mean(nodes, members[fold::n_folds], counts[fold::n_folds]) for fold in range(n_folds)]
    if target["kind"] != "numbers":
        folds = [decode(nodes, target, own, n_outputs) for own in folds]
    elif regions["has_quantiles"]:
        outputs = nodes.columns(outputs, len(target["names"]), len(target["names"]))
    return decode(nodes, target, outputs, n_outputs), folds, Regions(nodes, model, x)


def onnx_model(model: Plain, record: Mapping[str, Any], dtype: str) -> bytes:
    """The bytes of the file; `record` is stored in its metadata.

    Raises MlpError if the package onnx is not installed, and for a model that a graph cannot represent.
    """
    onnx = load_onnx()
    nodes = Nodes(onnx, dtype)
    x, is_invalid = inputs(nodes, read_columns(model), n_read(model))
    predictions, folds, regions = _predictions(nodes, model, x)
    if model["target"]["kind"] == "numbers" and regions is not None:
        predictions = regions.ends(folds, predictions)
    predictions = nodes.add("Where", is_invalid, nodes.const(np.asarray(np.nan)), predictions)
    set_of = None if regions is None else partial(regions.prediction_set, folds)
    _outputs(nodes, model, predictions, is_invalid, set_of)
    helper = onnx.helper
    graph = helper.make_graph(nodes.nodes, "mlp", nodes.inputs, nodes.outputs, nodes.constants)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
    proto = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR, producer_name="mlp", producer_version=__version__
    )
    metadata = {
        "columns": json.dumps(_schema(model), ensure_ascii=False),
        "record": json.dumps(record, ensure_ascii=False),
    }
    helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def load_onnx() -> Any:
    """The package onnx; raises MlpError if it is not installed."""
    try:
        import_module("onnx.checker")
        return import_module("onnx")
    except ImportError as error:
        raise MlpError(f"--to onnx: needs the package onnx. Install it with: {INSTALL}") from error


def _schema(model: Plain) -> list[dict[str, str]]:
    return [{"name": column["name"], "role": column["role"]} for column in read_columns(model)]


def _outputs(
    nodes: Nodes, model: Plain, predictions: str, is_invalid: str, set_of: Callable[[int, str], str] | None
) -> None:
    """Graph outputs: each target's label and set, and all probabilities; for numbers each prediction and interval end.

    `set_of` makes the set of a target from the indices of its predicted labels (n_rows,). A row that cannot be
    predicted has NaN for every number, "" for a label that is a text, and an empty set.
    """
    target = model["target"]
    columns = prediction_columns(target, bool(model.get("regions")))
    *names, last = _distinct(
        [*columns[: -len(target["answers"])], "probabilities"] if target["kind"] != "numbers" else [*columns, ""],
        [column["name"] for column in read_columns(model)],
    )
    if target["kind"] == "numbers":
        for index, name in enumerate(names):
            nodes.output(name, nodes.column(predictions, index), np.float64, (None, 1))
        return
    free_names = iter(names)
    for index, (values, indices) in enumerate(labels(nodes, target, predictions)):
        own_set = set_of and set_of(index, indices)
        if values.dtype == object:
            has_no_label = nodes.add("Squeeze", is_invalid, nodes.const(np.asarray([1])))
            indices = nodes.add("Where", has_no_label, nodes.const(np.asarray(len(values))), indices)
            values = np.append(values, "")
        nodes.output(next(free_names), nodes.add("Gather", nodes.const(values), indices), values.dtype, (None,))
        if own_set:
            own_set = nodes.add("And", own_set, nodes.add("Not", is_invalid))
            nodes.output(next(free_names), own_set, np.bool_, (None, len(target["labels"][index])))
    probabilities = nodes.add("Cast", predictions, to=nodes.type_of(np.float32))
    nodes.output(last, probabilities, np.float32, (None, len(target["answers"])))


def _distinct(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The names, with `_` appended until they differ from each other and from the input names."""
    distinct: list[str] = []
    for name in names:
        while name in taken or name in distinct:
            name += "_"
        distinct.append(name)
    return distinct


def _network(nodes: Nodes, network: Layer, x: str) -> str:
    z = _chain(nodes, network["layers"], x)
    if network["output"] == "softmax":
        return nodes.add("Softmax", z, axis=-1)
    if network["output"] == "sigmoid":  # near 1, float32 loses the digits of 1 - a
        z = nodes.double(z)
    return ACTIVATIONS[network["output"]](nodes, z)


def _chain(nodes: Nodes, layers: Iterable[Layer], x: str) -> str:
    for layer in layers:
        x = LAYERS[layer["layer"]](nodes, layer, x)
    return x


def _dense(nodes: Nodes, layer: Layer, x: str) -> str:
    z = nodes.add("MatMul", x, nodes.weights(np.asarray(layer["W"]).T))
    return z if layer["b"] is None else nodes.add("Add", z, nodes.weights(layer["b"]))


def _activation(nodes: Nodes, layer: Layer, z: str) -> str:
    a = ACTIVATIONS[layer["function"]](nodes, z)
    if layer["slope"] is None:
        return a
    return nodes.add("Add", z, nodes.add("Mul", nodes.weights(layer["slope"]), nodes.add("Sub", a, z)))


def _layer_norm(nodes: Nodes, layer: Layer, x: str) -> str:
    mean = nodes.add("ReduceMean", x, nodes.const(np.asarray([-1])))
    centered = nodes.add("Sub", x, mean)
    variance = nodes.add("ReduceMean", nodes.add("Mul", centered, centered), nodes.const(np.asarray([-1])))
    deviation = nodes.add("Sqrt", nodes.add("Add", variance, nodes.weights(layer["epsilon"])))
    scaled = nodes.add("Mul", nodes.add("Div", centered, deviation), nodes.weights(layer["gain"]))
    return nodes.add("Add", scaled, nodes.weights(layer["shift"]))


def _periodic(nodes: Nodes, layer: Layer, x: str) -> str:
    columns = nodes.add("Gather", x, nodes.const(np.asarray(layer["columns"])), axis=1)
    each = nodes.add("Unsqueeze", columns, nodes.const(np.asarray([2])))
    angle = nodes.add(
        "Add", nodes.add("Mul", each, nodes.weights([layer["frequency"]])), nodes.weights([layer["phase"]])
    )
    waves = nodes.add("Transpose", nodes.add("Cos", angle), perm=[1, 0, 2])  # (n_columns, n_rows, n_waves)
    mixed = nodes.add("MatMul", waves, nodes.weights(np.asarray(layer["mixing"]).swapaxes(1, 2)))
    by_row = nodes.add("Transpose", mixed, perm=[1, 0, 2])
    shifted = nodes.add("Add", by_row, nodes.weights([layer["offset"]]))
    n_outputs = np.asarray(layer["offset"]).size
    return nodes.add("Concat", x, nodes.add("Reshape", shifted, nodes.const(np.asarray([-1, n_outputs]))), axis=1)


def _embed(nodes: Nodes, layer: Layer, x: str) -> str:
    blocks = [nodes.add("Gather", x, nodes.const(np.asarray(layer["kept"])), axis=1)] if layer["kept"] else []
    for first, table in zip(layer["firsts"], layer["tables"], strict=True):
        one_hot = nodes.add("Gather", x, nodes.const(np.arange(first, first + len(table))), axis=1)
        blocks.append(nodes.add("MatMul", one_hot, nodes.weights(table)))
    return nodes.add("Concat", *blocks, axis=1)


LAYERS: dict[str, Callable[[Nodes, Layer, str], str]] = {
    "dense": _dense,
    "activation": _activation,
    "softmax": lambda nodes, _, z: nodes.add("Softmax", z, axis=-1),
    "layer_norm": _layer_norm,
    "scale": lambda nodes, layer, x: nodes.add("Mul", x, nodes.weights(layer["factors"])),
    "select": lambda nodes, layer, x: nodes.add("Gather", x, nodes.const(np.asarray(layer["indices"])), axis=1),
    "periodic": _periodic,
    "embed": _embed,
    "residual": lambda nodes, layer, x: nodes.add("Add", x, _chain(nodes, layer["layers"], x)),
}


def _sigmoid(nodes: Nodes, z: str) -> str:
    one = nodes.like(1.0, z)
    return nodes.add("Div", one, nodes.add("Add", one, nodes.add("Exp", nodes.add("Neg", z))))


def _gelu(nodes: Nodes, z: str) -> str:
    one = nodes.like(1.0, z)
    inner = nodes.add("Add", one, nodes.add("Mul", nodes.like(GELU_CUBE, z), nodes.add("Mul", z, z)))
    angle = nodes.add("Mul", nodes.like(GELU_ROOT, z), nodes.add("Mul", z, inner))
    half = nodes.add("Mul", nodes.like(0.5, z), z)
    return nodes.add("Mul", half, nodes.add("Add", one, nodes.add("Tanh", angle)))


ACTIVATIONS: dict[str, Callable[[Nodes, str], str]] = {
    "identity": lambda nodes, z: z,
    "sigmoid": _sigmoid,
    "tanh": lambda nodes, z: nodes.add("Tanh", z),
    "relu": lambda nodes, z: nodes.add("Relu", z),
    "leaky_relu": lambda nodes, z: nodes.add("Max", z, nodes.add("Mul", nodes.like(LEAK, z), z)),
    "elu": lambda nodes, z: _elu(nodes, z, 1.0, 1.0),
    "selu": lambda nodes, z: _elu(nodes, z, SELU_SCALE, SELU_ALPHA),
    "softplus": lambda nodes, z: _softplus(nodes, z),
    "silu": lambda nodes, z: nodes.add("Mul", z, _sigmoid(nodes, z)),
    "gelu": _gelu,
    "mish": lambda nodes, z: nodes.add("Mul", z, nodes.add("Tanh", _softplus(nodes, z))),
    "exp": lambda nodes, z: nodes.add("Exp", z),
}


def _elu(nodes: Nodes, z: str, scale: float, alpha: float) -> str:
    """scale z for z > 0, otherwise scale alpha (exp(z) - 1)."""
    zero = nodes.like(0.0, z)
    below = nodes.add("Sub", nodes.add("Exp", nodes.add("Min", z, zero)), nodes.like(1.0, z))
    above = nodes.add("Mul", nodes.like(scale, z), nodes.add("Max", z, zero))
    return nodes.add("Add", above, nodes.add("Mul", nodes.like(scale * alpha, z), below))


def _softplus(nodes: Nodes, z: str) -> str:
    """max(z, 0) + log(1 + exp(-|z|)), which cannot overflow."""
    small = nodes.add("Exp", nodes.add("Neg", nodes.add("Abs", z)))
    return nodes.add(
        "Add", nodes.add("Max", z, nodes.like(0.0, z)), nodes.add("Log", nodes.add("Add", nodes.like(1.0, z), small))
    )
