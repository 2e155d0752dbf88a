"""fold_N.npz: the result of a fold of a cross-validation, stored until all folds are complete."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpcli.errors import ModelFileError
from mlpcli.options import Setting
from mlpcli.storage.model.model_record import Count
from mlpcli.storage.npz import FORMATS, encode_npz, read_npz
from mlpcli.storage.records import from_plain, to_plain

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

Scores = dict[str, float | None]


@dataclass(frozen=True)
class _Header:
    kind: Literal["fold"]
    format: int
    number: Count
    n_train: Count
    n_validation: Count
    epochs: Count
    best_epoch: Count
    stop_reason: str
    scores: Scores
    constant: Scores
    labels: tuple[str, ...]
    seconds: Annotated[float, Setting("From 0.", ge=0)]


@dataclass(frozen=True)
class FoldRecord:
    """A fold, `number` from 0: its scores, and its predictions for the held-out rows.

    `rows` (n_rows,) are indices in the training table; `predictions` (n_rows, n_classes or n_targets) are in
    the units of the table, with column names `labels`; `threshold` is None for 0.5. An undefined score is None.
    """

    number: int
    n_train: int
    n_validation: int
    epochs: int
    best_epoch: int
    stop_reason: str
    scores: Scores
    constant: Scores
    labels: tuple[str, ...]
    rows: Rows = field(repr=False)
    predictions: Values = field(repr=False)
    threshold: Values | None = field(default=None, repr=False)
    seconds: float = 0.0


def encode_fold(record: FoldRecord) -> bytes:
    """The bytes of fold_N.npz."""
    header = _Header(
        "fold", FORMATS["fold"], record.number, record.n_train, record.n_validation, record.epochs, record.best_epoch,
        record.stop_reason, record.scores, record.constant, record.labels, record.seconds,
    )  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {"rows": record.rows, "predictions": record.predictions}
    if record.threshold is not None:
        arrays["threshold"] = record.threshold
    return encode_npz(arrays, to_plain(header))


def load_fold(path: str) -> FoldRecord:
    """Read a fold file; raises ModelFileError for a damaged file or one of another kind."""
    plain, arrays = read_npz(path, "fold")
    header = from_plain(_Header, plain, path)
    rows, predictions, threshold = (
        arrays.pop("rows", None),
        arrays.pop("predictions", None),
        arrays.pop("threshold", None),
    )
    is_consistent = (
        rows is not None
        and predictions is not None
        and not arrays
        and rows.dtype == np.int64
        and rows.ndim == 1
        and predictions.dtype == np.float64
        and predictions.shape == (len(rows), len(header.labels))
        and np.isfinite(predictions).all()
        and (threshold is None or (threshold.dtype == np.float64 and np.isfinite(threshold).all()))
    )
    if not is_consistent or rows is None or predictions is None:
        raise ModelFileError(f"{path}: its contents are inconsistent. Start again without --resume.")
    return FoldRecord(
        header.number, header.n_train, header.n_validation, header.epochs, header.best_epoch, header.stop_reason,
        header.scores, header.constant, header.labels, rows, predictions, threshold, header.seconds,
    )  # fmt: skip
