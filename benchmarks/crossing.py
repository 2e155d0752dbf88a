"""(12) A 5-fold cross-validation compared with one training: CPU time on one core, and time on two."""

import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.children import compare, workshop
from benchmarks.generating import write_table
from benchmarks.printing import in_times, print_table

TRAININGS_TARGET, WALL_TARGET = 5.2, 0.6
PROGRAM = [sys.executable, "-m", "mlpcli"]
ONE_CORE = ["taskset", "-c", "0"]


def run(quick: bool) -> dict[str, Any]:
    """Train and cross-validate the same config; the first two runs are pinned to one core if possible."""
    with workshop() as name:
        folder = Path(name)
        table = write_table(folder / "train.csv", 2_000 if quick else 30_000, 20, has_target=True)
        config = folder / "c.yaml"
        config.write_text(
            f"data: {{train: {table}, target: y}}\n"
            "model: {layers: [auto, 64, 64, auto]}\n"
            f"training: {{epochs: {3 if quick else 60}, batch_size: 256, optimizer: adam, engine: numpy}}\n"
        )
        bound = ONE_CORE if shutil.which("taskset") else []
        folds = ["cv", str(config), "--folds", "5", "--quiet", "--force"]
        commands = {
            "mlp train, one core": [*bound, *PROGRAM, "train", str(config), "--quiet", "--force"],
            "mlp cv, one core": [*bound, *PROGRAM, *folds, "--jobs", "1"],
            "mlp cv, two cores": [*PROGRAM, *folds, "--jobs", "2"],
        }
        found: dict[str, Any] = compare(commands, folder, 1 if quick else 7, warm_up=not quick)
    train, one, two = found.values()
    trainings = one["cpu_seconds"]["median"] / train["cpu_seconds"]["median"]
    wall = two["seconds"]["median"] / one["seconds"]["median"]
    rows = [[name, *in_times(of)] for name, of in found.items()]
    print_table("5 folds beside a training", ["", "time", "processor time"], rows)
    print(f"processor time of {trainings:.2f} trainings (target: at most {TRAININGS_TARGET})")
    print(f"time on two cores {wall:.2f} of that on one (target: {WALL_TARGET})")
    return {"found": found, "trainings": trainings, "wall": wall}
