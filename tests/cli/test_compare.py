"""`mlp compare`: two models on the same rows, and an exit code that says whether the new one is worse."""

import pytest

from mlpcli.evaluation.metrics.registry import METRICS
from mlpcli.evaluation.uncertainty.paired import NO_INTERVAL_REASONS
from tests.program import DATA, QUICK, done, mlp, train, write_csv

PENGUINS = DATA / "penguins.csv"


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """A model of the species from other columns, scaled otherwise, hardly trained."""
    data = {
        "train": str(PENGUINS),
        "target": "species",
        "drop": ["year", "sex"],
        "columns": {"body_mass_g": "category"},
    }
    return train(tmp_path_factory.mktemp("weak"), data, {"epochs": 1}, preprocess={"numeric": "minmax"})


def test_a_new_model_that_is_worse_ends_with_1_and_the_other_way_round_with_0(penguins, weak):
    worse = mlp("compare", penguins, weak, PENGUINS)
    assert worse.code == 1
    assert worse.lines[0] == "344 rows · 3 classes"
    assert worse.lines[1].split() == ["old", "new", "new", "-", "old", "95%", "interval"]
    verdicts = {line.split()[0]: line.split()[-1] for line in worse.lines[2:6]}
    assert verdicts["log_loss"] == verdicts["accuracy"] == "worse"
    assert worse.lines[-1].split() == ["gate", "log_loss", "not", "worse", "FAIL"]
    assert worse.stderr.splitlines()[-1].startswith(f"{weak} is worse than {penguins}: log_loss ")
    assert done("compare", weak, penguins, PENGUINS).lines[-1].split()[-1] == "pass"


def test_the_scores_of_both_are_those_of_eval(penguins, weak):
    document = mlp("compare", penguins, weak, PENGUINS, "--metric", "mcc", "--json").document
    assert (document["n_rows"], document["metric"], document["passed"]) == (344, "mcc", False)
    for role, weights in (("old", penguins), ("new", weak)):
        scores = done("eval", weights, PENGUINS, "--json").document["scores"]
        assert {name: one[role] for name, one in document["metrics"].items()} == pytest.approx(
            {name: scores[name] for name in document["metrics"]}
        )
    assert list(document["metrics"]) == ["accuracy", "balanced_accuracy", "log_loss", "roc_auc", "mcc"]
    accuracy = document["metrics"]["accuracy"]
    n_rights = round((accuracy["new"] - accuracy["old"]) * 344)
    assert accuracy["mcnemar"]["only_new_right"] - accuracy["mcnemar"]["only_old_right"] == n_rights


def test_a_margin_forgives_what_lies_within_it(penguins, weak):
    assert mlp("compare", penguins, weak, PENGUINS, "--metric", "accuracy").code == 1
    ended = done("compare", penguins, weak, PENGUINS, "--metric", "accuracy", "--margin", "0.9")
    assert ended.lines[-1].split() == ["gate", "accuracy", "not", "worse", "by", "more", "than", "0.9", "pass"]


def test_a_model_is_not_worse_than_itself_and_every_run_says_the_same(penguins):
    ended = done("compare", penguins, penguins, PENGUINS, "--json")
    assert all((one["low"], one["high"]) == (0, 0) for one in ended.document["metrics"].values())
    assert done("compare", penguins, penguins, PENGUINS, "--json").stdout == ended.stdout


def test_standard_input_is_compared_as_a_file_is(penguins, weak):
    from_file = done("compare", weak, penguins, PENGUINS, "--json")
    assert done("compare", weak, penguins, "-", "--json", stdin=PENGUINS.read_bytes()).stdout == from_file.stdout


def test_amounts_are_compared_by_rmse(diabetes, folder):
    source = DATA / "diabetes.csv"
    other = train(folder, {"train": str(source), "target": "progression"}, {"epochs": 1})
    document = mlp("compare", diabetes, other, source, "--json").document
    assert document["metric"] == "rmse"
    assert list(document["metrics"]) == ["rmse", "mae", "r2"]
    assert document["metrics"]["rmse"]["low"] <= document["metrics"]["rmse"]["difference"]


def test_the_markdown_is_a_table_for_a_pull_request(penguins, weak):
    ended = mlp("compare", penguins, weak, PENGUINS, "--markdown")
    assert ended.code == 1
    assert ended.lines[0] == "### mlp compare: FAIL"
    assert "| `log_loss not worse` |  | **FAIL** |" in ended.lines
    scores = [line for line in ended.lines if line.count("|") == 7]
    assert [line.split()[1] for line in scores[2:]] == ["`accuracy`", "`balanced_accuracy`", "`log_loss`", "`roc_auc`"]


def test_models_that_mark_missing_cells_differently_agree_on_the_rows(folder, iris):
    rows = [(5.1, 3.5, 1.4, 0.2, "setosa"), (6.0, 2.2, 4.0, 1.0, "versicolor"), (6.3, 3.3, 6.0, 2.5, "none")]
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    table = write_csv(folder / "t.csv", names, rows)
    data = {"train": str(DATA / "iris.csv"), "target": "species", "missing": ["none", ""]}
    other = train(folder, data)
    for models in ((iris, other), (other, iris)):
        assert mlp("compare", *models, table, "--json").document["n_rows"] == 2
    ended = mlp("compare", iris, other, "-", stdin=table.read_bytes())
    assert ended.code == 2
    assert "Name a file" in ended.stderr


def test_models_of_different_questions_are_refused(folder, penguins, iris, diabetes):
    ended = mlp("compare", penguins, diabetes, PENGUINS)
    assert (ended.code, ended.stdout) == (2, "")
    assert "one is for classification, the other for regression" in ended.stderr
    rows = [line.split(",") for line in PENGUINS.read_text().splitlines()]
    two = write_csv(folder / "two.csv", rows[0], [row for row in rows[1:] if row[0] != "Gentoo"])
    fewer = train(folder, {"train": str(two), "target": "species"}, QUICK)
    assert "their classes differ (not in both: Gentoo)" in mlp("compare", penguins, fewer, PENGUINS).stderr
    sexes = train(folder, {"train": str(PENGUINS), "target": "sex"}, QUICK)
    assert "their targets differ: species and sex" in mlp("compare", penguins, sexes, PENGUINS).stderr


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (["--metric", "acuracy"], "Did you mean accuracy?"),
        (["--metric", "rmse"], "unknown metric 'rmse'"),
        (["--confidence", "95"], "between 0 and 1"),
        (["--margin", "-1"], "0 or more"),
        (["--margin", "nan"], "0 or more"),
        (["--margin", "much"], "--margin much: must be a number."),
    ],
)
def test_an_option_that_makes_no_sense_ends_with_2_before_the_table_is_read(penguins, options, hint):
    ended = mlp("compare", penguins, penguins, "no such file.csv", *options)
    assert (ended.code, ended.stdout) == (2, "")
    assert hint in ended.stderr
    assert "no such file" not in ended.stderr


def test_a_decisive_metric_that_the_rows_do_not_define_is_refused(folder, penguins):
    (folder / "t.csv").write_text("\n".join(PENGUINS.read_text().splitlines()[:20]) + "\n")  # Adelie alone
    assert mlp("compare", penguins, penguins, "t.csv").code == 0
    ended = mlp("compare", penguins, penguins, "t.csv", "--metric", "roc_auc")
    assert ended.code == 2
    assert "t.csv: roc_auc is not defined on these rows (no row is of class Chinstrap, Gentoo)." in ended.stderr


def test_a_table_without_the_target_is_refused(folder, penguins):
    lines = [line.partition(",")[2] for line in PENGUINS.read_text().splitlines()]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    assert "t.csv: the target column species is missing." in mlp("compare", penguins, penguins, "t.csv").stderr


def test_a_metric_that_resampled_rows_cannot_judge_is_refused_with_the_reason(penguins, tmp_path):
    ended = mlp("compare", penguins, penguins, PENGUINS, "--metric", "ece")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        "--metric ece: has no interval and no verdict: it is an absolute difference, which chance alone makes "
        "positive.",
        "mlp eval shows it for each model. Metrics that can decide: accuracy, balanced_accuracy, log_loss, roc_auc, "
        "average_precision, f1_macro, f1_weighted, precision_macro, recall_macro, mcc, brier",
    ]
    data = {"train": str(DATA / "diabetes.csv"), "target": "progression"}
    weights = train(tmp_path, data)
    ended = mlp("compare", weights, weights, data["train"], "--metric", "max_error")
    assert ended.code == 2
    assert "max_error: has no interval and no verdict: it is the error of a single row" in ended.stderr


def test_every_metric_without_an_interval_has_its_reason():
    assert set(NO_INTERVAL_REASONS) == {name for name, metric in METRICS.items() if not metric.has_interval}
