"""mlpcli from Python."""

import warnings
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import mlpcli
from mlpcli.errors import ConfigError, DataError, Diverged, MlpError, ModelFileError
from tests.program import DATA, done, mlp, tree, write_config

IRIS = {"data": {"target": "species"}, "training": {"epochs": 20, "optimizer": {"name": "adam", "learning_rate": 0.01}}}


@pytest.fixture(scope="module")
def flowers():
    return pd.read_csv(DATA / "iris.csv")


@pytest.fixture(scope="module")
def model(flowers):
    return mlpcli.train(IRIS, flowers)


def test_a_loaded_model_predicts_what_the_program_predicts(penguins):
    rows = pd.read_csv(DATA / "penguins.csv")
    model = mlpcli.load(str(penguins))
    printed = done("predict", penguins, DATA / "penguins.csv", "--proba").rows
    assert model.predict(rows).tolist() == [row["species"] for row in printed]
    shares = [[float(row[f"p_{name}"]) for name in model.classes] for row in printed]
    np.testing.assert_allclose(model.predict_proba(rows), shares, rtol=1e-5, atol=1e-8)
    assert model.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert model.layers == (11, 64, 64, 3)


def test_a_model_says_what_was_chosen_on_its_rows(model, flowers):
    assert model.chosen == {"validation": ["epoch"]}
    honest = mlpcli.train(IRIS | {"training": {"epochs": 2, "early_stopping": None}}, flowers)
    assert honest.chosen == {}


def test_the_weights_are_those_of_the_formula_and_copies(iris):
    model = mlpcli.load(str(iris))
    weights = model.weights
    assert {name: array.shape for name, array in weights.items()} == {
        "W1": (8, 4),
        "b1": (8,),
        "W2": (3, 8),
        "b2": (3,),
    }
    with np.load(iris) as file:
        assert all(np.array_equal(file[name], array) for name, array in weights.items())
    weights["W1"][...] = 0
    assert model.weights["W1"].any()


def test_a_frame_trains_without_a_file(folder, flowers, model):
    assert tree(folder) == {}
    assert (model.predict(flowers) == flowers["species"]).mean() > 0.9
    assert model.scores["validation.accuracy"] > 0.8
    mlpcli.train({**IRIS, "training": {"epochs": 1}}, flowers)
    assert tree(folder) == {}


def test_a_frame_and_its_file_give_the_same_weights(folder, flowers, model):
    path = write_config(folder / "c.yaml", {"train": str(DATA / "iris.csv"), **IRIS["data"]}, IRIS["training"])
    from_file = mlpcli.train(str(path))
    assert all(np.array_equal(array, from_file.weights[name]) for name, array in model.weights.items())
    done("train", path, "-q")
    from_command = mlpcli.load("runs/c/weights.npz")
    assert all(np.array_equal(array, from_command.weights[name]) for name, array in model.weights.items())


def test_a_saved_model_is_the_same_model(folder, flowers, model):
    model.save("m.npz")
    again = mlpcli.load("m.npz")
    pd.testing.assert_series_equal(again.predict(flowers), model.predict(flowers))
    assert done("predict", "m.npz", DATA / "iris.csv").lines[1:] == model.predict(flowers).tolist()


def test_answers_keep_the_index_and_the_name_of_the_target(flowers, model):
    some = flowers.sample(7, random_state=1)
    predictions = model.predict(some)
    assert predictions.index.equals(some.index)
    assert predictions.name == "species"
    assert predictions.tolist() == model.predict(flowers).loc[some.index].tolist()


def test_columns_come_in_any_order_and_the_target_need_not_be_there(flowers, model):
    turned = flowers[["petal_width", "sepal_length", "petal_length", "sepal_width"]]
    assert model.predict(turned).equals(model.predict(flowers))


def test_the_frame_of_the_caller_is_left_alone(flowers, model):
    before = flowers.copy(deep=True)
    model.predict(flowers)
    mlpcli.train({**IRIS, "training": {"epochs": 1}}, flowers)
    pd.testing.assert_frame_equal(flowers, before)


def test_amounts_come_back_in_their_unit_and_have_no_probabilities(diabetes):
    model = mlpcli.load(str(diabetes))
    rows = pd.read_csv(DATA / "diabetes.csv")
    printed = done("predict", diabetes, DATA / "diabetes.csv").rows
    np.testing.assert_allclose(model.predict(rows), [float(row["progression"]) for row in printed], rtol=1e-5)
    assert model.classes == ()
    with pytest.raises(MlpError, match="no probabilities"):
        model.predict_proba(rows)


def test_several_targets_are_a_frame(flowers):
    config = {"data": {"target": ["petal_width", "petal_length"], "drop": ["species"]}, "training": {"epochs": 2}}
    predictions = mlpcli.train(config, flowers).predict(flowers)
    assert list(predictions.columns) == ["petal_width", "petal_length"]
    assert predictions.index.equals(flowers.index)


def test_types_that_only_frames_have_are_taken(flowers):
    rows = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", "a", "c"] * 15),
            "flag": pd.array([True, False, None] * 20, dtype="boolean"),
            "count": pd.array([1, 2, None, 4] * 15, dtype="Int64"),
            "day": pd.date_range("2024-01-01", periods=60),
            "label": [True, False] * 30,
        }
    )
    model = mlpcli.train({"data": {"target": "label"}, "training": {"epochs": 2}}, rows)
    assert len(model.predict(rows)) == 60
    assert set(model.classes) == {"True", "False"}


LABELS = {
    "integers of 19 digits": [1234567890123456789, 1234567890123456788],
    "small integers": np.array([3, 4], np.int8),
    "unsigned": np.array([1, 2**64 - 1], np.uint64),
    "numbers": [1.0, 2.5],
    "numbers of single precision": np.array([0.1, 0.7], np.float32),
    "numbers of half precision": np.array([0.1, 0.7], np.float16),
    "booleans": [True, False],
    "texts": ["b", "a"],
    "texts of numbers": ["1", "2"],
    "texts of booleans": ["true", "false"],
    "nullable": pd.array([1, 2], "Int64"),
    "categories of integers": pd.Categorical([1, 2]),
    "categories of numbers": pd.Categorical([1.5, 2.0]),
    "categories of booleans": pd.Categorical([True, False]),
    "categories of texts": pd.Categorical(["1", "2"]),
    "categories of dates": pd.Categorical(
        pd.DatetimeIndex([pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 1, 2, 3, 4, 5)])
    ),
    "times": pd.DatetimeIndex([pd.Timestamp(2024, 1, 1), pd.Timestamp("2024-01-02 03:04:05.678")]),
    "times with a zone": pd.DatetimeIndex([pd.Timestamp(2024, 1, 1), pd.Timestamp("2024-07-02 03:04")]).tz_localize(
        "Europe/Berlin"
    ),
    "dates": pd.Series([date(2024, 1, 1), date(2024, 1, 2)], dtype=object),
    "decimals": pd.Series([Decimal("0.10"), Decimal("2.50")], dtype=object),
}


FAST = {"epochs": 12, "optimizer": {"name": "adam", "learning_rate": 0.1}}  # enough for two values of one column


@pytest.mark.parametrize("values", LABELS.values(), ids=LABELS)
def test_labels_come_back_with_the_type_they_had_from_a_frame_a_parquet_file_and_a_saved_model(folder, values):
    pytest.importorskip("pyarrow")
    pair = pd.Series(values)
    y = pair.iloc[[0, 1] * 30].reset_index(drop=True)
    rows = pd.DataFrame({"x": [-1.0, 1.0] * 30, "y": y})
    rows.to_parquet("rows.parquet", index=False)
    config = {"data": {"target": "y"}, "task": "classification", "training": FAST}
    for model in (
        mlpcli.train(config, rows),
        mlpcli.train({**config, "data": {**config["data"], "train": "rows.parquet"}}),
    ):
        predictions = model.predict(rows)
        assert (predictions == rows["y"]).all()
        model.save("m.npz")
        pd.testing.assert_series_equal(mlpcli.load("m.npz").predict(rows), predictions)
        done("predict", "m.npz", "rows.parquet", "-o", "out.parquet")
        out = pd.read_parquet("out.parquet")["y"]
        assert (out == rows["y"]).all()
        assert {type(cell) for cell in out.tolist()} == {type(cell) for cell in predictions.tolist()}
        done("predict", "m.npz", "rows.parquet", "-o", "out.csv")
        done("predict", "m.npz", "rows.parquet", "-o", "out.jsonl")


def written(ending, y):
    rows = pd.DataFrame({"x": [-1.0, 1.0] * 30, "y": pd.Series(list(y) * (60 // len(y)))})
    writers = {"csv": rows.to_csv, "parquet": rows.to_parquet, "xlsx": rows.to_excel}
    if ending == "jsonl":
        rows.to_json("rows.jsonl", orient="records", lines=True)
    else:
        writers[ending](f"rows.{ending}", index=False)
    return f"rows.{ending}"


BOOLEANS = [
    ("csv", ["false", "true"]),
    ("csv", ["FALSE", "True", "false", "TRUE"]),
    ("parquet", [False, True]),
    ("parquet", ["False", "TRUE"]),
    ("jsonl", [False, True]),
    ("jsonl", [False, True, "FALSE", "true"]),
]


@pytest.mark.parametrize("trained", BOOLEANS, ids=str)
def test_booleans_are_two_classes_however_they_are_spelled_and_typed(folder, trained):
    pytest.importorskip("pyarrow")
    mlpcli.train({"data": {"train": written(*trained), "target": "y"}, "training": FAST}).save("m.npz")
    for other in BOOLEANS:
        assert "\naccuracy            1.000 " in done("eval", "m.npz", written(*other)).stdout, other


@pytest.mark.parametrize("trained", [["false", "true", "unknown"], [False, True, "true", "unknown"]], ids=str)
def test_booleans_of_a_typed_column_are_levels_of_a_category_that_has_their_words(folder, trained):
    pytest.importorskip("pyarrow")
    source = written("jsonl" if False in trained else "csv", trained)
    config = {"data": {"train": source, "target": "x"}, "task": "regression", "training": {"epochs": 2}}
    mlpcli.train(config).save("m.npz")
    for other in [("parquet", [False, True]), ("csv", ["FALSE", "True"]), ("jsonl", [True, "unknown"])]:
        assert "unseen" not in done("predict", "m.npz", written(*other)).stderr, other


@pytest.mark.parametrize("dtype", ["float16", "float32", "Float32"])
def test_short_floats_follow_the_rules_of_their_texts(folder, dtype):
    pytest.importorskip("pyarrow")
    numbers = [-99.9, 0.1, 0.2, 0.3, 0.4] * 12
    rows = pd.DataFrame({"x": pd.Series(numbers, dtype=dtype), "y": np.asarray(numbers, "float16")})
    rows.to_parquet("rows.parquet")
    rows.to_csv("rows.csv", index=False)
    data = {"target": "y", "missing": ["", "-99.9"]}
    config = {"data": data, "training": {"epochs": 2}, "task": "regression"}
    models = [
        mlpcli.train(config, rows),
        *(mlpcli.train({**config, "data": {**data, "train": name}}) for name in ("rows.csv", "rows.parquet")),
    ]
    assert models[0].notes[0].endswith("12 rows have no value for y: left out.")
    for model in models[1:]:
        assert all(np.array_equal(array, models[0].weights[name]) for name, array in model.weights.items())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_date_is_no_number_whatever_its_source(folder, ending):
    pytest.importorskip("pyarrow")
    days = pd.Series(pd.date_range("2024-01-01 12:00", periods=60))
    rows = pd.DataFrame({"x": np.arange(60.0), "y": ["u", "v"] * 30})
    mlpcli.train({"data": {"target": "y"}, "training": {"epochs": 1}}, rows).save("m.npz")
    source, stamped = f"rows.{ending}", rows.assign(x=days, z=rows["x"])
    stamped.to_csv(source, index=False) if ending == "csv" else stamped.to_parquet(source)
    ended = mlp("predict", "m.npz", source)
    assert ended.code == 2
    place = "rows.csv:2" if ending == "csv" else "rows.parquet: row 1"
    assert f"{place}: column x: '2024-01-01" in ended.stderr
    assert "12:00:00' is not a number" in ended.stderr
    for role in ({"weight": "x"}, {"columns": {"x": "number"}}):
        with pytest.raises(DataError, match="is not a number"):
            mlpcli.train({"data": {"train": source, "target": "y", **role}, "training": {"epochs": 1}})
    regression = {"data": {"train": source, "target": "x"}, "task": "regression"}
    with pytest.raises(DataError, match="is not a number"):
        mlpcli.train(regression)


@pytest.mark.parametrize("cells", [[[1], [2]], [timedelta(1), None], [{"a": 1}, 3j]], ids=str)
def test_only_columns_that_are_used_need_to_be_readable(flowers, model, cells):
    rows = flowers.assign(z=pd.Series(cells * 75, dtype=object))
    short = {"epochs": 1}
    features = {"features": ["petal_width"], "target": "species"}
    for data in ({"drop": ["z"], "target": "species"}, features):
        given = mlpcli.train({"data": data, "training": short}, rows)
        assert given.predict(rows.drop(columns="species")).equals(given.predict(flowers))
    assert model.predict(rows).equals(model.predict(flowers))
    with pytest.raises(DataError, match="column z"):
        mlpcli.train(IRIS, rows)


def test_markers_of_missing_cells_apply_to_frames_too():
    rows = pd.DataFrame({"x": [1.0, -99.0, 3.0] * 20, "y": ["u", "v", "none"] * 20})
    config = {"data": {"target": "y", "missing": ["-99", "none"]}, "training": {"epochs": 1}}
    model = mlpcli.train(config, rows)
    assert model.classes == ("u", "v")
    odd = model.predict(pd.DataFrame({"x": [-99.0, np.nan]}))
    assert odd[0] == odd[1]


def test_what_the_program_notes_of_odd_cells_is_a_warning(folder):
    rows = pd.DataFrame({"zip": ["01234", "94103"] * 30, "n": [1.0, None] * 30, "x": range(60), "y": ["u", "v"] * 30})
    model = mlpcli.train({"data": {"target": "y"}, "training": {"epochs": 1}}, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(rows)
    rows.assign(x=[None] * 60).to_csv("rows.csv", index=False)
    odd = pd.read_csv("rows.csv")  # of which 01234 is a number
    model.save("m.npz")
    assert "90 missing cells (n 30, x 60)" in done("predict", "m.npz", "rows.csv").stderr
    for predict in (model.predict, model.predict_proba):
        with pytest.warns(mlpcli.MlpWarning, match=r"60 missing cells \(x 60\), 30 cells unseen or rare .* \(zip 30\)"):
            predict(odd)


def test_several_booleans_come_back_with_the_type_they_had():
    rows = pd.DataFrame({"x": [-1.0, 1.0] * 30, "a": [True, False] * 30, "b": [0, 1] * 30, "c": ["no", "yes"] * 30})
    config = {"data": {"target": ["a", "b", "c"]}, "task": "multilabel", "training": {"epochs": 60}}
    predictions = mlpcli.train(config, rows).predict(rows)
    assert (predictions == rows[["a", "b", "c"]]).all(axis=None)
    assert [str(dtype) for dtype in predictions.dtypes[:2]] == ["bool", "int64"]


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"data": {"target": "specie"}}, ConfigError, "Did you mean species?"),
        ({"data": {"target": "species"}, "model": {"layer": [1]}}, ConfigError, "Did you mean layers?"),
        ({"data": {"target": "species"}, "training": {"epochs": True}}, ConfigError, "training.epochs"),
        ({"data": {"target": "species"}, "training": {"optimizer": {"learning_rate": 1e30}}}, Diverged, "smaller"),
    ],
)
def test_mistakes_raise_our_errors(flowers, config, error, message):
    with pytest.raises(error, match=message.replace("?", r"\?")):
        mlpcli.train(config, flowers)


def test_a_bad_frame_or_file_raises_our_errors(tmp_path, flowers, model):
    with pytest.raises(DataError, match="column petal_width is missing"):
        model.predict(flowers.drop(columns="petal_width"))
    with pytest.raises(ModelFileError, match="no such file"):
        mlpcli.load(str(tmp_path / "none.npz"))


def test_what_the_package_offers_is_what_it_lists():
    assert set(mlpcli.__all__) == {"MlpError", "MlpWarning", "TrainedModel", "__version__", "load", "train"}
    assert all(hasattr(mlpcli, name) for name in mlpcli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = mlpcli.lode


def test_the_model_names_its_columns_targets_and_epochs(folder, model):
    assert model.columns == ("sepal_length", "sepal_width", "petal_length", "petal_width")
    assert model.targets == ("species",)
    assert model.history["epoch"].tolist() == list(range(21))
    assert model.history["train_loss"].notna().tolist() == [False] + [True] * 20
    model.save("m.npz")
    assert mlpcli.load("m.npz").history is None


def test_the_history_is_that_of_the_run_folder(folder, flowers, model):
    path = write_config(folder / "c.yaml", {"train": str(DATA / "iris.csv"), **IRIS["data"]}, IRIS["training"])
    done("train", path, "-q")
    written = pd.read_csv("runs/c/history.csv").drop(columns="seconds")
    pd.testing.assert_frame_equal(model.history.drop(columns="seconds"), written, check_dtype=False)


def test_scores_are_those_of_the_program(folder, flowers, model):
    model.save("m.npz")
    printed = done("eval", "m.npz", DATA / "iris.csv", "--json", "--min", "accuracy.low=0.8").document
    judged = model.evaluate(flowers, minimum={"accuracy.low": 0.8})
    assert judged.scores["score"].to_dict() == printed["scores"]
    for name, ends in printed["intervals"].items():
        np.testing.assert_array_equal(judged.scores.loc[name, ["low", "high"]].to_numpy(float), list(ends.values())[:2])
    assert judged.passed
    assert judged.confusion.loc["setosa", "setosa"] == printed["confusion"][0][0]
    assert model.score(flowers) == printed["scores"]["accuracy"]
    assert model.score(flowers, metric="log_loss") == printed["scores"]["log_loss"]
    assert model.score(flowers, metric="accuracy.low") == judged.scores.loc["accuracy", "low"]


def test_a_missed_gate_is_a_verdict_and_no_error(flowers, model):
    judged = model.evaluate(flowers, maximum={"log_loss": 1e-9})
    assert [result.passed for result in judged.gate_results] == [False]
    assert not judged.passed


def test_a_wider_confidence_gives_wider_intervals(flowers, model):
    narrow, wide = (model.evaluate(flowers, confidence=level).scores for level in (0.5, 0.99))
    assert wide.loc["accuracy", "low"] < narrow.loc["accuracy", "low"]
    assert wide.loc["accuracy", "high"] > narrow.loc["accuracy", "high"]


def test_rows_in_every_shape_get_the_same_answers(flowers, model):
    expected = model.predict(flowers)
    X = flowers[list(model.columns)].to_numpy()
    by_name = {name: flowers[name].to_numpy() for name in reversed(flowers.columns)}
    fields = flowers[list(reversed(model.columns))].to_records(index=False)
    for rows in (X, by_name, np.asarray(fields)):
        assert model.predict(rows).tolist() == expected.tolist()
    for truth in (flowers["species"], flowers["species"].tolist(), flowers[["species"]]):
        assert model.score(X, truth) == model.score(flowers)


def test_an_array_with_named_columns_trains_as_its_frame():
    X = np.random.default_rng(0).normal(size=(60, 3))
    config = {"data": {"target": "c"}, "training": {"epochs": 2}}
    one = mlpcli.train(config, X, columns=["a", "b", "c"])
    other = mlpcli.train(config, pd.DataFrame(X, columns=["a", "b", "c"]))
    assert all(np.array_equal(array, other.weights[name]) for name, array in one.weights.items())
    assert np.isfinite(one.score(X[:, :2], X[:, 2]))


def test_several_targets_are_scored_together():
    rows = pd.DataFrame({"x": np.arange(40.0), "u": np.arange(40.0) * 2, "v": -np.arange(40.0)})
    model = mlpcli.train({"data": {"target": ["u", "v"]}, "training": {"epochs": 2}}, rows)
    assert model.score(rows[["x"]], rows[["v", "u"]]) == model.score(rows)
    assert model.predict(rows).columns.tolist() == ["u", "v"]


def test_progress_is_shown_when_asked_for_and_on_standard_error(flowers, capsys):
    mlpcli.train({**IRIS, "training": {"epochs": 1}}, flowers)
    assert capsys.readouterr() == ("", "")
    mlpcli.train({**IRIS, "training": {"epochs": 1}}, flowers, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("data      150 rows: 120 train, 30 validation")
    assert "epoch    1/1" in err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, X, y: model.predict(X[:, :3]), "the array has 3 columns, and there are 4 names"),
        (lambda model, X, y: model.predict(X[0]), "must have two dimensions"),
        (lambda model, X, y: model.predict([[1, 2]]), "must be a data frame, columns by name or an array, got list"),
        (lambda model, X, y: model.predict({"a": [1, 2], "b": [1]}), "an array of one length"),
        (lambda model, X, y: model.score(X), "the target column species is missing"),
        (lambda model, X, y: model.score(X, y[:5]), "must have 150 rows and 1 columns"),
        (lambda model, X, y: model.score(X, y, metric="acc"), "unknown metric 'acc'. Did you mean accuracy"),
        (lambda model, X, y: model.evaluate(X, y, minimum={"rmse": 1}), "unknown metric 'rmse'"),
        (lambda model, X, y: model.evaluate(X, y, confidence=95), "confidence: must be between 0 and 1"),
        (lambda model, X, y: mlpcli.train(IRIS, X), "the columns of an array have no names"),
    ],
)
def test_rows_that_do_not_fit_are_told(flowers, model, call, message):
    X, y = flowers[list(model.columns)].to_numpy(), flowers["species"].to_numpy()
    with pytest.raises(MlpError, match=message):
        call(model, X, y)


@pytest.mark.parametrize("value", ["a", 1.0])
def test_a_target_of_one_value_is_refused_and_the_data_frame_named_once(value):
    rows = pd.DataFrame({"x": np.arange(40.0), "y": [value] * 40})
    with pytest.raises(DataError, match=r"^the data frame: the target y has one value only"):
        mlpcli.train({"data": {"target": "y"}, "training": {"epochs": 1}}, rows)
