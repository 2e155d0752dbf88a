"""`mlp eval`: scores on rows whose truth is known, and gates that make the exit code."""

import json

import numpy as np
import pytest

from tests.program import DATA, done, mlp, train, write_config, write_csv

PENGUINS = DATA / "penguins.csv"


def truth_and_shares(weights, source, target):
    """Labels and probabilities of each row, from `mlp predict`."""
    rows = done("predict", weights, source, "--keep", target, "--proba").rows
    names = [name for name in rows[0] if name.startswith("p_")]
    labels = np.array([name[2:] for name in names])
    shares = np.array([[float(row[name]) for name in names] for row in rows])
    return np.array([row[target] for row in rows]), shares, labels


def test_every_score_agrees_with_scikit_learn_on_the_written_predictions(penguins):
    metrics = pytest.importorskip("sklearn.metrics")
    y, p, labels = truth_and_shares(penguins, PENGUINS, "species")
    predicted = labels[p.argmax(axis=1)]
    p = p / p.sum(axis=1, keepdims=True)
    expected = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "log_loss": metrics.log_loss(y, p, labels=labels),
        "roc_auc": metrics.roc_auc_score(y, p, multi_class="ovr", labels=labels),
        "average_precision": metrics.average_precision_score(y[:, None] == labels, p),
        "f1_macro": metrics.f1_score(y, predicted, average="macro"),
        "f1_weighted": metrics.f1_score(y, predicted, average="weighted"),
        "precision_macro": metrics.precision_score(y, predicted, average="macro"),
        "recall_macro": metrics.recall_score(y, predicted, average="macro"),
        "mcc": metrics.matthews_corrcoef(y, predicted),
        "f1[Chinstrap]": metrics.f1_score(y, predicted, labels=["Chinstrap"], average="macro"),
    }
    document = done("eval", penguins, PENGUINS, "--json").document
    assert document["n_rows"] == 344
    # The probabilities are written in float32.
    assert {name: document["scores"][name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert document["classes"] == labels.tolist()
    assert document["confusion"] == metrics.confusion_matrix(y, predicted, labels=labels).tolist()
    assert all(isinstance(cell, int) for row in document["confusion"] for cell in row)


def test_scores_of_amounts_agree_with_scikit_learn(diabetes):
    metrics = pytest.importorskip("sklearn.metrics")
    source = DATA / "diabetes.csv"
    rows = done("predict", diabetes, source, "--keep", "progression").rows
    y = [float(row["progression"]) for row in rows]
    predicted = [float(row["predicted_progression"]) for row in rows]
    expected = {
        "rmse": metrics.root_mean_squared_error(y, predicted),
        "mae": metrics.mean_absolute_error(y, predicted),
        "median_absolute_error": metrics.median_absolute_error(y, predicted),
        "r2": metrics.r2_score(y, predicted),
        "mape": metrics.mean_absolute_percentage_error(y, predicted),
        "max_error": metrics.max_error(y, predicted),
    }
    assert done("eval", diabetes, source, "--json").document["scores"] == pytest.approx(expected, rel=1e-5)


def test_gates_that_are_met_end_with_0_and_one_line_each(penguins):
    ended = done("eval", penguins, PENGUINS, "--min", "accuracy=0.5", "--max", "log_loss=1", "--min", "f1[Adelie]=0.1")
    gates = [line.split() for line in ended.lines if line.startswith("gate")]
    assert [(line[1:4], line[-1]) for line in gates] == [
        (["accuracy", ">=", "0.5"], "pass"),
        (["f1[Adelie]", ">=", "0.1"], "pass"),
        (["log_loss", "<=", "1"], "pass"),
    ]


def test_a_missed_gate_ends_with_1_and_is_named_on_standard_error(penguins):
    ended = mlp("eval", penguins, PENGUINS, "--min", "accuracy=0.5", "--max", "log_loss=0")
    assert ended.code == 1
    assert [line.split()[-1] for line in ended.lines if line.startswith("gate")] == ["pass", "FAIL"]
    assert ended.stderr.splitlines()[-1] == "1 of 2 gates missed: log_loss <= 0"


def test_a_score_equal_to_the_bound_passes(penguins):
    accuracy = done("eval", penguins, PENGUINS, "--json").document["scores"]["accuracy"]
    gates = ["--min", f"accuracy={accuracy!r}", "--max", f"accuracy={accuracy!r}"]
    assert mlp("eval", penguins, PENGUINS, *gates).code == 0


def test_a_gate_that_only_a_good_score_can_miss_is_told(penguins):
    ended = done("eval", penguins, PENGUINS, "--min", "log_loss=0.001", "--max", "brier=1.9")
    notes = [line for line in ended.stderr.splitlines() if "so bad scores pass" in line]
    assert [note.split()[2] for note in notes] == ["log_loss"]


@pytest.mark.parametrize("gate", [["--min", "accuracy=0"], ["--max", "brier=2"], ["--min", "mcc.low=-1"]])
def test_a_gate_that_every_model_meets_is_told(penguins, gate):
    assert "every model meets it" in done("eval", penguins, PENGUINS, *gate).stderr


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            ["--min", "accuracy=90"],
            "--min accuracy=90: accuracy is at most 1, so no model meets it. Write 0.9 for 90%.",
        ),
        (["--min", "mcc.low=1.5"], "--min mcc.low=1.5: mcc is at most 1, so no model meets it."),
        (["--min", "f1[Adelie]=101"], "--min f1[Adelie]=101: f1 is at most 1, so no model meets it."),
        (["--max", "log_loss=-0.1"], "--max log_loss=-0.1: log_loss is at least 0, so no model meets it."),
    ],
)
def test_a_gate_that_no_model_meets_is_a_wrong_input(penguins, gate, message):
    ended = mlp("eval", penguins, PENGUINS, *gate)
    assert (ended.code, ended.stdout, ended.stderr) == (2, "", message + "\n")


def test_a_gate_of_the_config_that_no_model_meets_is_a_wrong_input(folder):
    data = {"train": str(PENGUINS), "target": "species"}
    config = write_config(folder / "a.yaml", data, expect={"min": {"recall_macro": 95}})
    ended = mlp("check", config)
    assert ended.code == 2
    assert "expect.min: recall_macro 95: recall_macro is at most 1" in ended.stderr
    assert ended.stderr.endswith("Write 0.95 for 95%.\n")


def test_a_missed_gate_still_gives_the_whole_document(penguins):
    ended = mlp("eval", penguins, PENGUINS, "--max", "log_loss=0", "--json")
    assert ended.code == 1
    assert ended.document["passed"] is False
    assert ended.document["gates"] == [
        {
            "metric": "log_loss",
            "bound": 0.0,
            "kind": "max",
            "score": ended.document["scores"]["log_loss"],
            "passed": False,
        }
    ]


@pytest.mark.parametrize(
    ("gate", "hint"),
    [
        ("acuracy=0.9", "Did you mean accuracy?"),
        ("f1[Adele]=0.9", "Did you mean f1[Adelie]?"),
        ("rmse=1", "unknown metric 'rmse'"),
        ("accuracy", "--min accuracy=0.95"),
        ("accuracy=high", "not a finite number"),
        ("accuracy=nan", "not a finite number"),
    ],
)
def test_a_gate_that_cannot_be_judged_ends_with_2_before_anything_is_read(penguins, gate, hint):
    ended = mlp("eval", penguins, "no such file.csv", "--min", gate)
    assert (ended.code, ended.stdout) == (2, "")
    assert hint in ended.stderr
    assert "no such file" not in ended.stderr


def test_the_summary_shows_scores_parts_and_confusion(penguins):
    ended = done("eval", penguins, PENGUINS)
    assert ended.lines[0] == "344 rows · 3 classes · intervals at 0.95"
    first_words = [line.split()[0] for line in ended.lines if line]
    assert first_words[1:4] == ["metric", "accuracy", "balanced_accuracy"]
    start = first_words.index("confusion")
    assert first_words[start + 1 :] == ["Adelie", "Chinstrap", "Gentoo"]
    assert "19 missing cells" in ended.stderr
    assert done("eval", penguins, PENGUINS, "--quiet").stderr == ""


def test_standard_input_is_scored_as_a_file_is(penguins):
    from_file = done("eval", penguins, PENGUINS, "--json").document
    assert done("eval", penguins, "-", "--json", stdin=PENGUINS.read_bytes()).document == from_file


def test_rows_without_a_target_are_left_out_and_counted(folder, penguins):
    lines = PENGUINS.read_text().splitlines()
    (folder / "t.csv").write_text("\n".join([*lines, "," + lines[1].partition(",")[2]]) + "\n")
    ended = done("eval", penguins, "t.csv", "--json")
    assert ended.document["n_rows"] == 344
    ended = done("eval", penguins, "t.csv")
    assert "1 row has no value for species: left out." in ended.stderr


def test_a_file_without_the_target_is_refused(folder, penguins):
    lines = [line.partition(",")[2] for line in PENGUINS.read_text().splitlines()]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    ended = mlp("eval", penguins, "t.csv")
    assert (ended.code, ended.stdout) == (2, "")
    assert "t.csv: the target column species is missing." in ended.stderr


def test_a_class_that_training_never_saw_is_named_with_its_line(folder, penguins):
    lines = PENGUINS.read_text().splitlines()
    (folder / "t.csv").write_text("\n".join([*lines, "Emperor," + lines[1].partition(",")[2]]) + "\n")
    ended = mlp("eval", penguins, "t.csv")
    assert ended.code == 2
    assert "t.csv:346: species is 'Emperor', a class that did not occur in training" in ended.stderr


def test_scores_are_weighted_where_the_model_was_trained_with_weights(folder):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=80).round(3), rng.integers(0, 5, size=80)
    labels = np.where(x + rng.normal(size=80) > 0, "b", "a")
    table = write_csv(folder / "t.csv", ["x", "w", "label"], zip(x, w, labels, strict=True))
    weights = train(folder, {"train": str(table), "target": "label", "weight": "w"})
    scores = done("eval", weights, table, "--json").document["scores"]
    predicted = [row["label"] for row in done("predict", weights, table).rows]
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted, sample_weight=w))
    assert scores["accuracy"] != pytest.approx(metrics.accuracy_score(labels, predicted))

    write_csv(folder / "without.csv", ["x", "label"], zip(x, labels, strict=True))
    ended = mlp("eval", weights, "without.csv")
    assert ended.code == 2
    assert "the weight column w is missing" in ended.stderr


def test_a_score_that_is_not_defined_is_null_in_json_a_dash_on_screen_and_meets_no_gate(folder, penguins):
    lines = PENGUINS.read_text().splitlines()
    (folder / "t.csv").write_text("\n".join(lines[:20]) + "\n")  # Adelie alone
    assert done("eval", penguins, "t.csv", "--json").document["scores"]["roc_auc"] is None
    assert ["roc_auc", "-"] in [line.split() for line in done("eval", penguins, "t.csv").lines]
    assert mlp("eval", penguins, "t.csv", "--min", "roc_auc=0").code == 1


def test_several_yes_no_columns_are_scored_by_column(folder):
    rows = [(i % 10 / 10, ("no", "yes")[i % 2], ("no", "yes")[i % 3 == 0]) for i in range(60)]
    table = write_csv(folder / "t.csv", ["x", "late", "full"], rows)
    weights = train(folder, {"train": str(table), "target": ["late", "full"]})
    scores = done("eval", weights, table, "--json").document["scores"]
    assert {"subset_accuracy", "hamming_loss", "f1[late]", "roc_auc[full]"} <= set(scores)
    ended = done("eval", weights, table)
    assert any(line.split()[:1] == ["late"] for line in ended.lines)
    assert json.dumps(scores)


def test_why_a_score_of_a_target_has_no_interval_is_said_and_metrics_without_any_have_no_column(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    rows = [(a, b, a + b, (a - b) * 10 ** (8 * (i % 50 == 0) * rng.random())) for i, (a, b) in enumerate(x)]
    write_csv(folder / "t.csv", ["a", "b", "tame", "wild"], rows)
    model = train(folder, {"train": str(folder / "t.csv"), "target": ["tame", "wild"]}, {"epochs": 2})
    ended = done("eval", model, folder / "t.csv")
    reasons = [line for line in ended.lines if line.startswith("no interval of ") and "[wild]" in line]
    assert any("a few rows dominate it" in line for line in reasons)
    intervals = done("eval", model, folder / "t.csv", "--json").document["intervals"]
    without = {key for key, one in intervals.items() if "[" in key and one["low"] is None}
    assert {key for key in without if any(key in line for line in reasons)} == without
    (heading,) = (line.split() for line in ended.lines if line.split()[:1] == ["rmse"] and "interval" in line)
    assert heading[-1] == "max_error"
