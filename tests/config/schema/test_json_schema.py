"""The published JSON Schema: draft-07, what the code generates, and the same verdict as the loader's."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from mlpcli.config.loading import config_from_mapping, load_config
from mlpcli.config.recipes.sizes import RECIPES, TableSummary, choose_recipe
from mlpcli.config.recipes.starter import StarterColumn, StarterData, starter_yaml
from mlpcli.config.schema.fields import spec_of
from mlpcli.config.schema.json_schema import VARIABLE_PATTERN, json_schema, json_schema_text
from mlpcli.config.schema.sections import Config
from mlpcli.config.yaml.dumping import dump_yaml
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.errors import ConfigError
from mlpcli.evaluation.metrics.registry import METRICS
from tests.config import test_validation_errors
from tests.config.yaml.test_dumping import values_of
from tests.program import ROOT

PUBLISHED = ROOT / "mlpcli" / "config" / "schema" / "config.schema.json"
SCHEMA = json.loads(PUBLISHED.read_text("utf-8"))
VALIDATOR = Draft7Validator(SCHEMA)
DATA = {"train": "a.csv", "target": "y"}
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def is_valid(sections):
    return VALIDATOR.is_valid({"data": DATA, **sections})


def config_of(mapping):
    """The config that the loader makes of a mapping; None if it refuses it."""
    try:
        return config_from_mapping(mapping).config
    except ConfigError:
        return None


def is_taken(mapping):
    return config_of(mapping) is not None


def wrong_sections():
    """Every wrong config of the tests of messages."""
    tests = {
        "an_unknown_key_names_the_nearest_or_all": lambda sections, _: sections,
        "a_wrong_value_names_key_value_and_what_is_allowed": lambda training, _: {"training": training},
        "a_wrong_list_or_item_is_named": lambda layers, _: {"model": {"layers": layers}},
        "an_activation_is_a_name_or_a_list_of_names": lambda name, _: {"model": {"activation": name}},
        "a_wrong_entry_of_the_data_section_is_named": lambda data, _: {"data": DATA | data},
        "a_part_of_several_names_is_found_by_each_of_them": lambda part, _: {"model": {"initializer": part}},
        "the_parts_beside_the_layers_are_checked_like_all_others": lambda sections, _: sections,
    }
    for name, make in tests.items():
        for row in getattr(test_validation_errors, f"test_{name}").pytestmark[0].args[1]:
            yield make(*row)


def test_the_published_file_is_what_the_code_generates():
    assert PUBLISHED.read_text("utf-8") == json_schema_text(), (
        f"run: python -m mlpcli.config.schema.json_schema > {PUBLISHED.relative_to(ROOT)}"
    )


def test_it_is_a_schema_of_draft_07_without_words_of_later_drafts():
    Draft7Validator.check_schema(json_schema())
    text = PUBLISHED.read_text("utf-8")
    assert not [word for word in ("$defs", "prefixItems", "discriminator", '"title": "Epochs"', "x-") if word in text]


def test_every_mapping_refuses_other_keys_and_every_key_says_what_it_is():
    found = [SCHEMA, *(one for one in SCHEMA["definitions"].values() if one["type"] == "object")]
    assert len(found) > 40
    for one in found:
        assert one["additionalProperties"] is False
        for key, inner in one["properties"].items():
            assert key == "name" or inner["description"].endswith("."), key


def test_metrics_are_offered_and_others_may_stand_there():
    definitions = SCHEMA["definitions"]
    assert {"auto", "loss", *METRICS} == set(definitions["EarlyStopping"]["properties"]["metric"]["examples"])
    for key in ("min", "max"):
        assert definitions["ExpectConfig"]["properties"][key]["properties"].keys() == METRICS.keys()
    assert is_valid({"expect": {"min": {"f1[a]": 0.5, "accuracy.low": 0.5}, "max": {"log_loss": "${BOUND}"}}})
    assert not is_valid({"expect": {"min": {"accuracy": "high"}}})
    assert not is_valid({"expect": {"min": {"f1[a]": "high"}}})


def test_names_of_parts_are_described_one_by_one():
    (optimizer, *_) = SCHEMA["definitions"]["TrainingConfig"]["properties"]["optimizer"]["anyOf"]
    described = dict(zip(optimizer["enum"], optimizer["enumDescriptions"], strict=True))
    assert described["adam"].startswith("Adam (Kingma & Ba 2015)")


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_every_example_is_valid(path):
    value, _ = parse_yaml(path.read_text("utf-8"), path.name)
    assert not list(VALIDATOR.iter_errors(value))


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_valid(name, task):
    columns = (StarterColumn("x", "number", ""), StarterColumn("when", "date", ""))
    for n_rows in (3, 300, 30_000):
        summary = TableSummary(task, n_rows, 3, 2)
        text = starter_yaml(StarterData("t.csv", ("y",), summary, "r", columns, {}), choose_recipe(name, summary))
        assert not list(VALIDATOR.iter_errors(parse_yaml(text, "t")[0]))


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"optimizer": "adam"}},
        {"training": {"optimizer": {"learning_rate": 0.1}}},
        {"training": {"optimizer": {"name": "adam", "learning_rate": 1}}},
        {"training": {"loss": "huber", "averaging": {"decay": 0.9}}},
        {"training": {"averaging": None}},
        {"training": None, "model": None, "expect": None},
        {"model": {"members": 4, "activation": ["relu", "tanh"], "initializer": "he_normal"}},
        {"model": {"members": {"count": 4, "rows": "folds"}, "numeric_embedding": {"sigma": 1}}},
        {"data": {"train": ["a", "b"], "target": "y", "drop": "id", "validation": "b.csv"}},
        {"data": DATA | {"validation": {"group": "patient"}, "columns": {"a": "date", "b": {"suffix": "%"}}}},
        {"budget": {"memory": 1000}},
        {"budget": {"memory": "2GB"}},
    ],
)
def test_every_short_form_is_valid(sections):
    assert is_valid(sections)
    assert is_taken({"data": DATA, **sections})


@pytest.mark.parametrize(
    "sections",
    [
        {"training": {"epochs": "${EPOCHS}", "optimizer": "${OPTIMIZER}", "early_stopping": {"patience": "${P}"}}},
        {"training": {"optimizer": {"name": "${OPTIMIZER}", "learning_rate": "${RATE}"}}},
        {"data": {"train": "${FOLDER}/a.csv", "target": "${TARGET}", "header": "${HEADER}"}},
        {"model": {"layers": ["auto", "${WIDTH}", "auto"], "activation": "${ACTIVATION}"}},
        {"training": {"${KEY}": 1}},
    ],
)
def test_a_variable_may_stand_wherever_a_text_number_or_boolean_may(sections):
    assert is_valid(sections)
    literal = json.loads(json.dumps(sections).replace("${", "$${"))
    assert sections.keys() == {"data"} or not is_valid(literal), "a literal ${ is no variable"


def test_a_list_of_fixed_length_has_that_length():
    for values, is_right in (([0.1, 1], True), ([0.1], False), ([0.1, 1, 2], False)):
        search = {"space": {"training.optimizer.learning_rate": {"log": values}}}
        assert is_valid({"search": search}) == is_taken({"data": DATA, "search": search}) == is_right


def test_what_a_variable_is_in_the_schema_is_what_the_loader_replaces(monkeypatch):
    monkeypatch.setenv("N_1", "5")
    assert parse_yaml("a: ${N_1}", "t")[0] == {"a": 5}
    for text, is_variable in (("${N_1}", True), ("a${N_1}b", True), ("$${N_1}", False), ("${1}", False), ("$N", False)):
        assert is_variable == Draft7Validator({"pattern": VARIABLE_PATTERN}).is_valid(text), text


@pytest.mark.parametrize("sections", list(wrong_sections()))
def test_every_wrong_config_of_the_messages_is_marked(sections):
    is_infinite = "inf" in repr(sections)  # of YAML alone; JSON has no such number
    assert is_valid(sections) == is_infinite


@pytest.mark.parametrize("mapping", [{}, {"data": {}}, {"data": {"train": "a"}}, {"data": None}, None, [], "a"])
def test_what_must_be_given_is_required(mapping):
    assert not VALIDATOR.is_valid(mapping)


@pytest.fixture(scope="module")
def dumped(tmp_path_factory):
    return tmp_path_factory.mktemp("dumped") / "a.yaml"


@settings(max_examples=100)
@given(values_of(spec_of(Config)))
def test_every_config_that_the_loader_takes_is_valid_and_equal_to_what_its_dump_loads_as(dumped, mapping):
    config = config_of(mapping)
    assume(config is not None)
    assert VALIDATOR.is_valid(mapping)
    dumped.write_text(dump_yaml(config), encoding="utf-8", newline="")
    loaded = load_config(str(dumped))
    assert loaded.config == config
    assert "default" not in loaded.origins.values(), "every value is written out"


@settings(max_examples=150)
@given(
    st.sampled_from(["optimizer", "loss", "averaging", "epochs", "seed", "class_weights", "early_stopping", "dtype"]),
    test_validation_errors.VALUES,
)
def test_what_is_valid_is_taken_but_for_numbers_beyond_json_and_whole_floats(key, value):
    assume("." not in repr(value) and "inf" not in repr(value) and "nan" not in repr(value))
    mapping = {"data": DATA, "training": {key: value}}
    assert VALIDATOR.is_valid(mapping) == is_taken(mapping)
