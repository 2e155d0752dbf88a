"""The record in a model file of how the model was trained.

A training may be interrupted and resumed with another engine, number of threads or version. Each uninterrupted part of
it is a sitting, and is recorded.
"""

import platform
from collections.abc import Sequence

import numpy as np
import pandas

from mlpcli import __version__
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.storage.model.model_record import Sitting
from mlpcli.storage.records import to_plain
from mlpcli.training.fit import TrainingState
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.training.engines import engine_versions

# Sections of the config that do not affect the model.
UNRECORDED_SECTIONS = ("output", "expect", "budget", "tracking")


def current_sitting(prepared: Prepared, epoch: int) -> Sitting:
    """The record of the current sitting, whose last completed epoch is `epoch`."""
    versions = {
        "mlp": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pandas.__version__,
        **engine_versions(prepared.engine),
    }
    return Sitting(epoch, prepared.engine.name, prepared.n_threads, versions)


def merge_sittings(sittings: Sequence[Sitting]) -> tuple[Sitting, ...]:
    """Drop sittings without a complete epoch, and merge equal neighbours: an interruption does not change the file."""
    merged: list[Sitting] = []
    for sitting in sittings:
        if merged and sitting.epoch == merged[-1].epoch:
            continue
        if merged and merged[-1].is_like(sitting):
            merged.pop()
        merged.append(sitting)
    return tuple(merged)


def training_record(prepared: Prepared, state: TrainingState, sittings: Sequence[Sitting]) -> dict[str, object]:
    """The training record; it has no times or paths, so the same training gives the same bytes."""
    config, calibration = as_plain(prepared.loaded.config), prepared.calibration
    for key in UNRECORDED_SECTIONS:
        del config[key]
    return {
        "config": config,
        "seed": prepared.spec.seed,
        "sittings": to_plain(list(sittings)),
        "data": {"name": prepared.table_name, "sha256": prepared.data_sha256, "chunk_rows": prepared.spec.chunk_rows},
        "rows": {split.name: len(split.truth) for split in (*prepared.splits, calibration) if split is not None},
        "chosen": {"validation": list(chosen)} if (chosen := prepared.chosen_on_validation) else {},
        **({"drawn": [dict(values) for values in prepared.drawn]} if prepared.drawn else {}),
        **({"members": list(prepared.kept_members)} if prepared.kept_members else {}),
        **({} if prepared.members_temperature is None else {"temperature": prepared.members_temperature}),
        **({"rank_error": prepared.rank_error} if prepared.rank_error else {}),
        "epoch": state.best_epoch or state.epoch,
        "epochs": state.epoch,
    } | ({} if prepared.warm_start is None else {"from": prepared.warm_start.sha256})
