"""`${NAME}` in a config stands for an environment variable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.config.loading import config_from_text, load_config
from mlpcli.config.yaml.dumping import dump_yaml, yaml_text
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.data.reading.faults import format_yaml
from mlpcli.errors import ConfigError

HEAD = "data: {train: a.csv, target: y}\n"


def read(text):
    return parse_yaml(text, "a.yaml")[0]


@pytest.fixture
def environment(monkeypatch):
    for name in ("N", "DATA", "KEY", "EMPTY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: ${N}", {"a": 50}),
        ("a: '${N}'", {"a": "50"}),
        ('a: "${N}"', {"a": "50"}),
        ("a: x${N}y${N}", {"a": "x50y50"}),
        ("a: ${N}e-3", {"a": 0.05}),
        ("a: [${N}, 8, '${N}']", {"a": [50, 8, "50"]}),
        ("{a: ${N}, b: {c: ${N}}}", {"a": 50, "b": {"c": 50}}),
        ("a${N}: 1", {"a50": 1}),
        ("a: ${EMPTY}", {"a": None}),
        ("a: |\n  ${N}\n", {"a": "50\n"}),
        ("a: &x ${N}\nb: *x", {"a": 50, "b": 50}),
        ("a: $${N}", {"a": "${N}"}),
        ("a: '$${'", {"a": "${"}),
        ("a: $N $", {"a": "$N $"}),
        ("a: 1 # ${UNSET_BUT_COMMENT}", {"a": 1}),
    ],
)
def test_a_reference_is_read_as_if_the_text_of_the_variable_stood_there(environment, text, value):
    environment("N", "50")
    environment("EMPTY", "")
    assert read(text) == value


@pytest.mark.parametrize("text", ["a: b # c", "[1, 2]", "x: y", "'", "- a", "{", "&a", "*a", "---"])
def test_what_is_in_a_variable_is_never_read_as_yaml(environment, text):
    environment("N", text)
    assert read("a: ${N}\nb: 1") == {"a": text, "b": 1}


def test_what_is_in_a_variable_refers_to_no_other(environment):
    environment("N", "${KEY} $${")
    assert read("a: ${N}") == {"a": "${KEY} $${"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "output: runs/${KEY}\n",
            "a.yaml:2: output: the environment variable KEY is not set. Set it; the text itself is $${KEY}.",
        ),
        (
            "data:\n  train:\n    - ${KEY}/a.csv\n  target: y\n",
            "a.yaml:3: data.train[0]: the environment variable KEY is not set. Set it; the text itself is $${KEY}.",
        ),
        (
            HEAD + "output: '${a b}'\n",
            "a.yaml:2: output: ${ must hold the name of an environment variable, as in ${DATA}. A literal ${ is $${.",
        ),
        (
            HEAD + "training:\n  epochs: ${N}\n",
            "a.yaml:3: training.epochs: must be an integer of at least 1, got 'many'.",
        ),
    ],
)
def test_a_variable_that_does_not_fit_names_line_and_key(environment, text, message):
    environment("N", "many")
    with pytest.raises(ConfigError) as caught:
        config_from_text(text, "a.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "output: ${KEY:-runs/a}",
            "a.yaml:2: output: ${KEY:-runs/a}: default values are not supported. Set KEY, or change the key with "
            "--set.",
        ),
        ("output: ${KEY-b}", "a.yaml:2: output: ${KEY-b}: default values are not supported."),
        ("output: ${KEY:?must be set}", "a.yaml:2: output: ${KEY:?must be set}: default values are not supported."),
        ("budget: {memory: ${KEY:-2GB}}", "a.yaml:2: budget.memory: ${KEY:-2GB}: default values are not supported."),
        ("model: {layers: [auto, ${KEY:=3}, auto]}", "a.yaml:2: model.layers[1]: ${KEY:=3}: default values are not"),
        ("model: {layers: [auto, ${}, auto]}", "a.yaml:2: model.layers[1]: ${ must hold the name of an environment"),
        ("output: {a: ${1}}", "a.yaml:2: output.a: ${ must hold the name of an environment variable"),
        (
            "output: &${KEY}",
            "a.yaml:2: not valid YAML: expected alphabetic or numeric character, but found '${'. Quote",
        ),
        (
            "output: *${KEY}",
            "a.yaml:2: not valid YAML: expected alphabetic or numeric character, but found '${'. Quote",
        ),
        (
            "output: !${KEY} x",
            "a.yaml:2: not valid YAML: expected URI, but found '${'. Quote a string that begins with !.",
        ),
    ],
)
def test_what_other_programs_take_for_a_variable_is_named_as_it_is_written(environment, text, message):
    with pytest.raises(ConfigError) as caught:
        config_from_text(HEAD + text, "a.yaml")
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["&${N}", "*${N}", "!${N}"])
def test_in_quotes_a_variable_may_stand_behind_any_sign(environment, text):
    environment("N", "x")
    assert read(f'a: "{text}"') == {"a": f"{text[0]}x"}


def test_the_origin_of_a_value_names_its_variable(environment, tmp_path):
    environment("N", "7")
    path = tmp_path / "a.yaml"
    path.write_text(HEAD + "training: {epochs: ${N}, seed: 3}\n")
    loaded = load_config(str(path))
    assert loaded.config.training.epochs == 7
    assert loaded.origin("training.epochs") == f"{path}:2 ${{N}}"
    assert loaded.origin("training.seed") == f"{path}:2"


def test_characters_and_escapes_of_the_text_are_no_braces(environment):
    environment("N", "7")
    text = "a: [${N}, '\ue000N\ue001', \"\\ue002N\\ue003\"]"
    assert read(text) == {"a": [7, "\ue000N\ue001", "\ue002N\ue003"]}


def test_set_leaves_references_to_the_shell(environment, tmp_path):
    environment("N", "7")
    path = tmp_path / "a.yaml"
    path.write_text(HEAD)
    loaded = load_config(str(path), ["output=${N}", "data.drop=['${N}', '$${N}']"])
    assert (loaded.config.output, loaded.config.data.drop) == ("${N}", ("${N}", "$${N}"))


@given(st.text(alphabet="${}aN_ \n\ue000\ue001'\"#", max_size=12))
def test_what_is_written_is_read_as_the_same_text(text):
    assert read(yaml_text({"a": text, text: [text]})) == {"a": text, text: [text]}
    assert read(f"a: {format_yaml(text)}") == {"a": text}


def test_a_dumped_config_is_read_as_an_equal_config(environment):
    environment("N", "runs/${KEY}")
    config = config_from_text(HEAD + "output: ${N}\n", "a.yaml").config
    assert config.output == "runs/${KEY}"
    assert config_from_text(dump_yaml(config), "b.yaml").config == config
