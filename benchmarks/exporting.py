"""(15) `mlp export` of an ensemble in each language, and a row in the exported C compared with NumPy."""

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.children import compare, measure, workshop
from benchmarks.clustering import PROGRAM
from benchmarks.generating import write_table
from benchmarks.measuring import alternate, summary
from benchmarks.printing import in_time, in_times, print_table
from mlpcli.export.trials import C_COMPILER
from mlpcli.training.threads import blas_threads

EXPORT_TARGET, ROW_TARGET = 5.0, 2.0  # seconds; time of a row in C relative to NumPy
LANGUAGES = {"python": "py", "c": "c", "json": "json", "onnx": "onnx"}
N_PIXELS, N_HIDDEN = 784, 30
# Prints the seconds per row; the rows are read as they lie in memory.
TIMER = """
#include <stdio.h>
#include <time.h>
#include "net.h"
static net_row rows[%(n_rows)d];
int main(void)
{
    double answers[2];
    struct timespec start, end;
    FILE *file = fopen("rows.bin", "rb");
    int i, faults = 0;
    if (fread(rows, sizeof *rows, %(n_rows)d, file) != %(n_rows)d)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (i = 0; i < %(n_rows)d; i++)
        faults += net_answer(&rows[i], answers);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%%.9g\\n", (end.tv_sec - start.tv_sec + 1e-9 * (end.tv_nsec - start.tv_nsec)) / %(n_rows)d);
    return faults;
}
"""


def run(quick: bool) -> dict[str, Any]:
    """Export `strong` on 3000 rows of 8 numbers; predict rows of a network 784-30-2 of sigmoids."""
    with workshop() as name:
        folder, repeats = Path(name), 1 if quick else 5
        exports = compare(_exports(folder), folder, repeats, warm_up=False)
        print_table(
            "export of strong", ["", "time", "processor time"], [[of, *in_times(t)] for of, t in exports.items()]
        )
        print(f"target: at most {EXPORT_TARGET:g} s")
        rows = _rows(folder, 200 if quick else 2000, 3 if quick else 20) if C_COMPILER else {}
    if rows:
        c, numpy = (rows[of]["median"] for of in ("C", "NumPy, all rows at once"))
        print_table("a row of 784-30-2", ["", "time"], [[of, in_time(t["median"])] for of, t in rows.items()])
        print(f"C takes {c / numpy:.2f} of the time of NumPy (target: at most {ROW_TARGET:g})")
    return {"exports": exports, "rows": rows}


def _exports(folder: Path) -> dict[str, list[str]]:
    """The command of each language, for a model of `strong` after one epoch."""
    table = write_table(folder / "train.csv", 3000, 8, has_target=True)
    config = folder / "strong.yaml"
    measure([*PROGRAM, "init", str(table), "--target", "y", "-o", str(config), "--quiet"], folder)
    sets = ["--set", "training.epochs=1", "--set", "training.early_stopping=null"]
    measure([*PROGRAM, "train", str(config), "--quiet", *sets, "--output", str(folder / "strong")], folder)
    weights = str(folder / "strong/weights.npz")
    return {
        language: [*PROGRAM, "export", weights, "--to", language, "-o", str(folder / f"out.{end}"), "--quiet"]
        for language, end in LANGUAGES.items()
        if language != "onnx" or find_spec("onnx")
    }


def _rows(folder: Path, n_rows: int, repeats: int) -> dict[str, Any]:
    """Seconds per row: compiled C, the formula in NumPy on all rows at once, and on one row after the other."""
    table = write_table(folder / "pixels.csv", n_rows, N_PIXELS, has_target=True)
    config = folder / "net.yaml"
    config.write_text(
        f"data: {{train: {table}, target: y}}\nmodel: {{layers: [auto, {N_HIDDEN}, auto], activation: sigmoid}}\n"
        "training: {epochs: 2}\n"
    )
    measure([*PROGRAM, "train", str(config), "--quiet", "--output", str(folder / "net")], folder)
    measure([*PROGRAM, "export", str(folder / "net/weights.npz"), "--to", "c", "-o", str(folder / "net.c")], folder)
    (folder / "timer.c").write_text(TIMER % {"n_rows": n_rows})
    options = ["-std=c99", "-O2", "-D_POSIX_C_SOURCE=199309L", "timer.c", "net.c", "-o", "timer", "-lm"]
    subprocess.run([C_COMPILER, *options], cwd=folder, check=True)

    X = pd.read_csv(table, usecols=range(N_PIXELS)).to_numpy(np.float64)
    X.tofile(folder / "rows.bin")
    formula = _formula(folder / "net/weights.npz")

    def c() -> float:
        return float(subprocess.run(["./timer"], cwd=folder, check=True, capture_output=True).stdout)

    def numpy(rows: list[NDArray[np.float64]]) -> float:
        started = perf_counter()
        for row in rows:
            formula(row)
        return (perf_counter() - started) / n_rows

    with blas_threads(1):
        times = alternate(
            {"C": c, "NumPy, all rows at once": lambda: numpy([X]), "NumPy, one row at a time": lambda: numpy([*X])},
            repeats,
        )
    return {name: summary(of) for name, of in times.items()}


def _formula(weights: Path) -> Callable[[NDArray[np.float64]], NDArray[np.float32]]:
    """The network as docs/textbook.md writes it, with its scaling."""
    with np.load(weights) as arrays:
        W1, b1, W2, b2, center, scale = (
            arrays[name] for name in ("W1", "b1", "W2", "b2", "input_center", "input_scale")
        )

    def predict(X: NDArray[np.float64]) -> NDArray[np.float32]:
        a = ((X - center) / scale).astype(np.float32)
        z = 1 / (1 + np.exp(-(a @ W1.T + b1))) @ W2.T + b2
        exps = np.exp(z - z.max(axis=-1, keepdims=True))
        return exps / exps.sum(axis=-1, keepdims=True)

    return predict
