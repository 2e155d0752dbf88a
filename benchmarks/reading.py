"""(6) Reading a table compared with `pandas.read_csv`, and training from disk compared with training from memory."""

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.children import MLP, compare, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.measuring import alternate, summary
from benchmarks.printing import in_memory, in_time, print_table
from mlpcli.data.reading.building import StoreOptions
from mlpcli.data.reading.read import read_table
from mlpcli.machine import keep_freed_memory
from mlpcli.workflows.train import KEPT_MEMORY

DISK_COLUMNS = 50
DISK_BUDGET = "500MB"
DISK_EPOCHS = 2


def run(quick: bool, full: bool, only: str | None) -> dict[str, Any]:
    """Run the benchmark; `only` is mixed, pixels, floats or disk."""
    results: dict[str, Any] = {}
    keep_freed_memory(KEPT_MEMORY)  # as `mlp train` does; pandas has the benefit, too
    with workshop() as name:
        folder = Path(name)
        for table, write in TABLES.items():
            if only in (None, table):
                results[table] = _measure(write(folder / f"{table}.csv", 10 if quick else 1), 3 if quick else 9)
        if results:
            _print(results)
        if only in (None, "disk"):
            sizes = (2_000,) if quick else (1_000_000, *((10_000_000,) if full else ()))
            results["disk"] = [_measure_disk(folder, n_rows) for n_rows in sizes]
            _print_disk(results["disk"])
    return results


def _mixed(file: Path, shrink: int) -> Path:
    """100,000 rows of floats, integers, categories, dates and a label."""
    rng, n_rows = np.random.default_rng(0), 100_000 // shrink
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, n_rows), "D")
    columns = {
        **{f"x{n}": rng.normal(size=n_rows).round(4) for n in range(6)},
        **{f"n{n}": rng.integers(0, 1000, n_rows) for n in range(3)},
        **{f"c{n}": rng.choice(words, n_rows) for n in range(4)},
        "day": days.strftime("%Y-%m-%d"),
        "y": rng.choice(["yes", "no"], n_rows),
    }
    pd.DataFrame(columns).to_csv(file, index=False)
    return file


def _pixels(file: Path, shrink: int) -> Path:
    """8,000 images of 784 pixels, most of them 0, and a digit."""
    rng, n_rows = np.random.default_rng(0), 8_000 // shrink
    pixels = rng.integers(0, 256, (n_rows, 784)) * (rng.random((n_rows, 784)) < 0.2)
    pd.DataFrame(pixels).assign(y=rng.integers(0, 10, n_rows)).to_csv(file, index=False)
    return file


def _floats(file: Path, shrink: int) -> Path:
    """200,000 rows of 13 numbers of six decimals."""
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(200_000 // shrink, 13)).round(6)).to_csv(file, index=False)
    return file


TABLES = {"mixed": _mixed, "pixels": _pixels, "floats": _floats}


def _measure(file: Path, repeats: int) -> dict[str, Any]:
    """Seconds and CPU seconds of both, alternating in one process."""
    works = {
        "pandas.read_csv": lambda: pd.read_csv(file),
        "mlp": lambda: read_table(str(file), store=StoreOptions(str(file.parent))),
    }
    cpu: dict[str, list[float]] = {name: [] for name in works}

    def timed(name: str) -> float:
        started, cpu_started = time.perf_counter(), time.process_time()
        works[name]()
        cpu[name].append(time.process_time() - cpu_started)
        return time.perf_counter() - started

    for work in works.values():
        work()
    seconds = alternate({name: lambda name=name: timed(name) for name in works}, repeats)
    found = {name: {"seconds": summary(seconds[name]), "cpu_seconds": summary(cpu[name])} for name in works}
    return {"file_bytes": file.stat().st_size, "found": found}


def _measure_disk(folder: Path, n_rows: int) -> dict[str, Any]:
    train = write_table(folder / "disk.csv", n_rows, DISK_COLUMNS, has_target=True)
    config = write_config(folder / "disk.yaml", train, "y", (64, 64), DISK_EPOCHS, engine="numpy")
    half = f"{n_rows * DISK_COLUMNS * 4 // 8 // 1000 + 150_001}kB"  # an eighth of the float32 inputs
    commands = {
        "in memory": [MLP, "train", str(config), "--quiet", "-o", "memory"],
        f"budget {DISK_BUDGET}": [MLP, "train", str(config), "--quiet", "-o", "budget", "--max-memory", DISK_BUDGET],
        "an eighth of the data": [MLP, "train", str(config), "--quiet", "-o", "eighth", "--max-memory", half],
    }
    found = compare(commands, folder, 1, warm_up=False)
    for name, run_folder in zip(commands, ("memory", "budget", "eighth"), strict=True):
        with open(folder / run_folder / "history.csv", encoding="utf-8", newline="") as history:
            epoch = min(float(row["seconds"]) for row in csv.DictReader(history) if row["epoch"] != "0")
        found[name]["rows_per_second"] = n_rows / epoch
    return {"n_rows": n_rows, "found": found}


def _print(results: dict[str, Any]) -> None:
    rows = []
    for table, result in results.items():
        pandas, mlp = result["found"]["pandas.read_csv"], result["found"]["mlp"]
        wall, cpu = ([one[key]["median"] for one in (mlp, pandas)] for key in ("seconds", "cpu_seconds"))
        ratios = [f"{wall[0] / wall[1]:.2f}", f"{cpu[0] / cpu[1]:.2f}"]
        rows.append([table, in_memory(result["file_bytes"]), *map(in_time, (*wall, *cpu)), *ratios])
    header = ["", "file", "mlp", "pandas", "mlp, processor", "pandas, processor", "mlp / pandas", "of processor time"]
    print_table("reading a table for training, beside pandas.read_csv", header, rows)


def _print_disk(results: list[dict[str, Any]]) -> None:
    for result in results:
        rows = [
            [name, in_time(one["seconds"]["median"]), in_memory(one["peak_bytes"]), f"{one['rows_per_second']:.3g}"]
            for name, one in result["found"].items()
        ]
        title = f"{result['n_rows']} rows x {DISK_COLUMNS}, {DISK_EPOCHS} epochs, NumPy's engine"
        print_table(title, ["", "whole process", "peak memory", "rows/s of an epoch"], rows)
