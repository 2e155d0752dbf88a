"""Selection of members by their validation loss: which are selected, their weights, and what refuses such models."""

import json
import re

import numpy as np
import pytest

from mlpcli.errors import ConfigError
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.network import predict
from mlpcli.storage.model.model_file import encode_model, load_model
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs
from tests.workflows.staging import IRIS, Watch, loaded

RATES = {"training.optimizer.learning_rate": {"choice": [1e-4, 0.003, 0.02, 0.1]}}
FOLDS = {"count": 9, "rows": "folds", "folds": 3}


def selecting(members=FOLDS, select="greedy", data=IRIS, **sections):
    model = {"layers": ["auto", 6, "auto"], "members": {**members, "select": select, "draw": RATES}}
    data = {**data, "validation": None if "rows" in members else 0.3}
    return loaded(data, {"optimizer": "adam", "epochs": 8, "batch_size": 16}, model=model, **sections)


def fitted(config):
    prepared = prepare(config)
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    return prepared, state, finalize(prepared, state)


@pytest.mark.parametrize("members", [FOLDS, {"count": 5}])
def test_selected_members_are_at_least_as_good_as_all_members_and_as_the_best_round(members):
    prepared, state, result = fitted(selecting(members))
    kept, loss, validation = result.model.ensemble, prepared.spec.loss, prepared.validation
    all_members = Ensemble(prepared.networks, tuple(state.best)).merged()
    if prepared.folds is None:
        pairs = zip(all_members.networks, all_members.flats, strict=True)
        rounds, n_folds = np.stack([predict(*pair, validation.samples.X) for pair in pairs]), 1
        outputs = kept.outputs(validation.samples.X)
    else:
        n_folds = 3
        rounds = out_of_fold_outputs(prepared, validation, prepared.folds, all_members)
        kept_rounds = out_of_fold_outputs(prepared, validation, prepared.folds, kept)
        outputs = average_rounds(kept_rounds, kept, n_folds)
    y = validation.samples.targets(slice(None))
    bound = min(float(loss.values(candidate, y).mean()) for candidate in [*rounds, rounds.mean(axis=0)])
    assert float(loss.values(outputs, y).mean()) <= bound * (1 + 1e-5)
    assert len(kept.networks) == len(kept.member_counts) < len(prepared.networks)
    assert len(kept.networks) % n_folds == 0
    rounds_of_kept = np.array(kept.member_counts).reshape(-1, n_folds)
    assert (rounds_of_kept == rounds_of_kept[:, :1]).all(), "a round counts as a whole"


def test_members_of_a_round_draw_the_same_values_if_rounds_are_selected():
    drawn = prepare(selecting()).drawn
    assert all(drawn[start] == drawn[start + 1] == drawn[start + 2] for start in (0, 3, 6))
    assert (
        len({values["training.optimizer.learning_rate"] for values in prepare(selecting(select="all")).drawn[:3]}) > 1
    )


def test_the_file_has_only_the_selected_members_with_their_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(selecting(), Watch())
    model = load_model("run/weights.npz")
    ensemble, record = model.ensemble, model.record
    assert len(record["members"]) == len(record["drawn"]) == len(ensemble.networks) < 9
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_bytes())
    weights = [metrics[f"members.{number}.weight"] for number in record["members"]]
    assert weights == [count / sum(ensemble.member_counts) for count in ensemble.member_counts]
    X = np.random.default_rng(0).normal(size=(7, ensemble.first.n_in)).astype(np.float32)
    member_outputs = [
        predict(network, flat, X) for network, flat in zip(ensemble.networks, ensemble.flats, strict=True)
    ]
    np.testing.assert_allclose(ensemble.outputs(X), np.average(member_outputs, axis=0, weights=weights), rtol=1e-5)
    fold_outputs = ensemble.fold_outputs(X, 3)[1]
    for fold in range(3):
        expected = np.average(member_outputs[fold::3], axis=0, weights=weights[fold::3])
        np.testing.assert_allclose(fold_outputs[fold], expected, rtol=1e-5)


def test_equal_trainings_select_the_same_whatever_the_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = []
    for threads in (1, 3):
        config = loaded(
            {**IRIS, "validation": None}, {"optimizer": "adam", "epochs": 4, "threads": threads},
            model={"members": {**FOLDS, "select": "greedy", "draw": RATES}},
        )  # fmt: skip
        _, _, result = fitted(config)
        ensemble = result.model.ensemble
        files.append((ensemble.member_counts, [flat.tobytes() for flat in ensemble.flats]))
    assert files[0] == files[1]


def test_scores_are_marked_as_chosen_and_a_gate_on_an_interval_is_an_error():
    _, _, result = fitted(selecting())
    assert "members" in result.chosen
    assert "members" in result.model.conformity.rows.chosen
    with pytest.raises(ConfigError, match=re.escape("members (model.members.select)")):
        prepare(selecting(expect={"min": {"accuracy.low": 0.5}}))


def test_calibration_follows_selection_and_does_not_change_it():
    _, _, plain = fitted(selecting())
    _, _, tempered = fitted(selecting(postprocess={"calibration": "temperature"}))
    assert plain.model.record["members"] == tempered.model.record["members"]
    assert plain.model.ensemble.member_counts == tempered.model.ensemble.member_counts
    assert tempered.model.record["temperature"] != 1.0


def test_held_out_scores_of_members_selected_on_noise_are_near_chance(tmp_path):
    rng, aucs = np.random.default_rng(0), []
    for seed in range(6):
        path = tmp_path / f"{seed}.csv"
        rows = [",".join(map(str, [*row.round(3), "yn"[rng.integers(2)]])) for row in rng.normal(size=(300, 3))]
        path.write_text("\n".join(["a,b,c,y", *rows]) + "\n")
        config = selecting(data={"train": str(path), "target": "y"})
        result = fitted(config)[2]
        aucs.append(result.scores["validation"]["roc_auc"])
    # Chance is 0.5, and the deviation of a mean of six 0.014; selection among three rounds adds less than that.
    assert 0.45 < np.mean(aucs) < 0.56


@pytest.mark.parametrize(
    ("members", "validation", "message"),
    [
        ({"count": 4}, None, "model.members.select: needs validation rows to select by"),
        ({"count": 1}, 0.2, "model.members.select: needs members to select among. Set model.members.count."),
        ({"count": 4, "rows": "folds"}, None, "model.members.select: selects among rounds of members"),
        ({"count": 4, "rows": "folds", "folds": 4}, None, "model.members.select: selects among rounds of members"),
    ],
)
def test_selection_without_validation_rows_or_members_is_an_error(members, validation, message):
    config = loaded({**IRIS, "validation": validation}, model={"members": {**members, "select": "greedy"}})
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(config)


def test_a_model_of_selected_members_is_an_error_where_all_members_are_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(selecting(), Watch())
    with pytest.raises(
        ConfigError, match=re.escape("model.members.select: --from run/weights.npz has only the selected members")
    ):
        train(selecting(), Watch(), replaces_any=True, start="run/weights.npz")


def test_the_file_that_is_read_and_written_again_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(selecting(), Watch())
    assert encode_model(load_model("run/weights.npz")) == (tmp_path / "run" / "weights.npz").read_bytes()
