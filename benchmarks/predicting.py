"""(3) `mlp predict` from CSV to CSV, compared with scripts of other libraries and with `pandas.read_csv` alone."""

from pathlib import Path
from typing import Any

from benchmarks.children import MLP, compare, measure, python, script, without_missing, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.printing import in_memory, in_time, print_table
from benchmarks.process import NEEDS, SCRIPTS

N_COLUMNS = 14
HIDDEN = (64, 64)


def run(quick: bool, full: bool, only: str | None) -> list[dict[str, Any]]:
    """Run the benchmark; `only` is a number of rows."""
    sizes = (1_000, 10_000) if quick else (100_000, 1_000_000, *((10_000_000,) if full else ()))
    results = []
    with workshop() as name:
        folder = Path(name)
        train = write_table(folder / "train.csv", 10_000, N_COLUMNS, has_target=True)
        config = write_config(folder / "job.yaml", train, "y", HIDDEN, epochs=1)
        measure([MLP, "train", str(config), "--quiet"], folder)
        for peer in without_missing({name: [file] for name, file in SCRIPTS.items()}, NEEDS):
            file, hidden = SCRIPTS[peer], ",".join(map(str, HIDDEN))
            measure(script(f"{file}_train", train, "y", folder / file, hidden, 1, 256, "standardize"), folder)
        for n_rows in sizes:
            if only not in (None, str(n_rows)):
                continue
            table = write_table(folder / "rows.csv", n_rows, N_COLUMNS, has_target=False)
            commands = _commands(folder, table)
            repeats = 1 if quick or n_rows > 1_000_000 else 5
            found = compare(commands, folder, repeats, warm_up=n_rows <= 1_000_000)
            results.append(
                {"n_rows": n_rows, "n_columns": N_COLUMNS, "file_bytes": table.stat().st_size, "found": found}
            )
            _print(results[-1])
    return results


def _commands(folder: Path, table: Path) -> dict[str, list[str]]:
    model, out = folder / "runs/job/weights.npz", str(folder / "out.csv")
    commands = {
        "pandas.read_csv": python(f"import pandas; pandas.read_csv({str(table)!r})"),
        "mlp": [MLP, "predict", str(model), str(table), "-o", out, "--quiet"],
        "mlp --proba": [MLP, "predict", str(model), str(table), "--proba", "-o", out, "--quiet"],
    }
    peers = {name: script(f"{file}_predict", folder / file, table, out, "y") for name, file in SCRIPTS.items()}
    return commands | without_missing(peers, NEEDS)


def _print(result: dict[str, Any]) -> None:
    found = result["found"]
    floor = found["pandas.read_csv"]["seconds"]["median"]
    size = in_memory(result["file_bytes"])
    print_table(
        f"predict, {result['n_rows']} rows x {result['n_columns']} numbers, a file of {size}",
        ["", "time", "it / pandas.read_csv", "processor time", "rows/s", "peak memory"],
        [
            [
                name,
                in_time(one["seconds"]["median"]),
                f"{one['seconds']['median'] / floor:.2f}",
                in_time(one["cpu_seconds"]["median"]),
                f"{result['n_rows'] / one['seconds']['median']:.3g}",
                in_memory(one["peak_bytes"]),
            ]
            for name, one in found.items()
        ],
    )
