import pathlib
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import config_from_mapping, leaves, load_config
from mlpcli.config.schema.sections import Config, DataConfig, TrainingConfig
from mlpcli.config.yaml.source_map import path_text
from mlpcli.errors import ConfigError
from mlpcli.nn.optimizers import SGD

PENGUINS = """\
# comments and blank lines count

data:
  train: penguins.csv
  target: species
training:
  optimizer: adam
  schedule: {name: cosine}
  epochs: 1e1
"""


def written(tmp_path, text, name="penguins.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def fault_of(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).replace(str(pathlib.Path(path).parent) + "/", "")


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, PENGUINS.replace("1e1", "10"))
    return load_config("penguins.yaml", ["training.seed=7", "model.layers=[4, 3]"])


def test_a_file_becomes_a_config(loaded):
    assert loaded.path == "penguins.yaml"
    assert loaded.config.data.target == ("species",)
    assert loaded.config.model.layers == (4, 3)
    assert (loaded.config.training.epochs, loaded.config.training.seed) == (10, 7)


def test_only_the_data_section_is_needed():
    loaded = config_from_mapping({"data": {"train": "a.csv", "target": "y"}})
    assert loaded.config == Config(data=DataConfig(train=("a.csv",), target=("y",)))
    assert loaded.config.training == TrainingConfig()


def test_every_value_of_the_resolved_config_has_an_origin(loaded):
    assert set(loaded.origins) == {path_text(path) for path in leaves(loaded.config)}
    assert loaded.origin("data.train") == "penguins.yaml:4"
    assert loaded.origin("training.optimizer.name") == "penguins.yaml:7"
    assert loaded.origin("training.optimizer.beta1") == "default"
    assert loaded.origin("training.schedule.name") == "penguins.yaml:8"
    assert loaded.origin("training.schedule.warmup") == "default"
    assert loaded.origin("training.epochs") == "penguins.yaml:9"
    assert loaded.origin("training.seed") == "--set"
    assert loaded.origin("model.dropout") == "default"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("training.epochs", "penguins.yaml:9: training.epochs: too many."),
        ("training.optimizer.beta1", "penguins.yaml:7: training.optimizer.beta1: too many."),
        ("model.activation", "penguins.yaml: model.activation: too many."),
        ("model.layers", "--set model.layers=[4, 3]: too many."),
        ("model.layers[1]", "--set model.layers=[4, 3]: model.layers[1]: too many."),
    ],
)
def test_later_checks_can_point_at_a_key(loaded, key, message):
    assert loaded.message(key, "too many.") == message


def test_faults_come_in_the_order_of_the_file_each_with_its_line(tmp_path):
    text = "task: x\ntraining:\n  seed: -1\n  epochs: 0\ndata: {train: a, target: b}\n"
    assert [line.split(": ")[:2] for line in fault_of(written(tmp_path, text, "a.yaml")).splitlines()] == [
        ["a.yaml:1", "task"],
        ["a.yaml:3", "training.seed"],
        ["a.yaml:4", "training.epochs"],
    ]


def test_a_value_is_shown_as_it_was_written(tmp_path):
    path = written(tmp_path, "data: {train: a, target: 007}\n", "a.yaml")
    assert fault_of(path) == 'a.yaml:1: data.target: must be a string or a list of strings, got 007. Quote it: "007".'
    path = written(tmp_path, PENGUINS, "a.yaml")
    assert fault_of(path) == "a.yaml:9: training.epochs: must be an integer of at least 1, got 1e1."


def test_a_missing_key_is_reported_at_its_section(tmp_path):
    assert fault_of(written(tmp_path, "\ndata:\n  train: a\n", "a.yaml")).startswith(
        "a.yaml:2: data.target: must be given."
    )


def test_a_section_with_nothing_in_it_is_all_defaults(tmp_path):
    path = written(tmp_path, "data: {train: a, target: b}\ntraining:\n  # epochs: 5\nmodel:\nexpect:\n", "a.yaml")
    assert load_config(path).config.training == TrainingConfig()


def test_a_part_without_a_name_changes_the_default_part(tmp_path):
    path = written(tmp_path, "data: {train: a, target: b}\ntraining: {optimizer: {momentum: 0.9}}\n", "a.yaml")
    loaded = load_config(path)
    assert loaded.config.training.optimizer == SGD(learning_rate=0.05, momentum=0.9)
    assert loaded.origin("training.optimizer.learning_rate") == "default"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_text_files_of_every_system_are_read(tmp_path, encoding, newline):
    text = "data:\n  train: ä.csv\n  target: größe\n".replace("\n", newline)
    loaded = load_config(written(tmp_path, text.encode(encoding)))
    assert (loaded.config.data.train, loaded.config.data.target) == (("ä.csv",), ("größe",))
    assert loaded.origin("data.target").endswith("penguins.yaml:3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.yaml: an empty config. Make one with: mlp init DATA.csv --target COLUMN"),
        (b"# nothing\n", "a.yaml: an empty config. Make one with: mlp init DATA.csv --target COLUMN"),
        (
            b"- a\n- b\n",
            "a.yaml: not a config: must be a mapping of data, task, preprocess, model, training, postprocess, "
            "intervals, expect, budget, search, tracking, output, got the list [a, b]. "
            "Make one with: mlp init DATA.csv --target COLUMN",
        ),
        (b"PK\x03\x04\0\0", "a.yaml: a binary file, not a config. Make one with: mlp init DATA.csv --target COLUMN"),
        (b"a: 1\nb: \xe9\n", "a.yaml:2: not valid UTF-8 (byte 0xe9). Save it as UTF-8."),
        (b"\xff\xfea", "a.yaml: not valid UTF-16. Save it as UTF-8."),
        (
            b"x" * 300_000,
            "a.yaml: larger than 256 KB, so not a config. Make one with: mlp init DATA.csv --target COLUMN",
        ),
    ],
)
def test_a_file_that_is_no_config_says_so(tmp_path, content, message):
    assert fault_of(written(tmp_path, content, "a.yaml")) == message


def test_a_missing_file_names_the_nearest_one(tmp_path):
    written(tmp_path, PENGUINS)
    assert fault_of(str(tmp_path / "pengiuns.yaml")) == "pengiuns.yaml: no such file. Did you mean penguins.yaml?"
    assert fault_of(str(tmp_path / "qqq")) == "qqq: no such file."


def test_a_missing_folder_is_named(tmp_path):
    message = fault_of(str(tmp_path / "nowhere" / "a.yaml"))
    assert message == f"a.yaml: no such file. Nor is there a folder {tmp_path}/nowhere."


def test_a_folder_names_the_config_in_it(tmp_path):
    written(tmp_path, PENGUINS, "config.yaml")
    assert (
        fault_of(str(tmp_path)) == f"{tmp_path.name}: a folder, not a config. Did you mean {tmp_path.name}/config.yaml?"
    )


@pytest.mark.parametrize("path", ["a\0b", "a\x1bb", "x" * 5000, ""])
def test_a_path_that_cannot_be_one_is_one_printable_line(path):
    message = fault_of(path)
    assert message.isprintable()


def test_a_mapping_made_in_python_may_hold_tuples_numpy_numbers_and_paths():
    mapping = {
        "data": {"train": pathlib.Path("a.csv"), "target": ("y",)},
        "model": {"layers": ("auto", np.int64(3), "auto"), "dropout": np.float32(0.5)},
    }
    config = config_from_mapping(mapping).config
    assert config.data.train == ("a.csv",)
    assert config.model.layers == ("auto", 3, "auto")
    assert config.model.dropout == 0.5


def test_a_mapping_that_holds_anything_else_is_refused():
    itself = {}
    itself["data"] = itself
    for mapping, message in [
        ({"data": {1, 2}}, "config: data: a set is not allowed in a config."),
        ({"data": {"train": b"a"}}, "config: data.train: a bytes is not allowed in a config."),
        ({"data": {"train": "a\0"}}, "config: data.train: 'a\\x00' holds a character that is not text."),
        ([1], "config: must be a mapping, got the list [1]."),
        (itself, "config: holds too many values or refers to itself."),
    ]:
        with pytest.raises(ConfigError) as caught:
            config_from_mapping(mapping)
        assert str(caught.value) == message


@pytest.fixture(scope="module")
def any_file(tmp_path_factory):
    return tmp_path_factory.mktemp("any") / "a.yaml"


@settings(deadline=None, max_examples=150)
@given(
    content=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: PENGUINS.encode() + text.encode("utf-8", "replace")),
    )
)
def test_any_bytes_are_a_config_or_at_most_three_printable_lines(any_file, content):
    any_file.write_bytes(content)
    lines = []
    try:
        load_config(str(any_file))
    except ConfigError as error:
        lines = str(error).split("\n")
    assert len(lines) <= 3
    assert all(line.isprintable() for line in lines)


def test_a_file_of_thousands_of_unknown_keys_is_refused_in_a_moment(tmp_path):
    path = written(tmp_path, "\n".join(f"a{i}: 1" for i in range(5000)), "a.yaml")
    start = process_time()
    assert fault_of(path).endswith("(and 4998 more)")  # data is missing, too
    assert process_time() - start < 10
