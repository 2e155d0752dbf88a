"""(2) The whole process from a CSV file to weights, compared with the shortest correct script of each library."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import MLP, compare, measure, script, without_missing, workshop
from benchmarks.configs import write_config
from benchmarks.printing import in_memory, in_time, print_table

NEEDS = {"scikit-learn": "sklearn", "PyTorch": "torch"}
SCRIPTS = {"scikit-learn": "sklearn", "PyTorch": "torch"}


@dataclass(frozen=True)
class Job:
    """A table and its training; `scale` under the names of the config and of the scripts."""

    name: str
    target: str
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    scale: str = "standardize"
    share: float = 1 / 3  # the target, as a fraction of the other libraries' time


JOBS = (
    Job("adult", "income", (64, 64), 20, 256),
    Job("letter", "letter", (64, 64), 20, 256),
    Job("diamonds", "price", (64, 64), 20, 256),
    Job("mnist", "label", (100,), 10, 200, "{name: divide, by: 255}", 1 / 2),
)


def run(data: Path, quick: bool, only: str | None) -> list[dict[str, Any]]:
    """`data` holds NAME/{train,test}.csv.gz for each job; `only` is one of them."""
    results = []
    for job in JOBS:
        train, test = data.resolve() / job.name / "train.csv.gz", data.resolve() / job.name / "test.csv.gz"
        if only not in (None, job.name):
            continue
        if not train.exists():
            print(f"left out: {job.name}: no {job.name}/train.csv.gz in the data folder")
            continue
        with workshop() as name:
            results.append(_measure(job, train, test, Path(name), quick))
        _print(results[-1])
    return results


def _measure(job: Job, train: Path, test: Path, folder: Path, quick: bool) -> dict[str, Any]:
    epochs = 1 if quick else job.epochs
    config = write_config(folder / "job.yaml", train, job.target, job.hidden, epochs, job.batch_size, job.scale)
    scale = job.scale if job.scale == "standardize" else "divide"
    arguments = (",".join(map(str, job.hidden)), epochs, job.batch_size, scale)
    commands = {"mlp": [MLP, "train", str(config), "--quiet"]} | {
        name: script(f"{file}_train", train, job.target, folder / file, *arguments) for name, file in SCRIPTS.items()
    }
    commands = without_missing(commands, NEEDS)
    found = compare(commands, folder, 1 if quick else 5, warm_up=not quick)
    for name, result in found.items():
        answers = folder / "answers.csv"
        if name == "mlp":
            measure([MLP, "predict", "runs/job/weights.npz", str(test), "-o", str(answers), "--quiet"], folder)
        else:
            file = SCRIPTS[name]
            measure(script(f"{file}_predict", folder / file, test, answers, job.target), folder)
        scored = subprocess.run(script("score", test, answers, job.target), stdout=subprocess.PIPE, check=True)
        result["score"] = float(scored.stdout)
    return {"job": job.name, "epochs": epochs, "hidden": job.hidden, "batch_size": job.batch_size, "found": found}


def _print(result: dict[str, Any]) -> None:
    found = result["found"]
    ours = found["mlp"]["seconds"]["median"]
    print_table(
        f"{result['job']}: CSV to weights, hidden {result['hidden']}, {result['epochs']} epochs",
        ["", "time", "mlp / it", "processor time", "peak memory", "accuracy or r2 on test"],
        [
            [
                name,
                in_time(one["seconds"]["median"]),
                f"{ours / one['seconds']['median']:.2f}",
                in_time(one["cpu_seconds"]["median"]),
                in_memory(one["peak_bytes"]),
                f"{one['score']:.4f}",
            ]
            for name, one in found.items()
        ],
    )
