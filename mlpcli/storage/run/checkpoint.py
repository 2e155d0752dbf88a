"""checkpoint.npz: the state of a training, from which it resumes bit-identically."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import ModelFileError
from mlpcli.options import Setting
from mlpcli.storage.model.model_record import Count, Sitting
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain
from mlpcli.training.fit import TrainingState

OPTIMIZER = "optimizer_"


@dataclass(frozen=True)
class _Header:
    kind: Literal["checkpoint"]
    format: int
    epoch: Count
    best_epoch: Count
    best_score: float | None
    n_steps: tuple[Count, ...]
    seconds: Annotated[float, Setting("From 0.", ge=0)]
    config: dict[str, Any]
    data_sha256: dict[str, str]
    sittings: tuple[Sitting, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A training state with its resolved config and the hash of each data file.

    `seconds` is the training time so far, `sittings` are the uninterrupted parts of the training.
    """

    state: TrainingState
    config: dict[str, Any]
    data_sha256: dict[str, str]
    seconds: float
    sittings: tuple[Sitting, ...]


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes of checkpoint.npz."""
    state = checkpoint.state
    header = _Header(
        "checkpoint",
        FORMATS["checkpoint"],
        state.epoch,
        state.best_epoch,
        state.best_score,
        tuple(member.n_steps for member in state.members),
        checkpoint.seconds,
        checkpoint.config,
        checkpoint.data_sha256,
        checkpoint.sittings,
    )
    return encode_npz(_arrays(state), to_plain(header))


def _arrays(state: TrainingState) -> dict[str, NDArray[Any]]:
    """The arrays of a training state, with a prefix for each member."""
    arrays: dict[str, NDArray[Any]] = {}
    for number, (member, best) in enumerate(zip(state.members, state.best, strict=True), start=1):
        arrays |= {f"m{number}.flat": member.flat, f"m{number}.best": best}
        arrays |= {f"m{number}.{OPTIMIZER}{name}": values for name, values in member.optimizer.items()}
    return arrays


def load_checkpoint(path: str, fresh: TrainingState) -> Checkpoint:
    """Read a checkpoint into `fresh`, the initial state of the same config; raises ModelFileError."""
    plain, arrays = read_npz(path, "checkpoint")
    header = from_plain(_Header, plain, path)
    expected = _arrays(fresh)
    matches = expected.keys() == arrays.keys() and all(
        array.shape == arrays[name].shape and array.dtype == arrays[name].dtype for name, array in expected.items()
    )
    if not (matches and _is_consistent(header, len(fresh.members))):
        raise ModelFileError(f"{path}: does not fit the config, or is damaged. Start again without --resume.")
    for name, array in expected.items():  # those of `fresh` itself
        array[...] = arrays[name]
    if not all(np.isfinite(array).all() for array in expected.values()):
        raise ModelFileError(f"{path}: holds numbers that are not finite. Start again without --resume.")
    for member, n_steps in zip(fresh.members, header.n_steps, strict=True):
        member.n_steps = n_steps
    fresh.epoch, fresh.best_epoch, fresh.best_score = header.epoch, header.best_epoch, header.best_score
    return Checkpoint(fresh, header.config, header.data_sha256, header.seconds, header.sittings)


def _is_consistent(header: _Header, n_members: int) -> bool:
    """Whether the counts in the header are consistent."""
    ends = [0, *(sitting.epoch for sitting in header.sittings)]
    return (
        len(header.n_steps) == n_members
        and header.best_epoch <= header.epoch == ends[-1]
        and (header.best_epoch > 0 or header.best_score is None)
        and all(before < after for before, after in pairwise(ends))
    )
