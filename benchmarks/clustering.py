"""(13) `mlp predict` of many files on two local workers, compared with one process on one core and on all cores."""

import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.children import compare, measure, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.printing import in_times, print_table

SPEEDUP_TARGET = 1.6  # of two workers over one process on one core
N_FILES, N_COLUMNS = 20, 14
HIDDEN = (64, 64)
PROGRAM = [sys.executable, "-m", "mlpcli"]
ONE_CORE = ["taskset", "-c", "0"]


def run(quick: bool, only: str | None) -> list[dict[str, Any]]:
    """Run the benchmark; `only` is a number of rows."""
    results = []
    with workshop() as name:
        folder = Path(name)
        train = write_table(folder / "train.csv", 10_000, N_COLUMNS, has_target=True)
        config = write_config(folder / "job.yaml", train, "y", HIDDEN, epochs=1)
        measure([*PROGRAM, "train", str(config), "--quiet"], folder)
        for n_rows in (20_000,) if quick else (1_000_000, 10_000_000):
            if only not in (None, str(n_rows)):
                continue
            for number in range(N_FILES):
                write_table(folder / f"part-{number:02}.csv", n_rows // N_FILES, N_COLUMNS, has_target=False)
            found = compare(_commands(folder), folder, 1 if quick else 3, warm_up=not quick)
            _refuse_other_bytes(folder)
            results.append({"n_rows": n_rows, "n_files": N_FILES, "found": found})
            _print(results[-1])
    return results


def _commands(folder: Path) -> dict[str, list[str]]:
    predict = ["predict", str(folder / "runs/job/weights.npz"), str(folder / "part-*.csv"), "--quiet", "-o"]
    bound = ONE_CORE if shutil.which("taskset") else []
    return {
        "one process, one core": [*bound, *PROGRAM, *predict, str(folder / "one.csv")],
        "one process, all cores": [*PROGRAM, *predict, str(folder / "all.csv")],
        "two workers": [*PROGRAM, *predict, str(folder / "two.csv"), "--cluster", "local:2"],
    }


def _refuse_other_bytes(folder: Path) -> None:
    """Raise RuntimeError if the predictions of the cluster differ."""
    if (folder / "one.csv").read_bytes() != (folder / "two.csv").read_bytes():
        raise RuntimeError("two workers answer otherwise than one process")


def _print(result: dict[str, Any]) -> None:
    found = result["found"]
    one = found["one process, one core"]["seconds"]["median"]
    print_table(
        f"predict, {result['n_rows']} rows x {N_COLUMNS} numbers in {result['n_files']} files",
        ["", "time", "processor time", "one core / it"],
        [[name, *in_times(of), f"{one / of['seconds']['median']:.2f}"] for name, of in found.items()],
    )
    print(f"two workers: at least {SPEEDUP_TARGET} asked on 10^7 rows")
