import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.features import preprocessor as preprocessing
from mlpcli.data.features.bins import NoEncoding, PiecewiseLinear
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.preprocessor import TransformCounts, cast_inputs, fit_preprocessor
from mlpcli.data.features.scaling import (
    Divide,
    MeanFill,
    MedianFill,
    MinMax,
    NoScaling,
    Quantile,
    RefuseMissing,
    Robust,
    Standardize,
)
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.table import Table
from mlpcli.errors import DataError
from tests.data.tables_by_hand import cells_of, frame_table, hand_table, read_as

ALL_LEVELS = OneHot(min_count=1)


def fit(table, roles=None, numeric=None, missing=None, categorical=ALL_LEVELS, encoding=None, rows=None, targets=None):
    """What is learnt of every column of a table as read."""
    cast, schemas = read_as(as_table(table), roles)
    scaler, fill = numeric or Standardize(), missing or MedianFill()
    return fit_preprocessor(cast, schemas, scaler, fill, categorical, encoding or NoEncoding(), rows, targets)[0]


def transform(preprocessor, table, *arguments, **options):
    """The inputs of a table as read."""
    return preprocessing.transform(preprocessor, cast_inputs(preprocessor, as_table(table)), *arguments, **options)


def as_table(table):
    return table if isinstance(table, Table) else frame_table(table)


def mixed_frame(n_rows=60, seed=0):
    """Every role, every kind of gap."""
    rng = np.random.default_rng(seed)
    day = rng.integers(1, 28, n_rows)
    frame = pd.DataFrame(
        {
            "size": rng.normal(50, 9, n_rows),
            "island": rng.choice(["Biscoe", "Dream", "Torgersen", "Rare"], n_rows, p=[0.4, 0.4, 0.18, 0.02]),
            "when": [f"{d:02d}.03.2021 {d % 24:02d}:30" for d in day],
            "smoker": rng.choice(["yes", "no"], n_rows),
            "count": rng.integers(0, 90, n_rows),
        }
    ).astype({"island": object, "when": object, "smoker": object})
    for name in ("size", "island", "when", "smoker"):
        frame.loc[rng.choice(n_rows, 6, replace=False), name] = np.nan
    return frame


def test_inputs_stand_in_blocks_under_their_names():
    table = hand_table(
        island=["b", "a", np.nan],
        size=[1.0, np.nan, 3.0],
        when=["2020-01-01", "2020-06-01", "2021-01-01"],
        smoker=["yes", "no", "yes"],
    )
    assert fit(table).feature_names == (
        "size",
        "when",
        "when.year_sin",
        "when.year_cos",
        "when.week_sin",
        "when.week_cos",
        "smoker",
        "size=(missing)",
        "island=a",
        "island=b",
        "island=(missing)",
    )


def test_a_table_worked_by_hand():
    table = hand_table(a=[1.0, 3.0, np.nan], b=["u", np.nan, "v"], c=["no", np.nan, "yes"])
    preprocessor = fit(table)
    X, counts = transform(preprocessor, table)
    assert preprocessor.feature_names == ("a", "c", "a=(missing)", "c=(missing)", "b=u", "b=v", "b=(missing)")
    assert X.tolist() == [[-1, -1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 0]]
    assert counts == TransformCounts({"a": 1, "b": 1, "c": 1}, {})


def test_inputs_are_float32_and_contiguous():
    frame = mixed_frame()
    preprocessor = fit(frame)
    X, _ = transform(preprocessor, frame)
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert X.shape == (60, len(preprocessor.feature_names))
    assert X.shape[1] == sum(column.n_inputs for column in preprocessor.columns)
    precise, _ = transform(preprocessor, frame, np.float64)
    assert precise.dtype == np.float64
    np.testing.assert_allclose(X, precise, rtol=1e-6)


def test_training_rows_have_mean_0_and_standard_deviation_1():
    frame = mixed_frame()
    rows = np.arange(0, 60, 2)
    preprocessor = fit(frame, missing=MeanFill(), rows=rows)
    X, _ = transform(preprocessor, frame, np.float64, rows)
    present = X[~np.isnan(frame["size"].to_numpy()[rows]), 0]
    assert present.mean() == pytest.approx(0, abs=1e-12)
    assert present.std() == pytest.approx(1, abs=1e-12)
    count = preprocessor.feature_names.index("count")
    assert X[:, count].mean() == pytest.approx(0, abs=1e-12)
    assert X[:, count].std() == pytest.approx(1, abs=1e-12)


def test_nothing_is_learnt_from_rows_that_are_not_for_training():
    frame = mixed_frame()
    rows = np.arange(40)
    changed = frame.copy()
    changed.loc[40:, "size"] = 1e9
    changed.loc[40:, "island"] = "Elsewhere"
    first, second = fit(frame, rows=rows), fit(changed, rows=rows)
    assert first.columns == second.columns
    for key in ("fill", "center", "scale"):
        assert np.array_equal(first.state[key], second.state[key])
    only = fit(frame.iloc[:40])
    assert only.columns == first.columns


@settings(max_examples=25)
@given(order=st.permutations(range(60)), size=st.integers(1, 60))
def test_a_row_is_transformed_by_itself(order, size):
    frame = mixed_frame()
    preprocessor = fit(frame)
    X, _ = transform(preprocessor, frame)
    rows = np.asarray(order[:size])
    by_rows, _ = transform(preprocessor, frame, rows=rows)
    by_frame, _ = transform(preprocessor, frame.iloc[rows])
    assert np.array_equal(by_rows, X[rows])
    assert np.array_equal(by_frame, X[rows])


@settings(max_examples=25)
@given(order=st.permutations(range(60)))
def test_what_is_learnt_does_not_depend_on_the_order_of_the_rows(order):
    frame = mixed_frame()
    first = fit(frame)
    second = fit(frame.iloc[list(order)])
    assert first.columns == second.columns
    assert first.feature_names == second.feature_names
    for key in ("fill", "center", "scale"):
        np.testing.assert_allclose(first.state[key], second.state[key], rtol=1e-13)


def test_what_is_fitted_leaves_the_cells_in_their_order(tmp_path):
    (tmp_path / "t.csv").write_text("t,u\n5,1\n1,1\n,2\n9,2\n2,3\n")
    table, schemas = read_as(read_table(str(tmp_path / "t.csv"), request=Request(written=["t"])), {"t": "number"})
    for rows in (None, np.array([0, 1, 2, 3, 4])):
        fill = MedianFill(flag=False)
        fitted, _ = fit_preprocessor(table, schemas, NoScaling(), fill, OneHot(), NoEncoding(), rows)
        X, _ = preprocessing.transform(fitted, table)
        assert X.tolist() == [[5, 1], [1, 1], [3.5, 2], [9, 2], [2, 3]]
        assert cells_of(table.columns["t"]) == [5, 1, None, 9, 2]


def test_columns_are_found_by_name_in_any_order_and_others_are_ignored():
    frame = mixed_frame()
    preprocessor = fit(frame)
    shuffled = frame[["count", "when", "smoker", "size", "island"]].assign(extra=1)
    assert np.array_equal(transform(preprocessor, shuffled)[0], transform(preprocessor, frame)[0])


def test_what_was_learnt_is_plain_data_and_finite_arrays():
    preprocessor = fit(mixed_frame())
    text = json.dumps([dataclasses.asdict(column) for column in preprocessor.columns], allow_nan=False)
    assert len(json.loads(text)) == 5
    shapes = {name: array.shape for name, array in preprocessor.state.items()}
    assert shapes == {"fill": (3,), "center": (3,), "scale": (3,), "quantiles": (0,), "scores": (0,), "edges": (0,)}
    for array in preprocessor.state.values():
        assert array.dtype == np.float64
        assert np.isfinite(array).all()


@pytest.mark.parametrize(
    ("scaler", "expected"),
    [(Robust(), [-1, 0, 1]), (MinMax(), [0, 0.5, 1]), (Divide(by=2.0), [0.5, 1, 1.5]), (NoScaling(), [1, 2, 3])],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_scaler_can_be_chosen(scaler, expected):
    table = hand_table(x=[1, 2, 3])
    assert transform(fit(table, numeric=scaler), table)[0][:, 0].tolist() == expected


CODINGS = [
    {"numeric": Robust(clip=3.0)},
    {"numeric": Quantile(points=20)},
    {"encoding": PiecewiseLinear(bins=5)},
    {"encoding": PiecewiseLinear(bins=5, span=0.3)},
    {"numeric": Quantile(), "encoding": PiecewiseLinear(), "categorical": OneHot(min_count=1, binary="one")},
]


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_numbers_written_together_and_one_by_one_are_the_same_to_the_bit(coding):
    rng = np.random.default_rng(0)
    n_rows = 9000  # more than one block of each
    frame = pd.DataFrame(
        {"a": rng.normal(size=n_rows), "b": rng.integers(0, 9, n_rows), "c": rng.exponential(size=n_rows)}
    )
    preprocessor = fit(frame, **coding)
    assert preprocessor.state["fill"].shape == (3,)
    together, _ = transform(preprocessor, frame)
    one_by_one, _ = transform(preprocessor, pd.concat([frame, frame.iloc[:1].assign(a=np.nan)], ignore_index=True))
    assert np.array_equal(one_by_one[:-1], together)


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_every_coding_gives_finite_inputs_row_by_row(coding):
    frame = mixed_frame()
    preprocessor = fit(frame, **coding)
    X, _ = transform(preprocessor, frame)
    assert X.shape[1] == len(set(preprocessor.feature_names)) == sum(column.n_inputs for column in preprocessor.columns)
    assert np.isfinite(X).all()
    rows = np.array([7, 3, 59])
    assert np.array_equal(transform(preprocessor, frame, rows=rows)[0], X[rows])


def test_bins_stand_after_the_numbers_and_a_missing_cell_gets_those_of_its_fill():
    table = hand_table(a=[0.0, 1.0, 2.0, 3.0, 4.0, np.nan], b=[0, 1, 0, 1, 0, 1])
    preprocessor = fit(table, numeric=NoScaling(), encoding=PiecewiseLinear(bins=2))
    assert preprocessor.feature_names == ("a", "b", "a[0..2]", "a[2..4]", "a=(missing)")
    assert [column.n_bins for column in preprocessor.columns] == [2, 0]
    X, _ = transform(preprocessor, hand_table(a=[-9.0, 1.0, 2.5, 9.0, np.nan], b=[0, 0, 0, 0, 0]))
    assert X.tolist() == [[-9, 0, 0, 0, 0], [1, 0, 0.5, 0, 0], [2.5, 0, 1, 0.25, 0], [9, 0, 1, 1, 0], [2, 0, 1, 0, 1]]


def test_distinct_values_of_the_training_rows_are_counted_up_to_1000():
    values = np.arange(9000.0)
    table = hand_table(
        many=values, few=values % 700, gaps=np.where(values % 2, np.nan, values % 8), text=["u", "v", "w"] * 3000
    )
    counts = [column.n_distinct for column in fit(table).columns]
    assert counts == [1000, 700, 4, 0]
    assert fit(table).number_inputs_with(5000) == (0,)
    assert [column.n_distinct for column in fit(table, rows=np.arange(100)).columns] == [100, 100, 4, 0]


def test_bins_can_end_where_the_targets_of_the_training_rows_change():
    values = np.arange(50.0)
    table = hand_table(a=np.append(values, np.full(50, 7.0)), b=np.append(values % 2, values))
    targets = (values > 30).astype(np.int64)
    rows, encoding = np.arange(50), PiecewiseLinear(bins=2, edges="target")
    preprocessor = fit(table, encoding=encoding, rows=rows, targets=targets)
    assert preprocessor.feature_names == ("a", "b", "a[0..30.5]", "a[30.5..49]")


def test_bins_of_dates_are_named_by_dates():
    table = hand_table(day=["2020-01-01", "2020-03-01", "2020-05-01"])
    names = fit(table, encoding=PiecewiseLinear()).feature_names
    assert names[:3] == ("day", "day[2020-01-01..2020-03-01]", "day[2020-03-01..2020-05-01]")


def test_a_large_number_is_clipped_or_stays_at_the_end_where_others_are_refused():
    table = hand_table(a=[1.0, 2.0, 4.0])
    new = hand_table(a=[1e300, -1.7e308])
    assert transform(fit(table, numeric=Robust(clip=3.0)), new)[0].tolist() == [[3], [-3]]
    quantiles = transform(fit(table, numeric=Quantile()), new)[0]
    assert quantiles.tolist() == transform(fit(table, numeric=Quantile()), hand_table(a=[4.0, 1.0]))[0].tolist()


def test_two_levels_can_share_one_input():
    encoding = OneHot(min_count=1, binary="one")
    preprocessor = fit(hand_table(x=["m", "f", "m"], n=[1.0, 2.0, 3.0]), categorical=encoding)
    assert preprocessor.feature_names == ("n", "x=m")
    X, counts = transform(preprocessor, hand_table(x=["f", "m", np.nan, "z"], n=[2.0] * 4))
    assert X[:, 1].tolist() == [-1, 1, 0, 0]
    assert counts == TransformCounts({"x": 1}, {"x": 1})
    numbers = fit(hand_table(x=[1, 2]), roles={"x": "category"}, categorical=encoding)
    assert transform(numbers, hand_table(x=["2.0", "1.0"]))[0].tolist() == [[1], [-1]]


@pytest.mark.parametrize("cells", [["m", "f", np.nan], ["m", "f", "x"], ["m", "m"], ["m"] * 5 + ["f"] * 5 + ["x"]])
def test_other_columns_of_texts_keep_an_input_for_each_level(cells):
    table = hand_table(x=cells)
    one, two = (OneHot(min_count=1 + (len(cells) > 9), binary=binary) for binary in ("one", "two"))
    assert fit(table, categorical=one).feature_names == fit(table, categorical=two).feature_names


def test_the_inputs_of_numbers_and_of_one_hot_columns_are_located():
    table = hand_table(
        island=["b", "a", "c"],
        size=[1.0, np.nan, 3.0],
        when=["2020-01-01", "2020-06-01", "2021-01-01"],
        sex=["m", "f", "m"],
        kind=["u", "v", np.nan],
        mass=[1, 2, 3],
    )
    preprocessor = fit(table, categorical=OneHot(min_count=1, binary="one"), encoding=PiecewiseLinear(bins=2))
    names = preprocessor.feature_names
    assert [names[index] for index in preprocessor.number_inputs_with(0)] == ["size", "when", "mass"]
    assert [names[index] for index in preprocessor.number_inputs_with(3)] == ["when", "mass"]
    assert preprocessor.number_inputs_with(4) == ()
    assert [names[start:stop] for start, stop in preprocessor.category_blocks] == [
        ("island=a", "island=b", "island=c"),
        ("kind=u", "kind=v", "kind=(missing)"),
    ]


def test_unseen_levels_use_the_other_input_or_none_and_are_counted():
    new = hand_table(x=["a", "z", np.nan, "q"])
    with_other = fit(hand_table(x=["a"] * 5 + ["b"] * 5 + ["c"]), categorical=OneHot(min_count=5))
    assert with_other.feature_names == ("x=a", "x=b", "x=(other)")
    X, counts = transform(with_other, new)
    assert X.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert counts == TransformCounts({"x": 1}, {"x": 2})
    without = fit(hand_table(x=["a", "b"]))
    assert transform(without, new)[0].tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]


def test_a_missing_number_where_training_had_none_gets_the_fill_and_no_flag():
    preprocessor = fit(hand_table(x=[1.0, 2.0, 9.0]), numeric=NoScaling())
    X, counts = transform(preprocessor, hand_table(x=[np.nan, 5.0]))
    assert X.tolist() == [[2], [5]]
    assert counts.n_missing == {"x": 1}


def test_columns_that_are_missing_together_share_a_flag():
    table = hand_table(a=[1.0, np.nan, 3.0], b=[5.0, np.nan, 7.0], c=[np.nan, 1.0, 2.0])
    preprocessor = fit(table)
    assert preprocessor.feature_names == ("a", "b", "c", "a=(missing)", "c=(missing)")
    assert [column.flag_of for column in preprocessor.columns] == ["a", "a", "c"]
    X, _ = transform(preprocessor, hand_table(a=[1.0, np.nan], b=[np.nan, 1.0], c=[1.0, 1.0]))
    assert X[:, 3:].tolist() == [[1, 0], [1, 0]]


def test_flags_can_be_left_out():
    table = hand_table(a=[1.0, np.nan, 3.0])
    assert fit(table, missing=MedianFill(flag=False)).feature_names == ("a",)


def test_missing_cells_can_be_refused_in_training_and_afterwards():
    with pytest.raises(DataError, match=r"^new\.csv:3: column a is missing, and preprocess\.missing is error"):
        fit(hand_table(a=[1.0, np.nan]), missing=RefuseMissing())
    for cells in ([1.0, 2.0], ["u", "v"], ["yes", "no"], ["2020-01-01", "2020-01-02"]):
        preprocessor = fit(hand_table(a=cells), missing=RefuseMissing())
        with pytest.raises(DataError, match=r"^new\.csv:4: column a is missing"):
            transform(preprocessor, hand_table(a=[*cells, np.nan]))


def test_a_missing_date_is_the_median_day_with_cyclic_features_of_0():
    table = hand_table(a=["2020-01-01", "2020-01-03", "2020-01-05", np.nan])
    X, _ = transform(fit(table), table)
    assert X[3].tolist() == [0, 0, 0, 0, 0, 1]


def test_the_hour_is_an_input_only_if_training_has_times():
    with_time = fit(hand_table(a=["2020-01-01 06:00", "2020-01-02 18:00"]))
    assert with_time.feature_names[-2:] == ("a.day_sin", "a.day_cos")
    assert "a.day_sin" not in fit(hand_table(a=["2020-01-01", "2020-01-02"])).feature_names


def test_the_date_format_is_detected_from_all_rows():
    table = hand_table(a=["01/02/2020", "03/04/2020", "25/12/2020"])
    preprocessor = fit(table, rows=np.array([0, 1]))
    assert preprocessor.columns[0].schema.date_format == "DD/MM/YYYY"
    transform(preprocessor, table)


def test_categories_of_numbers_agree_in_every_spelling():
    preprocessor = fit(hand_table(zone=[1, 2, 10]), roles={"zone": "category"})
    assert preprocessor.columns[0].levels == ("1", "2", "10")
    for cells in (["1", "10"], ["1.0", "10.0"], ["+1", "1e1"], [1, 10], [1.0, 10.0]):
        X, counts = transform(preprocessor, hand_table(zone=cells))
        assert X.tolist() == [[1, 0, 0], [0, 0, 1]]
        assert counts.n_unseen == {}


def test_texts_of_digits_keep_their_zeros():
    preprocessor = fit(hand_table(zip=["01", "1", "02"]))
    assert preprocessor.columns[0].levels == ("01", "1", "02")
    assert transform(preprocessor, hand_table(zip=["1"]))[0].tolist() == [[0, 1, 0]]


def test_other_words_for_yes_and_no_are_accepted_and_anything_else_is_unseen():
    preprocessor = fit(hand_table(x=["yes", "no"]))
    X, counts = transform(preprocessor, hand_table(x=["YES", "0", "perhaps", np.nan]))
    assert X[:, 0].tolist() == [1, -1, 0, 0]
    assert counts == TransformCounts({"x": 1}, {"x": 1})


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_frames_from_python_give_the_same_inputs(dtype):
    cells = pd.Series(["a", "b", None, "a"], dtype=object)
    preprocessor = fit(hand_table(x=cells))
    table = table_from_frame(pd.DataFrame({"x": cells.astype(dtype)}))
    assert np.array_equal(transform(preprocessor, table)[0], transform(preprocessor, hand_table(x=cells))[0])
    assert without_reasons(fit(table)) == without_reasons(preprocessor)


def test_dates_and_booleans_of_a_frame_give_the_inputs_of_their_texts():
    texts = hand_table(a=["2020-01-01 06:00", "2021-05-05 00:00"], b=["True", "False"])
    dates = pd.to_datetime(pd.Series(["2020-01-01 06:00", "2021-05-05"]), format="mixed")
    frame = table_from_frame(pd.DataFrame({"a": dates, "b": [True, False]}))
    for preprocessor in (fit(texts), fit(frame)):
        assert np.array_equal(transform(preprocessor, frame)[0], transform(preprocessor, texts)[0])
    assert fit(frame).feature_names == fit(texts).feature_names


def without_reasons(preprocessor):
    """What was learnt, but for why a column has its role."""
    replace = dataclasses.replace
    return [replace(column, schema=replace(column.schema, reason="")) for column in preprocessor.columns]


def test_a_column_that_is_not_there_is_an_error_that_names_it():
    preprocessor = fit(hand_table(flipper=[1.0, 2.0], mass=[3.0, 4.0]))
    message = r"^new\.csv: column mass is missing\. Did you mean Mass\? .*needs: flipper, mass \(found: flipper, Mass\)"
    with pytest.raises(DataError, match=message):
        transform(preprocessor, hand_table(flipper=[1.0], Mass=[1.0]))
    with pytest.raises(DataError, match="columns flipper, mass are missing"):
        transform(preprocessor, hand_table(x=[1.0]))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1.0, np.inf], r"^new\.csv:3: column a: an infinite value"),
        (["1", "x"], r"^new\.csv:3: column a: 'x' is not a number"),
        ([1.0, 1e300], r"^new\.csv:3: column a: 1e\+300 is too large"),
        ([1.0, -1e300], r"^new\.csv:3: column a: -1e\+300 is too large"),
    ],
)
def test_numbers_that_cannot_be_used_are_errors_with_their_line(cells, message):
    preprocessor = fit(hand_table(a=[1.0, 2.0]))
    with pytest.raises(DataError, match=message):
        transform(preprocessor, hand_table(a=cells))


@pytest.mark.parametrize(
    ("table", "roles", "message"),
    [
        (hand_table(a=[np.nan, np.nan]), {}, "column a is empty in the training rows.*data.drop"),
        (hand_table(a=[np.nan, np.nan]), {"a": "category"}, "column a is empty"),
        (hand_table(a=["x", "y"]), {"a": "number"}, r"new\.csv:2: column a: 'x' is not a number"),
        (hand_table(a=["x", "y"]), {"a": "date"}, "column a cannot be read as dates"),
        (hand_table(a=["x", "y", "z"]), {"a": "boolean"}, "column a is not boolean, it holds 3 values: x, y, z"),
    ],
)
def test_a_column_that_does_not_suit_its_role_is_an_error(table, roles, message):
    with pytest.raises(DataError, match=message):
        fit(table, roles=roles)


def test_no_columns_at_all_are_an_error():
    with pytest.raises(DataError, match="no input columns are left"):
        fit_preprocessor(hand_table(a=[1.0]), [], Standardize(), MedianFill(), OneHot(), NoEncoding())


def test_an_empty_chunk_gives_no_rows():
    preprocessor = fit(mixed_frame())
    X, counts = transform(preprocessor, mixed_frame().iloc[:0])
    assert X.shape == (0, len(preprocessor.feature_names))
    assert counts == TransformCounts({}, {})


def test_counts_of_chunks_add_up():
    total = TransformCounts({"a": 1}, {"b": 2}) + TransformCounts({"a": 2, "c": 1}, {})
    assert total == TransformCounts({"a": 3, "c": 1}, {"b": 2})


def test_a_constant_column_is_0_in_training():
    table = hand_table(a=[0.1, 0.1, 0.1])
    assert transform(fit(table), table)[0].tolist() == [[0], [0], [0]]


def test_a_frame_is_not_changed():
    frame = mixed_frame()
    before = frame.copy()
    transform(fit(frame), frame)
    pd.testing.assert_frame_equal(frame, before)
