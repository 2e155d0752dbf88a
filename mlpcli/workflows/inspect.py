"""`mlp inspect`: what a model file holds."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from mlpcli.dataclass import dataclass
from mlpcli.model import Model
from mlpcli.storage.model_file import load_model


@dataclass(frozen=True)
class LayerSummary:
    """One layer: its sizes, parameters (of all members), activation, and how large its weights are."""

    number: int
    n_in: int
    n_out: int
    n_parameters: int
    activation: str
    weight_std: float
    weight_largest: float


@dataclass(frozen=True)
class Inspection:
    """A model that was read and checked: every number in it is finite. `seconds` is the training time, if known."""

    path: str
    n_bytes: int
    model: Model
    layers: tuple[LayerSummary, ...]
    seconds: float | None


def inspect(weights: str) -> Inspection:
    """Read and check a model file; raises ModelFileError."""
    model = load_model(weights)
    network, parameters = model.network, model.parameters
    layers = tuple(
        LayerSummary(
            number=index + 1,
            n_in=W.shape[-1],
            n_out=W.shape[-2],
            n_parameters=W.size + b.size,
            activation=network.activation_of(index),
            weight_std=float(np.std(W, dtype=np.float64)),
            weight_largest=float(np.abs(W).max()),
        )
        for index, (W, b) in enumerate(zip(parameters.W, parameters.b, strict=True))
    )
    return Inspection(weights, os.path.getsize(weights), model, layers, _training_seconds(weights))


def _training_seconds(weights: str) -> float | None:
    """The duration in the metrics.json beside the model: it is not in the model, whose bytes do not depend on time."""
    try:
        metrics: Any = json.loads((Path(weights).parent / "metrics.json").read_bytes())
        return float(metrics["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
