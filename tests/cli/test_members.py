"""A model of several members in every verb that reads one."""

import re

import numpy as np
import pytest

from mlpcli.nn.network import predict
from mlpcli.storage.model.model_file import load_model
from tests.program import DATA, done, train, write_config

MODEL = {
    "layers": ["auto", 8, "auto"], "members": {"count": 4, "rows": "folds", "folds": 2}, "scale_inputs": True,
    "category_embedding": {"size": 2, "above": 2}, "numeric_embedding": "periodic",
}  # fmt: skip
PENGUINS = {"train": str(DATA / "penguins.csv"), "target": "species", "drop": ["year"], "validation": None}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    training = {"epochs": 8, "optimizer": "adam", "averaging": "ema"}
    return train(folder, PENGUINS, training, model=MODEL, postprocess={"calibration": "temperature"})


def test_a_prediction_is_the_mean_over_the_members(model):
    rows = done("predict", model, DATA / "penguins.csv", "--proba").rows
    assert len(rows) == 344
    probabilities = np.array([[float(row[f"p_{name}"]) for name in ("Adelie", "Chinstrap", "Gentoo")] for row in rows])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    loaded = load_model(str(model))
    ensemble = loaded.ensemble
    X = np.random.default_rng(0).normal(size=(9, ensemble.first.n_in)).astype(np.float32)
    member_outputs = [
        predict(network, flat, X) for network, flat in zip(ensemble.networks, ensemble.flats, strict=True)
    ]
    np.testing.assert_allclose(ensemble.outputs(X), np.mean(member_outputs, axis=0), rtol=1e-5)
    assert not np.allclose(member_outputs[0], member_outputs[1], atol=1e-3)


def test_eval_scores_an_ensemble_and_inspect_shows_its_members(model):
    scores = done("eval", model, DATA / "penguins.csv", "--min", "accuracy=0.5", "--json").document
    assert scores["passed"] is True
    shown = done("inspect", model).stdout
    assert "4 members" in shown
    document = done("inspect", model, "--json").document
    with np.load(model) as file:
        others = ("header", "input_", "conformity_")
        size = sum(file[name].size for name in file.files if not name.startswith(others))
    assert document["n_parameters"] == size
    assert document["record"]["config"]["model"]["members"] == {
        "count": 4, "rows": "folds", "folds": 2, "repeat_folds": False, "views": "same", "features": 1.0, "draw": {},
        "select": "all",
    }  # fmt: skip


def test_check_shows_the_number_of_members_and_folds(folder):
    shown = done("check", write_config(folder / "c.yaml", PENGUINS, model=MODEL)).stdout
    assert "344 train in 2 folds" in shown
    assert "4 members" in shown


def test_training_shows_the_number_of_members_and_the_history_has_out_of_fold_scores(folder):
    config = write_config(
        folder / "c.yaml", PENGUINS, {"epochs": 3, "early_stopping": {"at": "cycle_ends"}}, model=MODEL
    )
    ended = done("train", config, "--output", "run")
    assert "4 members" in ended.stderr + ended.stdout
    lines = (folder / "run/history.csv").read_text().splitlines()
    columns = lines[0].split(",")
    scored = [dict(zip(columns, line.split(","), strict=True))["validation_log_loss"] for line in lines[1:]]
    # Scored at the start and at the end, where the only cycle of a constant learning rate ends.
    assert [bool(text) for text in scored] == [True, False, False, True]


def test_the_score_of_an_epoch_is_named_by_its_kind_and_both_counts_of_parameters_are_shown(folder):
    """The score of an epoch is extrapolated to all members and calibrated; the final one is out of fold."""
    members = {"members": {"count": 4, "rows": "folds", "folds": 2}, "category_embedding": {"size": 2, "above": 2}}
    calibrated = {"postprocess": {"calibration": "temperature"}}
    for model, postprocess, name in (
        (members, calibrated, "expected calibrated log_loss"),
        (members, {}, "expected log_loss"),
        ({"members": {"count": 2, "rows": "folds", "folds": 2}}, {}, ", log_loss"),
    ):
        config = write_config(folder / "c.yaml", PENGUINS, {"epochs": 1}, model=model, **postprocess)
        shown = done("train", config, "--output", "run").stderr
        assert f"{name} " in shown.split("validation: loss")[1]
        saved = re.search(r"· ([\d ]+ parameters)", done("inspect", "run/weights.npz").stdout)[1]
        assert saved in shown or f"{saved.removesuffix(' parameters')} in the file)" in shown
    assert "in the file" not in shown  # a plain network has no layers to merge


def test_bin_edges_fitted_on_the_targets_of_held_out_rows_are_reported_as_chosen_on_them(folder):
    bins = {"name": "piecewise_linear", "bins": 3}
    for edges, is_reported in (("target", True), ("quantile", False)):
        encoding = {"encoding": bins | {"edges": edges}}
        lines = done("train", write_config(folder / "c.yaml", PENGUINS, model=MODEL, preprocess=encoding)).lines
        (chosen,) = [line for line in lines if line.startswith("* chosen on these rows: ")]
        assert ("the bin edges" in chosen) == is_reported
