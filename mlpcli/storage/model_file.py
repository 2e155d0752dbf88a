"""weights.npz: one file that holds a whole model. docs/file-format.md describes it for readers without mlpcli."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.columns import Feature
from mlpcli.data.features.preprocessor import Preprocessor
from mlpcli.data.reference import ReferenceProfile, find_fault
from mlpcli.data.row_sketch import RowSketch
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.dates import DATE_FORMATS
from mlpcli.data.table import TableFormat
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target, typed_labels
from mlpcli.errors import ModelFileError
from mlpcli.model import Model
from mlpcli.nn.activations import OUTPUT_ACTIVATIONS
from mlpcli.nn.chain import Chain, Residual
from mlpcli.nn.ensemble import Ensemble, member_prefixes
from mlpcli.nn.layers import Dense, Layer
from mlpcli.nn.network import Network
from mlpcli.storage.model_record import check_record
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain
from mlpcli.storage.run_directory import repair

INPUT_STATE = ("fill", "center", "scale")
# One entry per number or date above; here as many as its column says, and no array where no column has any.
KNOT_STATE = ("quantiles", "scores", "edges")
TARGET_STATE = (
    "target_center", "target_scale", "target_quantiles", "target_scores", "target_low", "target_high", "temperature",
    "threshold",
    "class_weights",
)  # fmt: skip
# Layers of a network, those within residual ones included: more come from a damaged file, or take minutes to lay out.
MOST_LAYERS = 1000
DAMAGED = "Copy it again, or train anew with: mlp train CONFIG"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Header:
    """The JSON of a model file; field names are the keys."""

    kind: Literal["model"]
    format: int
    networks: tuple[Network, ...]
    dtype: Literal["float32", "float64"]
    columns: tuple[Feature, ...]
    feature_names: tuple[str, ...]
    target: Target
    reading: TableFormat
    weight: ColumnSchema | None
    scores: dict[str, float | None]
    record: dict[str, Any]
    reference: ReferenceProfile
    trained_rows: RowSketch


def encode_model(model: Model) -> bytes:
    """The bytes of weights.npz; equal models give equal bytes."""
    header = _Header(
        kind="model",
        format=FORMATS["model"],
        networks=model.ensemble.networks,
        dtype="float64" if model.ensemble.dtype == np.float64 else "float32",
        columns=model.preprocessor.columns,
        feature_names=model.preprocessor.feature_names,
        target=model.target,
        reading=model.reading,
        weight=model.weight,
        scores=dict(model.scores),
        record=dict(model.record),
        reference=model.reference,
        trained_rows=model.trained_rows,
    )
    arrays: Arrays = dict(model.ensemble.tensors())
    state = model.preprocessor.state
    arrays |= {f"input_{name}": state[name] for name in INPUT_STATE}
    arrays |= {f"input_{name}": state[name] for name in KNOT_STATE if len(state[name])}
    arrays |= {name: model.target_state[name] for name in TARGET_STATE if name in model.target_state}
    return encode_npz(arrays, to_plain(header))


def column_record(column: Feature) -> dict[str, Any]:
    """A column on one level: its name, role and how it is read, then what was learnt of it."""
    plain: dict[str, Any] = to_plain(column)
    return {**plain.pop("schema"), **plain}


def load_model(path: str) -> Model:
    """Read and check a model file.

    Raises ModelFileError for a file that is missing, damaged, foreign, newer, or whose parts do not fit each other.
    """
    if not os.path.lexists(path):
        repair(os.path.dirname(path))  # a training was cut off between its last two renames
    plain, arrays = read_npz(path, "model")
    header = from_plain(_Header, plain, path)
    _check_columns(header.columns, path)
    if fault := find_fault(header.reference, header.columns):
        raise _misfit(path, f"a reference profile {fault}")
    if fault := header.trained_rows.fault:
        raise _misfit(path, fault)
    _check_networks(header, path)
    check_record(header.record, path)
    ensemble = _take_ensemble(header, arrays, path)
    state = _take_input_state(header.columns, arrays, path)
    target_state = _take_target_state(header.target, arrays, path)
    if arrays:
        raise _misfit(path, f"it holds {next(iter(arrays))}, which no model has")
    return Model(
        Preprocessor(header.columns, header.feature_names, state),
        ensemble,
        header.target,
        target_state,
        header.reading,
        header.weight,
        header.scores,
        header.record,
        header.reference,
        header.trained_rows,
    )


def _check_columns(columns: tuple[Feature, ...], path: str) -> None:
    for column in columns:
        if not column.is_numeric and (
            column.clip is not None or column.n_quantiles or column.n_bins or column.n_distinct
        ):
            raise _misfit(path, f"a {column.role} column that is scaled like a number")
        if column.bin_span is not None and not column.n_bins:
            raise _misfit(path, f"a span of bins in a {column.role} column that has none")
        if column.is_signed and column.role != "category":
            raise _misfit(path, f"a {column.role} column with one input for two levels")
        if column.role == "date" and column.schema.date_format not in DATE_FORMATS:
            raise _misfit(path, f"dates written in a way this mlp does not know (column {column.name})")
        pair = column.schema.levels if column.role == "boolean" else column.levels
        if (column.is_signed or column.role == "boolean") and len(pair) != 2:
            raise _misfit(path, f"{len(pair)} levels that share one input as -1 and 1")


def _check_networks(header: _Header, path: str) -> None:
    target, n_inputs = header.target, sum(column.n_inputs for column in header.columns)
    _check_labels(target, path)
    if not header.networks:
        raise _misfit(path, "no network")
    if len(header.feature_names) != n_inputs:
        raise _misfit(path, f"{len(header.feature_names)} input names for {n_inputs} inputs")
    possible = (len(target.labels), 1) if isinstance(target, ClassTarget) else (len(target.names),)
    for network in header.networks:
        _check_layers(network, path)
        if network.n_in != n_inputs:
            raise _misfit(path, f"a network of {network.n_in} inputs for {n_inputs}")
        try:
            widths = network.chain.widths(network.n_in)
        except ValueError as error:
            raise _misfit(path, f"layers that do not fit ({error})") from error
        if min(widths) < 1:
            raise _misfit(path, "a layer without outputs")
        if network.output not in OUTPUT_ACTIVATIONS:
            raise _misfit(path, "an output activation that this mlp does not know")
        if network.n_out not in possible or (network.n_out == 1 and possible[0] > 2):
            raise _misfit(path, f"{network.n_out} outputs for {possible[0]} classes or targets")
        if network.n_out != header.networks[0].n_out:
            raise _misfit(path, f"networks of {header.networks[0].n_out} and {network.n_out} outputs")


def _check_layers(network: Network, path: str) -> None:
    """What can be told without a look at widths, which takes long where residual layers stand within each other."""
    if count_layers(network.layers) > MOST_LAYERS:
        raise _misfit(path, f"a network of more than {MOST_LAYERS} layers")
    inner = [layer.layers for layer in network.layers if isinstance(layer, Residual)]
    if any(isinstance(layer, Residual) for layers in inner for layer in layers):
        raise _misfit(path, "a residual layer within another")
    if not network.layers or not isinstance(network.layers[-1], Dense):
        raise _misfit(path, "a network whose last layer is not dense")


def count_layers(layers: Sequence[Layer]) -> int:
    """How many layers there are, those within others included."""
    return len(layers) + sum(count_layers(layer.layers) for layer in layers if isinstance(layer, Chain))


def _check_labels(target: Target, path: str) -> None:
    """Labels must be of the type that they have in a data frame."""
    if isinstance(target, NumberTarget):
        return
    sets = (target.labels,) if isinstance(target, ClassTarget) else target.levels
    if len(target.cell_types) != len(sets):
        raise _misfit(path, f"{len(target.cell_types)} types of {len(sets)} targets")
    for labels, cell_type in zip(sets, target.cell_types, strict=True):
        try:
            typed_labels(labels, cell_type)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise _misfit(path, f"labels that are not of the type {cell_type}") from error


def _take_ensemble(header: _Header, arrays: Arrays, path: str) -> Ensemble:
    prefixes = member_prefixes(len(header.networks))
    names = {
        prefix + one.name for prefix, network in zip(prefixes, header.networks, strict=True) for one in network.tensors
    }
    held, n_parameters = (
        sum(array.size for name, array in arrays.items() if name in names),
        sum(network.n_parameters for network in header.networks),
    )
    if held != n_parameters:  # before memory is spent on sizes that the file does not hold
        raise _misfit(path, f"{held} parameters where the networks have {n_parameters}")
    ensemble = Ensemble(
        header.networks, tuple(np.empty(network.n_parameters, header.dtype) for network in header.networks)
    )
    for name, tensor in ensemble.tensors().items():
        tensor[...] = _take(arrays, name, tensor.shape, tensor.dtype, path)
    return ensemble


def _take_input_state(columns: tuple[Feature, ...], arrays: Arrays, path: str) -> Arrays:
    """What was learnt of numbers and dates; the knots of each column must rise."""
    amounts = [column for column in columns if column.is_numeric]
    state = {name: _take(arrays, f"input_{name}", (len(amounts),), np.float64, path) for name in INPUT_STATE}
    for name in KNOT_STATE:
        counts = [column.n_edges if name == "edges" else column.n_quantiles for column in amounts]
        if not sum(counts):
            state[name] = np.zeros(0)
            continue
        state[name] = _take(arrays, f"input_{name}", (sum(counts),), np.float64, path)
        for column, part in zip(amounts, np.split(state[name] / 2, np.cumsum(counts)[:-1]), strict=True):
            if not (np.diff(part) > 0).all():  # of halves, which is what is computed with
                raise _misfit(path, f"input_{name} does not rise (column {column.name})")
    return state


def _take_target_state(target: Target, arrays: Arrays, path: str) -> Arrays:
    """What makes answers of outputs; what comes after the network is there only if it was asked for."""
    state: Arrays = {}

    def take(name: str, length: int) -> NDArray[Any]:
        state[name] = _take(arrays, name, (length,), np.float64, path)
        return state[name]

    if isinstance(target, NumberTarget):
        n_targets = len(target.names)
        take("target_center", n_targets)
        take("target_scale", n_targets)
        has_knots = target.transform == "quantile"
        if len(target.n_quantiles) != n_targets * has_knots or min(target.n_quantiles, default=2) < 2:
            raise _misfit(path, f"n_quantiles for {n_targets} targets to {target.transform}")
        for name in ("target_quantiles", "target_scores") if has_knots else ():
            knots = np.split(take(name, sum(target.n_quantiles)), np.cumsum(target.n_quantiles)[:-1])
            if not all((one[1:] > one[:-1]).all() for one in knots):
                raise _misfit(path, f"{name} does not rise")
        if ("target_low" in arrays or "target_high" in arrays) and (
            take("target_low", n_targets) > take("target_high", n_targets)
        ).any():
            raise _misfit(path, "target_low is above target_high")
        return state
    if "temperature" in arrays and take("temperature", 1)[0] <= 0.0:
        raise _misfit(path, "the temperature is not positive")
    if "class_weights" in arrays:
        if not isinstance(target, ClassTarget):
            raise _misfit(path, "class weights without classes")
        if not (take("class_weights", len(target.labels)) > 0.0).all():
            raise _misfit(path, "a class weight is not positive")
    if "threshold" in arrays:
        n_labels = len(target.labels) if isinstance(target, ClassTarget) else 0
        threshold = take("threshold", (1 if n_labels == 2 else n_labels) or len(target.names))
        if not ((threshold > 0.0) & (threshold < 1.0)).all():
            raise _misfit(path, "the threshold is not between 0 and 1")
    return state


def _take(arrays: Arrays, name: str, shape: tuple[int, ...], dtype: Any, path: str) -> NDArray[Any]:
    """Remove an array from `arrays` and check it against what the header promises."""
    array = arrays.pop(name, None)
    if array is None:
        raise _misfit(path, f"{name} is missing")
    if array.shape != shape or array.dtype != dtype:
        raise _misfit(path, f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if not np.isfinite(array).all():
        raise ModelFileError(f"{path}: {name} holds numbers that are not finite (NaN or infinity). {DAMAGED}")
    if name.endswith("scale") and not (array > 0).all():
        raise _misfit(path, f"{name} holds a scale that is not positive")
    return array


def _misfit(path: str, detail: str) -> ModelFileError:
    return ModelFileError(f"{path}: its parts do not fit each other: {detail}. {DAMAGED}")
