import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.errors import ModelFileError
from mlpcli.options import Setting, options
from mlpcli.storage.records import from_plain, to_plain


@options
class Plain:
    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Setting("Step.", gt=0)] = 0.1
    clip: Annotated[float | None, Setting("Clip.", gt=0, le=10)] = None


@options
class Moments:
    name: Literal["adam", "adamw"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Column:
    name: str
    role: Literal["number", "category"]
    levels: tuple[str, ...] = ()
    minimum: float | None = None
    is_flagged: bool = False


@dataclass(frozen=True)
class Classes:
    kind: Literal["classes"]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    kind: Literal["numbers"]
    names: list[str]


@dataclass(frozen=True)
class Whole:
    columns: tuple[Column, ...]
    optimizer: Plain | Moments
    target: Annotated[Classes | Numbers, "either"]
    sizes: tuple[int | Literal["auto"], ...]
    scores: dict[str, float]
    amount: int | float
    random: Mapping[str, Any]
    share: float | str | None = None


texts = st.text(max_size=5)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
columns = st.builds(
    Column,
    name=texts,
    role=st.sampled_from(["number", "category"]),
    levels=st.lists(texts, max_size=3).map(tuple),
    minimum=st.none() | numbers,
    is_flagged=st.booleans(),
)
wholes = st.builds(
    Whole,
    columns=st.lists(columns, max_size=3).map(tuple),
    optimizer=st.builds(
        Plain,
        learning_rate=st.floats(1e-300, 1e300),
        clip=st.none() | st.floats(0, 10, exclude_min=True),
    )
    | st.builds(Moments, name=st.sampled_from(["adam", "adamw"]), betas=st.tuples(numbers, numbers)),
    target=st.builds(Classes, kind=st.just("classes"), labels=st.lists(texts, max_size=3).map(tuple))
    | st.builds(Numbers, kind=st.just("numbers"), names=st.lists(texts, max_size=3)),
    sizes=st.lists(st.integers() | st.just("auto"), max_size=4).map(tuple),
    scores=st.dictionaries(texts, numbers, max_size=3),
    amount=st.integers() | numbers,
    random=st.dictionaries(texts, json_values, max_size=3),
    share=numbers | texts | st.none(),
)


@given(wholes)
def test_any_record_comes_back_equal_and_of_equal_types_through_json(record):
    plain = json.loads(json.dumps(to_plain(record), allow_nan=False))
    back = from_plain(Whole, plain, "weights.npz")
    assert back == record
    assert repr(back) == repr(record)
    assert to_plain(back) == plain


EXAMPLE = to_plain(
    Whole(
        columns=(Column("age", "number"), Column("island", "category", ("Biscoe", "Dream"))),
        optimizer=Plain(clip=1.0),
        target=Classes("classes", ("a", "b")),
        sizes=("auto", 3),
        scores={"accuracy": 0.5},
        amount=1,
        random={"state": 2**127},
    )
)


def changed(path, value):
    """The example with one place changed, `del` for removed."""
    plain = json.loads(json.dumps(EXAMPLE))
    level = plain
    for key in path[:-1]:
        level = level[key]
    if value == "del":
        del level[path[-1]]
    else:
        level[path[-1]] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (["columns"], "del", ": no key 'columns'"),
        (["columns", 1, "role"], "del", " at columns[1]: no key 'role'"),
        (["columns", 1, "rolle"], 1, " at columns[1]: unknown key 'rolle'"),
        (["columns", 1, "role"], "date", " at columns[1].role: must be 'number' or 'category', not 'date'"),
        (["columns", 1, "levels", 0], 1, " at columns[1].levels[0]: must be a string, not 1"),
        (["columns", 0], None, " at columns[0]: must be a mapping, not None"),
        (["columns"], {"0": 1}, " at columns: must be a list, not a mapping of 1"),
        (["columns"], "ab", " at columns: must be a list, not 'ab'"),
        (["columns", 0, "is_flagged"], 0, " at columns[0].is_flagged: must be true or false, not 0"),
        (["columns", 0, "minimum"], "1", " at columns[0].minimum: must be null or a number, not '1'"),
        (["columns", 0, "minimum"], float("nan"), " at columns[0].minimum: must be null or a number, not nan"),
        (["scores", "accuracy"], float("inf"), " at scores.accuracy: must be a number, not inf"),
        (["scores", "accuracy"], True, " at scores.accuracy: must be a number, not True"),
        (["scores", "accuracy"], 10**400, " at scores.accuracy: must be a number that is not infinite"),
        (["scores"], [], " at scores: must be a mapping, not a list of 0"),
        (["optimizer", "name"], "sgdd", " at optimizer.name: must be 'sgd' or 'adam' or 'adamw', not 'sgdd'"),
        (["optimizer", "name"], "del", " at optimizer.name: must be 'sgd' or 'adam' or 'adamw', not None"),
        (["optimizer", "name"], [], " at optimizer.name: must be 'sgd' or 'adam' or 'adamw', not a list of 0"),
        (["optimizer", "name"], "adam", " at optimizer: unknown key 'clip'"),
        (["optimizer", "learning_rate"], 0, " at optimizer.learning_rate: must be greater than 0, not 0.0"),
        (["optimizer", "clip"], 10.5, " at optimizer.clip: must be at most 10, not 10.5"),
        (["optimizer"], "sgd", " at optimizer: must be a mapping, not 'sgd'"),
        (["target", "kind"], "numbers", " at target: unknown key 'labels'"),
        (["sizes", 1], 2.0, " at sizes[1]: must be an integer or 'auto', not 2.0"),
        (["sizes", 1], True, " at sizes[1]: must be an integer or 'auto', not True"),
        (["amount"], None, " at amount: must be an integer or a number, not None"),
        (["random"], None, " at random: must be a mapping, not None"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(path, value, reason):
    with pytest.raises(ModelFileError) as caught:
        from_plain(Whole, changed(path, value), "weights.npz")
    assert str(caught.value) == (
        f"weights.npz: the header does not fit this mlp{reason}. "
        "It is damaged, or of another version; train again with: mlp train CONFIG"
    )


def test_a_tuple_of_the_wrong_length_is_refused():
    with pytest.raises(ModelFileError, match=r"at betas: must be a list of 2, not of 3\."):
        from_plain(Moments, {"name": "adam", "betas": [1.0, 2.0, 3.0]}, "weights.npz")


def test_hostile_texts_are_short_and_harmless_in_the_message():
    for plain in (changed(["sizes"], "\x1b[31m\n" * 10_000), changed(["columns", 0, "\x1b[31m\n" * 99], 1)):
        with pytest.raises(ModelFileError) as caught:
            from_plain(Whole, plain, "weights.npz")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_what_a_class_says_against_its_values_is_a_model_file_error():
    @dataclass(frozen=True)
    class Even:
        n: int

        def __post_init__(self):
            if self.n % 2:
                raise ValueError("n is odd.")

    assert from_plain(Even, {"n": 2}, "weights.npz") == Even(2)
    with pytest.raises(ModelFileError, match=r"fit this mlp: n is odd\. It is"):
        from_plain(Even, {"n": 1}, "weights.npz")


def test_a_union_or_any_other_annotation_can_be_asked_for():
    assert from_plain(Plain | Moments, {"name": "adam", "betas": [0, 1]}, "x") == Moments(betas=(0.0, 1.0))
    assert from_plain(tuple[Column, ...], [], "x") == ()
    assert from_plain(dict[str, tuple[int, ...]], {"a": [1]}, "x") == {"a": (1,)}
    assert from_plain(Plain | None, None, "x") is None


def test_a_float_given_as_a_whole_number_becomes_a_float():
    scores = from_plain(dict[str, float], {"accuracy": 1}, "x")
    assert type(scores["accuracy"]) is float


def test_numpy_scalars_become_plain_numbers():
    plain = to_plain({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": (np.float64(0.1),)})
    assert plain == {"a": 0.5, "b": 3, "c": True, "d": [0.1]}
    assert [type(plain[key]) for key in "abc"] == [float, int, bool]
    assert type(plain["d"][0]) is float


@pytest.mark.parametrize("value", [np.zeros(2), {1: 2}, {"a": object()}, {1, 2}, b"bytes", Plain])
def test_what_json_has_no_place_for_is_a_bug(value):
    with pytest.raises(TypeError):
        to_plain(value)


@pytest.mark.parametrize("value", [float("nan"), np.float32("inf"), Plain(learning_rate=float("inf"))])
def test_a_number_without_a_value_is_a_bug(value):
    with pytest.raises(ValueError, match="no number for JSON"):
        to_plain(value)
