"""How a model was made, as its file records it.

A training may be interrupted, and go on with another engine, thread count or version: each sitting is recorded.
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

# Sections of the config that a model does not depend on.
UNRECORDED_SECTIONS = ("output", "expect", "budget", "tracking")


def current_sitting(prepared: Prepared, epoch: int) -> Sitting:
    """This sitting, whose last completed epoch is `epoch`."""
    versions = {
        "mlp": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pandas.__version__,
        **engine_versions(prepared.engine),
    }
    return Sitting(epoch, prepared.engine.name, prepared.n_threads, versions)


def merge_sittings(sittings: Sequence[Sitting]) -> tuple[Sitting, ...]:
    """Without those that trained no epoch, alike neighbours as one: a stop alone leaves no trace in a model."""
    found: list[Sitting] = []
    for sitting in sittings:
        if found and sitting.epoch == found[-1].epoch:
            continue
        if found and found[-1].is_like(sitting):
            found.pop()
        found.append(sitting)
    return tuple(found)


def training_record(prepared: Prepared, state: TrainingState, sittings: Sequence[Sitting]) -> dict[str, object]:
    """How the model was made; without times and places, so that the same training gives the same bytes."""
    config = as_plain(prepared.loaded.config)
    for key in UNRECORDED_SECTIONS:
        del config[key]
    return {
        "config": config,
        "seed": prepared.spec.seed,
        "sittings": to_plain(list(sittings)),
        "data": {"name": prepared.table_name, "sha256": prepared.data_sha256, "chunk_rows": prepared.spec.chunk_rows},
        "rows": {part.name: len(part.truth) for part in (*prepared.splits, prepared.calibration) if part is not None},
        "chosen": {"validation": list(chosen)} if (chosen := prepared.chosen_on_validation) else {},
        **({"drawn": [dict(of) for of in prepared.drawn]} if prepared.drawn else {}),
        **({"members": list(prepared.kept_members)} if prepared.kept_members else {}),
        **({} if prepared.members_temperature is None else {"temperature": prepared.members_temperature}),
        **({"rank_error": prepared.rank_error} if prepared.rank_error else {}),
        "epoch": state.best_epoch or state.epoch,
        "epochs": state.epoch,
    } | ({} if prepared.warm_start is None else {"from": prepared.warm_start.sha256})
