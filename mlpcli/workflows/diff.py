"""`mlp diff`: the contents of a model file key by key, and the differences between two of them."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.features.feature import Feature
from mlpcli.data.targets.target import prediction_names
from mlpcli.model import Model
from mlpcli.nn.ensemble import Ensemble
from mlpcli.storage.model.model_file import column_record, encode_model, load_model
from mlpcli.storage.records import to_plain
from mlpcli.storage.strict_json import flattened
from mlpcli.workflows.scoring.main_metrics import main_metrics

Array = NDArray[Any]
Sections = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ArrayDistance:
    """The relative distance ||new - old|| / ||old|| (Frobenius norm) of two arrays, and the largest absolute change.

    Both are None if shapes or dtypes differ, or if one model has no such array (shape None).
    """

    name: str
    old_shape: tuple[int, ...] | None
    new_shape: tuple[int, ...] | None
    distance: float | None
    largest_change: float | None


@dataclass(frozen=True)
class Change:
    """A value that differs between two models; None in a model without it."""

    section: str
    key: str
    old: Any
    new: Any


@dataclass(frozen=True)
class DiffResult:
    """All differences between two models; `arrays` has the arrays that are not equal.

    `main_metrics` are the keys of the scores shown first. `chosen` maps, for the old and the new model, each split to
    the quantities that were chosen on its rows, such as the epoch.
    """

    old: str
    new: str
    main_metrics: tuple[str, ...]
    changes: tuple[Change, ...]
    arrays: tuple[ArrayDistance, ...]
    n_arrays: int
    chosen: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]] = ({}, {})

    @property
    def is_same(self) -> bool:
        """Whether the models are equal."""
        return not self.changes and not self.arrays


def diff(old: str, new: str) -> DiffResult:
    """Compare two model files; raises ModelFileError."""
    return diff_models(old, load_model(old), new, load_model(new))


def diff_models(old_name: str, old: Model, new_name: str, new: Model) -> DiffResult:
    """Compare two models; the names are those of their files."""
    arrays = [distance for distance in distances(arrays_of(old), arrays_of(new)) if distance.largest_change != 0.0]
    changes = list(_changes(sections_of(old), sections_of(new)))
    if not changes and not arrays and _sha256(old) != _sha256(new):  # no section shows the order of columns
        changes.append(Change("file", "sha256", _sha256(old), _sha256(new)))
    names = arrays_of(old).keys() | arrays_of(new).keys()
    first = main_metrics(new.target.task, prediction_names(new.target))
    chosen = old.record.get("chosen", {}), new.record.get("chosen", {})
    return DiffResult(old_name, new_name, first, tuple(changes), tuple(arrays), len(names), chosen)


def text_of(weights: str) -> Iterator[str]:
    """A model file as lines of `section.key: value`, equal for equal models; raises ModelFileError."""
    model = load_model(weights)
    yield f"sha256: {_sha256(model)}"
    for section, values in sections_of(model).items():
        for key, value in values.items():
            yield f"{section}.{key}: {json.dumps(value, ensure_ascii=False)}".replace("\n", "\\n")
    for name, array in arrays_of(model).items():
        shape = " x ".join(map(str, array.shape))
        largest = float(np.abs(array).max(initial=0.0))
        digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
        yield f"{name}: {shape} {array.dtype}, norm {_norm(array):.6g}, largest {largest:.6g}, sha256 {digest}"


def sections_of(model: Model) -> Sections:
    """The header of a model by section, each with flattened keys."""
    record = dict(model.record)
    config, data = record.pop("config", {}), record.pop("data", {})
    rows, (*earlier, last) = record.pop("rows", {}), record.pop("sittings", []) or [{}]
    record |= {f"sitting {number}": sitting for number, sitting in enumerate(earlier, start=1)}
    record |= {key: last[key] for key in ("engine", "threads") if last}
    reading = {"reading": to_plain(model.reading), "weight_column": model.weight_column}
    return {
        "config": {key: value for key, value in flattened(config) if not _is_unset(key, value)},
        "data": dict(flattened({**data, "rows": rows, **reading})),
        "columns": {column.name: _column_text(column) for column in model.preprocessor.columns},
        "target": dict(flattened(to_plain(model.target))),
        "network": _networks(model.ensemble),
        "scores": dict(model.scores),
        "training": dict(flattened(record)),
        "versions": dict(flattened(last.get("versions", {}))),
    }


def _is_unset(key: str, value: Any) -> bool:
    """Whether a key is an unset option of a column; there are eight per column."""
    return key.startswith("data.columns.") and value in (None, "", False, [])


def _networks(ensemble: Ensemble) -> dict[str, Any]:
    """The common properties of the members, and the layers of each member that differ from those of the first."""
    first = ensemble.first
    properties: dict[str, Any] = {"members": len(ensemble.networks), "sizes": list(first.sizes), "output": first.output}
    if ensemble.counts:
        properties["counts"] = list(ensemble.counts)
    for number, network in enumerate(ensemble.networks, start=1):
        if network is first or network.layers != first.layers:
            prefix = "" if network is first else f"m{number}."
            layers = enumerate(network.layers, start=1)
            properties |= {f"{prefix}layer {index}": to_plain(layer) for index, layer in layers}
    return dict(flattened(properties)) | {"dtype": str(ensemble.dtype)}


def arrays_of(model: Model) -> dict[str, Array]:
    """Every array of a model, by its name in the file."""
    state = {f"input_{name}": values for name, values in model.preprocessor.state.items() if len(values)}
    return {**model.ensemble.tensors(), **state, **model.target_state}


def distances(old: Mapping[str, Array], new: Mapping[str, Array]) -> Iterator[ArrayDistance]:
    """The distance of each array from the one with the same name."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        shapes = (None if before is None else before.shape, None if after is None else after.shape)
        if before is None or after is None or before.shape != after.shape or before.dtype != after.dtype:
            yield ArrayDistance(name, *shapes, None, None)
            continue
        change = after.astype(np.float64) - before
        norm, change_norm = _norm(before), _norm(change)
        relative = change_norm / norm if norm else math.inf if change_norm else 0.0
        yield ArrayDistance(name, *shapes, relative, float(np.abs(change).max(initial=0.0)))


def _changes(old: Sections, new: Sections) -> Iterator[Change]:
    for section in old:
        before, after = old[section], new[section]
        for key in dict.fromkeys([*before, *after]):
            if key not in before or key not in after or before[key] != after[key]:
                yield Change(section, key, before.get(key), after.get(key))


def _column_text(column: Feature) -> str:
    """The properties of a column that are not empty, zero or false: `category, levels Biscoe Dream Torgersen`."""
    plain = column_record(column)
    properties = [
        f"{key} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in plain.items()
        if key not in ("name", "role", "reason", "number") and value not in (None, False, 0, "", [])
    ]
    return ", ".join([plain["role"], *properties])


def _sha256(model: Model) -> str:
    return hashlib.sha256(encode_model(model)).hexdigest()


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array.astype(np.float64).ravel()))
