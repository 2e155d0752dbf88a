"""Merges the models of the folds into one ensemble, whose prediction is the mean of theirs.

Their preprocessing and targets are the same, fitted on all rows. These models are not scored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.row_sketch import merge_row_sketches
from mlpcli.errors import MlpError
from mlpcli.model import Model
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.merge import scale_logits
from mlpcli.workflows.preparing.warm_start import TARGET_STATISTICS

Values = NDArray[np.float64]

# Functions that merge the entries of the target state that each fold fits; TARGET_STATISTICS are equal in all folds.
MERGE_FUNCTIONS: dict[str, Callable[..., Any]] = {"threshold": np.mean, "target_low": np.min, "target_high": np.max}


def refuse_unmergeable(loaded: LoadedConfig) -> None:
    """Raise ConfigError if the models of the folds could not be merged; called before any of them is trained."""
    config = loaded.config
    if config.preprocess.encoding.uses_targets:
        text = (
            "--keep computes bins once from all rows, and these bins depend on the targets. Use another "
            "encoding, or omit --keep."
        )
        raise loaded.error("preprocess.encoding", text)
    if config.model.members.select != "all":
        raise loaded.error("model.members.select", "--keep requires all members. Leave it out, or omit --keep.")
    if config.postprocess.calibration != "none" and config.model.members.count > 1:
        text = "--keep supports a temperature for single networks only. Leave it out, or omit --keep."
        raise loaded.error("postprocess.calibration", text)


def merge_models(models: Sequence[Model], scores: Mapping[str, float | None]) -> Model:
    """One model with the networks of all `models`.

    Temperatures are merged into the last layers, other fitted entries of the target state by MERGE_FUNCTIONS. `scores`
    are those of the folds; conformity scores are dropped. Raises MlpError if the models cannot be merged.
    """
    first = models[0]
    networks = tuple(network for model in models for network in model.ensemble.networks)
    flats = tuple(flat.copy() for model in models for flat in model.ensemble.flats)
    for number, model in enumerate(models):
        if "temperature" in model.target_state:
            if model.ensemble.first.output not in ("softmax", "sigmoid") or _normalizes_outputs(model):
                raise MlpError(
                    "--keep: the temperatures of the folds cannot be merged. Omit --keep, or the calibration."
                )
            scale_logits(networks[number], flats[number], 1.0 / float(model.target_state["temperature"][0]))
    return replace(
        first,
        ensemble=Ensemble(networks, flats),
        target_state=_merge_states([model.target_state for model in models]),
        scores=dict(scores),
        record={**first.record, "folds": len(models)},
        trained_rows=reduce(merge_row_sketches, (model.trained_rows for model in models)),
        conformity=None,
        interval_by=None,
    )


def _normalizes_outputs(model: Model) -> bool:
    """Whether probabilities are sigmoid outputs divided by their sum: a temperature cannot be merged into weights."""
    network = model.ensemble.first
    return network.output == "sigmoid" and model.target.task == "classification" and network.n_out > 1


def _merge_states(states: Sequence[Mapping[str, Values]]) -> dict[str, Values]:
    merged = {}
    for name in dict.fromkeys(name for state in states for name in state):
        if name == "temperature":
            continue
        if any(name not in state for state in states):
            raise MlpError(f"--keep: only some folds have a {name}. Omit --keep.")
        values = np.stack([state[name] for state in states])
        if name in TARGET_STATISTICS or (values == values[0]).all():
            merged[name] = values[0]
        elif name in MERGE_FUNCTIONS:
            merged[name] = np.asarray(MERGE_FUNCTIONS[name](values, axis=0), np.float64)
        else:
            raise MlpError(f"--keep: the {name} of the folds differ. Omit --keep.")
    return merged
