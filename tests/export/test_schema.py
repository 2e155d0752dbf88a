"""The published schema takes every document that `--to json` writes, and nothing that lacks a key or has one more."""

import copy
import json

import pytest
from jsonschema import Draft7Validator

from mlpcli.data.targets.transforms import TargetTransform
from mlpcli.export.description import LAYERS, describe
from mlpcli.nn.activations import ACTIVATIONS
from tests.export.models import CONFIGS
from tests.program import done, mlp

SCHEMA = json.loads(done("schema", "--of", "export").stdout)
VALIDATOR = Draft7Validator(SCHEMA)


def objects_of(value, path=()):
    """Every object of a document with its path; of lists the first three items."""
    if isinstance(value, dict):
        yield path, value
    for key, item in value.items() if isinstance(value, dict) else enumerate(value[:3]):
        if isinstance(item, dict | list):
            yield from objects_of(item, (*path, key))


def shortened(value):
    """A document of the first three items of each list, which has the objects above and is quick to validate."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    return [*map(shortened, value[:3])] if isinstance(value, list) else value


def changed(document, path, change):
    """A copy of the document in which one object is changed."""
    whole = here = copy.deepcopy(document)
    for key in path:
        here = here[key]
    change(here)
    return whole


def test_the_schema_is_one():
    Draft7Validator.check_schema(SCHEMA)


def test_every_exported_model_is_valid(loaded):
    for name in CONFIGS:
        faults = [fault.message[:200] for fault in VALIDATOR.iter_errors(describe(loaded[name]))]
        assert faults == [], name


OPTIONAL = {"bins", "cycles", "temperature", "threshold", "class_weights"}


@pytest.mark.parametrize("name", ["bins", "weights", "embedded", "scaled cosines"])
def test_a_key_less_or_one_more_is_a_fault(loaded, name):
    document = shortened(describe(loaded[name]))
    assert VALIDATOR.is_valid(document)
    n_tried = 0
    for path, one in objects_of(document):
        assert not VALIDATOR.is_valid(changed(document, path, lambda here: here.update(surplus=1))), path
        for key in one.keys() - OPTIONAL:
            assert not VALIDATOR.is_valid(changed(document, path, lambda here, key=key: here.pop(key))), (path, key)
            n_tried += 1
    assert n_tried > 50


def test_the_schema_names_every_layer_activation_and_transform():
    definitions = SCHEMA["definitions"]
    forms = [definitions[one["$ref"].rpartition("/")[2]] for one in definitions["layer"]["oneOf"]]
    layers = {form["properties"]["layer"]["const"] for form in forms}
    assert layers == {name for name, _ in LAYERS.values()} | {"residual"}
    hidden = set(definitions["activation"]["properties"]["function"]["enum"])
    assert hidden == {*ACTIVATIONS}
    assert set(definitions["network"]["properties"]["output"]["enum"]) == {*ACTIVATIONS, "softmax"}
    transforms = definitions["numbers_target"]["properties"]["transform"]["enum"]
    assert set(transforms) == set(TargetTransform.__args__)


def test_every_place_of_the_schema_says_what_it_is():
    for path, place in objects_of(SCHEMA):
        if path and path[-1] in ("properties", "definitions"):
            for name, one in place.items():
                assert "description" in one or "$ref" in one or "const" in one, (path, name)


def test_a_document_that_has_no_schema_is_told():
    ended = mlp("schema", "--of", "exprot")
    assert (ended.code, ended.stdout) == (2, "")
    assert "--of exprot: has no schema. Did you mean export?" in ended.stderr
