"""Resolving `auto`, and options that cannot be combined."""

import numpy as np
import pytest

from mlpcli.errors import ConfigError
from mlpcli.nn.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.resolution import TASK_LOSSES, class_target_table, domain_warning, label_smoothing_of
from mlpcli.workflows.preparing.stop_metric import metric_higher_is_better
from tests.program import DATA, write_csv
from tests.workflows.staging import IRIS, loaded

CANCER = {"train": str(DATA / "breast_cancer.csv"), "target": "diagnosis"}
DIABETES = {"train": str(DATA / "diabetes.csv"), "target": "progression"}


@pytest.mark.parametrize(
    ("data", "loss", "output_activation", "n_outputs", "metric"),
    [
        (IRIS, "cross_entropy", "softmax", 3, "log_loss"),
        (CANCER, "cross_entropy", "softmax", 2, "log_loss"),
        (DIABETES, "squared_error", "identity", 1, "rmse"),
    ],
)
def test_auto_is_the_canonical_pair_of_the_task(data, loss, output_activation, n_outputs, metric):
    prepared = prepare(loaded(data))
    assert prepared.spec.loss.name == loss
    assert prepared.network.output == output_activation
    assert prepared.network.n_out == n_outputs
    assert prepared.metric == metric


def test_several_boolean_targets_have_sigmoids_with_binary_cross_entropy(folder):
    write_csv(folder / "t.csv", ["x", "a", "b"], [(i % 7, i % 2, int(i % 3 == 0)) for i in range(40)])
    prepared = prepare(loaded({"train": "t.csv", "target": ["a", "b"]}))
    assert (prepared.task, prepared.spec.loss.name) == ("multilabel", "binary_cross_entropy")
    assert (prepared.network.output, prepared.network.n_out) == ("sigmoid", 2)


def test_one_output_for_two_classes_is_a_sigmoid():
    prepared = prepare(loaded(CANCER, model={"layers": ["auto", 4, 1]}))
    assert (prepared.spec.loss.name, prepared.network.output) == ("binary_cross_entropy", "sigmoid")
    prepared = prepare(loaded(CANCER, {"loss": "binary_cross_entropy"}))
    assert prepared.network.n_out == 1


@pytest.mark.parametrize("task", TASK_LOSSES)
@pytest.mark.parametrize("loss", sorted({name for names in TASK_LOSSES.values() for name in names}))
def test_a_loss_is_supported_for_its_tasks_only(folder, task, loss):
    targets = ["a", "b"] if task == "multilabel" else "a"
    write_csv(folder / "t.csv", ["x", "a", "b"], [(i % 7, i % 2, int(i % 3 == 0)) for i in range(40)])
    config = loaded({"train": "t.csv", "target": targets, "features": ["x"]}, {"loss": loss}, task=task)
    if loss in TASK_LOSSES[task]:
        assert prepare(config).spec.loss.name == loss
    else:
        with pytest.raises(ConfigError, match=rf"{loss} does not go with {task}\. Use one of {TASK_LOSSES[task][0]}"):
            prepare(config)


@pytest.mark.parametrize(
    ("sections", "transform"),
    [
        ({}, "standardize"),
        ({"model": {"output_activation": "sigmoid"}}, "none"),
        ({"training": {"loss": "poisson"}}, "scale"),
        ({"training": {"loss": "huber"}}, "standardize"),
        ({"preprocess": {"target": "none"}}, "none"),
        ({"preprocess": {"target": "log"}}, "log"),
        ({"preprocess": {"target": "standardize"}, "model": {"output_activation": "tanh"}}, "standardize"),
    ],
)
def test_a_target_is_standardized_for_a_linear_output_only(sections, transform):
    prepared = prepare(loaded(DIABETES, **sections))
    assert prepared.target.transform == transform


def test_a_wrong_number_of_inputs_is_an_error_that_lists_their_origin():
    data = {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"]}
    with pytest.raises(ConfigError) as caught:
        prepare(loaded(data, model={"layers": [6, 8, "auto"]}))
    assert str(caught.value) == (
        "config: model.layers: the data gives 11 inputs, layers[0] says 6 "
        "(6 columns: 4 numbers, island -> 3, sex -> 3, 1 missing indicator). Write [auto, 8, auto]."
    )


@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ({"layers": ["auto", 8, 1]}, {"loss": "cross_entropy"}, "2 classes need 2 outputs, the last size is 1"),
        ({"layers": ["auto", 8, 1], "output_activation": "softmax"}, {}, "softmax over one output is always 1"),
        ({"layers": ["auto", 8, 3]}, {}, "2 classes need 2 outputs, the last size is 3"),
    ],
)
def test_a_wrong_number_of_outputs_is_an_error(model, training, message):
    with pytest.raises(ConfigError, match=message):
        prepare(loaded(CANCER, training, model=model))


def test_outputs_outside_the_domain_of_a_logarithm_give_a_warning():
    assert domain_warning(CrossEntropy(), "softmax") == ""
    assert domain_warning(SquaredError(), "relu") == ""
    assert "Its canonical activation is sigmoid." in domain_warning(BinaryCrossEntropy(), "tanh")
    assert any(
        "cross_entropy takes logarithms" in note for note in prepare(loaded(model={"output_activation": "relu"})).notes
    )


def test_a_configured_metric_is_used_with_its_direction():
    prepared = prepare(loaded(training={"early_stopping": {"metric": "f1[setosa]"}}))
    assert prepared.metric == "f1[setosa]"
    assert metric_higher_is_better("f1[setosa]")
    assert not metric_higher_is_better("log_loss")
    assert not metric_higher_is_better("loss")
    assert prepare(loaded(training={"early_stopping": None})).metric == "loss"
    assert prepare(loaded(DIABETES, {"loss": "absolute_error"})).metric == "loss"


def test_smoothed_targets_still_sum_to_one():
    table = class_target_table(3, 3, CrossEntropy(label_smoothing=0.3), "float64")
    np.testing.assert_allclose(table.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(table), 0.8)
    np.testing.assert_allclose(
        class_target_table(2, 1, BinaryCrossEntropy(label_smoothing=0.2), "float64"), [[0.1], [0.9]]
    )


def smoothed(metric, data=IRIS, loss="cross_entropy", smoothing="auto"):
    training = {"loss": {"name": loss, "label_smoothing": smoothing}, "early_stopping": {"metric": metric}}
    return prepare(loaded(data, training))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "mcc", "f1_macro", "f1[setosa]", "recall_macro"])
def test_automatic_smoothing_is_on_if_the_metric_scores_labels(metric):
    prepared = smoothed(metric)
    assert label_smoothing_of(prepared.spec.loss) == 0.1
    assert f"label_smoothing auto is 0.1: {metric} scores labels, not probabilities." in prepared.notes


@pytest.mark.parametrize("metric", ["auto", "loss", "log_loss", "roc_auc", "average_precision", "brier", "ece"])
def test_automatic_smoothing_is_off_if_the_metric_scores_probabilities(metric):
    prepared = smoothed(metric)
    assert prepared.spec.loss.label_smoothing == 0.0
    assert not any("label_smoothing" in note for note in prepared.notes)


def test_automatic_smoothing_is_off_if_no_metric_chooses_the_epoch():
    training = {"loss": {"name": "cross_entropy", "label_smoothing": "auto"}, "early_stopping": None}
    assert prepare(loaded(training=training)).spec.loss == CrossEntropy()


@pytest.mark.parametrize(("metric", "smoothing"), [("accuracy", 0.0), ("accuracy", 0.3), ("log_loss", 0.3)])
def test_configured_smoothing_is_kept(metric, smoothing):
    prepared = smoothed(metric, smoothing=smoothing)
    assert label_smoothing_of(prepared.spec.loss) == smoothing
    assert not any("label_smoothing" in note for note in prepared.notes)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_the_resolved_smoothing_is_used_in_training(loss):
    by_itself, written = (smoothed("accuracy", CANCER, loss, value) for value in ("auto", 0.1))
    assert by_itself.spec == written.spec
    for part in ("train", "validation"):
        ours, theirs = getattr(by_itself, part).samples, getattr(written, part).samples
        np.testing.assert_array_equal(ours.targets(slice(0, 9)), theirs.targets(slice(0, 9)))
    assert sorted(set(by_itself.train.samples.targets(slice(0, 50)).ravel().tolist())) == pytest.approx([0.05, 0.95])


def test_automatic_smoothing_applies_to_several_boolean_targets(folder):
    write_csv(folder / "t.csv", ["x", "a", "b"], [(i % 7, i % 2, int(i % 3 == 0)) for i in range(40)])
    data = {"train": "t.csv", "target": ["a", "b"]}
    sure, unsure = (smoothed(metric, data, "binary_cross_entropy") for metric in ("log_loss", "f1_macro"))
    assert set(np.unique(sure.train.samples.y)) == {0.0, 1.0}
    np.testing.assert_allclose(np.unique(unsure.train.samples.y), [0.05, 0.95], rtol=1e-6)
