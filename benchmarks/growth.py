"""(5) Time and peak memory of `mlp train` as functions of rows, parameters and columns, with fitted lines."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import MLP, compare, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.measuring import fit_line
from benchmarks.printing import in_memory, in_time, print_table

EPOCHS = 2
# For the whole series, as `auto` takes the compiled engine, with other time and memory, for the largest only.
ENGINE = "numpy"
FLOAT32 = 4


@dataclass(frozen=True)
class Point:
    """The sizes of one training."""

    n_rows: int = 100_000
    n_columns: int = 14
    hidden: tuple[int, ...] = (64, 64)


def series(quick: bool, full: bool) -> dict[str, list[Point]]:
    """The trainings of each series."""
    if quick:
        return {
            "rows": [Point(n_rows=n) for n in (1_000, 3_000)],
            "parameters": [Point(n_rows=1_000, hidden=(n, n)) for n in (16, 64)],
            "columns": [Point(n_rows=1_000, n_columns=n) for n in (5, 20)],
        }
    rows = (10_000, 30_000, 100_000, 300_000, 1_000_000, *((3_000_000, 10_000_000) if full else ()))
    return {
        "rows": [Point(n_rows=n) for n in rows],
        "parameters": [Point(n_rows=20_000, hidden=(n, n)) for n in (64, 128, 256, 512, 1024, 2048)],
        "columns": [Point(n_rows=10_000, n_columns=n) for n in (10, 30, 100, 300, 1000)],
    }


def run(quick: bool, full: bool, only: str | None) -> dict[str, Any]:
    """Run the benchmark; `only` is rows, parameters or columns."""
    results = {}
    for name, points in series(quick, full).items():
        if only in (None, name):
            found = [_measure(point, quick) for point in points]
            results[name] = {"points": found, "lines": _lines(name, found)}
            _print(name, results[name])
    return results


def _measure(point: Point, quick: bool) -> dict[str, Any]:
    with workshop() as name:
        folder = Path(name)
        train = write_table(folder / "train.csv", point.n_rows, point.n_columns, has_target=True)
        config = write_config(folder / "job.yaml", train, "y", point.hidden, EPOCHS, engine=ENGINE)
        repeats = 1 if quick or point.n_rows > 1_000_000 else 3
        found = compare({"mlp": [MLP, "train", str(config), "--quiet"]}, folder, repeats, warm_up=False)["mlp"]
        with open(folder / "runs/job/history.csv", encoding="utf-8", newline="") as history:
            epoch_seconds = min(float(row["seconds"]) for row in csv.DictReader(history) if row["epoch"] != "0")
        n_parameters = json.loads((folder / "runs/job/metrics.json").read_text())["n_parameters"]
    return {
        **asdict(point),
        "parameters": n_parameters,
        "data_bytes": FLOAT32 * point.n_rows * point.n_columns,
        "epoch_seconds": epoch_seconds,
        "seconds": found["seconds"],
        "peak_bytes": found["peak_bytes"],
    }


def _lines(name: str, points: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Fitted lines: time over the varied size, peak memory over the bytes of the float32 data or the parameters."""
    xs = [point[{"rows": "n_rows", "columns": "n_columns"}.get(name, name)] for point in points]
    sizes = [FLOAT32 * point["parameters"] if name == "parameters" else point["data_bytes"] for point in points]
    return {
        "epoch": asdict(fit_line(xs, [point["epoch_seconds"] for point in points])),
        "process": asdict(fit_line(xs, [point["seconds"]["median"] for point in points])),
        "memory": asdict(fit_line(sizes, [point["peak_bytes"] for point in points])),
    }


def _print(name: str, result: dict[str, Any]) -> None:
    print_table(
        f"growth with {name}",
        ["rows", "columns", "parameters", "an epoch", "whole process", "float32 data", "peak memory"],
        [
            [
                str(point["n_rows"]),
                str(point["n_columns"]),
                str(point["parameters"]),
                in_time(point["epoch_seconds"]),
                in_time(point["seconds"]["median"]),
                in_memory(point["data_bytes"]),
                in_memory(point["peak_bytes"]),
            ]
            for point in result["points"]
        ],
    )
    one = name.removesuffix("s")
    for what, title in (("epoch", "an epoch"), ("process", f"the process, {EPOCHS} epochs")):
        line = result["lines"][what]
        formula = f"{line['constant']:.3g} s + {line['slope'] * 1e6:.3g} µs a {one}"
        print(f"{title}: {formula} (worst point {line['worst']:.0%} off)")
    memory = result["lines"]["memory"]
    of = "parameters" if name == "parameters" else "data"
    print(
        f"peak memory: {in_memory(memory['constant'])} + {memory['slope']:.2f} x the float32 {of} "
        f"(worst point {memory['worst']:.0%} off)"
    )
