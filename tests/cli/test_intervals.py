"""`mlp predict --interval`: ends and sets that hold the truth as often as asked, or a reason why not."""

import json

import numpy as np
import pandas as pd
import pytest

import mlpcli
from mlpcli.storage.model.model_file import load_model
from tests.program import done, mlp, train, write_csv

TRAINING = {"epochs": 12, "optimizer": {"name": "adam", "learning_rate": 0.01}}
FOLDS = {"layers": ["auto", 16, "auto"], "members": {"count": 5, "rows": "folds"}}
REGIONS = ("north", "south", "west")


def rows_of(n_rows, seed, regions=REGIONS):
    """Number, region, noise that is three times as large in the south, and a label that x makes likely."""
    rng = np.random.default_rng(seed)
    x, region = rng.normal(size=n_rows), rng.integers(len(regions), size=n_rows)
    spread = np.where(region == 1, 3.0, 1.0)
    y = 10.0 + 2.0 * np.sin(x) + spread * rng.normal(size=n_rows)
    label = rng.random(n_rows) < 1 / (1 + np.exp(-3 * x))
    return [
        (f"{a:.4f}", regions[b], f"{c:.4f}", "a|b" if d else "c")
        for a, b, c, d in zip(x.tolist(), region.tolist(), y.tolist(), label.tolist(), strict=True)
    ]


def table(path, n_rows, seed, **options):
    return write_csv(path, ["x", "region", "y", "label"], rows_of(n_rows, seed, **options))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intervals")
    table(folder / "train.csv", 1000, 1)
    table(folder / "new.csv", 3000, 2)
    return folder


def model_of(place, name, target, by=None, rows="auto", training=TRAINING, **sections):
    drop = ["label" if target == "y" else "y"]
    (place / name).mkdir()
    validation = {} if "model" not in sections else {"validation": None}
    data = {"train": str(place / "train.csv"), "target": target, "drop": drop, **validation}
    return train(place / name, data, training, intervals={"by": by, "rows": rows}, **sections)


@pytest.fixture(scope="module")
def split(place):
    return model_of(place, "split", "y")


@pytest.fixture(scope="module")
def folds(place):
    return model_of(place, "folds", "y", model=FOLDS)


@pytest.fixture(scope="module")
def grouped(place):
    return model_of(place, "grouped", "y", by="region", model=FOLDS)


@pytest.fixture(scope="module")
def labels(place):
    return model_of(place, "labels", "label", by="label")


def predicted_rows(weights, source, *options):
    return pd.DataFrame(done("predict", weights, source, "--json", *options).stdout.splitlines())[0].map(json.loads)


def predicted(weights, source, *options):
    return pd.DataFrame(list(predicted_rows(weights, source, *options)))


def held(place, weights, level):
    """Which of the new rows have their truth between the ends."""
    found, truth = predicted(weights, place / "new.csv", "--interval", level), pd.read_csv(place / "new.csv")
    return (found.y_low.fillna(-np.inf) <= truth.y) & (truth.y <= found.y_high.fillna(np.inf)), truth.region


@pytest.mark.parametrize("name", ["split", "folds", "grouped"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_hold_the_truth_of_new_rows_as_often_as_asked(place, name, level, request):
    is_held, region = held(place, request.getfixturevalue(name), level)
    n_rows = 1000 if name != "split" else 200
    # What chance does to so many calibration rows and so many new ones.
    error = 3 * np.sqrt(level * (1 - level) * (1 / n_rows + 1 / len(is_held)))
    assert level - error <= is_held.mean() <= level + error + 0.02
    if name == "grouped":
        of_groups = is_held.groupby(region).mean()
        assert (of_groups >= level - 3 * np.sqrt(level * (1 - level) * (1 / 300 + 1 / 900))).all()


def test_without_groups_the_rows_that_vary_more_are_held_less_often(place, split):
    is_held, region = held(place, split, 0.8)
    assert is_held.groupby(region).mean()["south"] < 0.7


@pytest.mark.parametrize("name", ["split", "folds", "grouped"])
def test_the_answers_are_those_without_intervals_and_lie_between_the_ends(place, name, request):
    weights = request.getfixturevalue(name)
    plain = done("predict", weights, place / "new.csv").rows
    rows = done("predict", weights, place / "new.csv", "--interval", 0.5).rows
    assert [row["y"] for row in rows] == [row["y"] for row in plain]
    assert list(rows[0]) == ["y", "y_low", "y_high"]
    assert all(float(row["y_low"]) <= float(row["y"]) <= float(row["y_high"]) for row in rows)


@pytest.mark.parametrize("name", ["folds", "grouped"])
def test_the_ends_of_a_row_do_not_depend_on_the_rows_around_it(place, name, request):
    weights = request.getfixturevalue(name)
    rows = done("predict", weights, place / "new.csv", "--interval", 0.9).rows
    few = pd.read_csv(place / "new.csv", dtype=str)[70:73]
    found = done("predict", weights, "-", "--interval", 0.9, stdin=few.to_csv(index=False).encode()).rows
    assert found == rows[70:73]


def test_a_set_holds_the_predicted_label_and_each_class_as_often_as_asked(place, labels):
    found = predicted(labels, place / "new.csv", "--set", 0.9)
    assert list(found) == ["label", "label_set"]
    assert all(label in one for label, one in zip(found.label, found.label_set, strict=True))
    truth = pd.read_csv(place / "new.csv").label
    is_held = pd.Series([label in one for label, one in zip(truth, found.label_set, strict=True)])
    assert (is_held.groupby(truth).mean() >= 0.9 - 3 * np.sqrt(0.09 / 100)).all()
    assert found.label_set.map(len).mean() < 1.9


def test_a_higher_level_makes_sets_and_intervals_that_hold_those_of_a_lower_one(place, labels, folds):
    low, high = (predicted(labels, place / "new.csv", "--set", level).label_set for level in (0.8, 0.95))
    assert all(set(small) <= set(large) for small, large in zip(low, high, strict=True))
    low, high = (predicted(folds, place / "new.csv", "--interval", level) for level in (0.8, 0.95))
    assert (low.y_high <= high.y_high).all()
    assert (low.y_low >= high.y_low).all()


def test_sets_are_texts_in_csv_and_lists_where_there_are_types(place, labels, folder):
    as_text = done("predict", labels, place / "new.csv", "--set", 0.95).rows
    assert {row["label_set"] for row in as_text} == {r"a\|b", "c", r"a\|b|c"}
    done("predict", labels, place / "new.csv", "--set", 0.95, "-o", "out.parquet", "--keep", "all")
    sets = [[label.replace("a|b", "a/b") for label in one] for one in pd.read_parquet("out.parquet").label_set]
    assert sets == [row["label_set"].replace(r"a\|b", "a/b").split("|") for row in as_text]


def test_boolean_columns_have_a_set_each(folder):
    rng = np.random.default_rng(5)
    x = rng.normal(size=400)
    noisy = x + rng.normal(size=400)
    cells = [(f"{a:.3f}", int(a > 0), "yes" if b > 0 else "no") for a, b in zip(x, noisy, strict=True)]
    write_csv(folder / "t.csv", ["x", "p", "q"], cells)
    weights = train(folder, {"train": "t.csv", "target": ["p", "q"]}, TRAINING)
    found = predicted(weights, "t.csv", "--set", 0.9)
    assert list(found) == ["p", "p_set", "q", "q_set"]
    assert {type(label) for one in found.p_set for label in one} <= {int, str, bool}
    held = [str(c[2]) in map(str, one) for c, one in zip(cells, found.q_set, strict=True)]
    assert np.mean(held) >= 0.85


def test_a_column_that_is_kept_and_called_like_an_end_keeps_its_name(folder):
    write_csv(folder / "t.csv", ["y_low", "y"], [(i % 17, i % 17 * 2.0 + i % 3) for i in range(200)])
    weights = train(folder, {"train": "t.csv", "target": "y"}, TRAINING)
    ended = done("predict", weights, "t.csv", "--interval", 0.8, "--keep", "all")
    assert list(ended.rows[0]) == ["y_low", "y", "predicted_y", "predicted_y_low", "y_high"]


def test_rows_of_a_group_without_calibration_rows_have_no_end_and_are_told(place, grouped, folder):
    table(folder / "new.csv", 60, 3, regions=("north", "south", "mars"))
    ended = done("predict", grouped, "new.csv", "--interval", 0.9, "--keep", "region")
    for row in ended.rows:
        assert (row["y_high"] == "inf") == (row["region"] == "mars")
        assert (row["y_low"] == "-inf") == (row["region"] == "mars")
    n_mars = sum(row["region"] == "mars" for row in ended.rows)
    assert f"the interval is infinite of {n_mars} rows of a region without calibration rows" in ended.stderr
    as_json = predicted_rows(grouped, "new.csv", "--interval", 0.9, "--keep", "region")
    assert [row["y_high"] is None for row in as_json] == [row["region"] == "mars" for row in as_json]


def test_the_column_of_groups_may_be_no_input_and_must_be_there(place, folder):
    data = {"train": str(place / "train.csv"), "target": "y", "drop": ["label", "region"]}
    weights = train(folder, data, TRAINING, intervals={"by": "region"})
    assert [column.name for column in load_model(str(weights)).preprocessor.columns] == ["x"]
    ended = done("predict", weights, place / "new.csv", "--interval", 0.9)
    widths = [float(row["y_high"]) - float(row["y_low"]) for row in ended.rows]
    assert len({round(width, 3) for width in widths}) == 3
    write_csv(folder / "x.csv", ["x"], [(1,), (2,)])
    assert len(done("predict", weights, "x.csv").rows) == 2
    refused = mlp("predict", weights, "x.csv", "--interval", 0.9)
    assert refused.code == 2
    assert "x.csv: column region is missing: intervals are made for each of its groups." in refused.stderr


def test_rows_set_apart_are_neither_trained_on_nor_choose_anything(place):
    model = load_model(str(model_of(place, "apart", "y", rows=0.3)))
    rows = model.conformity.rows
    assert (rows.source, rows.chosen, rows.n_rows) == ("apart", (), (300,))
    assert model.record["rows"] == {"train": 560, "validation": 140, "calibration": 300}
    assert load_model(str(place / "split" / "run" / "weights.npz")).conformity.rows.chosen == ("epoch",)


@pytest.mark.parametrize("way", [{"group": "region"}, {"time": "x"}, {"column": "label", "equals": "c"}])
def test_rows_are_set_apart_as_validation_rows_are(place, folder, way):
    drop = [] if "column" in way else ["label"]
    data = {"train": str(place / "train.csv"), "target": "y", "drop": drop, "validation": way}
    weights = train(folder, data, TRAINING, intervals={"rows": 0.3})
    counted = load_model(str(weights)).conformity.rows.n_rows[0]
    assert 100 <= counted <= 400


def test_a_quantile_has_ends_of_its_own_level_on_either_side(place):
    training = {**TRAINING, "loss": {"name": "quantile", "quantile": 0.9}}
    weights = model_of(place, "quantile", "y", training=training)
    assert load_model(str(weights)).conformity.rows.kind == "signed"
    found, truth = predicted(weights, place / "new.csv", "--interval", 0.8), pd.read_csv(place / "new.csv").y
    for share in ((truth < found.y_low).mean(), (truth > found.y_high).mean()):
        assert abs(share - 0.1) <= 3 * np.sqrt(0.09 / 200)
    assert ((found.y - found.y_low) > (found.y_high - found.y)).all()


def test_the_ends_of_logarithms_are_as_far_as_a_factor(place, folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 20, 1.3 ** (i % 20) * (1 + i % 7)) for i in range(600)])
    weights = train(folder, {"train": "t.csv", "target": "y"}, TRAINING, preprocess={"target": "log"})
    found = predicted(weights, "t.csv", "--interval", 0.9)
    factors = np.log1p(found.y_high) - np.log1p(found.y)
    assert factors.std() < 1e-3 * factors.mean()
    assert (found.y_low > -1).all()


def test_counts_have_no_end_below_zero(folder):
    rng = np.random.default_rng(2)
    write_csv(folder / "t.csv", ["x", "y"], [(i % 9, int(rng.poisson(0.3 + i % 9 / 4))) for i in range(500)])
    weights = train(folder, {"train": "t.csv", "target": "y"}, {**TRAINING, "loss": "poisson"}, task="regression")
    assert (predicted(weights, "t.csv", "--interval", 0.9).y_low >= 0).all()


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ("0.9999", "an interval at 0.9999 needs 10000 calibration rows, and there are 200. Ask for at most 0.99, or"),
        ("90", "the level of intervals must be from 0.5 to below 1, for example 0.9, not 90. Write 0.9 for 90%."),
        ("1", "the level of intervals must be from 0.5 to below 1, for example 0.9, not 1."),
        ("nan", "the level of intervals must be from 0.5 to below 1, for example 0.9, not nan."),
        ("often", "--interval often: must be a number."),
    ],
)
def test_a_level_that_cannot_be_is_refused_with_the_reason(place, split, level, message):
    refused = mlp("predict", split, place / "new.csv", "--interval", level)
    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(message)


def test_intervals_and_raw_outputs_do_not_go_together(place, split):
    assert mlp("predict", split, place / "new.csv", "--interval", 0.9, "--raw").code == 2


@pytest.mark.parametrize(
    ("data", "intervals", "reason"),
    [
        ({"validation": None}, {}, "it was trained without validation rows"),
        ({"weight": "x"}, {}, "it was trained with sample weights"),
        ({}, {"rows": "none"}, "it was trained with intervals.rows: none"),
    ],
)
def test_a_model_without_calibration_rows_says_why(folder, data, intervals, reason):
    write_csv(folder / "t.csv", ["x", "z", "y"], [(1 + i % 9, i % 5, i % 9) for i in range(100)])
    training = {"epochs": 1, "early_stopping": None} if "validation" in data else {"epochs": 1}
    weights = train(folder, {"train": "t.csv", "target": "y", **data}, training, intervals=intervals, task="regression")
    assert load_model(str(weights)).conformity is None
    refused = mlp("predict", weights, "t.csv", "--interval", 0.9)
    assert refused.code == 2
    assert refused.stderr.startswith(f"no intervals: the model has no calibration rows: {reason}")


@pytest.mark.parametrize(
    ("data", "intervals", "message"),
    [
        ({"weight": "x"}, {"by": "z"}, "intervals.by: intervals cannot be combined with data.weight"),
        ({"validation": None}, {"by": "z"}, "intervals.by: needs rows that are not trained on"),
        ({}, {"by": "y"}, "intervals.by: y is the target, which forms groups for classification only"),
        ({}, {"by": "zz"}, "intervals.by: no column 'zz'"),
        ({}, {"by": "many"}, "intervals.by: many has"),
        ({}, {"by": "z", "rows": "none"}, "intervals.by: intervals.rows is none"),
    ],
)
def test_what_cannot_be_is_said_before_the_training(folder, data, intervals, message):
    rows = [(1 + i % 9, i % 5, f"t{i}", i % 9 + i / 7) for i in range(2000)]
    write_csv(folder / "t.csv", ["x", "z", "many", "y"], rows)
    config = folder / "c.yaml"
    sections = {"data": {"train": "t.csv", "target": "y", **data}, "intervals": intervals, "training": {"epochs": 1}}
    config.write_text(json.dumps(sections), "utf-8")
    refused = mlp("train", config)
    assert refused.code == 2
    assert message in refused.stderr
    assert not (folder / "runs" / "c").exists()


def test_drift_is_said_of_intervals_too(place, split, folder):
    shifted = pd.read_csv(place / "new.csv")
    shifted.x += 5
    shifted.to_csv("shifted.csv", index=False)
    stderr = done("predict", split, "shifted.csv", "--interval", 0.9).stderr
    assert "intervals at 0.9 holds only for rows like the training rows." in stderr
    assert "coverage of" not in done("predict", split, place / "new.csv", "--interval", 0.9).stderr


def test_eval_scores_intervals_and_gates_on_them(place, split):
    shown = mlp("eval", split, place / "new.csv", "--interval", 0.8, "--min", "coverage=0.99", "--max", "mean_width=99")
    assert shown.code == 1
    assert "prediction intervals at 0.8 by 200 validation rows" in shown.stdout
    document = mlp("eval", split, place / "new.csv", "--interval", 0.8, "--json", "--by", "region").document
    is_held, region = held(place, split, 0.8)
    assert document["scores"]["coverage"] == pytest.approx(is_held.mean())
    assert document["intervals"]["coverage"]["low"] < is_held.mean() < document["intervals"]["coverage"]["high"]
    rows = done("predict", split, place / "new.csv", "--interval", 0.8).rows
    widths = [float(row["y_high"]) - float(row["y_low"]) for row in rows]
    assert document["scores"]["mean_width"] == pytest.approx(np.mean(widths), rel=1e-5)
    assert document["interval"] == {"level": 0.8, "source": "validation", "chosen": ["epoch"], "n_rows": 200}
    (slices,) = document["slices"]
    for group in slices["groups"]:
        own = is_held[region == group["name"].removeprefix("region = ")]
        assert group["scores"]["coverage"] == pytest.approx(own.mean())


def test_eval_scores_sets_and_each_class(place, labels):
    document = done("eval", labels, place / "new.csv", "--interval", 0.9, "--json").document
    found, truth = predicted(labels, place / "new.csv", "--set", 0.9), pd.read_csv(place / "new.csv").label
    is_held = pd.Series([label in one for label, one in zip(truth, found.label_set, strict=True)])
    assert document["scores"]["coverage"] == pytest.approx(is_held.mean())
    assert document["scores"]["coverage[c]"] == pytest.approx(is_held[truth == "c"].mean())
    assert document["scores"]["mean_set_size"] == pytest.approx(found.label_set.map(len).mean())
    assert document["interval"]["n_rows"].keys() == {"a|b", "c"}


def test_a_width_without_end_is_null_and_meets_no_gate(place, grouped, folder):
    table(folder / "new.csv", 60, 3, regions=("north", "mars"))
    ended = mlp("eval", grouped, "new.csv", "--interval", 0.9, "--max", "mean_width=1e9", "--json")
    assert ended.code == 1
    assert ended.document["scores"]["mean_width"] is None


@pytest.mark.parametrize("metric", ["coverage", "mean_width", "coverage.low", "mean_set_size"])
def test_a_gate_on_intervals_needs_intervals(place, split, metric):
    refused = mlp("eval", split, place / "new.csv", "--max", f"{metric}=1")
    assert refused.code == 2
    assert "needs prediction intervals or sets. Add them, for example with --interval 0.9" in refused.stderr


def test_expect_judges_intervals_on_rows_that_calibrate_nothing(place, folder):
    data = {"train": str(place / "train.csv"), "test": str(place / "new.csv"), "target": "y", "drop": ["label"]}
    sections = {
        "data": data,
        "training": {**TRAINING, "loss": {"name": "quantile", "quantile": 0.7}},
        "intervals": {"level": 0.9, "by": "region"},
        "expect": {"min": {"coverage": 0.85, "coverage.low": 0.99}, "max": {"mean_width": 99, "pinball": 99}},
    }
    (folder / "c.yaml").write_text(json.dumps(sections), "utf-8")
    ended = mlp("train", "c.yaml", "--json")
    assert ended.code == 1
    assert "1 of 4 gates missed: coverage.low >= 0.99" in ended.stderr
    scores = json.loads((folder / "runs/c/metrics.json").read_text())
    evaluated = done("eval", "runs/c/weights.npz", place / "new.csv", "--interval", 0.9, "--json").document["scores"]
    for key in ("coverage", "mean_width", "interval_score", "pinball"):
        assert scores[f"test.{key}"] == pytest.approx(evaluated[key], rel=1e-6)
    assert "validation.coverage" not in scores
    refused = mlp("train", "c.yaml", "--set", "data.test=null")
    assert refused.code == 2
    assert (
        "It needs intervals.level, and rows used neither for training nor for calibration, data.test: FILE"
        in refused.stderr
    )


def test_python_gives_the_same_ends_sets_and_scores(place, folds, labels, grouped):
    frame = pd.read_csv(place / "new.csv")
    found = mlpcli.load(str(folds)).predict_interval(frame, 0.9)
    rows = predicted(folds, place / "new.csv", "--interval", 0.9)
    pd.testing.assert_frame_equal(found, rows, rtol=1e-5)
    sets = mlpcli.load(str(labels)).predict_interval(frame, 0.9)
    as_json = predicted(labels, place / "new.csv", "--set", 0.9)
    assert list(map(list, sets.label_set)) == list(as_json.label_set)
    scores = mlpcli.load(str(grouped)).evaluate(frame, level=0.9, minimum={"coverage": 0.8}).scores
    document = done("eval", grouped, place / "new.csv", "--interval", 0.9, "--json").document
    assert scores.score["coverage"] == document["scores"]["coverage"]
    with pytest.raises(mlpcli.MlpError, match="needs 10000 calibration rows"):
        mlpcli.load(str(folds)).predict_interval(frame, 0.9999)


def test_a_run_says_which_rows_calibrate(place, grouped):
    assert "intervals" in done("inspect", grouped).stdout
    assert "by 1000 out-of-fold rows, each region its own" in done("inspect", grouped).stdout
    sections = {
        "data": {"train": str(place / "train.csv"), "target": "y", "drop": ["label"]},
        "intervals": {"rows": 0.3},
    }
    (place / "c.yaml").write_text(json.dumps(sections), "utf-8")
    assert "1000 rows: 560 train, 140 validation, 300 calibration" in done("check", place / "c.yaml").stdout
