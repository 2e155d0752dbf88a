"""From a config and its files to splits of numeric rows and their weights."""

import numpy as np
import pytest

from mlpcli.data.reading.csv import encoding, records, sniff
from mlpcli.data.split import split_rows
from mlpcli.errors import ConfigError, DataError
from mlpcli.training.seeding import rng_of
from mlpcli.workflows.preparing.preparation import prepare
from tests.program import DATA, write_csv
from tests.workflows.staging import IRIS, loaded


def labels_of(prepared, part):
    return [prepared.target.labels[code] for code in part.truth]


def training_rows(strata):
    """The training rows of the default fraction and seed."""
    return split_rows(len(strata), 0.2, strata, rng_of(0, "split"))[0]


def test_a_fraction_splits_the_rows_stratified_and_by_the_seed_alone():
    prepared = prepare(loaded())
    assert np.bincount(prepared.train.truth).tolist() == [40, 40, 40]
    assert np.bincount(prepared.validation.truth).tolist() == [10, 10, 10]
    again = prepare(loaded(training={"seed": 0, "epochs": 9}, model={"layers": ["auto", 3, "auto"]}))
    assert np.array_equal(prepared.train.samples.X, again.train.samples.X)
    assert not np.array_equal(prepared.train.samples.X, prepare(loaded(training={"seed": 1})).train.samples.X)


def test_the_preprocessing_is_fitted_on_the_training_rows_alone():
    prepared = prepare(loaded())
    X = np.loadtxt(DATA / "iris.csv", delimiter=",", skiprows=1, usecols=range(4))
    X = X[training_rows(np.repeat([0, 1, 2], 50))]
    np.testing.assert_allclose(prepared.preprocessor.state["center"], X.mean(axis=0))
    np.testing.assert_allclose(prepared.preprocessor.state["scale"], X.std(axis=0))
    np.testing.assert_allclose(prepared.train.samples.X.mean(axis=0), 0, atol=1e-6)
    assert prepared.train.samples.X.dtype == np.float32
    assert prepared.train.samples.X.flags.c_contiguous


def test_a_validation_file_leaves_every_row_to_training(folder):
    write_csv(folder / "v.csv", ["species", "petal_width", "petal_length", "sepal_width", "sepal_length"],
              [("setosa", 0.2, 1.4, 3.5, 5.1)] * 4)  # fmt: skip
    write_csv(folder / "w.csv", ["species", "petal_width", "petal_length", "sepal_width", "sepal_length"],
              [("setosa", 0.3, 1.4, 3.5, 5.1)] * 4)  # fmt: skip
    prepared = prepare(loaded({**IRIS, "validation": "v.csv", "test": "w.csv"}))
    assert [(part.name, len(part.truth)) for part in prepared.splits] == [
        ("train", 150),
        ("validation", 4),
        ("test", 4),
    ]
    assert set(prepared.data_sha256) == {"train", "validation", "test"}
    np.testing.assert_array_equal(prepared.validation.samples.X, prepared.train.samples.X[[0] * 4])


@pytest.mark.parametrize("equals", ["val", "VAL"])
def test_a_fold_column_marks_the_validation_rows_and_is_no_input(folder, equals):
    rows = [(i % 7, ("train", "Val")[i % 4 == 0], "ab"[i % 2 == (i % 4 == 0)]) for i in range(40)]
    write_csv(folder / "t.csv", ["x", "fold", "y"], rows)
    data = {"train": "t.csv", "target": "y", "validation": {"column": "fold", "equals": equals}}
    prepared = prepare(loaded(data))
    assert len(prepared.validation.truth) == 10
    x = prepared.train.samples.X[:, 0] * prepared.preprocessor.state["scale"] + prepared.preprocessor.state["center"]
    np.testing.assert_allclose(x, [i % 7 for i in range(40) if i % 4], atol=1e-6)
    assert prepared.preprocessor.feature_names == ("x",)


@pytest.mark.parametrize(("values", "equals"), [(["0", "1"], 1), (["False", "True"], True), (["0.5", "1"], 1)])
def test_a_fold_of_numbers_or_booleans_is_compared_as_written(folder, values, equals):
    rows = [(i % 7, values[i % 5 == 0], "ab"[i % 2]) for i in range(40)]
    write_csv(folder / "t.csv", ["x", "fold", "y"], rows)
    data = {"train": "t.csv", "target": "y", "validation": {"column": "fold", "equals": equals}}
    assert len(prepare(loaded(data)).validation.truth) == 8


@pytest.mark.parametrize("equals", ["0,5", "0.5"])
def test_a_fold_with_a_decimal_comma_is_named_as_in_the_table_or_as_in_yaml(folder, equals):
    rows = [(i % 7, ("1,5", "0,5")[i % 5 == 0], "ab"[i % 2]) for i in range(40)]
    (folder / "t.csv").write_text("x;fold;y\n" + "".join(";".join(map(str, row)) + "\n" for row in rows))
    data = {"train": "t.csv", "target": "y", "decimal": ",", "validation": {"column": "fold", "equals": equals}}
    assert len(prepare(loaded(data)).validation.truth) == 8


def test_two_spellings_of_the_number_of_a_fold_are_noted(folder):
    rows = [(i % 7, ("1.10", "1.1", "2")[i % 3], "ab"[i % 2]) for i in range(40)]
    write_csv(folder / "t.csv", ["x", "fold", "y"], rows)
    data = {"train": "t.csv", "target": "y", "validation": {"column": "fold", "equals": "1.10"}}
    assert "column fold: '1.1' and '1.10' are the same number, and one fold" in prepare(loaded(data)).notes


@pytest.mark.parametrize("validation", [{"column": "key", "equals": 0}, {"group": "key"}, {"hash": "key"}])
@pytest.mark.parametrize("stray", ["ERROR", "#VALUE!", "2023-02-30"])
def test_a_stray_cell_among_folds_groups_or_ids_is_an_error_with_its_location(folder, validation, stray):
    rows = [(i * 3 % 17, stray if i == 150 else i % 25, "ab"[i % 2]) for i in range(300)]
    write_csv(folder / "t.csv", ["x", "key", "y"], rows)
    data = {"train": "t.csv", "target": "y", "validation": validation}
    with pytest.raises(DataError, match=rf"^t\.csv:152: column key: '{stray}' is not a number"):
        prepare(loaded(data))
    prepare(loaded({**data, "columns": {"key": "category"}}))


@pytest.mark.parametrize("validation", [None, 0, 0.0])
def test_without_validation_every_row_trains(validation):
    prepared = prepare(loaded({**IRIS, "validation": validation}))
    assert prepared.validation is None
    assert len(prepared.train.truth) == 150


def test_a_weights_column_reaches_the_samples_with_mean_one_and_the_scores_as_it_is(folder):
    rows = [(i % 7, i % 5 + 1, "ab"[i % 2]) for i in range(40)]
    write_csv(folder / "t.csv", ["x", "w", "y"], rows)
    prepared = prepare(loaded({"train": "t.csv", "target": "y", "weight": "w", "validation": None}))
    w = np.array([row[1] for row in rows])
    assert prepared.train.weights.tolist() == w.tolist()
    np.testing.assert_allclose(prepared.train.samples.weights, w / w.mean(), rtol=1e-6)
    assert prepared.preprocessor.feature_names == ("x",)


@pytest.mark.parametrize(
    ("class_weights", "weight_a", "weight_b"),
    [("balanced", 40 / (2 * 30), 40 / (2 * 10)), ({"b": 5}, 1, 5), ({"a": 2, "b": 0}, 2, 0)],
)
def test_class_weights_are_as_scikit_learn_has_them_up_to_their_mean(folder, class_weights, weight_a, weight_b):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 7, "ab"[i % 4 == 0]) for i in range(40)])
    config = loaded({"train": "t.csv", "target": "y", "validation": None}, {"class_weights": class_weights})
    prepared = prepare(config)
    expected = np.where(prepared.train.truth == 0, weight_a, weight_b)
    np.testing.assert_allclose(prepared.train.samples.weights, expected / expected.mean(), rtol=1e-6)
    assert prepared.train.weights is None  # the scores do not count them


def test_class_weights_and_row_weights_multiply(folder):
    rows = [(i % 7, i % 5 + 1, "ab"[i % 4 == 0]) for i in range(40)]
    write_csv(folder / "t.csv", ["x", "w", "y"], rows)
    data = {"train": "t.csv", "target": "y", "weight": "w", "validation": None}
    prepared = prepare(loaded(data, {"class_weights": {"b": 3}}))
    expected = np.array([w * (3 if y == "b" else 1) for _, w, y in rows])
    np.testing.assert_allclose(prepared.train.samples.weights, expected / expected.mean(), rtol=1e-6)


def test_a_regression_target_is_standardized_on_the_training_rows_and_the_truth_keeps_its_unit():
    prepared = prepare(loaded({"train": str(DATA / "diabetes.csv"), "target": "progression"}))
    y = np.loadtxt(DATA / "diabetes.csv", delimiter=",", skiprows=1, usecols=10)
    y = y[training_rows(np.zeros(len(y), np.int64))]
    np.testing.assert_allclose(prepared.target_state["target_center"], y.mean())
    np.testing.assert_allclose(prepared.target_state["target_scale"], y.std())
    np.testing.assert_allclose(prepared.train.truth[:, 0], y)
    np.testing.assert_allclose(prepared.train.samples.y.mean(), 0, atol=1e-6)


def test_counts_are_divided_by_their_mean_and_may_not_be_negative(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 7, i % 4 * 1.5) for i in range(40)])
    config = loaded({"train": "t.csv", "target": "y"}, {"loss": "poisson"}, task="regression")
    prepared = prepare(config)
    assert prepared.target_state["target_scale"].tolist() == [prepared.train.truth.mean()]
    assert prepared.network.output == "exp"
    write_csv(folder / "t.csv", ["x", "y"], [(i % 7, i % 4 - 1.5) for i in range(40)])
    with pytest.raises(DataError, match=r"poisson needs targets of 0 or more; the smallest is -1\.5"):
        prepare(config)


def test_several_files_and_a_glob_are_one_table(folder):
    header, *rows = (DATA / "iris.csv").read_text().splitlines()
    for number in range(3):
        part = "\n".join([header, *rows[number::3]])
        (folder / f"part-{number}.csv").write_text(part + "\n")
    for train in ("part-*.csv", ["part-0.csv", "part-1.csv", "part-2.csv"]):
        prepared = prepare(loaded({"train": train, "target": "species"}))
        assert sum(len(part.truth) for part in prepared.splits) == 150


def test_rows_without_a_target_are_left_out_and_noted(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 7, ("a", "b", "")[i % 3]) for i in range(30)])
    prepared = prepare(loaded({"train": "t.csv", "target": "y"}))
    assert sum(len(part.truth) for part in prepared.splits) == 20
    assert "t.csv: 10 rows have no value for y: left out." in prepared.notes


def test_configured_roles_are_kept(folder):
    write_csv(folder / "t.csv", ["code", "zip", "y"], [(i % 3, f"0{i % 4}", "ab"[i % 2]) for i in range(60)])
    data = {"train": "t.csv", "target": "y", "columns": {"code": "category", "zip": "number"}}
    columns = prepare(loaded(data)).preprocessor.columns
    assert [(column.name, column.role) for column in columns] == [("code", "category"), ("zip", "number")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"target": ["species", "species"]}, "names a column twice"),
        ({"columns": {"rose": "number"}}, "no column 'rose'"),
        ({"features": ["petal"]}, "no column 'petal'"),
        ({"validation": {"column": "sepal", "equals": 1}}, "no column 'sepal'"),
        ({"validation": {"column": "species", "equals": "rose"}}, "no row of"),
    ],
)
def test_a_column_that_does_not_fit_its_configured_role_is_an_error(data, message):
    with pytest.raises(ConfigError, match=message):
        prepare(loaded({**IRIS, **data}))


@pytest.mark.parametrize("size", [1 << 20, 12])
def test_a_column_with_its_own_missing_markers_is_read_the_same_wherever_chunks_end(folder, size, monkeypatch):
    monkeypatch.setattr(encoding, "BLOCK_SIZE", size)
    monkeypatch.setattr(records, "BATCH_SIZE", size)
    monkeypatch.setattr(sniff, "SAMPLE_SIZE", size)
    write_csv(folder / "t.csv", ["a", "y"], [("NA" if i < 30 else "xy"[i % 2], "uv"[i % 2]) for i in range(60)])
    data = {"train": "t.csv", "target": "y", "columns": {"a": {"missing": ["-99"]}}}
    assert prepare(loaded(data)).preprocessor.feature_names == ("a=NA", "a=x", "a=y")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"decimal": ";"}, r"data\.decimal: ';' is not a decimal separator\. Write '\.' or ','\."),
        ({"decimal": "d"}, r"data\.decimal: 'd' is not a decimal separator"),
        ({"decimal": "5"}, r"data\.decimal: '5' is not a decimal separator"),
        ({"thousands": "t"}, r"data\.thousands: 't' is not a thousands separator"),
        ({"decimal": ",", "thousands": ","}, r"data\.thousands: ',' is already the decimal separator"),
        (
            {"columns": {"petal_width": {"decimal": "x"}}},
            r"data\.columns\.petal_width\.decimal: 'x' is not a decimal separator",
        ),
        (
            {"columns": {"petal_width": {"thousands": "0"}}},
            r"data\.columns\.petal_width\.thousands: '0' is not a thousands",
        ),
        (
            {"columns": {"petal_width": {"thousands": "."}}},
            r"data\.columns\.petal_width\.thousands: '\.' is already the decimal",
        ),
    ],
)
def test_invalid_decimal_and_thousands_separators_are_errors(data, message):
    with pytest.raises(ConfigError, match=message):
        prepare(loaded({**IRIS, **data}))


def test_texts_that_default_markers_read_as_missing_are_noted_unless_the_config_names_the_markers(folder):
    rows = [
        (("NA", "BW", "ZA")[i % 3], ("male", "female", "NA")[i % 3], (i % 7, "NA")[i % 5 == 0],
         ("red", "NA", "blue", "")[i % 4], ("some", "none", "null")[i % 3])
        for i in range(60)
    ]  # fmt: skip
    write_csv(folder / "t.csv", ["country", "sex", "n", "color", "y"], rows)
    data = {"train": "t.csv", "target": "y"}
    (note,) = [note for note in prepare(loaded(data)).notes if "read as missing" in note]
    assert note.startswith(
        "t.csv: read as missing: country: 'NA' in 20 cells, color: 'NA' in 15 cells, y: 'null' in 20 cells. If these"
    )
    for training_table in (
        {"missing": ["", "NA", "null"]},
        {"columns": {name: {"missing": [""]} for name in ("country", "color", "y")}},
    ):
        assert not [note for note in prepare(loaded({**data, **training_table})).notes if "read as missing" in note]
    assert "NA" in prepare(loaded({**data, "columns": {"country": {"missing": [""]}}})).preprocessor.columns[0].levels


def test_a_gate_that_only_a_good_score_can_miss_is_noted():
    def notes(**expect):
        return [note for note in prepare(loaded(expect=expect)).notes if note.startswith("gate ")]

    assert notes(min={"accuracy": 0.5, "recall[setosa]": 0.5}, max={"log_loss": 1}) == []
    assert notes(min={"log_loss": 0.001}, max={"recall[setosa]": 0.9}) == [
        "gate log_loss >= 0.001: less is better, so bad scores pass. Did you mean --max / expect.max?",
        "gate recall[setosa] <= 0.9: more is better, so bad scores pass. Did you mean --min / expect.min?",
    ]


@pytest.mark.parametrize("cache", ["nowhere/x", "/nonexistent/x", ""])
def test_a_cache_that_is_no_folder_is_an_error_even_for_a_small_table(folder, cache):
    with pytest.raises(ConfigError, match=r"data\.cache: .*no such folder\. Create it, or leave the key out\."):
        prepare(loaded({**IRIS, "cache": cache}))
    (folder / "cache").mkdir()
    prepare(loaded({**IRIS, "cache": "cache"}))


@pytest.mark.parametrize("name", ["validation", "test"])
def test_unseen_cells_of_a_file_are_noted_as_when_it_is_evaluated(folder, name):
    write_csv(folder / "t.csv", ["level", "x", "y"], [(f"l{i % 3}", i, i % 2) for i in range(60)])
    write_csv(
        folder / "other.csv", ["level", "x", "y"], [(f"m{i % 3}", "" if i % 5 == 0 else i, i % 2) for i in range(20)]
    )
    prepared = prepare(loaded({"train": "t.csv", "target": "y", name: "other.csv"}))
    assert "other.csv: 4 missing cells (x 4), 20 cells unseen or rare in training (level 20)" in prepared.notes
    as_trained = prepare(loaded({"train": "t.csv", "target": "y", name: "t.csv"}))
    assert not any("cells" in note for note in as_trained.notes)


@pytest.mark.parametrize("seed", range(8))
def test_a_rare_positive_is_in_both_splits_and_a_single_one_is_a_training_row(folder, seed):
    rows = [(i % 7, i % 2, int(i in (5, 20)), int(i == 11)) for i in range(60)]
    write_csv(folder / "t.csv", ["x", "often", "twice", "once"], rows)
    data = {"train": "t.csv", "target": ["often", "twice", "once"]}
    prepared = prepare(loaded(data, {"seed": seed}))
    assert prepared.train.truth.sum(axis=0)[1:].tolist() == [1, 1]
    assert prepared.validation.truth.sum(axis=0).tolist() == [6, 1, 0]
    members = {"members": {"count": 4, "rows": "folds"}}
    folds = prepare(loaded(data | {"validation": None}, {"seed": seed}, model=members)).folds
    assert np.bincount(folds).tolist() == [15] * 4
    assert folds[5] != folds[20]
