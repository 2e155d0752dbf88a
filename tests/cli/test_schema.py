"""`mlp schema`, and the line by which a config names its schema."""

import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from tests.program import DATA, done, mlp

LINE = "# yaml-language-server: $schema="


def reference_in(text):
    first = text.partition("\n")[0]
    assert first.startswith(LINE)
    return first.removeprefix(LINE)


def test_the_schema_goes_to_standard_output_or_to_a_file(folder):
    text = done("schema").stdout
    assert json.loads(text)["properties"]["data"]
    ended = done("schema", "-o", "mlp.schema.json")
    assert ended.stdout == ""
    assert f"{LINE}mlp.schema.json" in ended.stderr
    assert Path("mlp.schema.json").read_text("utf-8") == text
    assert done("schema", "-o", "mlp.schema.json", "--quiet").stderr == ""


def test_a_schema_is_replaced_and_any_other_file_is_not(folder):
    done("schema", "-o", "a.json")
    done("schema", "-o", "a.json")
    for text in ("data: {}\n", "{}", ""):
        Path("config.yaml").write_text(text)
        ended = mlp("schema", "-o", "config.yaml")
        assert (ended.code, ended.stderr.startswith("config.yaml: exists already")) == (2, True)
        assert Path("config.yaml").read_text() == text
    assert mlp("schema", "-o", "no/such/folder.json").code == 2
    assert mlp("schema", "-o", ".").code == 2
    assert mlp("schema", "-o", "new/").stderr == "new/: cannot be written: it is a folder. Name a file.\n"
    assert not Path("new").exists()


def test_a_config_names_the_schema_of_the_installation_which_is_there(folder):
    for arguments in ([], ["-o", "iris.yaml"]):
        ended = done("init", DATA / "iris.csv", *arguments)
        text = Path("iris.yaml").read_text("utf-8") if arguments else ended.stdout
        uri = urlparse(reference_in(text))
        assert uri.scheme == "file"
        assert Path(unquote(uri.path)).read_text("utf-8") == done("schema").stdout


@pytest.mark.parametrize("config", ["iris.yaml", "deeper/iris.yaml", "-"])
def test_a_config_names_the_schema_beside_it_where_there_is_one(folder, config):
    Path("deeper").mkdir()
    done("schema", "-o", Path(config).parent / "mlp.schema.json")
    ended = done("init", DATA / "iris.csv", "-o", config)
    text = ended.stdout if config == "-" else Path(config).read_text("utf-8")
    assert reference_in(text) == "mlp.schema.json"
    Path("other").mkdir()
    assert reference_in(done("init", DATA / "iris.csv", "-o", "other/iris.yaml", "--json").document["config"]) != (
        "mlp.schema.json"
    )


def test_a_time_budget_leaves_the_line(folder):
    done("schema", "-o", "mlp.schema.json")
    text = done("init", DATA / "iris.csv", "--recipe", "fast", "--time-budget", "20").stdout
    assert reference_in(text) == "mlp.schema.json"
