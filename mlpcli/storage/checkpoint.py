"""checkpoint.npz: where a training stands, so that it can go on bit for bit."""

from typing import Any, Literal

import numpy as np

from mlpcli.dataclass import dataclass
from mlpcli.errors import ModelFileError
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain
from mlpcli.training.state import TrainingState

OPTIMIZER = "optimizer_"


@dataclass(frozen=True)
class _Header:
    kind: Literal["checkpoint"]
    format: int
    epoch: int
    best_epoch: int
    best_score: float | None
    seconds: float
    config: dict[str, Any]
    data_sha256: dict[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """A training state, and what it belongs to: the resolved config, and the hash of each data file.

    `seconds` is the time spent on training so far.
    """

    state: TrainingState
    config: dict[str, Any]
    data_sha256: dict[str, str]
    seconds: float


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes of checkpoint.npz."""
    state = checkpoint.state
    header = _Header(
        "checkpoint",
        FORMATS["checkpoint"],
        state.epoch,
        state.best_epoch,
        state.best_score,
        checkpoint.seconds,
        checkpoint.config,
        checkpoint.data_sha256,
    )
    arrays = {"flat": state.flat, "best_flat": state.best_flat}
    arrays |= {OPTIMIZER + name: values for name, values in state.optimizer.items()}
    return encode_npz(arrays, to_plain(header))


def load_checkpoint(path: str, fresh: TrainingState) -> Checkpoint:
    """Read a checkpoint with the shapes of `fresh`, the state the same config starts from; raises ModelFileError."""
    plain, arrays = read_npz(path, "checkpoint")
    header = from_plain(_Header, plain, path)
    expected = {"flat": fresh.flat, "best_flat": fresh.best_flat}
    expected |= {OPTIMIZER + name: values for name, values in fresh.optimizer.items()}
    fits = expected.keys() == arrays.keys() and all(
        array.shape == arrays[name].shape and array.dtype == arrays[name].dtype for name, array in expected.items()
    )
    if not fits or not all(np.isfinite(array).all() for array in arrays.values()):
        raise ModelFileError(f"{path}: does not fit the config, or is damaged. Start anew, without --resume.")
    state = TrainingState(
        flat=arrays["flat"],
        optimizer={name: arrays[OPTIMIZER + name] for name in fresh.optimizer},
        best_flat=arrays["best_flat"],
        epoch=header.epoch,
        best_epoch=header.best_epoch,
        best_score=header.best_score,
    )
    return Checkpoint(state, header.config, header.data_sha256, header.seconds)
