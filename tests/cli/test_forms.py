"""Each answer as text, JSON, Markdown and HTML."""

import re
from xml.etree import ElementTree

import pytest

from tests.program import mlp, train, write_config, write_csv

HOSTILE = "<b>@x</b>|`"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two models of a table whose names are hostile, and a config of it."""
    folder = tmp_path_factory.mktemp("forms")
    rows = [(i % 7, f"{HOSTILE}{i % 2}") for i in range(60)]
    write_csv(folder / "t.csv", ["x", f"y{HOSTILE}"], rows)
    data = {"train": str(folder / "t.csv"), "target": f"y{HOSTILE}", "validation": 0.3}
    for name, epochs in (("old", 1), ("new", 2)):
        train(folder, data, {"epochs": epochs})
        (folder / "run").rename(folder / name)
    write_config(folder / "config.yaml", data)
    return folder


@pytest.fixture
def models(trained, monkeypatch):
    """The folder of the models as the current one; no command changes what another one reads."""
    monkeypatch.chdir(trained)


COMMANDS = (
    ["check", "config.yaml"],
    ["check", "old/weights.npz", "t.csv"],
    ["train", "config.yaml", "-o", "again"],
    ["eval", "old/weights.npz", "t.csv", "--min", "accuracy=0.99"],
    ["compare", "old/weights.npz", "new/weights.npz", "t.csv"],
    ["cv", "config.yaml", "-o", "crossed", "--folds", "2"],
    ["explain", "old/weights.npz", "t.csv"],
    ["export", "old/weights.npz", "--to", "json", "-o", "model.json"],
    ["inspect", "old/weights.npz"],
    ["diff", "old/weights.npz", "new/weights.npz"],
    ["repro", "old/weights.npz"],
    ["runs", "."],
)


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_every_form_has_the_answer_and_no_name_of_a_file_is_markup_in_it(command):
    code = mlp(*command, "--json").code
    page = mlp(*command, "--html")
    assert page.code == code, page
    ElementTree.fromstring(re.sub(r"(?s)<!doctype html>|<meta[^>]*>", "", page.stdout))
    assert "<b>" not in page.stdout
    text = mlp(*command, "--markdown")
    assert text.code == code
    assert text.lines[0].startswith("### mlp ")
    for line in text.lines:
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert "<b>" not in outside
        assert "@x" not in outside


def test_two_forms_of_one_answer_are_refused_before_anything_is_read():
    for command in COMMANDS:
        ended = mlp(*command, "--json", "--html")
        assert (ended.code, ended.stdout) == (2, "")
        assert ended.stderr == "--json and --html: cannot be combined. Choose one format.\n"
