"""False alarms and power of the drift test: columns with equal and with changed distributions.

Each column is tested alone, where the bound on its p-value is widest. The sources include difficult cases: ties,
missing cells, dates, ids, and 2 to 10,000 levels, uniform or with few frequent ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.printing import print_table
from mlpcli.data.features.bins import NoEncoding
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.preprocessor import fit_preprocessor
from mlpcli.data.features.scaling import MedianFill, Standardize
from mlpcli.data.reference import count_rows
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.table import CategoricalColumn, Column, NumericColumn, Role, Table
from mlpcli.model import Model
from mlpcli.workflows.reading.drift import judge_drift

Generator = np.random.Generator
# Numbers or days, with NaN for missing; or the level code of each row, with -1 for missing.
Cells = NDArray[Any]

# Rows of the training table and of the new one.
SIZES = ((50, 50), (300, 2000), (1000, 1000), (3000, 300), (1000, 10_000))
N_ALIKE, N_CHANGED = 1000, 200
FEW = 20  # number of tables in a quick run
MANY = 10**9


@dataclass(frozen=True)
class Source:
    """A sampler of the cells of a column with `role`."""

    draw: Callable[[Generator, int], Cells]
    role: Role = "number"


@dataclass(frozen=True)
class Change:
    """A change of the distribution of a source."""

    source: str
    text: str
    apply: Callable[[Generator, Cells], Cells]


def _levels(n_levels: int, exponent: float = 0.0, missing: float = 0.0) -> Source:
    """Levels with Zipf frequencies (rank to the power of -`exponent`), some cells missing."""
    weights = np.arange(1, n_levels + 1, dtype=np.float64) ** -exponent
    weights /= weights.sum()

    def draw(rng: Generator, n_rows: int) -> Cells:
        levels = rng.choice(n_levels, n_rows, p=weights)
        return np.where(rng.random(n_rows) < missing, -1, levels)

    return Source(draw, "category")


def _changed_in(rate: float, to: Callable[[Generator, Cells], Any]) -> Callable[[Generator, Cells], Cells]:
    """Replace a fraction of the cells."""
    return lambda rng, cells: np.where(rng.random(len(cells)) < rate, to(rng, cells), cells)


def _half(rng: Generator, cells: Cells) -> Cells:
    kept = cells[cells % 2 == 0]
    return kept[rng.integers(0, len(kept), len(cells))]


NORMAL, GAPS, RARE = "numbers: normal", "numbers: 30% missing", "2 levels, 1 in 20"
SOURCES: dict[str, Source] = {
    NORMAL: Source(lambda rng, n: rng.normal(size=n)),
    "numbers: heavy tails": Source(lambda rng, n: rng.standard_cauchy(n)),
    "numbers: ties (counts)": Source(lambda rng, n: rng.poisson(1.5, n).astype(np.float64)),
    "numbers: 97% zeros": Source(lambda rng, n: np.where(rng.random(n) < 0.97, 0.0, rng.exponential(size=n).round(2))),
    GAPS: Source(lambda rng, n: np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))),
    "dates": Source(lambda rng, n: rng.integers(18_000, 18_700, n).astype(np.float64), "date"),
    RARE: Source(lambda rng, n: (rng.random(n) < 0.05).astype(np.int64), "category"),
    "5 levels, 50% missing": _levels(5, 1.0, 0.5),
    "30 levels": _levels(30),
    "130 levels": _levels(130),
    "130 levels, 1/rank": _levels(130, 1.0),
    "300 levels, 1/sqrt(rank)": _levels(300, 0.5),
    "1000 levels": _levels(1000),
    "10,000 levels": _levels(10_000),
    "10,000 levels, 1/rank": _levels(10_000, 1.0),
    "ids": Source(lambda rng, n: rng.integers(0, MANY, n), "category"),
}
CHANGES = (
    Change(NORMAL, "mean up by 0.5 deviations", lambda rng, cells: cells + 0.5),
    Change(NORMAL, "mean up by 1 deviation", lambda rng, cells: cells + 1.0),
    Change(NORMAL, "5% far away", _changed_in(0.05, lambda rng, cells: 99.0)),
    Change(GAPS, "51% missing", _changed_in(0.3, lambda rng, cells: np.nan)),
    Change(RARE, "1 in 4", _changed_in(0.21, lambda rng, cells: 1)),
    *(
        Change(source, text, apply)
        for source in ("30 levels", "130 levels", "1000 levels", "10,000 levels", "10,000 levels, 1/rank")
        for text, apply in (
            ("5% have one new level", _changed_in(0.05, lambda rng, cells: MANY)),
            ("20% have new levels", _changed_in(0.2, lambda rng, cells: MANY + rng.integers(0, MANY, len(cells)))),
            ("one level gains 30%", _changed_in(0.3, lambda rng, cells: 7)),
            ("half of the levels vanish", _half),
        )
    ),
    Change("ids", "30% have one id", _changed_in(0.3, lambda rng, cells: 7)),
)


def run(quick: bool, only: str | None) -> dict[str, Any]:
    """Run the benchmark; `only` is alike or changed."""
    results: dict[str, Any] = {}
    sizes = SIZES[1:3] if quick else SIZES
    if only in (None, "alike"):
        results["alike"] = list(_alike(FEW if quick else N_ALIKE, sizes))
        _print("Alarms among tables of the same source", results["alike"], sizes)
    if only in (None, "changed"):
        results["changed"] = list(_changed(FEW if quick else N_CHANGED, sizes))
        _print("Alarms among tables that did change", results["changed"], sizes)
    return results


def _alike(n_tables: int, sizes: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for name, source in SOURCES.items():
        alarms = [_alarms(source, None, size, n_tables) for size in sizes]
        yield {"column": name, "tables": n_tables, "alarms": alarms}


def _changed(n_tables: int, sizes: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for change in CHANGES:
        alarms = [_alarms(SOURCES[change.source], change, size, n_tables) for size in sizes]
        yield {"column": f"{change.source}: {change.text}", "tables": n_tables, "alarms": alarms}


def _alarms(source: Source, change: Change | None, size: tuple[int, int], n_tables: int) -> int:
    """The number of pairs of tables for which drift is reported."""
    alarms = 0
    for number in range(n_tables):
        rng = np.random.default_rng((number, *size))
        before, now = source.draw(rng, size[0]), source.draw(rng, size[1])
        alarms += _drifted(before, now if change is None else change.apply(rng, now), source.role)
    return alarms


def _drifted(before: Cells, now: Cells, role: Role) -> bool:
    schema = ColumnSchema("x", role, date_format="%Y-%m-%d" if role == "date" else "")
    fit, profile = fit_preprocessor(_table(before, role), [schema], Standardize(), MedianFill(), OneHot(), NoEncoding())
    model = cast(Model, SimpleNamespace(reference=profile, preprocessor=fit))
    return bool(judge_drift(model, count_rows(profile, fit.columns, _table(now, role))).drifted)


def _table(cells: Cells, role: Role) -> Table:
    column: Column = NumericColumn(cells)
    if role == "category":
        levels, codes = np.unique(cells, return_inverse=True)
        has_missing = int(levels[0] < 0)
        names = tuple(f"level {number}" for number in levels[has_missing:].tolist())
        column = CategoricalColumn(names, codes - has_missing)
    return Table({"x": column}, len(cells), "table", ("x",))


def _print(title: str, rows: list[dict[str, Any]], sizes: Sequence[tuple[int, int]]) -> None:
    header = ["column", *(f"{before} / {now}" for before, now in sizes)]
    shown = [[row["column"], *(f"{alarms / row['tables']:.1%}" for alarms in row["alarms"])] for row in rows]
    total = [sum(row["alarms"][place] for row in rows) for place in range(len(sizes))]
    n_tables = sum(row["tables"] for row in rows)
    print_table(f"{title}: rows of training / new", header, shown)
    print(f"all columns: {', '.join(f'{count} of {n_tables}' for count in total)}")
