"""`mlp inspect`: the contents of a model file."""

import json
import os
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from mlpcli.model import Model
from mlpcli.nn.ensemble import Ensemble
from mlpcli.storage.model.model_file import column_record, load_model
from mlpcli.workflows.scoring.baseline import far_worse_run


@dataclass(frozen=True)
class LayerSummary:
    """A layer: sizes, number of parameters (of all members with this depth), activation, statistics of its weights."""

    number: int
    n_in: int
    n_out: int
    n_parameters: int
    activation: str
    weight_std: float
    weight_largest: float


@dataclass(frozen=True)
class Inspection:
    """A model that was read and checked to be finite; `seconds` is the training time, None if unknown."""

    path: str
    n_bytes: int
    model: Model
    layers: tuple[LayerSummary, ...]
    seconds: float | None

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The header's record of each column."""
        return [column_record(column) for column in self.model.preprocessor.columns]

    @property
    def far_worse(self) -> str:
        """A sentence if the model is far worse than the constant baseline, otherwise ""."""
        return far_worse_run(self.model.scores)


def inspect(weights: str) -> Inspection:
    """Read and check a model file; raises ModelFileError."""
    model = load_model(weights)
    depth = len(model.ensemble.first.dense_layers)
    alike = [len(network.dense_layers) == depth for network in model.ensemble.networks]  # same depth as the first
    networks, flats = model.ensemble.networks, model.ensemble.flats
    tensors = Ensemble(tuple(compress(networks, alike)), tuple(compress(flats, alike))).tensors()
    layers = []
    for number, (layer, activation) in enumerate(model.ensemble.first.dense_layers, start=1):
        tensors_of_layer = {
            name: tensor for name, tensor in tensors.items() if name.rpartition(".")[2] in (f"W{number}", f"b{number}")
        }
        W = np.concatenate([tensor.ravel() for name, tensor in tensors_of_layer.items() if "W" in name])
        n_in = next(tensor.shape[1] for name, tensor in tensors_of_layer.items() if "W" in name)
        n_parameters = sum(tensor.size for tensor in tensors_of_layer.values())
        std, largest = float(np.std(W, dtype=np.float64)), float(np.abs(W).max())
        layers.append(LayerSummary(number, n_in, layer.width, n_parameters, activation, std, largest))
    return Inspection(weights, os.path.getsize(weights), model, tuple(layers), _training_seconds(weights))


def _training_seconds(weights: str) -> float | None:
    """The duration from the metrics.json beside the model; the bytes of a model do not depend on time."""
    try:
        metrics: Any = json.loads((Path(weights).parent / "metrics.json").read_bytes())
        return float(metrics["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
