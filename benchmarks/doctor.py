"""False alarms of `mlp doctor`: its findings in a hundred trainings with nothing wrong.

Ten kinds of tables with learnable signal and noise, ten seeds each, with enough rows for validation. Half are trained
with the config of `mlp init --recipe fast`, half with default values. Every finding is a false alarm.
"""

import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.printing import print_table
from mlpcli.cli.main import run as run_program
from mlpcli.doctor.finding import NAMES

Columns = dict[str, NDArray[Any]]
N_SEEDS = 10


def _inputs(rng: np.random.Generator, n_rows: int, n_columns: int) -> Columns:
    return {f"x{i}": rng.normal(size=n_rows).round(4) for i in range(n_columns)}


def _two_classes(rng: np.random.Generator) -> Columns:
    x = _inputs(rng, 1000, 6)
    return x | {"y": np.where(x["x0"] + x["x1"] * x["x2"] + rng.logistic(size=1000) / 2 > 0, "yes", "no")}


def _rare_class(rng: np.random.Generator) -> Columns:
    x = _inputs(rng, 2000, 5)
    return x | {"y": np.where(x["x0"] + 0.7 * x["x1"] + 0.4 * rng.normal(size=2000) > 1.6, "late", "in time")}


def _five_classes(rng: np.random.Generator) -> Columns:
    centres, k = 1.5 * rng.normal(size=(5, 8)), rng.integers(5, size=1500)
    points = centres[k] + rng.normal(size=(1500, 8))
    return {f"x{i}": points[:, i].round(4) for i in range(8)} | {"y": np.asarray(list("abcde"))[k]}


def _categories(rng: np.random.Generator) -> Columns:
    n = 1500
    city, colour = rng.integers(30, size=n), rng.integers(4, size=n)
    age = rng.integers(18, 80, size=n)
    score = rng.normal(size=30)[city] + rng.normal(size=4)[colour] + (age - 49) / 20 + rng.logistic(size=n) / 2
    names = np.asarray([f"city {i}" for i in range(30)])
    return {
        "city": names[city], "colour": np.asarray(["red", "green", "blue", "grey"])[colour], "age": age,
        "y": np.where(score > 0, "stays", "goes"),
    }  # fmt: skip


def _missing_cells(rng: np.random.Generator) -> Columns:
    table = _two_classes(rng)
    for name in ("x1", "x3", "x4"):
        cells = table[name].astype(object)
        cells[rng.random(len(cells)) < 0.1] = ""
        table[name] = cells
    return table


def _line(rng: np.random.Generator) -> Columns:
    x = _inputs(rng, 800, 8)
    return x | {"y": (3 * x["x0"] - 2 * x["x1"] + x["x2"] + rng.normal(size=800)).round(4)}


def _friedman(rng: np.random.Generator) -> Columns:
    """The first of Friedman's three functions (1991)."""
    x = {f"x{i}": rng.random(1500).round(4) for i in range(10)}
    y = 10 * np.sin(np.pi * x["x0"] * x["x1"]) + 20 * (x["x2"] - 0.5) ** 2 + 10 * x["x3"] + 5 * x["x4"]
    return x | {"y": (y + rng.normal(size=1500)).round(4)}


def _prices(rng: np.random.Generator) -> Columns:
    """Heavy-tailed inputs and targets."""
    n = 2000
    area, age = rng.lognormal(4.5, 0.5, n).round(1), rng.exponential(30, n).round(0)
    place = rng.integers(6, size=n)
    price = area**0.8 * np.exp(0.3 * rng.normal(size=6)[place] - age / 200 + 0.2 * rng.normal(size=n))
    return {"area": area, "age": age, "place": np.asarray(list("ABCDEF"))[place], "y": price.round(2)}


def _weak_signal(rng: np.random.Generator) -> Columns:
    x = _inputs(rng, 3000, 10)
    return x | {"y": (0.6 * x["x0"] + 0.4 * x["x1"] * x["x2"] + rng.normal(size=3000)).round(4)}


def _small(rng: np.random.Generator) -> Columns:
    x = _inputs(rng, 500, 4)
    return x | {"y": np.asarray(["low", "mid", "high"])[np.digitize(x["x0"] + 0.3 * rng.normal(size=500), [-0.5, 0.5])]}


KINDS: Mapping[str, Callable[[np.random.Generator], Columns]] = {
    "two classes": _two_classes,
    "a rare class": _rare_class,
    "five classes": _five_classes,
    "categories": _categories,
    "missing cells": _missing_cells,
    "500 rows": _small,
    "a line": _line,
    "Friedman's numbers": _friedman,
    "prices": _prices,
    "a weak signal": _weak_signal,
}


def run(quick: bool, only: str | None) -> list[dict[str, Any]]:
    """For each kind of table the number of runs, and findings by check."""
    results = []
    for kind, make in KINDS.items():
        if only in (None, kind):
            n_seeds = 1 if quick else N_SEEDS
            found: Counter[str] = Counter()
            facts: list[str] = []
            for seed in range(n_seeds):
                names = findings(make(np.random.default_rng([list(KINDS).index(kind), seed])), seed, facts)
                found.update(set(names))
            results.append({"table": kind, "runs": n_seeds, "findings": dict(found), "facts": facts})
    print_table(
        f"False alarms in {sum(one['runs'] for one in results)} healthy runs",
        ("table", "runs", "findings"),
        rows(results),
    )
    return results


def rows(results: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The cells of the table, with a last row for all runs."""
    total: Counter[str] = Counter()
    for one in results:
        total.update(one["findings"])
    everything = {"table": "all", "runs": sum(one["runs"] for one in results), "findings": total}
    return [
        (
            one["table"],
            str(one["runs"]),
            ", ".join(f"{name} {one['findings'][name]}" for name in NAMES if one["findings"].get(name)) or "none",
        )
        for one in [*results, everything]
    ]


def findings(table: Columns, seed: int, facts: list[str]) -> list[str]:
    """The checks with findings in a run on this table; appends the findings to `facts`."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
        Path("t.csv").write_text("\n".join(lines) + "\n")
        if seed % 2:
            Path("t.yaml").write_text("data: {train: t.csv, target: y}\n")
        else:
            _done("init", "t.csv", "--target", "y", "--recipe", "fast", "-o", "t.yaml")
        _done("train", "t.yaml", "-q", "--set", "training.engine=numpy", "--seed", str(seed))
        document = json.loads(_done("doctor", "runs/t", "--json"))
    for check in document["checks"]:
        facts += [f"{check['name']}: {one['fact']}" for one in check["findings"]]
    return [check["name"] for check in document["checks"] if check["findings"]]


def _done(*arguments: str) -> str:
    """Standard output of the program; raises if it fails."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(out), redirect_stderr(io.TextIOWrapper(open(os.devnull, "wb"))):
        code = run_program(list(arguments))
    assert code == 0, (arguments, code)
    out.flush()
    return out.buffer.getvalue().decode()  # type: ignore[attr-defined]
