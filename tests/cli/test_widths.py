"""Every verb in terminals of 60, 80 and 120 columns: no line is longer, no word is cut without points that say so."""

import re
import string

import numpy as np
import pytest

from mlpcli.messages import display_width
from tests.program import done, mlp, train, write_csv

WIDTHS = (60, 80, 120)
CLASSES = [f"class {letter} of the alphabet" for letter in string.ascii_uppercase]
LONG = "a_column_with_quite_a_long_name_for_a_terminal"
DATA = {"train": "wide.csv", "target": "letter", "validation": 0.3}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A folder with a table of 26 classes and 60 columns, long names and levels among them, and two models of it."""
    folder = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 26, 780)
    names = ["letter", LONG, "region", *(f"measurement_{number}" for number in range(57))]
    levels = [f"region number {number} of the country" for number in range(12)]
    rows = [
        [CLASSES[label], f"{x:.3f}", levels[label % 12], *(f"{label + z:.3f}" for z in noise)]
        for label, x, noise in zip(labels, rng.normal(size=780), rng.normal(0, 2, (780, 57)), strict=True)
    ]
    write_csv(folder / "wide.csv", names, rows)
    later = [[*row[:2], "an unseen region", *(f"{9 + float(x)}" for x in row[3:])] for row in rows]
    write_csv(folder / "later.csv", names, later)
    here = {**DATA, "train": str(folder / "wide.csv")}
    train(folder, here, {"epochs": 2})
    (folder / "run").rename(folder / "old")
    model = {"layers": ["auto", 24, 24, 24, "auto"], "activation": "tanh"}
    train(folder, {**here, "drop": ["measurement_1"]}, {"epochs": 3}, model=model)
    return folder


OLD, NEW = "old/weights.npz", "run/weights.npz"
COMMANDS = {
    "init": ["init", "wide.csv", "--target", "letter", "-o", "c.yaml", "--force"],
    "check": ["check", "config.yaml"],
    "check a table": ["check", OLD, "later.csv"],
    "train": ["train", "config.yaml", "-o", "again"],
    "cv": ["cv", "config.yaml", "-o", "crossed", "--folds", "2", "--min", "accuracy=0.99"],
    "split": ["split", "wide.csv", "-o", "parts", "--force"],
    "eval": ["eval", OLD, "wide.csv", "--min", "accuracy=0.99", "--min", "f1[class Q of the alphabet]=0.9"],
    "eval by": ["eval", OLD, "wide.csv", "--by", "region,letter", "--gate-groups", "--min", "accuracy=0.99"],
    "explain": ["explain", OLD, "wide.csv", "--repeats", "1", "--sample", "100"],
    "export": ["export", OLD, "--to", "python", "-o", "model.py"],
    "compare": ["compare", OLD, NEW, "wide.csv", "--metric", "accuracy"],
    "inspect": ["inspect", NEW],
    "diff": ["diff", OLD, NEW],
    "runs": ["runs", "."],
    "plot": ["plot", "old", "run"],
    "repro": ["repro", OLD],
    "an error": ["train", "config.yaml", "--set", f"data.drop=[{LONG}_{LONG}]"],
    "a wrong option": ["train", "config.yaml", "--set", "training.optimizer.learning_rat=0.1"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_longer_than_the_terminal_and_no_word_is_cut(command, wide, monkeypatch):
    monkeypatch.chdir(wide)
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = mlp(*COMMANDS[command])
    words = set(re.split(r"\s+", whole.stdout + whole.stderr))
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        ended = mlp(*COMMANDS[command])
        assert ended.code == whole.code, ended
        for line in (ended.stdout + ended.stderr).splitlines():
            is_one_word = len(line.split()) == 1
            assert display_width(line) <= width or is_one_word, f"{width}: {line}"
            for word in [] if "wider terminals, --json" in line else line.split():
                assert word in words or is_known(word), f"{width}: {word} in {line}"


def is_known(word):
    """What only narrow terminals show: points, counts of what is left out, the pairs of classes, times, curves."""
    said = (
        r"\d+|\d+[.%]\d*%?|and|more|columns?|in|\(?wider|terminals,|--json\)?:?|pairs?|of|26|classes|\(--json|has|the"
    )
    said += r"|matrix\)|most|confused:|truth|predicted|rows|that|class|interval|to|[⠀-⣿│┤└┬─▲]+"
    return "..." in word or re.fullmatch(rf"({said})[,.]?", word) is not None or word.rstrip(",") in COLUMN_NAMES


LEFT_OUT = """
role missing (before) range before outside PSI p precision recall f1 interval parameters std W largest |W| old new -
accuracy balanced_accuracy log_loss roc_auc epochs time state distance change 95%
"""
COLUMN_NAMES = set(LEFT_OUT.split())


def test_the_config_that_init_writes_is_folded_at_80_columns_whatever_the_terminal(wide, monkeypatch):
    monkeypatch.chdir(wide)
    monkeypatch.setenv("COLUMNS", "60")
    for recipe in ("strong", "fast", "textbook"):
        text = done("init", "wide.csv", "--target", "letter", "--recipe", recipe).stdout
        lines = [line for line in text.splitlines() if not line.startswith("# yaml-language-server:")]  # one word
        assert max(map(display_width, lines)) <= 80
        (wide / "starter.yaml").write_text(text)
        done("check", "starter.yaml")
