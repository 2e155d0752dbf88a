"""Checks of single columns: target leakage, and drift between training and held-out rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpcli.doctor.finding import Finding
from mlpcli.evaluation.drift import chi_squared, merge_neighbours, merge_rare, psi
from mlpcli.messages import format_list

Inputs = NDArray[np.floating[Any]]
Values = NDArray[np.float64]
Codes = NDArray[np.int64]

MAX_LEVELS = 200
MAX_BINS = 100
ROWS_OF_BIN = 10
MIN_ROWS = 50
# Fraction of the variance of the target (classes as indicators) that a column alone explains on held-out rows.
NEARLY_ALL = 0.98
DRIFT_BINS = 10
LARGE_PSI, SIGNIFICANCE = 0.25, 1e-3


def column_codes(train: Inputs, held_out: Inputs) -> tuple[Codes, Codes, bool]:
    """Codes of the cells of a column, from its inputs (n_rows, k), and whether they are ordered.

    A column with few distinct cells has a code for each; of one with many, the first input is binned at its training
    quantiles. An unseen cell has the code -1.
    """
    distinct, codes = np.unique(train, axis=0, return_inverse=True)
    if len(distinct) <= min(MAX_LEVELS, max(len(train) // ROWS_OF_BIN, 2)):
        code_of_row = {row.tobytes(): code for code, row in enumerate(np.ascontiguousarray(distinct))}
        rows = np.ascontiguousarray(held_out, train.dtype)
        others = np.array([code_of_row.get(row.tobytes(), -1) for row in rows], np.int64)
        return codes.reshape(-1).astype(np.int64), others, train.shape[1] == 1
    n_bins = int(np.clip(len(train) // ROWS_OF_BIN, 2, MAX_BINS))
    edges = np.unique(np.quantile(train[:, 0], np.linspace(0, 1, n_bins + 1)[1:-1]))
    binned = [np.searchsorted(edges, inputs[:, 0], side="right").astype(np.int64) for inputs in (train, held_out)]
    return binned[0], binned[1], True


def explained_alone(codes: Codes, targets: Values, others: Codes, truth: Values) -> float:
    """The fraction of the variance of `truth` (m, k) that target encoding by code explains; negative if harmful.

    `targets` (n, k) belong to the training `codes` (n,), `truth` to the held-out `others` (m,).
    """
    n_codes = int(codes.max(initial=0)) + 1
    sizes = np.bincount(codes, minlength=n_codes)
    mean = targets.mean(axis=0)
    sums = np.column_stack([np.bincount(codes, column, n_codes) for column in targets.T])
    means = sums / np.maximum(sizes, 1)[:, None]
    predicted = np.where((others >= 0)[:, None], means[others], mean)
    residual, total = ((truth - predicted) ** 2).sum(), ((truth - mean) ** 2).sum()
    return float(1.0 - residual / total) if total > 0.0 else 0.0


def leaking_columns(
    columns: Mapping[str, tuple[Inputs, Inputs]], targets: Values, truth: Values, target: str
) -> list[Finding]:
    """Columns that alone explain nearly all of the target, in a table with other columns.

    `columns` has the inputs of each on training and held-out rows, with `targets` (n, k) and `truth` (m, k).
    """
    if len(columns) < 2 or len(truth) < MIN_ROWS or len(targets) < MIN_ROWS:
        return []
    findings = []
    for name, (train, held_out) in columns.items():
        codes, others, _ = column_codes(train, held_out)
        explained = explained_alone(codes, targets, others, truth)
        if explained >= NEARLY_ALL:
            findings.append(
                Finding(
                    f"{name} alone explains {explained:.1%} of {target} on held-out rows",
                    "If the column is known only after the target, the scores will not hold in use.",
                    f"If it is not available at prediction time: data.drop: [{name}]",
                    {"column": name, "explained": explained},
                )
            )
    return findings


def drifted(columns: Mapping[str, tuple[Inputs, Inputs]], split: str) -> list[Finding]:
    """Columns with a large and significant population stability index between training and held-out rows."""
    psi_by_column: dict[str, float] = {}
    for name, (train, held_out) in columns.items():
        codes, others, has_order = column_codes(train, held_out)
        n_codes = int(codes.max(initial=0)) + 2  # the last one for unseen cells
        before = np.bincount(codes, minlength=n_codes).astype(np.int64)
        now = np.bincount(np.where(others < 0, n_codes - 1, others), minlength=n_codes).astype(np.int64)
        if has_order:
            before, now = merge_neighbours(before, now, DRIFT_BINS)
        before, now = merge_rare(before, now)
        if psi(before, now) >= LARGE_PSI and chi_squared(before, now)[1] * len(columns) < SIGNIFICANCE:
            psi_by_column[name] = psi(before, now)
    if not psi_by_column:
        return []
    worst = sorted(psi_by_column, key=lambda name: -psi_by_column[name])
    shown = format_list([f"{name} (PSI {psi_by_column[name]:.2f})" for name in worst], 5)
    return [
        Finding(
            f"the {split} rows differ from the training rows in {len(psi_by_column)} of {len(columns)} columns: "
            f"{shown}",
            "A network is reliable only on rows like its training rows.",
            "Train on such rows too, or drop the columns that shift: data.drop",
            {"columns": len(psi_by_column), "worst": worst[0], "psi": psi_by_column[worst[0]]},
        )
    ]
