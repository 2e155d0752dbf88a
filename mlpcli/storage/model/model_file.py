"""weights.npz: a complete model in one file. docs/file-format.md describes it for readers without mlpcli."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.features.preprocessor import Preprocessor
from mlpcli.data.targets.target import ClassTarget, NumberTarget, Target
from mlpcli.errors import ModelFileError
from mlpcli.evaluation.conformal.conformity import CalibrationRows, ConformityScores
from mlpcli.model import Model
from mlpcli.nn.ensemble import Ensemble, member_prefixes
from mlpcli.storage.model.model_header import DAMAGED, Header, check_header, misfit
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain
from mlpcli.storage.run.run_directory import repair

INPUT_STATE = ("fill", "center", "scale")
# INPUT_STATE has one entry per numeric or date column; KNOT_STATE as many as the column records, and is absent if none.
KNOT_STATE = ("quantiles", "scores", "edges")
TARGET_STATE = (
    "target_center", "target_scale", "target_quantiles", "target_scores", "target_low", "target_high", "temperature",
    "threshold",
    "class_weights",
)  # fmt: skip

Arrays = dict[str, NDArray[Any]]


def encode_model(model: Model) -> bytes:
    """The bytes of weights.npz; equal models give equal bytes."""
    header = Header(
        kind="model",
        format=FORMATS["model"],
        networks=model.ensemble.networks,
        counts=model.ensemble.member_counts,
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
        conformity=None if model.conformity is None else model.conformity.rows,
        interval_by=model.interval_by,
    )
    arrays: Arrays = dict(model.ensemble.tensors())
    state = model.preprocessor.state
    arrays |= {f"input_{name}": state[name] for name in INPUT_STATE}
    arrays |= {f"input_{name}": state[name] for name in KNOT_STATE if len(state[name])}
    arrays |= {name: model.target_state[name] for name in TARGET_STATE if name in model.target_state}
    arrays |= {} if model.conformity is None else {"conformity_scores": model.conformity.values}
    return encode_npz(arrays, to_plain(header))


def column_record(column: Feature) -> dict[str, Any]:
    """A column as one flat mapping: its schema, then its fitted properties."""
    plain: dict[str, Any] = to_plain(column)
    return {**plain.pop("schema"), **plain}


def load_model(path: str) -> Model:
    """Read and check a model file.

    Raises ModelFileError for a file that is missing, damaged, inconsistent, of another kind or of a newer version.
    """
    if not os.path.lexists(path):
        repair(os.path.dirname(path))  # a training may have been killed between its last two renames
    plain, arrays = read_npz(path, "model")
    header = from_plain(Header, plain, path)
    check_header(header, path)
    ensemble = _take_ensemble(header, arrays, path)
    state = _take_input_state(header.columns, arrays, path)
    target_state = _take_target_state(header.target, arrays, path)
    conformity = None if header.conformity is None else _take_conformity(header.conformity, arrays, path)
    if arrays:
        raise misfit(path, f"it holds {next(iter(arrays))}, which no model has")
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
        conformity,
        header.interval_by,
    )


def _take_ensemble(header: Header, arrays: Arrays, path: str) -> Ensemble:
    prefixes = member_prefixes(len(header.networks))
    names = {
        prefix + tensor.name
        for prefix, network in zip(prefixes, header.networks, strict=True)
        for tensor in network.tensors
    }
    n_stored, n_parameters = (
        sum(array.size for name, array in arrays.items() if name in names),
        sum(network.n_parameters for network in header.networks),
    )
    if n_stored != n_parameters:  # checked before allocating sizes that the file does not have
        raise misfit(path, f"{n_stored} parameters where the networks have {n_parameters}")
    flats = tuple(np.empty(network.n_parameters, header.dtype) for network in header.networks)
    ensemble = Ensemble(header.networks, flats, header.counts if max(header.counts) > 1 else ())
    for name, tensor in ensemble.tensors().items():
        tensor[...] = _take(arrays, name, tensor.shape, tensor.dtype, path)
    return ensemble


def _take_input_state(columns: tuple[Feature, ...], arrays: Arrays, path: str) -> Arrays:
    """The fitted state of numeric and date columns; the knots of each column must increase."""
    numeric = [column for column in columns if column.is_numeric]
    state = {name: _take(arrays, f"input_{name}", (len(numeric),), np.float64, path) for name in INPUT_STATE}
    for name in KNOT_STATE:
        counts = [column.n_edges if name == "edges" else column.n_quantiles for column in numeric]
        if not sum(counts):
            state[name] = np.zeros(0)
            continue
        state[name] = _take(arrays, f"input_{name}", (sum(counts),), np.float64, path)
        for column, knots in zip(numeric, np.split(state[name] / 2, np.cumsum(counts)[:-1]), strict=True):
            if not (np.diff(knots) > 0).all():  # halves, because predictions compute with halves to avoid overflow
                raise misfit(path, f"input_{name} is not increasing (column {column.name})")
    return state


def _take_target_state(target: Target, arrays: Arrays, path: str) -> Arrays:
    """The state that decodes outputs; postprocessing state is present only if configured."""
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
            raise misfit(path, f"n_quantiles for {n_targets} targets to {target.transform}")
        for name in ("target_quantiles", "target_scores") if has_knots else ():
            knots = np.split(take(name, sum(target.n_quantiles)), np.cumsum(target.n_quantiles)[:-1])
            if not all((values[1:] > values[:-1]).all() for values in knots):
                raise misfit(path, f"{name} is not increasing")
        if ("target_low" in arrays or "target_high" in arrays) and (
            take("target_low", n_targets) > take("target_high", n_targets)
        ).any():
            raise misfit(path, "target_low is above target_high")
        return state
    if "temperature" in arrays and take("temperature", 1)[0] <= 0.0:
        raise misfit(path, "the temperature is not positive")
    if "class_weights" in arrays:
        if not isinstance(target, ClassTarget):
            raise misfit(path, "class weights without classes")
        if not (take("class_weights", len(target.labels)) > 0.0).all():
            raise misfit(path, "a class weight is not positive")
    if "threshold" in arrays:
        n_labels = len(target.labels) if isinstance(target, ClassTarget) else 0
        threshold = take("threshold", (1 if n_labels == 2 else n_labels) or len(target.names))
        if not ((threshold > 0.0) & (threshold < 1.0)).all():
            raise misfit(path, "the threshold is not between 0 and 1")
    return state


def _take_conformity(rows: CalibrationRows, arrays: Arrays, path: str) -> ConformityScores:
    """The conformity scores of calibration rows; those of each fold must be sorted."""
    n_stored = arrays.get("conformity_scores", np.zeros(0)).size
    if sum(n_rows > 0 for n_rows in rows.n_rows) > n_stored:  # checked before allocating
        raise misfit(path, "conformity_scores of fewer rows than it says")
    values = _take(arrays, "conformity_scores", (sum(rows.sizes),), np.float64, path)
    for fold_scores in np.split(values, np.cumsum(rows.sizes)[:-1]):
        if (np.diff(fold_scores) < 0).any():
            raise misfit(path, "conformity_scores is not sorted")
    return ConformityScores(rows, values)


def _take(arrays: Arrays, name: str, shape: tuple[int, ...], dtype: Any, path: str) -> NDArray[Any]:
    """Remove an array from `arrays`, and check its shape, dtype and values."""
    array = arrays.pop(name, None)
    if array is None:
        raise misfit(path, f"{name} is missing")
    if array.shape != shape or array.dtype != dtype:
        raise misfit(path, f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}")
    if not np.isfinite(array).all():
        raise ModelFileError(f"{path}: {name} holds numbers that are not finite (NaN or infinity). {DAMAGED}")
    if name.endswith("scale") and not (array > 0).all():
        raise misfit(path, f"{name} holds a scale that is not positive")
    return array
