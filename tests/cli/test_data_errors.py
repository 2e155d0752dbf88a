"""An error of a table that a config names says both: where the table is wrong, and where the config names it."""

import pytest

from mlpcli.config.loading import config_from_mapping
from mlpcli.errors import DataError
from mlpcli.workflows.preparing.preparation import prepare
from tests.program import DATA, mlp, write_csv

IRIS = DATA / "iris.csv"


@pytest.fixture
def bad(folder):
    """A table whose second row has a field too many."""
    (folder / "bad.csv").write_text("a,species\n1,setosa\n3,4,5\n")
    return "bad.csv"


def fault(folder, text, *options, verb="train"):
    (folder / "c.yaml").write_text(text)
    ended = mlp(verb, "c.yaml", *options)
    assert (ended.code, ended.stdout) == (2, "")
    return ended.stderr


@pytest.mark.parametrize("verb", ["train", "check"])
@pytest.mark.parametrize(
    ("lines", "beginning", "key"),
    [
        ("  train: bad.csv\n", "bad.csv:3: 3 fields, expected 2.", "data.train, c.yaml:3"),
        ("  train: none.csv\n", "none.csv: no such file.", "data.train, c.yaml:3"),
        (f"  train: {IRIS}\n  validation: bad.csv\n", "bad.csv:3: 3 fields, expected 2.", "data.validation, c.yaml:4"),
        (f"  train: {IRIS}\n  test: none.csv\n", "none.csv: no such file.", "data.test, c.yaml:4"),
    ],
)
def test_the_error_begins_with_the_table_and_ends_with_the_line_of_the_config(folder, bad, verb, lines, beginning, key):
    message = fault(folder, f"data:\n  target: species\n{lines}", verb=verb)
    assert message.startswith(beginning)
    assert message.endswith(f" ({key})\n")
    assert message.count("c.yaml") == 1


def test_a_table_named_on_the_command_line_is_so_named(folder, bad):
    message = fault(folder, f"data: {{train: {IRIS}, target: species}}\n", "--set", "data.train=bad.csv")
    assert message.endswith(" (--set data.train=bad.csv)\n")


def test_from_python_there_is_no_line_to_name(bad):
    with pytest.raises(DataError) as caught:
        prepare(config_from_mapping({"data": {"train": "bad.csv", "target": "species"}}))
    assert str(caught.value).startswith("bad.csv:3: 3 fields")
    assert "data.train" not in str(caught.value)


def test_a_regression_on_texts_advises_classification(folder):
    message = fault(folder, f"data:\n  train: {IRIS}\n  target: species\ntask: regression\n")
    assert message == (
        f"{IRIS}: the target species holds texts ('setosa', 'versicolor', 'virginica'), which are not numbers. "
        "To predict classes, write task: classification (data.train, c.yaml:2)\n"
    )


def test_a_regression_on_numbers_in_disguise_advises_the_key_that_reads_them(folder):
    write_csv(folder / "t.csv", ["x", "rate"], [(i, f"{i % 37}.5%") for i in range(80)])
    message = fault(folder, "data:\n  train: t.csv\n  target: rate\ntask: regression\n")
    assert "which are not numbers.\nt.csv:2: column rate: " in message
    assert 'data.columns: {rate: {role: number, suffix: "%"}}' in message


def test_texts_among_several_targets_advise_to_name_one(folder):
    message = fault(folder, f"data:\n  train: {IRIS}\n  target: [species, petal_width]\n")
    assert "which are not numbers. Name it alone to predict its classes." in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "x"], "--seed x: must be an integer. See: mlp train --help\n"),
        (["--seed=-1"], "--seed -1: must be at least 0. See: mlp train --help\n"),
        (["--max-seconds", "soon"], "--max-seconds soon: must be a number. See: mlp train --help\n"),
        (
            ["--max-epochs-without-gain", "0"],
            "--max-epochs-without-gain 0: must be at least 1.",
        ),
    ],
)
def test_a_wrong_value_of_an_option_is_named_in_our_words(folder, options, message):
    assert fault(folder, "", *options).startswith(message)


def test_a_long_list_of_names_ends_with_how_many_more(folder):
    header = ",".join(f"column_{i}" for i in range(12))
    (folder / "t.csv").write_text(f"{header}\n{','.join(map(str, range(12)))}\n")
    message = fault(folder, "data:\n  train: t.csv\n  target: zzz\n")
    assert message.endswith("column_6, column_7, and 4 more.\n")
    assert "..." not in message
