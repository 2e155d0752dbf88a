"""Our dataclasses are those of the standard library, in everything but how soon they are made."""

import dataclasses
import pickle
from copy import copy

import pytest

from mlpcli.dataclass import dataclass


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 2
    seen: list[int] = dataclasses.field(default_factory=list, compare=False, repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lonely:
    x: int


def test_equal_fields_make_equal_values_with_equal_hashes():
    assert Point(1) == Point(1, 2, [3])
    assert hash(Point(1)) == hash(Point(1, 2, [3])) == hash((1, 2))
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2)
    assert Lonely(x=1) != Lonely(x=1)


def test_it_is_shown_as_it_would_be_written():
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert repr(Lonely(x="a")) == "Lonely(x='a')"


@pytest.mark.parametrize("name", ["x", "y", "z"])
def test_nothing_can_be_changed_added_or_removed(name):
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(point, name, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(point, name)
    assert point == Point(1)


def test_arguments_are_those_of_the_fields():
    assert Point(y=3, x=1) == Point(1, 3)
    assert Point(1).seen is not Point(1).seen
    for wrong in [lambda: Point(), lambda: Point(1, z=2), lambda: Lonely(1)]:
        with pytest.raises(TypeError, match="__init__"):
            wrong()


def test_copies_are_equal_and_replace_changes_one_field():
    assert dataclasses.replace(Point(1), y=5) == Point(1, 5)
    assert copy(Point(1)) == Point(1)
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
    assert [one.name for one in dataclasses.fields(Point)] == ["x", "y", "seen"]
