import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import Override, config_from_mapping, parse_override
from mlpcli.errors import ConfigError
from mlpcli.nn.optimizers import SGD, Adam

DATA = {"train": "a.csv", "target": "y"}


def load(*overrides, **sections):
    return config_from_mapping({"data": DATA, **sections}, overrides, name="a.yaml")


def fault_of(*overrides, **sections):
    with pytest.raises(ConfigError) as caught:
        load(*overrides, **sections)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 0.001),
        ("true", True),
        ("null", None),
        ("", None),
        ("[auto, 8, auto]", ["auto", 8, "auto"]),
        ("{a: 1}", {"a": 1}),
        ('"5"', "5"),
        ("'- a'", "- a"),
        *[
            (text, text)
            for text in ("-", "|", ";", "\t", "a: b", "*.csv", "a #b", "C:\\x.csv", "no", "x=y", "@a", "&a", "a\nb")
        ],
    ],
)
def test_a_value_in_brackets_or_quotes_is_yaml_and_any_other_text_stands_as_it_is(text, value):
    assert parse_override(f"a.b={text}") == Override("a.b", value, parse_override(f"a.b={text}").text)


def test_an_override_wins_over_the_file_and_a_later_one_over_both():
    loaded = load("training.epochs=3", "training.epochs=4", training={"epochs": 2, "seed": 1})
    assert (loaded.config.training.epochs, loaded.config.training.seed) == (4, 1)
    assert (loaded.origin("training.epochs"), loaded.origin("training.seed")) == ("--set", "a.yaml")


def test_one_value_of_a_default_part_changes_that_value_alone():
    optimizer = load("training.optimizer.learning_rate=0.1").config.training.optimizer
    assert optimizer == SGD(learning_rate=0.1)


def test_a_value_goes_into_a_part_written_as_its_name():
    loaded = load("training.optimizer.learning_rate=0.1", training={"optimizer": "adam"})
    assert loaded.config.training.optimizer == Adam(learning_rate=0.1)
    assert loaded.origin("training.optimizer.name") == "a.yaml"
    assert loaded.origin("training.optimizer.learning_rate") == "--set"
    assert loaded.origin("training.optimizer.beta1") == "default"


def test_a_part_can_be_replaced_by_its_name_or_by_a_mapping():
    written = {"optimizer": {"name": "sgd", "momentum": 0.5}}
    assert load("training.optimizer=adam", training=written).config.training.optimizer == Adam()
    assert load("training.optimizer={name: adam, beta1: 0.5}").config.training.optimizer == Adam(beta1=0.5)
    assert load("training.optimizer.name=adam").config.training.optimizer == Adam()


def test_what_is_null_in_the_file_becomes_a_mapping_when_a_key_of_it_is_set():
    loaded = load("training.early_stopping.patience=5", training={"early_stopping": None})
    assert loaded.config.training.early_stopping.patience == 5


def test_the_mapping_that_was_passed_is_left_as_it_was():
    mapping = {"data": dict(DATA), "training": {"optimizer": {"name": "adam"}}}
    config_from_mapping(mapping, ["training.optimizer.beta1=0.5", "output=x"])
    assert mapping == {"data": DATA, "training": {"optimizer": {"name": "adam"}}}


def test_other_options_name_themselves():
    typed = Override("output", "5", "--output 5")
    assert load(typed).config.output == "5"
    assert load(typed).origin("output") == "--output"
    assert fault_of(Override("training.seed", -1, "--seed -1")).startswith("--seed -1: must be an integer from 0 to ")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.epochs=x", "must be an integer of at least 1, got 'x'."),
        ("training.epoch=5", "unknown key. Did you mean epochs?"),
        ("trainin.epochs=5", "trainin: unknown key. Did you mean training?"),
        ("lr=5", "unknown key. Did you mean training.optimizer.learning_rate?"),
        ("training.epochs", "must be KEY=VALUE, for example --set training.epochs=5"),
        ("=5", "must be KEY=VALUE, for example --set training.epochs=5"),
        ("", "must be KEY=VALUE, for example --set training.epochs=5"),
        ("a..b=5", "must be KEY=VALUE, for example --set training.epochs=5"),
        ("model.layers[1]=5", "a list is set as a whole, for example --set 'model.layers=[...]'"),
        ("training.epochs.x=5", "training.epochs: must be an integer of at least 1, got the mapping {x: 5}."),
        ("data.train.x=5", "data.train is 'a.csv' (a.yaml), which has no keys."),
        (
            "training.optimizer={beta1: 2, name: adam}",
            "training.optimizer.beta1: must be a number of at least 0 and below 1, got 2.",
        ),
        ("model.layers=[4", "not valid YAML: expected ',' or ']', but got the end. The bracket [ is not closed."),
        ("output=a\0", "'a\\x00' holds a character that is not text."),
        ("training.seed=" + "9" * 400, "a number of 400 digits is more than a float holds."),
    ],
)
def test_a_wrong_override_is_named_as_it_was_typed(assignment, message):
    shown = assignment.replace("\0", "\\x00")
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    assert fault_of(assignment) == f"--set {shown}: {message}"


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(
        ["", "training", "training.optimizer", "model.layers", "data.train", "data.columns.x", "a.b.c", "."]
    ),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_any_override_is_applied_or_refused_in_printable_lines(key, more, value):
    lines = []
    try:
        load(f"{key}{more}={value}")
    except ConfigError as error:
        lines = str(error).split("\n")
    assert all(line.isprintable() and line.startswith("--set ") for line in lines)
