"""A model as plain data, from cells to predictions: the source of every export. docs/export.md describes it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.layout import Spans, input_spans
from mlpcli.data.features.numeric import NumericFit, unpack_numeric
from mlpcli.data.schema.cells import canonical_texts, marker_numbers
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.spelling import canonical, is_code, plain_number
from mlpcli.data.targets.target import BooleanTarget, ClassTarget, NumberTarget, Target, prediction_names, typed_labels
from mlpcli.errors import MlpError
from mlpcli.model import MAX_PREDICTION, Model
from mlpcli.nn.chain import Chain, Residual
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding, Span
from mlpcli.nn.layers import EPSILON, Activation, Dense, Dropout, InputScale, Layer, LayerNorm, Softmax, Tensors

FORMAT = 1

Plain = dict[str, Any]


def describe(model: Model) -> Plain:
    """Columns, networks and target of a model as JSON values; raises MlpError for an unknown layer."""
    columns, spans = model.preprocessor.columns, input_spans(model.preprocessor.columns)
    fits = unpack_numeric(columns, model.preprocessor.state)
    missing = model.reading.missing
    networks = networks_of(model)
    return {
        "format": FORMAT,
        "kind": "mlp model",
        "task": model.target.task,
        "columns": [_column(feature, spans, fits, missing) for feature in columns],
        "inputs": list(model.preprocessor.feature_names),
        "largest_input": float(np.finfo(model.ensemble.dtype).max),
        "networks": networks,
        "n_outputs": len(networks[0]["layers"][-1]["W"]),
        "target": _target(model),
    }


def networks_of(model: Model, with_quantiles: bool = False) -> list[Plain]:
    """The layers of each member, and its count in the mean.

    Of a quantile regression only the outputs of the predictions, unless `with_quantiles`. Raises MlpError for an
    unknown layer.
    """
    members = zip(model.ensemble.networks, model.ensemble.flats, model.ensemble.member_counts, strict=True)
    networks: list[Plain] = [
        {
            "layers": _layers(network.chain, network.n_in, network.unflatten(flat)),
            "output": network.output,
            "count": count,
        }
        for network, flat, count in members
    ]
    if isinstance(model.target, NumberTarget) and model.target.fitted and not with_quantiles:
        kept = model.target.prediction_outputs
        for network in networks:
            if network["output"] == "softmax":
                raise MlpError("a softmax over the outputs of several quantiles cannot be exported.")
            last = network["layers"][-1]
            last |= {"W": last["W"][kept], "b": None if last["b"] is None else last["b"][kept]}
    return networks


def n_numbers(networks: Sequence[Plain]) -> int:
    """The number of weights and other floats in a description."""

    def size(value: Any) -> int:
        if isinstance(value, dict):
            return sum(map(size, value.values()))
        if isinstance(value, list):
            return sum(map(size, value))
        return int(isinstance(value, float))

    return size(list(networks))


def spellings_of(level: str) -> list[str]:
    """A level, and for an integer also its spelling as a float (`1.0` for `1`)."""
    is_integer = not is_code(level) and plain_number(level) is not None and level.lstrip("-").isdigit()
    return [level, f"{level}.0"] if is_integer else [level]


def _column(feature: Feature, spans: Spans, fits: Mapping[str, NumericFit], missing: Sequence[str]) -> Plain:
    """How the cells of a column are read, and which inputs they fill."""
    plain: Plain = {"name": feature.name, "role": feature.role, **reading_of(feature.schema, missing)}
    if feature.is_numeric:
        plain |= _numeric(feature, spans, fits[feature.name])
    elif feature.role == "boolean" or feature.is_signed:
        plain["sign"] = spans["sign", feature.name].start
        plain["levels"] = [] if feature.role == "boolean" else list(feature.levels)
    else:
        first = spans["level", feature.name].start
        end = first + len(feature.levels)
        plain["levels"] = list(feature.levels)
        plain["first"] = first
        plain["missing_level"] = end if feature.has_missing_level else None
        plain["other_level"] = end + feature.has_missing_level if feature.has_other_level else None
    plain["flag"] = spans["flag", feature.flag_of].start if feature.flag_of else None
    plain["refuses_missing"] = feature.refuses_missing
    return plain


def reading_of(schema: ColumnSchema, missing: Sequence[str]) -> Plain:
    """How the texts of a column are read; `missing` are the missing-value markers of columns without their own."""
    markers = frozenset(missing if schema.missing is None else schema.missing) | {""}
    is_numeric = schema.role in ("number", "date")
    spelled = {*map(canonical, markers), *(() if is_numeric else canonical_texts(sorted(markers), schema.number))}
    plain: Plain = {"missing": sorted(spelled)}
    if schema.role == "number":
        plain["missing_numbers"] = marker_numbers(markers, schema.number).tolist()
    if schema.role == "date":
        plain["date_format"] = schema.date_format
    else:
        plain["number"] = dict(vars(schema.number))
    if not is_numeric:
        plain["words"] = list(schema.levels)  # boolean words, also of a category whose levels are such words
    return plain


def _numeric(feature: Feature, spans: Spans, fit: NumericFit) -> Plain:
    plain: Plain = {"at": spans["numeric", feature.name].start, "fill": fit.fill}
    if len(fit.quantiles):
        plain["quantiles"], plain["scores"] = fit.quantiles.tolist(), fit.scores.tolist()
    else:
        plain |= {"center": fit.center, "scale": fit.scale, "clip": fit.clip}
    if len(fit.edges):
        first = spans["bins", feature.name].start
        plain["bins"] = {"first": first, "edges": fit.edges.tolist(), "span": fit.span}
    if feature.role == "date":
        plain["cycles"] = {"first": spans["cycle", feature.name].start, "has_time": feature.has_time}
    return plain


def _layers(chain: Chain, n_in: int, tensors: Any) -> list[Plain]:
    """Every layer in order, with its tensors as nested lists; dropout, inactive in predictions, is omitted."""
    layers: list[Plain] = []
    for layer, own, width in zip(chain.layers, tensors, chain.widths(n_in), strict=False):
        if type(layer) is Residual:
            layers.append({"layer": "residual", "layers": _layers(layer, width, own)})
        elif type(layer) is not Dropout:
            name, describe_layer = LAYERS.get(type(layer), ("", None))
            if describe_layer is None:
                raise MlpError(f"the layer {type(layer).__name__} cannot be exported.")
            layers.append({"layer": name, **describe_layer(layer, own, width)})
    return layers


def _dense(layer: Dense, own: Tensors, n_in: int) -> Plain:
    return {"W": own["W"].tolist(), "b": own["b"].tolist() if layer.has_bias else None}


def _activation(layer: Activation, own: Tensors, n_in: int) -> Plain:
    return {"function": layer.function, "slope": own["slope"].tolist() if layer.is_learnt else None}


def _layer_norm(layer: LayerNorm, own: Tensors, n_in: int) -> Plain:
    return {"gain": own["gain"].tolist(), "shift": own["shift"].tolist(), "epsilon": EPSILON}


def _periodic(layer: PeriodicEmbedding, own: Tensors, n_in: int) -> Plain:
    frequency = (own["frequency"].astype(np.float64) * (2.0 * np.pi)).tolist()
    rest = {name: own[name].tolist() for name in ("phase", "mixing", "offset")}
    return {"columns": list(layer.columns), "frequency": frequency, **rest}


def _category_embedding(layer: CategoryEmbedding, own: Tensors, n_in: int) -> Plain:
    tables = [own["table"][rows].tolist() for _, rows, _ in layer.embedding_slices(n_in)]
    firsts = [start for start, _ in layer.spans]
    return {"kept": _indices(layer.passthrough_spans(n_in)), "firsts": firsts, "tables": tables}


# By exact type, because a subclass may compute something else.
LAYERS: dict[type[Layer], tuple[str, Callable[[Any, Tensors, int], Plain]]] = {
    Dense: ("dense", _dense),
    Activation: ("activation", _activation),
    Softmax: ("softmax", lambda layer, own, n_in: {}),
    LayerNorm: ("layer_norm", _layer_norm),
    InputScale: ("scale", lambda layer, own, n_in: {"factors": own["scale"].tolist()}),
    ColumnMask: ("select", lambda layer, own, n_in: {"indices": _indices(layer.spans)}),
    PeriodicEmbedding: ("periodic", _periodic),
    CategoryEmbedding: ("embed", _category_embedding),
}


def _indices(spans: Sequence[Span]) -> list[int]:
    return [index for start, stop in spans for index in range(start, stop)]


def _target(model: Model) -> Plain:
    target, state = model.target, model.target_state
    plain: Plain = {"kind": target.kind, "names": list(target.names), "answers": list(prediction_names(target))}
    plain |= {name: state[name].tolist() for name in state if name not in ("target_quantiles", "target_scores")}
    if isinstance(target, NumberTarget):
        ends = np.cumsum(target.n_quantiles)[:-1]
        plain["transform"] = target.transform
        plain["largest"] = MAX_PREDICTION if target.transform in ("standardize", "scale") else None
        for name in ("target_quantiles", "target_scores"):
            if name in state:
                plain[name] = [part.tolist() for part in np.split(state[name], ends)]
        return plain
    return plain | {"labels": _labels(target), "values": _values(target)}


def _labels(target: Target) -> list[list[str]]:
    """The labels of each target column as texts."""
    if isinstance(target, ClassTarget):
        return [list(target.labels)]
    assert isinstance(target, BooleanTarget)
    return [list(levels) for levels in target.levels]


def _values(target: ClassTarget | BooleanTarget) -> list[list[Any]]:
    """The labels of each target column as numbers or booleans if its cells are such, otherwise as texts."""
    values = []
    for labels, cell_type in zip(_labels(target), target.cell_types, strict=True):
        is_plain = cell_type == "bool" or cell_type.startswith(("int", "uint", "float"))
        values.append(typed_labels(labels, cell_type).tolist() if is_plain else list(labels))
    return values
