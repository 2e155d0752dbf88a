"""weights.npz: one file that holds a whole model. docs/file-format.md describes it for readers without mlpcli."""

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.columns import Column
from mlpcli.data.preprocessor import Preprocessor
from mlpcli.data.tables import TableFormat
from mlpcli.data.targets import ClassTarget, NumberTarget, Target
from mlpcli.errors import ModelFileError
from mlpcli.model import Model
from mlpcli.nn.activations import ACTIVATIONS
from mlpcli.nn.network import Network
from mlpcli.nn.parameters import Parameters, allocate_parameters, count_parameters
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain
from mlpcli.storage.run_directory import repair

INPUT_STATE = ("fill", "center", "scale")
TARGET_STATE = ("target_center", "target_scale")
DAMAGED = "Copy it again, or train anew with: mlp train CONFIG"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class _Header:
    """The JSON of a model file; field names are the keys."""

    kind: Literal["model"]
    format: int
    network: Network
    dtype: Literal["float32", "float64"]
    columns: tuple[Column, ...]
    feature_names: tuple[str, ...]
    target: Target
    reading: TableFormat
    weight_column: str
    scores: dict[str, float | None]
    record: dict[str, Any]


def encode_model(model: Model) -> bytes:
    """The bytes of weights.npz; equal models give equal bytes."""
    header = _Header(
        kind="model",
        format=FORMATS["model"],
        network=model.network,
        dtype="float64" if model.parameters.flat.dtype == np.float64 else "float32",
        columns=model.preprocessor.columns,
        feature_names=model.preprocessor.feature_names,
        target=model.target,
        reading=model.reading,
        weight_column=model.weight_column,
        scores=dict(model.scores),
        record=dict(model.record),
    )
    arrays: Arrays = {}
    for number, (W, b) in enumerate(zip(model.parameters.W, model.parameters.b, strict=True), start=1):
        arrays[f"W{number}"], arrays[f"b{number}"] = W, b
    arrays |= {f"input_{name}": model.preprocessor.state[name] for name in INPUT_STATE}
    arrays |= {name: model.target_state[name] for name in TARGET_STATE if name in model.target_state}
    return encode_npz(arrays, to_plain(header))


def load_model(path: str) -> Model:
    """Read and check a model file.

    Raises ModelFileError for a file that is missing, damaged, foreign, newer, or whose parts do not fit each other.
    """
    if not os.path.lexists(path):
        repair(os.path.dirname(path))  # a training was cut off between its last two renames
    plain, arrays = read_npz(path, "model")
    header = from_plain(_Header, plain, path)
    _check_network(header, path)
    parameters = _take_parameters(header, arrays, path)
    n_numbers = sum(column.role in ("number", "date") for column in header.columns)
    state = {name: _take(arrays, f"input_{name}", (n_numbers,), np.float64, path) for name in INPUT_STATE}
    target_state: Arrays = {}
    if isinstance(header.target, NumberTarget):
        n_targets = len(header.target.names)
        target_state = {name: _take(arrays, name, (n_targets,), np.float64, path) for name in TARGET_STATE}
    if arrays:
        raise _misfit(path, f"it holds {next(iter(arrays))}, which no model has")
    return Model(
        Preprocessor(header.columns, header.feature_names, state),
        header.network,
        parameters,
        header.target,
        target_state,
        header.reading,
        header.weight_column,
        header.scores,
        header.record,
    )


def _check_network(header: _Header, path: str) -> None:
    network = header.network
    if len(network.sizes) < 2 or min(network.sizes) < 1:
        raise _misfit(path, f"a network of sizes {list(network.sizes)[:8]}")
    if network.activation not in ACTIVATIONS or network.output_activation not in ACTIVATIONS:
        raise _misfit(path, "an activation that this mlp does not know")
    if len(header.feature_names) != network.sizes[0]:
        raise _misfit(path, f"{len(header.feature_names)} input names for {network.sizes[0]} inputs")
    if sum(column.n_inputs for column in header.columns) != network.sizes[0]:
        raise _misfit(path, f"the columns do not give {network.sizes[0]} inputs")
    target = header.target
    possible = (len(target.labels), 1) if isinstance(target, ClassTarget) else (len(target.names),)
    if network.sizes[-1] not in possible or (network.sizes[-1] == 1 and possible[0] > 2):
        raise _misfit(path, f"{network.sizes[-1]} outputs for {possible[0]} classes or targets")


def _take_parameters(header: _Header, arrays: Arrays, path: str) -> Parameters:
    sizes = header.network.sizes
    held = sum(array.size for name, array in arrays.items() if name[0] in "Wb")
    if held != count_parameters(sizes):  # before memory is spent on sizes that the file does not hold
        shape = " -> ".join(map(str, sizes))
        raise _misfit(path, f"{held} weights and biases where {shape} has {count_parameters(sizes)}")
    parameters = allocate_parameters(sizes, header.dtype)
    for number, (W, b) in enumerate(zip(parameters.W, parameters.b, strict=True), start=1):
        W[...] = _take(arrays, f"W{number}", W.shape, W.dtype, path)
        b[...] = _take(arrays, f"b{number}", b.shape, b.dtype, path)
    return parameters


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
