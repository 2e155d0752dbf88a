"""`mlp report` of a table, compared with `mlp eval` and `mlp predict` of the same table."""

import sys
from pathlib import Path
from typing import Any

from benchmarks.children import compare, measure, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.printing import in_memory, in_times, print_table

N_COLUMNS = 20
HIDDEN = (64, 64)
PROGRAM = [sys.executable, "-m", "mlpcli"]


def run(quick: bool, full: bool, only: str | None) -> list[dict[str, Any]]:
    """Run the benchmark; `only` is a number of rows."""
    sizes = (2_000,) if quick else (100_000, 1_000_000, *((10_000_000,) if full else ()))
    results = []
    with workshop() as name:
        folder = Path(name)
        train = write_table(folder / "train.csv", 10_000, N_COLUMNS, has_target=True)
        config = write_config(folder / "job.yaml", train, "y", HIDDEN, epochs=1)
        measure([*PROGRAM, "train", str(config), "--quiet"], folder)
        for n_rows in sizes:
            if only not in (None, str(n_rows)):
                continue
            table = write_table(folder / "rows.csv", n_rows, N_COLUMNS, has_target=True)
            is_long = n_rows > 1_000_000
            found = compare(_commands(folder, table, is_long), folder, 1 if quick or is_long else 5, not is_long)
            page = (folder / "report.html").stat().st_size
            results.append({"n_rows": n_rows, "n_columns": N_COLUMNS, "page_bytes": page, "found": found})
            _print(results[-1])
    return results


def _commands(folder: Path, table: Path, is_long: bool) -> dict[str, list[str]]:
    """The commands; without `eval`, which holds the whole table in memory, for long tables."""
    model = str(folder / "runs/job/weights.npz")
    commands = {
        "mlp predict": [*PROGRAM, "predict", model, str(table), "-o", str(folder / "out.csv"), "--quiet"],
        "mlp eval": [*PROGRAM, "eval", model, str(table), "--quiet"],
        "mlp report": [*PROGRAM, "report", model, str(table), "-o", str(folder / "report.html"), "--quiet"],
    }
    return {name: command for name, command in commands.items() if not (is_long and name == "mlp eval")}


def _print(result: dict[str, Any]) -> None:
    print_table(
        f"report, {result['n_rows']} rows x {result['n_columns']} numbers, a page of {result['page_bytes'] // 1000} kB",
        ["", "time", "processor time", "peak memory"],
        [[name, *in_times(one), in_memory(one["peak_bytes"])] for name, one in result["found"].items()],
    )
