"""`mlp repro`: train a model again from its record, and check that the bytes are identical."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpcli.errors import Diverged, ModelFileError
from mlpcli.model import Model
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.training.member import NonFiniteLoss
from mlpcli.training.threads import blas_name, blas_threads
from mlpcli.workflows.diff import ArrayDistance, diff_models
from mlpcli.workflows.preparing.engine_choice import EngineChoice
from mlpcli.workflows.preparing.preparation import Prepared, prepare
from mlpcli.workflows.train import Observer
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.on_shards import is_cluster_engine
from mlpcli.workflows.training.recording.recorded_training import check_data, recorded_config, require_record
from mlpcli.workflows.training.recording.sittings import current_sitting


@dataclass(frozen=True)
class Deviation:
    """A difference from the recorded training: what, then, and now."""

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class ReproResult:
    """Whether the training was reproduced bit-identically, and if not, the differences.

    `arrays` has the arrays that differ, largest distance first. If the data differs, nothing is trained and
    `was_trained` is False.
    """

    weights: str
    is_same: bool
    was_trained: bool
    n_epochs: int
    deviations: tuple[Deviation, ...]
    arrays: tuple[ArrayDistance, ...]


def repro(weights: str, data: Sequence[str], observer: Observer) -> ReproResult:
    """Repeat the recorded training with its threads and engine; `data` replaces its training files.

    Raises ModelFileError, ConfigError and DataError if that is impossible, Diverged if the training diverges.
    """
    model = load_model(weights)
    record = require_record(weights, model)
    if "from" in record:
        raise ModelFileError(
            f"{weights}: was trained with --from another model, so its record alone cannot reproduce it."
        )
    if any(is_cluster_engine(sitting.get("engine", "")) for sitting in record.get("sittings") or ()):
        raise ModelFileError(
            f"{weights}: was trained on a cluster, which rounds its sums otherwise: this machine cannot give its bytes."
        )
    if not record["epochs"]:
        raise ModelFileError(f"{weights}: its training stopped within the first epoch, which cannot be reproduced.")
    check_data(weights, record["config"], data)
    prepared = prepare(recorded_config(weights, record, data))
    deviations = [*_data_deviations(record, prepared)]
    if deviations:
        return ReproResult(weights, False, False, 0, tuple(deviations), ())
    again = _train_again(prepared, record, observer)
    again = replace(again, record=_as_recorded(again.record, record))
    if Path(weights).read_bytes() == encode_model(again):
        return ReproResult(weights, True, True, record["epochs"], (), ())
    difference = diff_models(weights, model, "again", again)
    deviations = [
        Deviation(f"{change.section} {change.key}", str(change.old), str(change.new))
        for change in difference.changes
        if change.section != "scores"
    ]
    arrays = sorted(difference.arrays, key=lambda array: -(array.distance or 0.0))
    if arrays and not deviations:
        here = f"{platform.machine()}, BLAS {blas_name()}"
        deviations.append(Deviation("machine or BLAS", "not recorded", here))
    if not arrays and not deviations:
        deviations.append(Deviation("file", "written by another version", "the same arrays and values"))
    return ReproResult(weights, False, True, record["epochs"], tuple(deviations), tuple(arrays))


def _data_deviations(record: Mapping[str, Any], prepared: Prepared) -> Iterator[Deviation]:
    recorded = record.get("data", {}).get("sha256", {})
    for split in dict.fromkeys([*recorded, *prepared.data_sha256]):
        then, now = recorded.get(split, "none"), prepared.data_sha256.get(split, "none")
        if then != now:
            yield Deviation(f"{split} data", f"sha256 {then[:16]}", f"sha256 {now[:16]}")


def _train_again(prepared: Prepared, record: Mapping[str, Any], observer: Observer) -> Model:
    """The model after the recorded number of epochs, each with the engine and threads of its sitting.

    What ended a sitting, such as a signal or a patience that was changed later, may not recur, so epochs are counted.
    """
    state, sittings = initial_state(prepared), []
    observer.prepared(prepared, 0)
    try:
        with blas_threads(1):
            for sitting in record.get("sittings") or [{"epoch": record["epochs"]}]:
                own = _with_engine(sitting, prepared)
                for report in epochs(own, state, lambda: False, until=sitting["epoch"]):
                    observer.epoch(report, state)
                sittings.append(current_sitting(own, state.epoch))
            return finalize(prepared, state, sittings=sittings).model
    except NonFiniteLoss as fault:
        raise Diverged(f"{fault}; the recorded training did not diverge. Compare versions and machine.") from fault
    finally:
        observer.ended()


def _with_engine(sitting: Mapping[str, Any], prepared: Prepared) -> Prepared:
    if "engine" not in sitting:
        return prepared
    return replace(prepared, engine=EngineChoice(sitting["engine"]), n_threads=sitting["threads"])


def _as_recorded(now: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The new record with the recorded config and data name, because the path of the data is irrelevant."""
    return {**now, "config": record["config"], "data": {**now["data"], "name": record.get("data", {}).get("name")}}
