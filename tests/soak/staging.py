"""A run folder to be attacked, and what must be true of it whatever happened."""

import csv
import json
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlpcli.storage.model.model_file import load_model
from mlpcli.storage.npz import read_npz
from tests.program import DATA, tree
from tests.soak.children import Ending, Nursery

CONFIG = """\
data: {train: t.csv, target: species}
model: {layers: [auto, 8, auto], dropout: 0.1}
training: {epochs: EPOCHS, optimizer: adam, threads: 1}
output: runs/r
"""
RUN_FILES = ["checkpoint.npz", "config.yaml", "history.csv", "metrics.json", "weights.npz"]
KEPT = {"notes.txt": b"what the user keeps beside a run\n"}
OLD_SEED, NEW_SEED, OTHER_SEED = 1, 2, 3


@dataclass(frozen=True)
class Stage:
    """A folder with data, a config and, if `has_old`, a complete run; `runs` is the run each seed ends in."""

    folder: Path
    runs: dict[int, dict[str, Any]]
    has_old: bool
    config: str

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "r"

    @property
    def partial(self) -> Path:
        return self.folder / "runs" / "r.partial"

    def command(self, seed: int = NEW_SEED, *more: str) -> tuple[str, ...]:
        return ("train", "c.yaml", "--quiet", "--seed", str(seed), *more)


class Theatre:
    """Sets stages: the old and the new run are trained once, every stage is a copy."""

    def __init__(self, scratch: Path, nursery: Nursery, n_epochs: int = 2) -> None:
        self.config = CONFIG.replace("EPOCHS", str(n_epochs))
        self._scratch, self._n_stages = scratch, 0
        self.bare = scratch / "bare"
        self.bare.mkdir(parents=True)
        shutil.copy(DATA / "iris.csv", self.bare / "t.csv")
        (self.bare / "c.yaml").write_text(self.config)
        self.runs: dict[int, dict[str, Any]] = {}
        for seed in (OTHER_SEED, NEW_SEED, OLD_SEED):
            ending = nursery.mlp(self.bare, "train", "c.yaml", "--quiet", "--seed", seed)
            assert ending.code == 0, ending
            self.runs[seed] = contents(self.bare / "runs" / "r")
        self.seconds = ending.seconds
        self._old = scratch / "old"
        (self.bare / "runs").rename(self._old)
        for name, data in KEPT.items():
            (self._old / "r" / name).write_bytes(data)

    def stage(self, has_old: bool) -> Stage:
        """A fresh folder; the one before is gone."""
        shutil.rmtree(self._scratch / f"stage{self._n_stages}", ignore_errors=True)
        self._n_stages += 1
        folder = self._scratch / f"stage{self._n_stages}"
        shutil.copytree(self.bare, folder)
        if has_old:
            shutil.copytree(self._old, folder / "runs")
        return Stage(folder, self.runs, has_old, self.config)


def contents(run: Path) -> dict[str, Any]:
    """What is in a run, without its clocks."""
    with (run / "history.csv").open(newline="") as file:
        history = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    header, arrays = read_npz(str(run / "checkpoint.npz"), "checkpoint")
    return {
        "weights": (run / "weights.npz").read_bytes(),
        "config": yaml.safe_load((run / "config.yaml").read_text()),
        "metrics": {**json.loads((run / "metrics.json").read_text()), "seconds": 0},
        "history": history,
        "checkpoint": {**header, "seconds": 0},
        "state": {name: array.tobytes() for name, array in arrays.items()},
    }


def check_whole(stage: Stage, seeds: tuple[int, ...] = (OLD_SEED, NEW_SEED)) -> int:
    """Prove that one complete run is there and nothing half beside it; gives its seed, 0 if there never was a run."""
    check_names(stage)
    if stage.has_old:  # a reader repairs what a kill has left
        load_model(str(stage.run / "weights.npz"))
    if not stage.run.exists():
        assert not stage.has_old
        return 0
    found = contents(stage.run)
    whole = [seed for seed in seeds if found == stage.runs[seed]]
    assert len(whole) == 1, f"the run in {stage.run} is none of the complete ones"
    return whole[0]


def check_names(stage: Stage) -> None:
    """Prove that every file under a final name is whole, and that nothing outside of the run was touched."""
    for path in stage.folder.glob("runs/*/*"):
        if path.name in ("weights.npz", "checkpoint.npz"):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None, path
        elif path.name == "metrics.json":
            assert json.loads(path.read_text())["epochs"], path
        elif path.name == "config.yaml":
            assert yaml.safe_load(path.read_text())["output"], path
        elif path.name in KEPT:
            assert path.read_bytes() == KEPT[path.name]
    assert (stage.folder / "t.csv").read_bytes() == (DATA / "iris.csv").read_bytes()
    assert (stage.folder / "c.yaml").read_text() == stage.config


def check_clean(stage: Stage, seed: int = NEW_SEED) -> None:
    """Prove that the run of `seed` is complete, and that beside it there are only whole runs of other configs.

    What the user keeps stands in the old run, wherever that is.
    """
    assert contents(stage.run) == stage.runs[seed]
    earlier = [path for path in (stage.folder / "runs").iterdir() if path != stage.run]
    assert all(re.fullmatch(r"r\.\d+", path.name) for path in earlier), earlier
    found = {path: contents(path) for path in [stage.run, *earlier]}
    assert all(one in stage.runs.values() for one in found.values())
    old = [path for path, one in found.items() if one == stage.runs[OLD_SEED]]
    assert len(old) == stage.has_old or seed == OLD_SEED
    for path in found:
        kept = sorted(KEPT) if stage.has_old and path in old else []
        assert sorted(tree(path)) == sorted([*RUN_FILES, *kept]), path


def go_on(stage: Stage, nursery: Nursery, seed: int = NEW_SEED, may_resume: bool = True) -> None:
    """Prove that the training can be brought to its end: resumed where there is something to resume, else anew."""
    flag = ("--resume",) if may_resume and (stage.partial / "checkpoint.npz").exists() else ()
    ending = nursery.mlp(stage.folder, *stage.command(seed, *flag))
    assert ending.code == 0, ending
    check_clean(stage, seed)


def check_message(ending: Ending) -> None:
    """Prove that a refusal is one to three printable lines, and no traceback."""
    lines = ending.stderr.splitlines()
    assert 1 <= len(lines) <= 3, ending
    assert len(ending.stderr) <= 2000, ending.stderr[:200]
    assert "Traceback" not in ending.stderr, ending.stderr
    assert all(line.isprintable() for line in lines), ending.stderr
