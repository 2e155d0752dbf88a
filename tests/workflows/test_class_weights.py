"""Class weights affect the predicted labels; probabilities are those of the unweighted rows."""

import numpy as np
import pytest

from mlpcli.data.reading.read import read_table
from mlpcli.data.table import TableFormat
from mlpcli.data.targets.target import predicted_labels
from mlpcli.probabilities import most_exceeding, unweighted
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.workflows.train import train
from tests.program import write_csv
from tests.workflows.staging import Watch, loaded

N_ROWS = 1500


def rows(seed, n_classes=2):
    """Rows whose class 0 is the most frequent; the classes overlap."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N_ROWS, 2))
    z = np.column_stack([np.zeros(N_ROWS), *(k * x[:, 0] + x[:, 1] - 2.0 for k in range(1, n_classes))])
    codes = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return [(*map(float, row), f"c{code}") for row, code in zip(x, codes, strict=True)]


@pytest.fixture
def tables(folder):
    for k in (2, 3):
        for seed, name in enumerate(("train", "fresh")):
            write_csv(folder / f"{name}{k}.csv", ["a", "b", "y"], rows(seed, k))
    return folder


def trained(k, weights, model, calibration="none", validation=0.3, loss="auto"):
    config = loaded(
        {"train": f"train{k}.csv", "target": "y", "validation": validation},
        {"epochs": 15, "optimizer": "adam", "class_weights": weights, "loss": loss},
        model={"layers": ["auto", 8, "auto"], **model},
        postprocess={"calibration": calibration},
    )
    return train(config, Watch()).outcome.model


def predict_fresh(model, k):
    table = read_table(f"fresh{k}.csv", TableFormat())
    truth = np.array([int(row[-1][1:]) for row in rows(1, k)])
    return model.predict(model.cast(table))[0], truth


MODELS = [
    (2, {}, "none", 0.3, "auto"),
    (3, {}, "temperature", 0.3, "auto"),
    (2, {"layers": ["auto", 8, 1]}, "temperature", 0.3, "auto"),
    (2, {"members": {"count": 2, "rows": "folds"}}, "temperature", None, {"name": "cross_entropy"}),
    (3, {"output_activation": "sigmoid"}, "temperature", 0.3, "binary_cross_entropy"),
    (3, {"output_activation": "sigmoid"}, "none", 0.3, "squared_error"),
]


@pytest.mark.parametrize(("k", "model", "calibration", "validation", "loss"), MODELS)
def test_the_mean_probability_of_fresh_rows_is_the_fraction_of_the_class(
    tables, k, model, calibration, validation, loss
):
    predictions, truth = predict_fresh(trained(k, "balanced", model, calibration, validation, loss), k)
    for code in range(k):
        share = np.mean(truth == code)
        # Training and fresh rows both vary, and so does a short training.
        assert predictions[:, code].mean() == pytest.approx(
            share, abs=3 * np.sqrt(2 * share * (1 - share) / N_ROWS) + 0.01
        )


@pytest.mark.parametrize("k", [2, 3])
def test_rare_classes_are_predicted_more_often_with_balanced_weights(tables, k):
    plain, weighted = trained(k, None, {}), trained(k, "balanced", {})
    recalls = []
    for model in (plain, weighted):
        predictions, truth = predict_fresh(model, k)
        _, codes = predicted_labels(model.target, predictions, model.threshold)["y"]
        recalls.append(np.mean([np.mean(codes[truth == code] == code) for code in range(k)]))
    assert recalls[1] > recalls[0] + 0.03


def test_a_model_with_class_weights_comes_back_from_its_file(tables):
    for k, model, *_ in (MODELS[0], MODELS[4]):
        made = trained(k, "balanced", model)
        (tables / "m.npz").write_bytes(encode_model(made))
        again = load_model("m.npz")
        np.testing.assert_array_equal(predict_fresh(again, k)[0], predict_fresh(made, k)[0])
        np.testing.assert_array_equal(again.threshold, made.threshold)


def test_removing_class_weights_inverts_applying_them_and_the_threshold_gives_the_weighted_label():
    rng = np.random.default_rng(0)
    for k in (2, 4):
        p, w = rng.dirichlet(np.ones(k), size=200), rng.uniform(0.2, 5.0, k)
        weighted = p * w / (p * w).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(unweighted(weighted, w), p, rtol=1e-12)
        shares = (1 / w) / (1 / w).sum()
        threshold = shares[1:] if k == 2 else shares
        np.testing.assert_array_equal(most_exceeding(p, threshold), weighted.argmax(axis=1))


def test_a_note_says_that_class_weights_stay_for_a_loss_without_probabilities_or_a_weight_of_0(tables):
    for weights, loss in (("balanced", "absolute_error"), ({"c1": 0}, "auto")):
        watch = Watch()
        train(loaded({"train": "train2.csv", "target": "y"}, {"class_weights": weights, "loss": loss}), watch)
        assert any(note.startswith("the probabilities are not corrected for class_weights") for note in watch.notes)
