"""docs/screens.md: what each verb shows, in a terminal of 80 columns.

`python -m tests.screens > docs/screens.md` writes it.
The numbers of a training differ in their last digits from machine to machine, and times from run to run: `words_of`
leaves them out, for the test that compares the page with the program.
"""

import csv
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Collection
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from math import inf
from pathlib import Path
from unittest import mock

from mlpcli.cli.main import run
from mlpcli.cli.progress import bars
from tests.program import DATA, ROOT

PAGE = ROOT / "docs" / "screens.md"
WIDTH = 80

HEAD = """\
<!-- Written by `python -m tests.screens > docs/screens.md`; a test compares it with the program. -->

# Screens: the output of every verb

The output of each verb in a terminal of 80 columns, on the samples in `data/`. Standard output and standard error are
shown together, as in a terminal. `test.csv` is every fifth bird, `train.csv` the others, and `later.csv` the test
rows with heavier birds on a new island. In a terminal, a progress bar on the last line shows bytes read, steps or rows.
"""

OLD = """\
data: {train: train.csv, target: species, drop: [year]}
training: {epochs: 3, early_stopping: null}
"""
NEW = """\
data: {train: train.csv, target: species, drop: [year], validation: 0.25}
model: {layers: [auto, 16, auto]}
training: {epochs: 20, optimizer: {name: adam, learning_rate: 0.004}, early_stopping: null}
expect: {min: {accuracy: 0.9}}
"""
SEARCH = """\
data: {train: train.csv, target: species, drop: [year]}
training: {epochs: 5, early_stopping: null}
search: {trials: 3, processes: 1, space: {training.optimizer: {choice: [sgd, adam]}}}
"""
DIGITS = """\
data: {train: digits.csv, target: digit}
training: {epochs: 4, early_stopping: null}
"""

SCREENS = (
    ("Write a config for a table", "init train.csv --target species --recipe fast -o birds.yaml"),
    ("Check config and data without training", "check new.yaml"),
    ("Train a model", "train new.yaml"),
    ("Train another model", "train old.yaml"),
    ("Split a table into files", "split train.csv --stratify species -o parts"),
    ("Cross-validation", "cv new.yaml --folds 3"),
    ("Scores and gates", "eval runs/new/weights.npz test.csv --min accuracy=0.9 --max log_loss=0.001"),
    ("Scores of groups", "eval runs/new/weights.npz test.csv --by sex --quiet"),
    ("Predictions", "predict runs/new/weights.npz three.csv --proba --keep island"),
    ("Feature importance", "explain runs/new/weights.npz test.csv"),
    ("Diagnose a run", "doctor runs/old"),
    ("Compare two models on the same rows", "compare runs/old/weights.npz runs/new/weights.npz test.csv"),
    ("Inspect a model file", "inspect runs/new/weights.npz"),
    ("Differences between two models", "diff runs/old/weights.npz runs/new/weights.npz"),
    ("Drift of new rows", "check runs/new/weights.npz later.csv"),
    ("Export a model as a program", "export runs/new/weights.npz --to python -o birds.py"),
    ("List the runs of a folder", "runs runs"),
    ("Learning curves", "plot runs/new runs/old"),
    ("Help of a verb", "help runs"),
    ("HTML report on a run", "report runs/new test.csv -o report.html"),
    ("Hyperparameter search", "search search.yaml --quiet"),
    ("JSON Schema for editors", "schema -o mlp.schema.json"),
    ("Reproduce a model", "repro runs/new/weights.npz --quiet"),
    ("Markdown for a pull request", "compare runs/old/weights.npz runs/new/weights.npz test.csv --markdown"),
    ("A wrong name", "train new.yaml --set training.optimizer.learning_rat=0.1"),
    ("Missing columns", "predict runs/new/weights.npz digits.csv"),
)


# What must be installed for the screen of a verb that needs an extra.
EXTRAS = {"report": ("matplotlib", "jinja2"), "search": ("optuna",)}


def left_out() -> set[str]:
    """The verbs whose extra is not installed here."""
    return {verb for verb, modules in EXTRAS.items() if not all(map(find_spec, modules))}


def screens_text(without: Collection[str] = ()) -> str:
    """The page, with the screens of all verbs but those `without`."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as folder, chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": str(WIDTH)}):
        _set_up(Path(folder))
        for title, command in SCREENS:
            if command.split()[0] in without:
                continue
            code, text = _shown(shlex.split(command))
            text = text.replace(f"{os.path.realpath(folder)}/", "").rstrip()
            ending = f"\n(exit code {code})" if code else ""
            parts.append(f"## {title}\n\n```text\n$ mlp {command}\n{text}{ending}\n```\n")
    return "\n".join(parts)


def page_text(without: Collection[str] = ()) -> str:
    """docs/screens.md as it stands, with the screens of all verbs but those `without`."""
    head, *screens = PAGE.read_text("utf-8").split("\n## ")
    starts = tuple(f"$ mlp {verb} " for verb in without)
    return "\n## ".join([head, *(one for one in screens if not one.split("\n")[3].startswith(starts))])


def words_of(page: str) -> str:
    """The page without the digits of its numbers, and without the places of its line ends."""
    page = re.sub(r"\b[0-9a-f]{16}\b|-?\d[\d.e+-]*", "#", page)
    return re.sub(r"[\s─▇⠀-⣿│┤┬└▲-]+", " ", page)


def _set_up(folder: Path) -> None:
    """The files that the commands name."""
    for name, text in (("old", OLD), ("new", NEW), ("search", SEARCH), ("digits", DIGITS)):
        (folder / f"{name}.yaml").write_text(text)
    shutil.copy(DATA / "digits.csv", folder)
    with (DATA / "penguins.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    place, mass = names.index("island"), names.index("body_mass_g")
    later = [[*row] for row in rows[::3]]
    for number, row in enumerate(later):
        row[mass] = str(int(row[mass]) + 1500) if row[mass].isdigit() else row[mass]
        row[place] = "Anvers" if number % 2 else row[place]
    for name, found in (
        ("train", [row for number, row in enumerate(rows) if number % 5]),
        ("test", rows[::5]),
        ("three", rows[::120]),
        ("later", later),
    ):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([names, *found])


def _shown(arguments: list[str]) -> tuple[int, str]:
    """The exit code, and what both streams show together."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True)
    with redirect_stdout(stream), redirect_stderr(stream), mock.patch.object(bars, "FIRST_PLAIN_SECONDS", inf):
        code = run(arguments)  # without what a busy machine says of work that takes long
    return code, stream.buffer.getvalue().decode()


if __name__ == "__main__":
    sys.stdout.write(screens_text())
