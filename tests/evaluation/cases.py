"""Random predictions: small, with many ties, and with weights that sum exactly, so that rounding cannot matter."""

from typing import Any

import numpy as np
from hypothesis import strategies as st


@st.composite
def weights_for(draw: st.DrawFn, n_rows: int) -> np.ndarray | None:
    """None, or quarters that include zeros but not only zeros."""
    quarters = draw(st.none() | st.lists(st.integers(0, 6), min_size=n_rows, max_size=n_rows).filter(any))
    return None if quarters is None else np.array(quarters) / 4


@st.composite
def class_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Codes (n_rows,), probabilities (n_rows, K) and weights; classes may be absent from the codes."""
    n_rows, n_classes = draw(st.integers(1, 25)), draw(st.integers(2, 4))
    y = np.array(draw(st.lists(st.integers(0, n_classes - 1), min_size=n_rows, max_size=n_rows)))
    row = st.lists(st.integers(0, 4), min_size=n_classes, max_size=n_classes).filter(any)
    points = np.array(draw(st.lists(row, min_size=n_rows, max_size=n_rows)), dtype=float)
    return y, points / points.sum(axis=1, keepdims=True), draw(weights_for(n_rows))


@st.composite
def number_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Truth and prediction (n_rows, M) in eighths, and weights."""
    n_rows, n_outputs = draw(st.integers(1, 25)), draw(st.integers(1, 3))
    cells: Any = st.lists(st.integers(-20, 20), min_size=n_rows * n_outputs, max_size=n_rows * n_outputs)
    y, predicted = (np.array(draw(cells)).reshape(n_rows, n_outputs) / 8 for _ in range(2))
    return y, predicted, draw(weights_for(n_rows))


@st.composite
def yes_no_cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Truth (n_rows, M) of 0.0 and 1.0, probabilities (n_rows, M) in tenths, and weights."""
    n_rows, n_columns = draw(st.integers(1, 25)), draw(st.integers(2, 3))
    n_cells = n_rows * n_columns
    y = np.array(draw(st.lists(st.integers(0, 1), min_size=n_cells, max_size=n_cells)), dtype=float)
    tenths = np.array(draw(st.lists(st.integers(0, 10), min_size=n_cells, max_size=n_cells)))
    shape = (n_rows, n_columns)
    return y.reshape(shape), tenths.reshape(shape) / 10, draw(weights_for(n_rows))
