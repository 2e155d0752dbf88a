"""Who competes, and one run of one of them: a training in processes of its own, judged on the test rows."""

import json
import tempfile
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.children import ENVIRONMENT, MLP, Measured, isolated, measure
from benchmarks.quality.scoring import Answers, Classes, read_truth, score
from benchmarks.quality.splits import Split

PEERS = Path(__file__).with_name("peers.py")
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True)
class Contestant:
    """A peer of peers.py, whose package is `needs`; or, without one, this project with a recipe of `mlp init`.

    `overrides` are KEY=VALUE for `mlp train --set`; a table of more than `most_rows` training rows is left out.
    """

    name: str
    needs: str | None = None
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    most_rows: int | None = None

    def can_take(self, split: Split) -> bool:
        """Whether the table is small enough to be fitted in a bearable time."""
        return self.most_rows is None or split.n_rows <= self.most_rows

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return self.needs is None or find_spec(self.needs) is not None


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("best", recipe="best"),
        Contestant("strong", recipe="strong"),
        Contestant("fast", recipe="fast"),
        Contestant("textbook", recipe="textbook"),
        Contestant("mlp-init"),  # no --recipe: what `mlp init` writes by itself
        Contestant("sklearn", needs="sklearn"),
        Contestant("sklearn-es", needs="sklearn"),
        Contestant("lightgbm", needs="lightgbm"),
        Contestant("xgboost", needs="xgboost"),
        Contestant("catboost", needs="catboost"),
        Contestant("realmlp-td-s", needs="pytabkit"),
        Contestant("realmlp-td", needs="pytabkit"),
        Contestant("tabm", needs="pytabkit", most_rows=5000),  # 800 s for 2344 rows
    )
}
# mlp-init is `strong` under another name once that is the default.
DEFAULT = tuple(name for name in CONTESTANTS if name != "mlp-init")


def compete(contestant: Contestant, split: Split, seed: int) -> dict[str, Any]:
    """Train, predict and judge, in a temporary folder; `seconds` are from CSV to model, whole processes.

    `fit_seconds` are those of the fitting alone, as the contestant counts them. Raises RuntimeError with the last
    words of a command that failed.
    """
    with tempfile.TemporaryDirectory(prefix="mlp-quality-") as name:
        run = _run_peer if contestant.needs else _run_mlp
        answers, found = run(contestant, split, seed, Path(name))
    truth = read_truth(split.test, split.target, split.task)
    try:
        scores = score(truth, answers)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    return {
        "dataset": split.name,
        "contestant": contestant.name,
        "seed": seed,
        "task": split.task,
        "n_test": len(truth),
        "scores": scores,
        "overrides": list(contestant.overrides),
        **found,
    }


def _run_mlp(contestant: Contestant, split: Split, seed: int, folder: Path) -> tuple[Answers, dict[str, Any]]:
    recipe = ["--recipe", contestant.recipe] if contestant.recipe else []
    what = ["--target", split.target, "--task", split.task]
    begin = [MLP, "init", str(split.train), *what, "--output", "config.yaml", "--quiet", *recipe]
    changes = [word for change in contestant.overrides for word in ("--set", change)]
    train = [MLP, "train", "config.yaml", "--output", "run", "--seed", str(seed), "--quiet", *changes]
    proba = ["--proba"] if split.task == "classification" else []
    predict = [MLP, "predict", "run/weights.npz", str(split.test), "--output", "answers.csv", "--quiet", *proba]
    fitting = [_measure(command, folder) for command in (begin, train)]
    predicting = _measure(predict, folder)
    fit_seconds = json.loads((folder / "run/metrics.json").read_text())["seconds"]
    return _read_answers(folder / "answers.csv", split), _found(fitting, fit_seconds, predicting.seconds)


def _read_answers(file: Path, split: Split) -> Answers:
    """What `mlp predict` wrote: the target, and p_CLASS of each class."""
    if split.task == "regression":
        return pd.read_csv(file)[split.target].to_numpy(np.float64)
    table = pd.read_csv(file, dtype={split.target: str}, keep_default_na=False)
    columns = [name for name in table.columns if name != split.target]
    return Classes(
        labels=table[split.target].to_numpy(str),
        classes=np.array([name.removeprefix("p_") for name in columns]),
        probabilities=table[columns].to_numpy(np.float64),
    )


def _run_peer(contestant: Contestant, split: Split, seed: int, folder: Path) -> tuple[Answers, dict[str, Any]]:
    words = (contestant.name, split.train, split.test, split.target, split.task, seed, "answers.npz")
    whole = _measure(isolated(PEERS, *words), folder)
    with np.load(folder / "answers.npz") as file:
        arrays = {name: file[name] for name in file.files}
    fit_seconds, predict_seconds, predict_cpu_seconds = arrays.pop("seconds").tolist()
    fitting = replace(
        whole, seconds=whole.seconds - predict_seconds, cpu_seconds=whole.cpu_seconds - predict_cpu_seconds
    )
    answers = Classes(**arrays) if split.task == "classification" else arrays["numbers"]
    return answers, _found([fitting], fit_seconds, predict_seconds)


def _measure(command: list[str], folder: Path) -> Measured:
    return measure(command, folder, ENVIRONMENT | ONE_THREAD)


def _found(fitting: list[Measured], fit_seconds: float, predict_seconds: float) -> dict[str, Any]:
    return {
        "seconds": sum(one.seconds for one in fitting),
        "cpu_seconds": sum(one.cpu_seconds for one in fitting),
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "peak_bytes": max(one.peak_bytes for one in fitting),
    }
