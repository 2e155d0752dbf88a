"""What holds for every table: a cell means one thing, wherever its row stands and whatever stands beside it."""

import gzip
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpcli.config.loading import config_from_mapping
from mlpcli.data.features.bins import NoEncoding, PiecewiseLinear
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.preprocessor import cast_inputs, fit_preprocessor, transform
from mlpcli.data.features.scaling import Divide, MeanFill, MedianFill, MinMax, NoScaling, Quantile, Robust, Standardize
from mlpcli.data.reading.building import StoreOptions
from mlpcli.data.reading.csv import encoding
from mlpcli.data.reading.read import read_table
from mlpcli.data.reading.reader import Request
from mlpcli.data.reading.typed.columns import exact_decimals
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.schema.column import cast_table
from mlpcli.data.schema.roles import infer_schema
from mlpcli.data.schema.spelling import canonical
from mlpcli.data.table import Table
from mlpcli.model import Model
from mlpcli.storage.model.model_file import encode_model
from mlpcli.workflows.predict import predict as run_predict
from mlpcli.workflows.predicting.chunks import PredictRequest
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from tests.data.tables_by_hand import iter_tables

SCALERS = (Standardize(), Robust(), Robust(clip=3.0), MinMax(), Divide(), Quantile(points=20), NoScaling())
ENCODINGS = (NoEncoding(), PiecewiseLinear(bins=5), PiecewiseLinear(bins=4, edges="target", span=2.0))
MEDIAN, EVERY_LEVEL = MedianFill(), OneHot(min_count=1)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NUMBERS = st.one_of(
    st.just("0"),
    st.integers(-50, 50).map(str),
    st.floats(-1e6, 1e6, allow_nan=False, width=32).map(lambda x: repr(round(float(x), 3))),
    st.sampled_from(["", "NA", "1e3", "-0.0", "+7", "0.50", "1.0"]),
)
TEXTS = st.sampled_from(["red", "green", "blue", "", "Ünder", "NA", "a b", 'say "hi"', "x,y"])
FLAGS = st.sampled_from(["yes", "no", "Yes", ""])
DATES = st.dates().map(str)


@st.composite
def frames(draw: st.DrawFn, n_most: int = 60) -> pd.DataFrame:
    """A table of texts as a CSV file has them, with a target."""
    n = draw(st.integers(8, n_most))
    columns = {
        "number": draw(st.lists(NUMBERS, min_size=n, max_size=n)),
        "whole": [str(value) for value in draw(st.lists(st.integers(-3, 300), min_size=n, max_size=n))],
        "text": draw(st.lists(TEXTS, min_size=n, max_size=n)),
        "flag": draw(st.lists(FLAGS, min_size=n, max_size=n)),
        "day": draw(st.lists(DATES, min_size=n, max_size=n)),
        "y": [str(value) for value in draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))],
    }
    columns["number"][:2], columns["text"][0], columns["y"][:2] = ["1.5", "2.25"], "red", ["0", "1"]
    columns["flag"][:2] = ["yes", "no"]
    return pd.DataFrame(columns)


FEATURES = ("number", "whole", "text", "flag", "day")


def written(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path, index=False)
    return str(path)


def fitted(table: Table, scaler=SCALERS[0], encoding=ENCODINGS[0], missing=MEDIAN, onehot=EVERY_LEVEL):
    schemas = [infer_schema(table, name)[0] for name in FEATURES if name in table.columns]
    read_as = cast_table(table, schemas)
    targets = np.arange(table.n_rows, dtype=np.float64) % 3
    if "y" in table.columns:
        targets = np.asarray(table.columns["y"].values, np.float64)
    return fit_preprocessor(read_as, schemas, scaler, missing, onehot, encoding, targets=targets)


def inputs(preprocessor, table: Table) -> np.ndarray:
    return transform(preprocessor, cast_inputs(preprocessor, table), np.float32)[0]


@SLOW
@given(frames(), st.sampled_from(SCALERS), st.sampled_from(ENCODINGS), st.sampled_from([MedianFill(), MeanFill()]))
def test_the_inputs_of_a_row_are_the_same_in_training_and_in_any_batch(tmp_path, frame, scaler, encoding, missing):
    table = read_table(written(frame, tmp_path / "a.csv"))
    preprocessor, _ = fitted(table, scaler, encoding, missing)
    X = inputs(preprocessor, table)
    texts = {column.name for column in preprocessor.columns if column.role != "number"}
    for row in {0, len(frame) // 2, len(frame) - 1}:
        path = written(frame.iloc[[row]], tmp_path / "one.csv")
        alone = next(iter_tables(path, preprocessor_format(table), Request(set(FEATURES), written=texts)))
        np.testing.assert_array_equal(inputs(preprocessor, alone)[0], X[row])


def preprocessor_format(table: Table):
    from dataclasses import replace

    return replace(table.format, delimiter=None, encoding=None, header=True)


@SLOW
@given(frames(), st.sampled_from(SCALERS), st.sampled_from(ENCODINGS), st.randoms())
def test_permuting_rows_permutes_inputs_and_changes_no_fitted_value(tmp_path, frame, scaler, encoding, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    table = read_table(written(frame, tmp_path / "a.csv"))
    other = read_table(written(frame.iloc[order], tmp_path / "b.csv"))
    (one, profile), (two, other_profile) = fitted(table, scaler, encoding), fitted(other, scaler, encoding)
    assert one.columns == two.columns
    assert one.feature_names == two.feature_names
    assert profile == other_profile
    for name, values in one.state.items():
        np.testing.assert_array_equal(values, two.state[name])
    np.testing.assert_array_equal(inputs(one, table)[order], inputs(two, other))


@SLOW
@given(st.deferred(lambda: odd_frames()), st.randoms())
def test_permuting_rows_changes_neither_roles_nor_their_reasons(tmp_path, frame, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    tables = [read_table(written(rows, tmp_path / "a.csv")) for rows in (frame, frame.iloc[order])]
    one, two = ([infer_schema(table, name)[0] for name in table.names] for table in tables)
    assert one == two


@SLOW
@given(frames(), st.integers(1, 400), st.integers(1, 7))
def test_a_table_is_the_same_in_one_file_in_many_compressed_and_in_blocks_of_any_size(tmp_path, frame, size, n_files):
    whole = read_table(written(frame, tmp_path / "a.csv"))
    cuts = np.linspace(0, len(frame), n_files + 1).astype(int)
    paths = [written(frame.iloc[a:b], tmp_path / f"part{n}.csv") for n, (a, b) in enumerate(pairwise(cuts)) if a < b]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", size)
        patch.setattr("mlpcli.data.reading.csv.records.BATCH_SIZE", size)
        patch.setattr("mlpcli.data.reading.csv.sniff.SAMPLE_SIZE", size)
        others = [read_table(paths), read_table(str(tmp_path / "a.csv.gz")), read_table(str(tmp_path / "a.csv"))]
    for other in others:
        assert_same_cells(whole, other)


@SLOW
@given(frames())
def test_large_tables_on_disk_hold_the_same_cells(tmp_path, frame):
    whole = read_table(written(frame, tmp_path / "a.csv"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlpcli.data.reading.building.MEMORY_LIMIT", -1_000_000)
        one = read_table(str(tmp_path / "a.csv"), store=StoreOptions(str(tmp_path)))
        many = read_table(str(tmp_path / "a.csv"), store=StoreOptions(str(tmp_path), lambda *_: 3, seed=5))
    # Small columns are scattered in memory, where their inputs would not fit.
    held = read_table(str(tmp_path / "a.csv"), store=StoreOptions(str(tmp_path), lambda *_: 3, seed=5))
    assert held.n_buckets == many.n_buckets == 3
    assert_same_cells(many, held)
    assert_same_cells(whole, one)
    rows = [int(many.where(row).rpartition(":")[2]) for row in range(many.n_rows)]
    assert sorted(rows) == [int(whole.where(row).rpartition(":")[2]) for row in range(whole.n_rows)]
    first = min(rows)
    assert_same_cells(whole.take(np.asarray(rows) - first), many)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def assert_same_cells(one: Table, other: Table) -> None:
    schemas = [infer_schema(one, name)[0] for name in one.names]
    assert [infer_schema(other, name)[0] for name in other.names] == schemas
    for name in one.names:
        a, b = cast_table(one, schemas).columns[name], cast_table(other, schemas).columns[name]
        if hasattr(a, "values"):
            np.testing.assert_array_equal(np.asarray(a.values, np.float64), np.asarray(b.values, np.float64))
        else:
            assert [a.levels[code] for code in a.codes] == [b.levels[code] for code in b.codes]


@SLOW
@given(frames(), st.sampled_from(SCALERS))
def test_columns_dropped_added_or_moved_elsewhere_change_no_input(tmp_path, frame, scaler):
    preprocessor, _ = fitted(read_table(written(frame, tmp_path / "a.csv")), scaler)
    more = frame.assign(extra="z", more=range(len(frame)))[
        ["more", "day", "y", "flag", "extra", "text", "whole", "number"]
    ]
    moved = read_table(written(more, tmp_path / "b.csv"), request=Request(wanted=set(FEATURES)))
    np.testing.assert_array_equal(
        inputs(preprocessor, read_table(str(tmp_path / "a.csv"))), inputs(preprocessor, moved)
    )


@given(st.text(max_size=12))
def test_canonical_texts_are_canonical(text):
    assert canonical(canonical(text.strip())) == canonical(text.strip())


def test_zero_is_zero_and_ties_are_ties_however_long_the_table_is(tmp_path):
    """The fault this law is for: above two million cells, equal cells became different inputs in different blocks."""
    csv, pyarrow = pytest.importorskip("pyarrow.csv"), pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    X = np.where(rng.random((220_000, 10)) < 0.3, 0.0, rng.normal(1000, 1, (220_000, 10)).round(4))
    path = tmp_path / "a.csv"
    csv.write_csv(pyarrow.table({f"x{n}": X[:, n] for n in range(10)}), path)  # four times as fast as pandas
    table = read_table(str(path), store=StoreOptions())
    schemas = [infer_schema(table, name)[0] for name in table.names]
    order = np.argsort(X, axis=0, kind="stable")
    for scaler in (Quantile(), NoScaling(), Standardize()):
        preprocessor, _ = fit_preprocessor(table, schemas, scaler, MedianFill(), OneHot(), NoEncoding())
        out = transform(preprocessor, table)[0]
        for index in range(10):
            assert len(np.unique(out[X[:, index] == 0.0, index])) == 1
            by_value = out[order[:, index], index]
            assert (np.diff(by_value) >= 0).all()  # monotone
    np.testing.assert_array_equal(np.asarray(table.columns["x3"].values), X[:, 3])  # the very float64


def trained(table_source, scaler="standardize", table=None, **data) -> Model:
    loaded = config_from_mapping(
        {
            "data": {"train": table_source, "target": "y", "validation": 0.25, **data},
            "task": "classification",
            "preprocess": {"numeric": scaler},
            "model": {"layers": ["auto", 4, "auto"]},
            "training": {"epochs": 2},
        }
    )
    prepared = prepare(loaded, table)
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    return finalize(prepared, state).model


def test_one_file_many_files_gzip_parquet_and_a_frame_train_the_same_weights(tmp_path):
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=90).round(3),
            "s": rng.normal(size=90).astype(np.float32),
            "h": rng.normal(size=90).astype(np.float16),
            "n": rng.integers(0, 50, 90),
            "c": rng.choice(["x", "y", "z"], 90),
            "d": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, 90), "D"),
            "b": rng.choice([True, False], 90),
            "y": rng.choice(["no", "maybe", "sure"], 90),
        }
    )
    frame.loc[3, "a"] = None
    one = written(frame, tmp_path / "a.csv")
    halves = [written(frame[:40], tmp_path / "p1.csv"), written(frame[40:], tmp_path / "p2.csv")]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(Path(one).read_bytes()))
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_feather(tmp_path / "a.feather")
    texts = {
        "d": frame["d"].dt.strftime("%Y-%m-%d"),
        **{name: [float(str(cell)) for cell in frame[name].to_numpy()] for name in "sh"},
    }
    frame.assign(**texts).to_json(tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15)
    sources = [halves, *(str(tmp_path / f"a.{ending}") for ending in ("csv.gz", "parquet", "feather", "jsonl"))]
    model = trained(one)
    for source in sources:
        other = trained(source)
        assert other.preprocessor.feature_names == model.preprocessor.feature_names, source
        assert other.target.labels == model.target.labels
        np.testing.assert_array_equal(other.ensemble.flats, model.ensemble.flats)
    given = trained("(frame)", table=table_from_frame(frame))
    np.testing.assert_array_equal(given.ensemble.flats, model.ensemble.flats)


@given(st.sampled_from(["float16", "float32"]), st.data())
def test_a_short_float_is_the_number_of_its_shortest_text(dtype, data):
    bits = data.draw(st.lists(st.integers(0, 2 ** (8 * np.dtype(dtype).itemsize) - 1), max_size=30))
    values = np.asarray(bits, f"uint{8 * np.dtype(dtype).itemsize}").view(dtype)
    found = exact_decimals(values)
    np.testing.assert_array_equal(found, [float(str(value)) for value in values])


@pytest.mark.parametrize("proba", [False, True])
def test_the_prediction_of_a_row_has_the_same_text_whatever_the_other_rows_are(tmp_path, proba):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(700, 5)).round(4), columns=list("abcde"))
    frame["y"] = (frame["a"] * 2 + frame["b"]).round(5) if not proba else rng.choice(["u", "v", "w"], 700)
    path = written(frame, tmp_path / "a.csv")
    loaded = config_from_mapping(
        {
            "data": {"train": path, "target": "y"},
            "training": {"epochs": 2},
            "model": {"layers": ["auto", 30, 20, "auto"]},
        }
    )
    prepared = prepare(loaded)
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    (tmp_path / "w.npz").write_bytes(encode_model(finalize(prepared, state).model))

    def predict(rows: pd.DataFrame) -> list[str]:
        out: list[bytes] = []
        source = written(rows, tmp_path / "rows.csv")
        run_predict(PredictRequest(str(tmp_path / "w.npz"), source, with_probabilities=proba), out.append)
        return b"".join(out).decode().splitlines()[1:]

    whole = predict(frame)
    assert predict(frame.iloc[[5]]) == [whole[5]]
    assert predict(frame.iloc[300:313]) == whole[300:313]
    assert predict(frame.iloc[::-1]) == whole[::-1]


ODD = {
    "price": {"role": "number", "decimal": ",", "thousands": "."},
    "whole": {"missing": ["-3", "7.0"]},
    "code": "category",
    "day": {"role": "date", "format": "YYYY-MM-DD"},
}


@st.composite
def odd_frames(draw: st.DrawFn) -> pd.DataFrame:
    """A table whose columns need options, and cells that markers and codes are about."""
    frame = draw(frames(30))
    cents = draw(st.lists(st.integers(-(10**8), 10**8), min_size=len(frame), max_size=len(frame)))
    frame["price"] = [f"{cent // 100:,}".replace(",", ".") + f",{cent % 100:02d}" for cent in cents]
    codes = st.sampled_from(["007", "7", "7.0", "07", "12345678901234567890", "12345678901234567891", "x", ""])
    frame["code"] = draw(st.lists(codes, min_size=len(frame), max_size=len(frame)))
    frame.loc[0, "code"] = "007"
    zips = st.sampled_from(["8001", "08001", "007", "12345678901234567890"])
    frame["zip"] = draw(st.lists(zips, min_size=len(frame), max_size=len(frame)))
    return frame


@settings(SLOW, max_examples=15)
@given(odd_frames(), st.sampled_from(["standardize", "quantile", "robust"]))
def test_a_prediction_depends_only_on_its_row_with_options_markers_kept_columns_and_other_formats(
    tmp_path, frame, scaler
):
    path = written(frame, tmp_path / "a.csv")
    model = trained(path, columns=ODD, validation=None, missing=["", "NA", "1e3"], scaler=scaler)
    (tmp_path / "w.npz").write_bytes(encode_model(model))
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))

    def predict(source: str, keep: tuple[str, ...] = ()) -> list[list[str]]:
        out: list[bytes] = []
        run_predict(PredictRequest(str(tmp_path / "w.npz"), source, keep, with_probabilities=True), out.append)
        answered = pd.read_csv(io.BytesIO(b"".join(out)), dtype=str, keep_default_na=False)
        return answered[[name for name in answered.columns if name.startswith("p_")]].to_numpy().tolist()

    whole = predict(path)
    assert predict(path, ("all",)) == predict(path, ("price", "whole", "code", "day")) == whole
    assert predict(str(tmp_path / "a.csv.gz")) == predict(str(tmp_path / "a.jsonl")) == whole
    assert predict(written(frame.iloc[::-1], tmp_path / "b.csv")) == whole[::-1]
    for row in (0, len(frame) - 1):
        assert predict(written(frame.iloc[[row]], tmp_path / "one.csv")) == [whole[row]]


@SLOW
@given(odd_frames())
def test_a_training_table_has_not_drifted_from_itself(tmp_path, frame):
    path = written(frame, tmp_path / "a.csv")
    (tmp_path / "w.npz").write_bytes(encode_model(trained(path, columns=ODD, validation=None)))
    report = run_predict(PredictRequest(str(tmp_path / "w.npz"), path, on_drift="fail"), lambda _: None).drift
    assert report is not None
    assert report.drifted == ()
