from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import config_from_mapping
from mlpcli.config.schema.fields import all_keys, spec_of
from mlpcli.config.schema.network import HiddenActivation
from mlpcli.config.schema.sections import Config
from mlpcli.config.validation_errors import nearest
from mlpcli.errors import ConfigError

NAMES = sorted({name for path in all_keys(spec_of(Config)) for name in path})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["auto", "sgd", "adam", "huber"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)),
    max_leaves=8,
)


def fault_of(**sections):
    data = {"train": "a.csv", "target": "y"} | sections.pop("data", {})
    with pytest.raises(ConfigError) as caught:
        config_from_mapping({"data": data, **sections}, name="a.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("learning_rat", "learning_rate"),
        ("Learning-Rate", "learning_rate"),
        ("lr", "learning_rate"),
        ("wd", "weight_decay"),
        ("xyz", ""),
        ("", ""),
        ("x" * 1_000_000, ""),
    ],
)
def test_the_nearest_spelling_is_found(key, found):
    assert nearest(key, ["name", "learning_rate", "weight_decay"]) == found


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"trainin": {}}, "trainin: unknown key. Did you mean training?"),
        ({"epochs": 5}, "epochs: unknown key. Did you mean training.epochs?"),
        ({"lr": 5}, "lr: unknown key. Did you mean training.optimizer.learning_rate?"),
        ({"training": {"lr": 5}}, "training.lr: unknown key. Did you mean training.optimizer.learning_rate?"),
        (
            {"training": {"learning_rate": 5}},
            "training.learning_rate: unknown key. Did you mean training.optimizer.learning_rate?",
        ),
        ({"training": {"max-iter": 5}}, "training.max-iter: unknown key. Did you mean epochs?"),
        ({"hidden_layer_sizes": [5]}, "hidden_layer_sizes: unknown key. Did you mean model.layers?"),
        ({"model": {"epochs": 5}}, "model.epochs: unknown key. Did you mean training.epochs?"),
        (
            {"training": {"optimizer": {"name": "adam", "learning_rat": 1}}},
            "training.optimizer.learning_rat: unknown key. Did you mean learning_rate?",
        ),
        (
            {"training": {"optimizer": {"name": "adam", "momentum": 0.9}}},
            "training.optimizer.momentum: unknown key. "
            "adam has name, learning_rate, beta1, beta2, epsilon, weight_decay.",
        ),
        (
            {"qqq": 5},
            "qqq: unknown key. Known here: data, task, preprocess, model, training, postprocess, intervals, expect, "
            "budget, search, tracking, output.",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest_or_all(sections, message):
    assert fault_of(**sections) == f"a.yaml: {message}"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"epochs": 0}, "epochs: must be an integer of at least 1, got 0."),
        ({"epochs": True}, "epochs: must be an integer of at least 1, got true."),
        ({"epochs": 2.5}, "epochs: must be an integer of at least 1, got 2.5."),
        ({"epochs": "5"}, "epochs: must be an integer of at least 1, got '5'. Write it without quotes."),
        ({"epochs": None}, "epochs: must be an integer of at least 1, got null."),
        ({"epochs": [5]}, "epochs: must be an integer of at least 1, got the list [5]."),
        ({"seed": 2**70}, f"seed: must be an integer from 0 to {2**63 - 1}, got {2**70}."),
        ({"gradient_clip": -1}, "gradient_clip: must be a number greater than 0 or null, got -1."),
        (
            {"gradient_clip": float("inf")},
            "gradient_clip: must be a number greater than 0 or null, got .inf (not finite).",
        ),
        ({"threads": 0}, "threads: must be auto or an integer from 1 to 1024, got 0."),
        ({"dtype": "float23"}, "dtype: must be one of float32, float64, got 'float23'. Did you mean float32?"),
        (
            {"optimizer": "sgdd"},
            "optimizer: must be one of sgd, adam, adamw, rmsprop, adagrad, muon, got 'sgdd'. Did you mean sgd?",
        ),
        (
            {"optimizer": {"name": "adamm"}},
            "optimizer.name: must be one of sgd, adam, adamw, rmsprop, adagrad, muon, got 'adamm'. Did you mean adam?",
        ),
        ({"optimizer": 5}, "optimizer: must be one of sgd, adam, adamw, rmsprop, adagrad, muon, got 5."),
        (
            {"optimizer": {"learning_rate": True}},
            "optimizer.learning_rate: must be a number greater than 0, got true.",
        ),
        (
            {"optimizer": {"momentum": 1}},
            "optimizer.momentum: must be a number of at least 0 and below 1, got 1.",
        ),
        (
            {"optimizer": {"nesterov": "yes"}},
            "optimizer.nesterov: must be true or false, got 'yes'. Write true.",
        ),
        ({"loss": {"name": "huber", "delta": 0}}, "loss.delta: must be a number greater than 0, got 0."),
        (
            {"loss": {"delta": 2}},
            "loss: must be one of auto, cross_entropy, binary_cross_entropy, squared_error, absolute_error, huber, "
            "poisson, quantile, got the mapping {delta: 2}. Give it a name: {name: huber, ...}.",
        ),
        (
            {"loss": "hubr"},
            "loss: must be one of auto, cross_entropy, binary_cross_entropy, squared_error, absolute_error, huber, "
            "poisson, quantile, got 'hubr'. Did you mean huber?",
        ),
        (
            {"loss": {"name": "mse"}},
            "loss.name: must be one of auto, cross_entropy, binary_cross_entropy, squared_error, absolute_error, "
            "huber, poisson, quantile, got 'mse'. Did you mean squared_error?",
        ),
        (
            {"class_weights": "balance"},
            "class_weights: must be balanced, a mapping from strings to numbers of at least 0 or null, got 'balance'. "
            "Did you mean balanced?",
        ),
        ({"class_weights": {"a b": -1}}, "class_weights.a b: must be a number of at least 0, got -1."),
        (
            {"early_stopping": {"patience": 0}},
            "early_stopping.patience: must be an integer of at least 1 or null, got 0.",
        ),
        (
            {"early_stopping": 5},
            "early_stopping: must be a mapping with metric, patience, patience_factor, min_gain, at, ties or null, "
            "got 5.",
        ),
    ],
)
def test_a_wrong_value_names_key_value_and_what_is_allowed(training, message):
    assert fault_of(training=training) == f"a.yaml: training.{message}"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (4, ": must be a list of (auto or an integer from 1 to 1000000), got 4. Write [auto, 4, auto]."),
        (
            "4, 3",
            ": must be a list of (auto or an integer from 1 to 1000000), got '4, 3'. Write [auto, 4, 3, auto].",
        ),
        (["auto", 0], "[1]: must be auto or an integer from 1 to 1000000, got 0."),
        (["atuo", 1], "[0]: must be auto or an integer from 1 to 1000000, got 'atuo'. Did you mean auto?"),
    ],
)
def test_a_wrong_list_or_item_is_named(layers, message):
    assert fault_of(model={"layers": layers}) == f"a.yaml: model.layers{message}"


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("rellu", ": must be one of {names} or a list of these, got 'rellu'. Did you mean relu?"),
        ("tanh, relu", ": must be one of {names} or a list of these, got 'tanh, relu'. Write [tanh, relu]."),
        (7, ": must be one of {names} or a list of these, got 7."),
        (["tanh", "rellu"], "[1]: must be one of {names}, got 'rellu'. Did you mean relu?"),
    ],
)
def test_an_activation_is_a_name_or_a_list_of_names(activation, message):
    names = ", ".join(get_args(HiddenActivation))
    expected = f"a.yaml: model.activation{message.format(names=names)}"
    assert fault_of(model={"activation": activation}) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"target": 1}, 'target: must be a string or a list of strings, got 1. Quote it: "1".'),
        ({"drop": ["a", 2020]}, 'drop[1]: must be a string, got 2020. Quote it: "2020".'),
        ({"weight": True}, 'weight: must be a string or null, got true. Quote it: "true".'),
        ({"header": "no"}, "header: must be true, false or null, got 'no'. Write false."),
        (
            {"columns": {"age": "numbr"}},
            "columns.age.role: must be one of number, date, boolean, category or null, got 'numbr'. "
            "Did you mean number?",
        ),
        (
            {"columns": ["age"]},
            "columns: must be a mapping from strings to (a mapping with role, prefix, suffix, decimal, thousands, "
            "parentheses, format, missing), got the list [age].",
        ),
        (
            {"validation": -0.5},
            "validation: must be a number of at least 0 and below 1, a string, a mapping with column, "
            "equals, group, time, gap, hash, copies, fraction or null, got -0.5.",
        ),
        (
            {"validation": {"column": "fold", "equal": 1, "equals": 1}},
            "validation.equal: unknown key. Did you mean equals?",
        ),
        ({"target": {}}, "target: must be a string or a list of strings, got an empty mapping."),
    ],
)
def test_a_wrong_entry_of_the_data_section_is_named(data, message):
    assert fault_of(data=data) == f"a.yaml: data.{message}"


def test_a_required_key_that_is_missing_says_what_it_is():
    with pytest.raises(ConfigError) as caught:
        config_from_mapping({"data": {"train": "a.csv"}}, name="a.yaml")
    assert (
        str(caught.value) == "a.yaml: data.target: must be given. The column to predict; a list gives several outputs."
    )


def test_a_missing_data_section_says_what_it_must_hold():
    with pytest.raises(ConfigError, match=r"^a.yaml: data: must be given, with train and target\."):
        config_from_mapping({"task": "auto"}, name="a.yaml")


def test_many_faults_are_three_lines_and_a_count():
    lines = fault_of(training={"epochs": 0, "seed": -1, "batch_size": 0, "dtype": 5, "lr": 1}).splitlines()
    assert len(lines) == 3
    assert lines[0] == "a.yaml: training.epochs: must be an integer of at least 1, got 0."
    assert lines[2].endswith("got 0. (and 2 more)")


def test_what_the_user_wrote_cannot_act_on_the_terminal_and_is_shortened():
    message = fault_of(task="\x1b[31m\n" + "x" * 10_000, **{"a\x1b" + "y" * 10_000: 1})
    assert all(line.isprintable() and len(line) < 300 for line in message.splitlines())
    assert "\\x1b[31m\\nxxx" in message
    assert "a\\x1byyy" in message


@settings(deadline=None, max_examples=200)
@given(VALUES)
def test_any_values_are_a_config_or_at_most_three_printable_lines(value):
    mapping = value if isinstance(value, dict) else {"data": {"train": "a", "target": "b"}, "training": value}
    lines = []
    try:
        config_from_mapping(mapping, name="a.yaml")
    except ConfigError as error:
        lines = str(error).split("\n")
    assert len(lines) <= 3
    assert all(line.startswith("a.yaml: ") and line.isprintable() and "tagged-union" not in line for line in lines)


@pytest.mark.parametrize(
    ("initializer", "message"),
    [
        (
            {"name": "lecun_normal", "bias_scal": 1},
            "model.initializer.bias_scal: unknown key. Did you mean bias_scale?",
        ),
        (
            {"name": "he_normal", "bias_scale": -1},
            "model.initializer.bias_scale: must be a number of at least 0, got -1.",
        ),
        ({"name": "data_driven", "points": -1}, "model.initializer.points: must be an integer of at least 0"),
        ({"name": "he_norm", "bias_scale": 1}, "got 'he_norm'. Did you mean he_normal?"),
        ({"zero_last": True}, "Give it a name: {name: glorot_uniform, ...}."),
    ],
)
def test_a_part_of_several_names_is_found_by_each_of_them(initializer, message):
    text = fault_of(model={"initializer": initializer})
    assert message in text
    assert text.count("glorot_uniform,") <= 2


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"members": 0}}, "model.members.count: must be an integer from 1 to 64, got 0."),
        ({"model": {"members": {"cout": 4}}}, "model.members.cout: unknown key. Did you mean count?"),
        ({"model": {"numeric_embedding": {"sigma": 0}}}, "sigma: must be a number greater than 0, got 0."),
        ({"model": {"parametrization": "NTK"}}, "Did you mean ntk?"),
        ({"training": {"rates": {"bias": 1}}}, "training.rates.bias: unknown key. Did you mean biases?"),
        ({"training": {"averaging": "emma"}}, "must be one of ema, swa or null, got 'emma'. Did you mean ema?"),
        ({"training": {"averaging": {"decay": 2}}}, "must be a number greater than 0 and below 1, got 2."),
        ({"training": {"early_stopping": {"at": "cycle_end"}}}, "Did you mean cycle_ends?"),
    ],
)
def test_the_parts_beside_the_layers_are_checked_like_all_others(sections, message):
    assert message in fault_of(**sections)


@pytest.mark.parametrize(
    "section",
    [
        {"training": {"loss": {"name": "quantile", "quantile": 1}}},
        {"training": {"loss": {"name": "quantile", "quantile": "median"}}},
        {"model": {"activation": "nosuch"}},
        {"model": {"layers": 1.5}},
    ],
)
def test_no_list_is_advised_that_would_be_refused_as_well(section):
    assert " Write [" not in fault_of(**section)
