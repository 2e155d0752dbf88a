"""(4) Start-up time: commands with almost no work."""

from pathlib import Path
from typing import Any

from benchmarks.children import MLP, compare, measure, python, without_missing, workshop
from benchmarks.configs import write_config
from benchmarks.generating import write_table
from benchmarks.printing import in_memory, in_time, print_table

# The lower bound for each verb, and the target ratio.
FLOORS = {
    "mlp --help": "import typer, rich",
    "mlp eval, 10 rows": "import pandas",
    "mlp predict, 10 rows": "import pandas",
}
TARGET = 1.3
NEEDS = {"import sklearn": "sklearn", "import torch": "torch", "import jax": "jax"}


def run(quick: bool, only: str | None) -> dict[str, Any]:
    """Run the benchmark; `only` is --help, eval or predict."""
    with workshop() as name:
        folder = Path(name)
        train = write_table(folder / "train.csv", 1_000, 4, has_target=True)
        ten = write_table(folder / "ten.csv", 10, 4, has_target=True)
        config = write_config(folder / "job.yaml", train, "y", (16,), epochs=1)
        measure([MLP, "train", str(config), "--quiet"], folder)
        commands = {
            "python": python("pass"),
            "import typer, rich": python("import typer, rich"),
            "mlp --help": [MLP, "--help"],
            "import numpy": python("import numpy"),
            "import pandas": python("import pandas"),
            "mlp eval, 10 rows": [MLP, "eval", "runs/job/weights.npz", str(ten)],
            "mlp predict, 10 rows": [MLP, "predict", "runs/job/weights.npz", str(ten)],
            "import sklearn": python("import sklearn.neural_network"),
            "import torch": python("import torch"),
            "import jax": python("import jax"),
        }
        if only is not None:
            commands = {key: value for key, value in commands.items() if not key.startswith("mlp") or only in key}
        found = compare(without_missing(commands, NEEDS), folder, 2 if quick else 21)
    _print(found)
    return found


def _print(found: dict[str, Any]) -> None:
    rows = []
    for name, one in found.items():
        floor = FLOORS.get(name)
        ratio = f"{one['seconds']['median'] / found[floor]['seconds']['median']:.2f} x {floor}" if floor else ""
        times = in_time(one["seconds"]["median"]), in_time(one["seconds"]["best"])
        rows.append([name, *times, in_memory(one["peak_bytes"]), ratio])
    print_table(f"start-up (target: {TARGET} x the floor)", ["", "median", "best", "peak memory", "ratio"], rows)
