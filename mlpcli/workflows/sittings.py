"""The sittings of a training: it may be interrupted, and go on with another engine, thread count or version."""

import platform
from collections.abc import Sequence

import numpy as np
import pandas

from mlpcli import __version__
from mlpcli.storage.model_record import Sitting
from mlpcli.workflows.engines import engine_versions
from mlpcli.workflows.preparation import Prepared


def sitting_until(prepared: Prepared, epoch: int) -> Sitting:
    """This sitting, whose last completed epoch is `epoch`."""
    versions = {
        "mlp": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pandas.__version__,
        **engine_versions(prepared.engine),
    }
    return Sitting(epoch, prepared.engine.name, prepared.n_threads, versions)


def joined(sittings: Sequence[Sitting]) -> tuple[Sitting, ...]:
    """Without those that trained no epoch, alike neighbours as one: a stop alone leaves no trace in a model."""
    found: list[Sitting] = []
    for sitting in sittings:
        if found and sitting.epoch == found[-1].epoch:
            continue
        if found and found[-1].is_like(sitting):
            found.pop()
        found.append(sitting)
    return tuple(found)
