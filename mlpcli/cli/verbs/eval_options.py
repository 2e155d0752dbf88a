"""Parsing of the options of `mlp eval`."""

import csv
import math
from collections.abc import Sequence

from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, parse_gate
from mlpcli.evaluation.uncertainty.intervals import IntervalOptions
from mlpcli.workflows.scoring.slices import Grouping

FEWEST, MOST = 20, 1_000_000


def parse_gates(minimum: Sequence[str] | None, maximum: Sequence[str] | None) -> list[Gate]:
    """The gates of `--min` and `--max`, in this order; raises MlpError."""
    return [
        *(parse_gate(text, is_minimum=True) for text in minimum or ()),
        *(parse_gate(text, is_minimum=False) for text in maximum or ()),
    ]


def parse_interval_options(confidence: str, replicates: str) -> IntervalOptions:
    """The interval options of `--confidence` and `--replicates`; raises MlpError for invalid values."""
    try:
        share = float(confidence)
    except ValueError:
        share = math.nan
    if not 0.5 <= share < 1.0:
        raise MlpError(f"--confidence {confidence}: must be a fraction from 0.5 to below 1, for example 0.95.")
    if not replicates:
        return IntervalOptions(share)
    if not (replicates.isascii() and replicates.isdigit() and FEWEST <= int(replicates) <= MOST):
        raise MlpError(f"--replicates {replicates}: must be an integer from {FEWEST} to {MOST}.")
    return IntervalOptions(share, int(replicates))


def parse_grouping(columns: str, is_crossed: bool, is_gated: bool, gates: Sequence[Gate]) -> Grouping:
    """The grouping of `--by`, `--cross` and `--gate-groups`; raises MlpError if one lacks another that it requires."""
    # A name that contains a comma is quoted, as in CSV.
    names = tuple(dict.fromkeys(name.strip() for name in next(csv.reader([columns]), []) if name.strip()))
    if is_crossed and len(names) < 2:
        raise MlpError("--cross: needs several columns. Write for example --by region,sex --cross")
    if is_gated and not (names and gates):
        raise MlpError("--gate-groups: needs groups and gates: --by region --min accuracy=0.8 --gate-groups")
    return Grouping(names, is_crossed, is_gated)
