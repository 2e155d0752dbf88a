"""What is suspicious about rows without being wrong, one sentence each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.data.split import count_shared_rows
from mlpcli.data.table import Codes, count_codes

FEW_ROWS = 10
RARE_SHARE = 0.1


def rare_classes(labels: Sequence[str], codes: Codes) -> list[str]:
    """Classes with too few training rows to be learnt well."""
    counts = count_codes(codes, len(labels))
    few = [f"{label} {n}" for label, n in zip(labels, counts.tolist(), strict=True) if n < FEW_ROWS]
    if not few:
        return []
    which = "1 class has" if len(few) == 1 else f"{len(few)} classes have"
    shown = ", ".join(few[:6]) + (", ..." if len(few) > 6 else "")
    return [f"{which} fewer than {FEW_ROWS} training rows: {shown}"]


def rarest_class(labels: Sequence[str], counts: Sequence[int] | NDArray[np.int64]) -> str:
    """The rarest class and its share, "late (3.1%)", where accuracy would hide it; else ""."""
    share, label = min(zip((np.asarray(counts) / max(np.sum(counts), 1)).tolist(), labels, strict=True))
    # Of twenty equal classes each is rare, and none is rarer.
    return f"{label} ({share:.1%})" if share < min(RARE_SHARE, 0.5 / len(labels)) else ""


def shared_rows(part: str, X: NDArray[Any], others: NDArray[Any]) -> list[str]:
    """Rows of a part (inputs `others`) whose inputs stand in the training rows `X` too: its scores flatter."""
    n = count_shared_rows(X, others)
    if not n:
        return []
    return [f"{n} of {len(others)} {part} rows ({n / len(others):.1%}) have the inputs of a training row."]
