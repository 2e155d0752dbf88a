import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import config_from_mapping
from mlpcli.config.yaml.dumping import as_plain, dump_yaml, flow_text, yaml_text
from mlpcli.config.yaml.parsing import parse_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "",
        "1",
        "1e-3",
        "no",
        "null",
        "~",
        "<<",
        "=",
        "- a",
        "a: b",
        "#",
        " x ",
        "2024-01-01",
        "1:30",
        "|",
        "'",
        '"',
        "\n",
        "\ufeff",
        "\x85",
    ]
)


ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), TEXTS, st.lists(TEXTS, max_size=2))


def values_of(spec):
    """Any plain value that the schema allows at a place."""
    if spec.is_union:
        nothing = [st.none()] if spec.is_nullable else []
        return st.one_of(*nothing, *map(values_of, spec.members))
    if spec.kind == "object":
        return st.fixed_dictionaries({name: values_of(inner) for name, inner in spec.keys.items()})
    if spec.kind == "choice":
        return st.sampled_from(spec.choices)
    if spec.kind == "list":
        return st.lists(values_of(spec.item(0)), max_size=3)
    if spec.kind == "mapping":
        return st.dictionaries(TEXTS, values_of(spec.item("")), max_size=3)
    bounds = spec.schema
    low, high = (bounds.get(one, bounds.get(f"exclusive{one.title()}")) for one in ("minimum", "maximum"))
    if spec.kind == "integer":
        return st.integers(low, high)
    if spec.kind == "number":
        exclude = {f"exclude_{one[:3]}": f"exclusive{one.title()}" in bounds for one in ("minimum", "maximum")}
        return st.floats(low, high, allow_nan=False, allow_infinity=False, **exclude)
    return {"string": TEXTS, "boolean": st.booleans(), "any": ANYTHING}[spec.kind]


@settings(deadline=None, max_examples=100)
@given(TEXTS | st.lists(TEXTS, max_size=3) | st.dictionaries(TEXTS, TEXTS | st.floats(allow_nan=False), max_size=3))
def test_yaml_written_here_means_the_same_to_other_readers(value):
    assert parse_yaml(yaml_text({"a": value}), "a")[0] == {"a": value}
    assert yaml.safe_load(yaml_text({"a": value})) == {"a": value}


def test_a_dumped_config_is_sections_with_short_values_on_one_line():
    config = config_from_mapping({"data": {"train": "a.csv", "target": "y", "drop": ["no", "01"]}}).config
    lines = dump_yaml(config).splitlines()
    assert lines[:5] == ["data:", "  train: [a.csv]", "  target: [y]", "  features: null", '  drop: ["no", "01"]']
    assert "  schedule: {name: constant, warmup: 0.0}" in lines
    assert "  layers: [auto, 64, 64, auto]" in lines
    assert lines[-1] == "output: null"


def test_plain_values_hold_no_tuples_and_no_dataclasses():
    config = config_from_mapping({"data": {"train": "a.csv", "target": "y"}}).config
    plain = as_plain(config)
    assert plain["data"]["target"] == ["y"]
    assert plain["training"]["optimizer"]["name"] == "sgd"
    assert config_from_mapping(plain).config == config


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, "null"),
        ([1, "auto"], "[1, auto]"),
        ({"a": 1e-8}, "{a: 1.0e-08}"),
        ("x " * 200, "'" + "x " * 200 + "'"),
    ],
)
def test_flow_text_is_one_line(value, text):
    assert flow_text(value) == text
