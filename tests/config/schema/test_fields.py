from typing import Annotated, Literal

import pytest
from pydantic import Discriminator

from mlpcli.config.schema.fields import all_keys, allowed, spec_of
from mlpcli.config.schema.shorthand import LISTED
from mlpcli.options import Setting, options


@options
class Slow:
    name: Literal["slow"] = "slow"
    rate: Annotated[float, Setting("Rate.", gt=0)] = 0.1


@options
class Fast:
    name: Literal["fast"] = "fast"
    boost: Annotated[int, Setting("Boost.", ge=1, le=9)] = 1


@options
class Plain:
    size: int


Part = Annotated[Slow | Fast, Discriminator("name")]


@options
class Whole:
    part: Annotated[Part, Setting("A part.")] = Slow()
    other: Annotated[Literal["auto"] | Part, Setting("Another.")] = "auto"
    plain: Plain | None = None


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (Annotated[float, Setting("", gt=0)], "a number greater than 0"),
        (Annotated[float, Setting("", ge=0, lt=1)], "a number of at least 0 and below 1"),
        (Annotated[float, Setting("", ge=0.5, le=1)], "a number from 0.5 to 1"),
        (Annotated[int | None, Setting("", le=5)], "an integer of at most 5 or null"),
        (bool, "true or false"),
        (bool | None, "true, false or null"),
        (str, "a string"),
        (Literal["a"], "a"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["a"] | int, "a or an integer"),
        (tuple[float, float], "a list of 2 numbers"),
        (tuple[str, ...], "a list of strings"),
        (Annotated[tuple[str, ...], LISTED] | None, "a string, a list of strings or null"),
        (tuple[int | Literal["auto"], ...], "a list of (auto or an integer)"),
        (dict[str, Annotated[float, Setting("", ge=0)]], "a mapping from strings to numbers of at least 0"),
        (Part, "one of slow, fast"),
        (Literal["auto"] | Part, "one of auto, slow, fast"),
        (Plain | None, "a mapping with size or null"),
    ],
)
def test_allowed_values_are_described_in_words(annotation, words):
    assert allowed(spec_of(annotation)) == words


@pytest.mark.parametrize(
    ("value", "title"),
    [("fast", "Fast"), ({"name": "fast"}, "Fast"), ({"boost": 1}, None), (5, None), ("quick", None)],
)
def test_a_value_selects_the_object_of_its_name(value, title):
    selected = spec_of(Part).object_for(value)
    assert (selected.title if selected else None) == title


def test_a_path_is_resolved_through_the_values_as_written():
    whole = spec_of(Whole)
    assert whole.at(("other", "boost"), {"other": "fast"}).kind == "integer"
    assert whole.at(("other", "boost"), {"other": "slow"}) is None
    assert whole.at(("plain", "size"), {}).kind == "integer"
    assert whole.at(("plain", "size", "x"), {}) is None


def test_all_keys_are_those_of_every_object():
    assert {".".join(path) for path in all_keys(spec_of(Whole))} == {
        "part", "part.name", "part.rate", "part.boost",
        "other", "other.name", "other.rate", "other.boost",
        "plain", "plain.size",
    }  # fmt: skip


def test_a_key_has_a_description_and_a_default_of_its_own_beside_those_of_its_class():
    part = spec_of(Whole).keys["part"]
    assert part.description == "A part."
    assert part.default == {"name": "slow", "rate": 0.1}
    assert part.objects[0].keys["rate"].schema["exclusiveMinimum"] == 0
    assert spec_of(Whole).keys["plain"].is_nullable
    assert spec_of(Plain).required == ("size",)
