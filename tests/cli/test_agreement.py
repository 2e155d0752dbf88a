"""Options and data that go together, or must not be let go together silently."""

import csv

import numpy as np
import pandas as pd
import pytest

import mlpcli
from tests.program import DATA, done, mlp, train, write_config, write_csv

IRIS = str(DATA / "iris.csv")
DIABETES = str(DATA / "diabetes.csv")
RNG = np.random.default_rng(0)


def refused(*arguments):
    ended = mlp(*arguments)
    assert ended.code == 2, ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


def counts_table(path):
    x = RNG.normal(size=(60, 1)).round(3)
    return write_csv(path, ["x", "n"], [(row[0], int(value)) for row, value in zip(x, RNG.poisson(3, 60), strict=True)])


def test_answers_far_from_zero_keep_the_digits_that_tell_them_apart(folder):
    rows = [(a, 1_000_000_000 + 10 * a) for a in range(100)]
    table = write_csv(folder / "t.csv", ["a", "y"], rows)
    training = {"epochs": 60, "optimizer": {"name": "adam", "learning_rate": 0.02}}
    weights = train(folder, {"train": str(table), "target": "y"}, training, model={"layers": ["auto", 16, "auto"]})
    predictions = [float(row["y"]) for row in done("predict", weights, table).rows]
    assert len(set(predictions)) > 90
    assert max(abs(answer - y) for answer, (_, y) in zip(predictions, rows, strict=True)) < 300


def test_smoothing_reaches_several_yes_no_targets(folder):
    rows = [(x, "yes" if x > 0 else "no", "yes" if x > 1 else "no") for x in RNG.normal(size=80).round(3).tolist()]
    table = write_csv(folder / "t.csv", ["x", "a", "b"], rows)
    data = {"train": str(table), "target": ["a", "b"]}
    outputs = []
    for smoothing in (0.0, 0.8):
        loss = {"name": "binary_cross_entropy", "label_smoothing": smoothing}
        weights = train(folder, data, {"epochs": 5, "loss": loss})
        outputs.append([row["raw_a"] for row in done("predict", weights, table, "--raw").rows])
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["training.class_weights=balanced"], "applies to classification only; the task is regression"),
        (["training.loss=poisson", "preprocess.target=standardize"], "poisson needs counts, which"),
        (["data.drop=[progression]"], "progression is the target. Leave it out here"),
        (["data.columns.progression=date"], "progression is the target: it can be read as number or category only"),
        (["data.weight=progression"], "progression is the target."),
        (["data.validation=null", "expect.min.r2=0.1"], "expect.min: needs rows that are not trained on"),
        (
            ["data.validation=null", "training.early_stopping.patience=3"],
            "needs validation rows: set data.validation",
        ),
        (["data.train=-", "data.test=-"], "standard input is data.train already"),
        (["model.layers=[]"], "needs at least the inputs and the outputs. Write [auto, auto]."),
        (["model.layers=[auto, 1000000, 1000000, auto]"], "of memory to train, and"),
    ],
)
def test_what_contradicts_is_refused_before_the_training(folder, settings, message):
    config = write_config(folder / "c.yaml", {"train": DIABETES, "target": "progression"})
    options = [word for setting in settings for word in ("--set", setting)]
    with open(DIABETES, "rb") as file:
        given = file.read()
    for verb in ("check", "train"):
        ended = mlp(verb, config, *options, stdin=given)
        assert (ended.code, message in ended.stderr) == (2, True), ended
    assert not (folder / "runs").exists()


def test_check_does_not_fall_over_a_rate_that_diverges(folder):
    config = write_config(folder / "c.yaml", {"train": DIABETES, "target": "progression"})
    done("check", config, "--set", "training.optimizer.learning_rate=1e10", "--set", "preprocess.target=none")


@pytest.mark.parametrize("output", ["taken", "taken/run"])
def test_check_looks_at_the_place_for_the_run(folder, output):
    (folder / "taken").write_text("a file")
    config = write_config(folder / "c.yaml", {"train": IRIS, "target": "species"})
    assert "taken" in refused("check", config, "--output", output)


def test_the_place_of_the_run_is_not_in_its_weights(folder):
    config = write_config(folder / "c.yaml", {"train": IRIS, "target": "species"})
    for name in ("a", "b"):
        done("train", config, "--output", name, "-q")
    assert (folder / "a/weights.npz").read_bytes() == (folder / "b/weights.npz").read_bytes()


def test_files_without_a_header_are_read_alike(folder):
    rows = [(*row, "u" if row[0] > 0 else "v") for row in RNG.normal(size=(40, 2)).round(2).tolist()]
    for name, part in (("train.csv", rows), ("few.csv", [("0.5", "1.0", "u"), ("-0.5", "x", "v")])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(part)
    config = write_config(folder / "c.yaml", {"train": "train.csv", "target": "c3", "validation": "few.csv"})
    assert "few.csv:2: column c2: 'x' is not a number" in refused("check", config)


def test_codes_with_leading_zeros_are_no_amounts(folder):
    rows = [
        (f"{code:05d}", x, "u" if x > 0 else "v")
        for code, x in zip(RNG.integers(1, 9, 60), RNG.normal(size=60), strict=True)
    ]
    write_csv(folder / "t.csv", ["zip", "x", "y"], rows)
    assert "zip: category" in done("init", "t.csv").stdout


def test_a_stray_text_among_numbers_is_named_not_the_reason_to_drop_the_column(folder):
    rows = [(round(x, 3), round(x * 2 + noise, 3)) for x, noise in RNG.normal(size=(80, 2)).tolist()]
    rows[40] = ("unknown", rows[40][1])
    write_csv(folder / "t.csv", ["x", "y"], rows)
    ended = done("init", "t.csv", "-o", "c.yaml")
    assert "t.csv:42: column x: 'unknown' is not a number" in ended.stderr
    assert "t.csv:42: column x: 'unknown' is not a number" in refused("train", "c.yaml")


def test_a_table_of_nothing_but_a_column_that_gives_the_target_away_still_gets_a_config(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(round(x, 3), round(2 * x, 6)) for x in RNG.normal(size=80).tolist()])
    done("init", "t.csv", "-o", "c.yaml")
    assert "kept because there is no other input" in (folder / "c.yaml").read_text()
    done("train", "c.yaml", "-q", "--set", "training.epochs=2")


def test_a_table_without_a_useful_column_gets_no_config(folder):
    write_csv(folder / "t.csv", ["x", "y"], [("same", y) for y in range(30)])
    assert "no column is left to predict y from (x: one value only (same))" in refused("init", "t.csv", "-o", "c.yaml")
    assert not (folder / "c.yaml").exists()


def test_kept_and_predicted_columns_never_share_a_name(folder, penguins):
    first = done("predict", penguins, DATA / "penguins.csv", "--keep", "all").stdout
    (folder / "first.csv").write_text(first)
    header = done("predict", penguins, "first.csv", "--keep", "all").lines[0].split(",")
    assert len(set(header)) == len(header)


def test_a_kept_column_may_have_a_comma_in_its_name(folder, iris):
    frame = pd.read_csv(IRIS).assign(**{"a,b": "x"})
    frame.to_csv(folder / "t.csv", index=False)
    assert done("predict", iris, "t.csv", "--keep", '"a,b"').lines[0] == '"a,b",species'


def test_the_input_is_not_overwritten_by_its_prediction(folder, iris):
    before = (DATA / "iris.csv").read_bytes()
    (folder / "in.csv").write_bytes(before)
    assert "is the input itself" in refused("predict", iris, "in.csv", "-o", "./in.csv")
    assert (folder / "in.csv").read_bytes() == before


def test_raw_outputs_and_probabilities_are_not_asked_for_at_once(iris):
    assert "Choose one" in refused("predict", iris, IRIS, "--raw", "--proba")


def test_a_checkpoint_beyond_the_last_epoch_is_not_resumed(folder):
    config = write_config(folder / "c.yaml", {"train": IRIS, "target": "species"}, {"epochs": 30})
    done("train", config, "--output", "run", "-q")
    (folder / "run").rename(folder / "run.partial")
    message = refused("train", config, "--output", "run", "--resume", "--set", "training.epochs=3")
    assert "has 30 epochs already, the config says 3" in message


def test_a_path_beside_the_config_is_pointed_out(folder):
    (folder / "sub").mkdir()
    write_config(folder / "sub/c.yaml", {"train": "t.csv", "target": "y"})
    counts_table(folder / "sub/t.csv")
    assert "but there is sub/t.csv" in refused("train", "sub/c.yaml")


def test_labels_of_a_data_frame_keep_their_type():
    frame = pd.DataFrame({"x": RNG.normal(size=60)})
    config = {"data": {"target": "y"}, "training": {"epochs": 3}}
    for label in (np.where(frame.x > 0, 7, 3), frame.x > 0, np.where(frame.x > 0, "7", "3")):
        rows = frame.assign(y=label)
        predicted = mlpcli.train(config, rows).predict(rows)
        assert set(predicted.unique()) <= set(rows.y.unique())


def test_what_is_no_data_frame_is_refused_by_a_message(iris):
    model = mlpcli.load(str(iris))
    for rows in ([[1, 2]], 5, None):
        with pytest.raises(mlpcli.MlpError, match="must be a data frame"):
            model.predict(rows)
    with pytest.raises(mlpcli.MlpError, match="must be a mapping"):
        mlpcli.train(None, pd.DataFrame({"a": [1]}))


def test_a_fold_column_of_numbers_from_a_frame_is_matched_by_value():
    rows = pd.DataFrame({"x": RNG.normal(size=40), "fold": [0.0, 1.0, 2.0, 3.0] * 10})
    rows["y"] = rows.x * 2
    config = {"data": {"target": "y", "validation": {"column": "fold", "equals": 1}}, "training": {"epochs": 2}}
    assert mlpcli.train(config, rows).layers[0] == 1


def test_weights_of_rows_that_are_left_out_do_not_matter(folder):
    rows = [(x, "u" if x > 0 else "v", 1) for x in RNG.normal(size=40).round(2).tolist()]
    rows[3] = (rows[3][0], "", "")
    write_csv(folder / "t.csv", ["x", "y", "w"], rows)
    train(folder, {"train": "t.csv", "target": "y", "weight": "w"})


def test_a_quantile_is_not_judged_as_a_mean(folder):
    rows = [(x, round(y, 3)) for x, y in zip(RNG.normal(size=200).round(2), RNG.exponential(size=200), strict=True)]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    loss = {"name": "quantile", "quantile": 0.95}
    config = write_config(folder / "c.yaml", {"train": "t.csv", "target": "y"}, {"epochs": 5, "loss": loss})
    assert "no better than" not in done("train", config).stderr


def test_training_on_a_file_and_testing_on_it_is_said(folder):
    config = write_config(folder / "c.yaml", {"train": IRIS, "target": "species", "test": IRIS})
    assert "have the inputs of a training row" in done("train", config).stderr
