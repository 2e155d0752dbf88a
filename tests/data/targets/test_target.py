import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlpcli.data.schema.column import ColumnSchema, cast_table
from mlpcli.data.schema.spelling import canonical
from mlpcli.data.table import DEFAULT_MISSING
from mlpcli.data.targets import encode
from mlpcli.data.targets.encode import rows_with_target
from mlpcli.data.targets.target import (
    BooleanTarget,
    ClassTarget,
    NumberTarget,
    decode_outputs,
    predicted_columns,
    typed_labels,
)
from mlpcli.errors import DataError
from tests.data.tables_by_hand import hand_table, read_as

ROLES = {"classification": "category", "regression": "number", "multilabel": "boolean"}


def schema(name, role, *levels):
    return ColumnSchema(name, role, "as requested", levels=levels)


def fit_target(table, names, task, rows=None, transform="standardize"):
    """The target of a table as read, its columns in the role of the task."""
    read, schemas = read_as(table, dict.fromkeys(names, ROLES[task]))
    targets = [schema for schema in schemas if schema.name in names]
    return encode.fit_target(read, targets, task, np.arange(table.n_rows) if rows is None else rows, transform)


def encode_target(target, state, table):
    """What a table as read is to give."""
    return encode.encode_target(target, state, cast_table(table, target.schemas))


def known_rows(table, names, task, rows=None):
    return rows_with_target(read_as(table, dict.fromkeys(names, ROLES[task]))[0], names, rows)


label = st.text(min_size=1, max_size=4).map(str.strip).filter(lambda text: text and text not in DEFAULT_MISSING)


@given(st.lists(label, min_size=2, max_size=30).filter(lambda labels: len(set(map(canonical, labels))) > 1))
def test_class_labels_make_the_round_trip(labels):
    table = hand_table(y=labels)
    target, state = fit_target(table, ["y"], "classification")
    codes = encode_target(target, state, table)
    assert codes.dtype == np.int8
    probabilities = np.eye(len(target.labels))[codes]
    predicted = predicted_columns(target, probabilities)["y"].tolist()
    assert [canonical(str(label)) for label in predicted] == [canonical(label) for label in labels]


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (["0", "1"], "int64"),
        (["-3", "12"], "int64"),
        (["0", "1.5"], "float64"),
        (["00", ":"], "text"),
        (["0", "00"], "text"),
        (["00", "1.5"], "text"),
        (["-", "1"], "text"),
        (["inf", "1"], "text"),
        (["1", "1234567890123456789"], "int64"),
        (["1", "9223372036854775808"], "text"),
        (["true", "FALSE"], "bool"),
    ],
)
def test_labels_are_numbers_in_a_frame_only_if_every_one_is(labels, dtype):
    target, _ = fit_target(hand_table(y=labels), ["y"], "classification")
    assert target.cell_type == dtype
    values = typed_labels(target.labels, target.cell_type)
    assert sorted(values.astype(str)) == sorted(target.labels) or dtype in ("float64", "bool")


@given(arrays(np.float64, st.tuples(st.integers(2, 9), st.just(2)), elements=st.floats(-1e6, 1e6, width=32)))
def test_numbers_make_the_round_trip(amounts):
    amounts[0], amounts[1] = -1e6, 1e6
    table = hand_table(a=[repr(float(x)) for x in amounts[:, 0]], b=amounts[:, 1].tolist())
    target, state = fit_target(table, ["a", "b"], "regression")
    y = encode_target(target, state, table)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-9)
    predictions = predicted_columns(target, decode_outputs(target, state, y))
    np.testing.assert_allclose(np.column_stack([predictions["a"], predictions["b"]]), amounts, atol=1e-8)


def test_yes_and_no_make_the_round_trip():
    table = hand_table(a=["yes", "no", "yes"], b=[0, 1, 1], c=["absent", "present", "absent"])
    target, state = fit_target(table, ["a", "b", "c"], "multilabel")
    levels = {"a": ("no", "yes"), "b": ("0", "1"), "c": ("absent", "present")}
    assert target == BooleanTarget(
        tuple(schema(name, "boolean", *pair) for name, pair in levels.items()), ("text", "int64", "text")
    )
    y = encode_target(target, state, table)
    assert y.tolist() == [[1, 0, 0], [0, 1, 1], [1, 1, 0]]
    assert [column.tolist() for column in predicted_columns(target, decode_outputs(target, state, y)).values()] == [
        ["yes", "no", "yes"],
        [0, 1, 1],
        ["absent", "present", "absent"],
    ]


def test_labels_are_sorted_by_number_when_all_are_numbers():
    target, _ = fit_target(hand_table(y=["10", "9", "01"]), ["y"], "classification")
    assert target.labels == ("01", "9", "10")


def test_targets_are_plain_data():
    classes = ClassTarget(schema("y", "category"), ("a", "b"))
    numbers = NumberTarget((schema("a", "number"),), "standardize")
    booleans = BooleanTarget((schema("a", "boolean", "no", "yes"),), ("text",))
    for target in (classes, numbers, booleans):
        assert json.loads(json.dumps(dataclasses.asdict(target)))["kind"] == target.kind


def test_targets_are_fitted_on_the_training_rows_alone():
    table = hand_table(y=["1", "3", "100"])
    _, state = fit_target(table, ["y"], "regression", rows=np.array([0, 1]))
    assert state["target_center"].tolist() == [2.0]
    assert state["target_scale"].tolist() == [1.0]


def test_amounts_can_be_left_as_they_are():
    table = hand_table(y=["1", "3"])
    target, state = fit_target(table, ["y"], "regression", transform="none")
    assert encode_target(target, state, table).tolist() == [[1.0], [3.0]]


def test_rows_without_a_target_are_left_out_and_counted():
    table = hand_table(y=["1", np.nan, "None", "4"], z=["1", "2", "3", "4"])
    rows, note = known_rows(table, ["y", "z"], "regression")
    assert rows.tolist() == [0, 3]
    assert note == "2 rows have no value for y, z: left out. Rows with a value, each target alone: y 2, z 4."
    rows, note = known_rows(table, ["y"], "classification", rows=np.array([3, 1, 2]))
    assert rows.tolist() == [3, 2]
    assert note == "1 row has no value for y: left out."


def test_no_note_when_no_target_is_missing():
    rows, note = known_rows(hand_table(y=["a", "b"]), ["y"], "classification")
    assert (rows.tolist(), note) == ([0, 1], "")


def test_a_target_missing_everywhere_is_an_error():
    with pytest.raises(DataError, match=r"^new\.csv: the target y is missing in every row"):
        known_rows(hand_table(y=[np.nan, np.nan]), ["y"], "classification")


def test_a_target_that_is_not_there_is_an_error_with_the_nearest_name():
    with pytest.raises(DataError, match=r"target column specis is missing\. Did you mean species\?"):
        known_rows(hand_table(species=["a"]), ["specis"], "classification")


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_a_constant_target_is_an_error(task):
    with pytest.raises(DataError, match=r"^new\.csv: the target y has one value only \('?1'?\)"):
        fit_target(hand_table(y=["1", "1"]), ["y"], task)


def test_a_text_in_a_numeric_target_is_an_error_with_its_line():
    with pytest.raises(DataError, match=r"^new\.csv:3: column y: 'abc' is not a number"):
        fit_target(hand_table(y=["1", "abc", "2"]), ["y"], "regression")


def test_an_infinite_target_is_an_error_with_its_line():
    with pytest.raises(DataError, match=r"^new\.csv:4: column y: an infinite value"):
        fit_target(hand_table(y=["1", "2", "inf"]), ["y"], "regression")


def test_a_class_that_training_never_saw_is_an_error_that_names_it_and_its_line():
    target, state = fit_target(hand_table(y=["a", "b"]), ["y"], "classification")
    with pytest.raises(
        DataError, match=r"^new\.csv:3: y is 'c', a class that did not occur in training \(there: a, b\)"
    ):
        encode_target(target, state, hand_table(y=["b", "c"]))


def test_a_missing_target_is_an_error_where_one_is_needed():
    target, state = fit_target(hand_table(y=["a", "b"]), ["y"], "classification")
    with pytest.raises(DataError, match=r"^new\.csv:3: the target y is missing"):
        encode_target(target, state, hand_table(y=["b", np.nan]))


def test_a_label_spelled_as_another_number_is_the_same_class():
    target, state = fit_target(hand_table(y=["0", "1", "2"]), ["y"], "classification")
    assert encode_target(target, state, hand_table(y=["2.0", "0", "1.0"])).tolist() == [2, 0, 1]
    assert encode_target(target, state, hand_table(y=[2.0, 0.0])).tolist() == [2, 0]


def test_labels_of_one_number_in_two_spellings_are_one_class():
    target, state = fit_target(hand_table(y=["0", "1", "1.0", "0.0", "+1"]), ["y"], "classification")
    assert target.labels == ("0", "1")
    assert encode_target(target, state, hand_table(y=["0", "1.0", "1e0"])).tolist() == [0, 1, 1]


def test_codes_with_a_leading_zero_and_numbers_stay_apart():
    target, state = fit_target(hand_table(y=["01", "1"]), ["y"], "classification")
    assert encode_target(target, state, hand_table(y=["1", "01"])).tolist() == [
        target.labels.index("1"),
        target.labels.index("01"),
    ]


def test_multilabel_wants_two_values_and_classification_one_column():
    table = hand_table(a=["x", "y", "z"], b=["0", "1", "1"])
    schemas = [schema("a", "boolean", "x", "y"), schema("b", "boolean", "0", "1")]
    with pytest.raises(DataError, match=r"the target a has 3 values \(x, y, z\); multilabel needs booleans"):
        encode.fit_target(cast_table(table, schemas), schemas, "multilabel", np.arange(3))
    with pytest.raises(DataError, match="one target column"):
        fit_target(table, ["a", "b"], "classification")


THREE = ClassTarget(schema("y", "category"), ("a", "b", "c"))


@given(arrays(np.float32, (4, 3), elements=st.floats(-2, 2, width=32)))
def test_any_outputs_become_probabilities(outputs):
    probabilities = decode_outputs(THREE, {}, outputs)
    assert probabilities.dtype == np.float64
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_probabilities_are_kept_as_they_are():
    outputs = np.array([[0.2, 0.3, 0.5]])
    assert decode_outputs(THREE, {}, outputs).tolist() == outputs.tolist()


def test_outputs_that_do_not_sum_to_1_are_divided_by_their_sum():
    outputs = np.array([[0.2, 0.2, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.5, -0.1]])
    expected = [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(decode_outputs(THREE, {}, outputs), expected)


def test_one_output_is_the_probability_of_the_second_class():
    two = ClassTarget(schema("y", "category"), ("no", "yes"))
    assert decode_outputs(two, {}, np.array([[0.25], [1.0]])).tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_outputs_that_are_not_finite_stay_visible():
    assert np.isnan(decode_outputs(THREE, {}, np.array([[np.nan, 0.5, 0.5]]))).any()


def test_a_tie_goes_to_the_first_class_and_to_no():
    assert predicted_columns(THREE, np.array([[0.4, 0.4, 0.2]]))["y"].tolist() == ["a"]
    target = BooleanTarget((schema("y", "boolean", "no", "yes"),), ("text",))
    assert predicted_columns(target, np.array([[0.5]]))["y"].tolist() == ["no"]
