import numpy as np
import pytest
from sklearn.metrics import log_loss as reference
from sklearn.metrics import roc_auc_score

from benchmarks.quality.scoring import Classes, read_truth, score

CLASSES = np.array(["no", "yes"])


def test_classes_are_judged_by_their_labels_and_probabilities():
    truth = np.array(["no", "yes", "yes", "no"])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.8, 0.2]])
    found = score(truth, Classes(np.array(["no", "yes", "yes", "no"]), CLASSES, probabilities))
    assert found["accuracy"] == 1.0  # a threshold of its own may decide otherwise than the top probability
    assert found["log_loss"] == pytest.approx(reference(truth, probabilities))
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.7 + 0.2) / 4)


def test_the_area_under_the_curve_is_averaged_over_the_classes_that_occur():
    truth = np.array(["a", "b", "c", "a", "b", "c"])
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    found = score(truth, Classes(truth, np.array(["a", "b", "c"]), probabilities))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, probabilities, multi_class="ovr"))
    assert "roc_auc" not in score(truth[:1], Classes(truth[:1], np.array(["a", "b", "c"]), probabilities[:1]))


def test_answers_that_are_right_as_often_as_they_say_are_calibrated():
    truth = np.array(["yes", "yes", "yes", "no"])
    found = score(truth, Classes(np.full(4, "yes"), CLASSES, np.tile([0.25, 0.75], (4, 1))))
    assert found["ece"] == 0.0


def test_a_class_never_seen_in_training_costs_what_probability_zero_costs():
    found = score(np.array(["maybe"]), Classes(np.array(["no"]), CLASSES, np.array([[1.0, 0.0]])))
    assert found["log_loss"] == pytest.approx(-np.log(1e-15))


def test_numbers_are_judged_by_their_squared_error():
    assert score(np.array([1.0, 2.0]), np.array([1.0, 4.0])) == {"rmse": pytest.approx(np.sqrt(2.0))}


@pytest.mark.parametrize("predictions", [np.array([1.0]), np.array([1.0, np.nan])])
def test_a_missing_answer_is_an_error(predictions):
    with pytest.raises(ValueError, match="a number for each row"):
        score(np.array([1.0, 2.0]), predictions)


def test_labels_stand_as_in_the_file(tmp_path):
    file = tmp_path / "test.csv"
    file.write_text("x,kind\n1,NA\n2, 01\n")
    assert read_truth(file, "kind", "classification").tolist() == ["NA", "01"]
