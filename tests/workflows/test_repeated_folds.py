"""Repeated folds: each round of members has its own division of the rows, and outputs stay out of fold."""

import re

import numpy as np
import pytest

from mlpcli.errors import ConfigError, Interrupted
from mlpcli.nn.ensemble import Ensemble
from mlpcli.nn.network import predict
from mlpcli.storage.model.model_file import load_model
from mlpcli.training.rows import folds_of_members, held_out_rows
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from mlpcli.workflows.training.member_selection import average_rounds, out_of_fold_outputs
from tests.program import done, mlp, write_csv
from tests.workflows.staging import IRIS, Watch, loaded

N_FOLDS = 3
REPEATED = {"count": 9, "rows": "folds", "folds": N_FOLDS, "repeat_folds": True}
RATES = {"training.optimizer.learning_rate": {"choice": [1e-4, 0.003, 0.02, 0.1]}}


def repeating(members=(), data=IRIS, validation=None, training=None, **sections):
    model = {"layers": ["auto", 5, "auto"], "members": {**REPEATED, **dict(members)}}
    return loaded({**data, "validation": validation}, training, model=model, **sections)


def grouped(folder):
    """A table of 12 groups, each of which has 10 rows that are copies of one another."""
    rows = [(group, group * 0.5, "ab"[group % 2]) for group in range(12) for _ in range(10)]
    write_csv(folder / "t.csv", ["who", "x", "y"], [(f"p{group}", x, y) for group, x, y in rows])
    return {"train": "t.csv", "target": "y"}, np.array([group for group, _, _ in rows])


def test_each_round_divides_all_rows_and_the_first_does_as_without_repeats():
    prepared, plain = prepare(repeating()), prepare(repeating({"repeat_folds": False}))
    folds = prepared.folds
    assert folds.shape == (3, 150)
    np.testing.assert_array_equal(folds[0], plain.folds)
    assert all(np.array_equal(np.unique(round_folds), range(N_FOLDS)) for round_folds in folds)
    assert not np.array_equal(folds[0], folds[1])
    np.testing.assert_array_equal(folds[:2], prepare(repeating({"count": 6})).folds)
    species = prepared.train.truth
    counts = [np.bincount(species[round_folds == fold]) for round_folds in folds for fold in range(N_FOLDS)]
    assert np.ptp(counts) <= 1, "classes are spread evenly in every round"


def test_a_member_is_trained_on_all_rows_but_those_that_it_holds_out():
    prepared = prepare(repeating())
    held_out = np.array([held_out_rows(prepared.folds, member.number) for member in prepared.members])
    for member, is_held_out in zip(prepared.members, held_out, strict=True):
        np.testing.assert_array_equal(member.rows, np.flatnonzero(~is_held_out))
    assert (held_out.reshape(3, N_FOLDS, -1).sum(axis=1) == 1).all(), "each round holds out a row once"


@pytest.mark.parametrize("validation", [{"group": "who"}, {"copies": "together"}])
def test_groups_and_copies_stay_in_one_fold_of_every_round(folder, validation):
    data, groups = grouped(folder)
    folds = prepare(repeating(data=data, validation=validation)).folds
    assert len({tuple(round_folds) for round_folds in folds.tolist()}) > 1
    for round_folds in folds:
        assert all(len(set(round_folds[groups == group])) == 1 for group in range(12))


@pytest.mark.parametrize(
    ("members", "validation", "message"),
    [
        ({}, {"time": "t"}, "data.validation.time determines the folds, so there are no others. Leave one out."),
        ({}, {"hash": "t"}, "data.validation.hash determines the folds, so there are no others. Leave one out."),
        ({"count": 3}, None, "there is one round of members. Write members.folds, and a count that is several times"),
        ({"folds": None}, None, "there is one round of members. Write members.folds"),
        ({"rows": "bootstrap", "folds": None}, None, "applies to members.rows: folds only. Leave it out."),
    ],
)
def test_folds_that_cannot_be_repeated_are_refused_by_name(folder, members, validation, message):
    write_csv(folder / "t.csv", ["t", "x", "y"], [(i, i % 7, "ab"[i % 2]) for i in range(60)])
    with pytest.raises(ConfigError, match=re.escape(f"model.members.repeat_folds: {message}")):
        prepare(repeating(members, {"train": "t.csv", "target": "y"}, validation))


def test_members_of_the_first_round_are_those_of_a_training_without_repeats():
    flats = []
    for repeats in (True, False):
        prepared = prepare(repeating({"repeat_folds": repeats}))
        state = initial_state(prepared)
        for _ in epochs(prepared, state, lambda: False):
            pass
        flats.append([member.flat for member in state.members])
    is_equal = [np.array_equal(repeated, plain) for repeated, plain in zip(*flats, strict=True)]
    assert is_equal == [True] * 3 + [False] * 6


@pytest.mark.parametrize("select", ["all", "greedy"])
def test_out_of_fold_outputs_are_those_of_the_member_of_each_round_that_holds_out_the_row(select):
    prepared = prepare(repeating({"select": select, "draw": RATES}, training={"epochs": 4}))
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    result = finalize(prepared, state)
    ensemble, X = result.model.ensemble, prepared.train.samples.X
    numbers = [number - 1 for number in result.model.record.get("members", range(1, 10))]
    assert (len(numbers) < 9) == (select == "greedy")
    rounds = out_of_fold_outputs(prepared, prepared.validation, folds_of_members(prepared.folds, numbers), ensemble)
    expected = np.full_like(rounds, np.nan)
    for index, number in enumerate(numbers):
        rows = held_out_rows(prepared.folds, number)
        expected[index // N_FOLDS, rows] = predict(ensemble.networks[index], ensemble.flats[index], X[rows])
    np.testing.assert_allclose(rounds, expected, rtol=1e-4, atol=1e-5)
    mean = average_rounds(rounds, ensemble, N_FOLDS)
    true_class_probabilities = mean[np.arange(150), prepared.train.truth]
    assert result.scores["validation"]["log_loss"] == pytest.approx(-np.log(true_class_probabilities).mean(), rel=1e-4)


def test_rounds_are_selected_by_outputs_for_rows_that_their_members_hold_out():
    prepared = prepare(repeating({"select": "greedy", "draw": RATES}, training={"epochs": 4}))
    state = initial_state(prepared)
    for _ in epochs(prepared, state, lambda: False):
        pass
    all_members = Ensemble(prepared.networks, tuple(state.best)).merged()
    rounds = out_of_fold_outputs(prepared, prepared.validation, prepared.folds, all_members)
    losses = -np.log(rounds[:, np.arange(150), prepared.train.truth]).mean(axis=1)
    result = finalize(prepared, state)
    assert result.scores["validation"]["log_loss"] <= losses.min() * (1 + 1e-4)


def test_a_temperature_and_a_resumed_training_are_as_with_folds_that_are_not_repeated(folder):
    config = repeating(training={"epochs": 4}, postprocess={"calibration": "temperature"})
    train(config, Watch())
    weights = folder / "run" / "weights.npz"
    uninterrupted = weights.read_bytes()
    assert load_model(str(weights)).record["config"]["model"]["members"]["repeat_folds"]
    with pytest.raises(Interrupted):
        train(config, Watch(stop_after=2))
    train(config, Watch(), resume=True)
    assert weights.read_bytes() == uninterrupted


def test_there_are_no_intervals_by_repeated_folds_but_by_rows_set_apart(folder):
    with pytest.raises(ConfigError, match=re.escape("intervals.by: CV+ intervals need one division of the rows")):
        prepare(repeating(intervals={"by": "species"}))
    train(repeating(), Watch())
    ended = mlp("predict", "run/weights.npz", IRIS["train"], "--interval", "0.8")
    assert ended.code == 2
    assert "it was trained with model.members.repeat_folds; leave that out, or set intervals.rows" in ended.stderr
    train(repeating(intervals={"rows": 0.3}), Watch())
    assert load_model("run/weights.npz").conformity.rows.n_folds == 1
    assert done("predict", "run/weights.npz", IRIS["train"], "--interval", "0.8").rows


@pytest.mark.parametrize("select", ["all", "greedy"])
def test_check_inspect_and_doctor_support_repeated_folds(folder, select):
    train(repeating({"select": select, "draw": RATES}, training={"epochs": 4}), Watch())
    for verb, target in (("check", "run/config.yaml"), ("inspect", "run/weights.npz")):
        assert "150 train in 3 folds x 3 repeats" in done(verb, target).stdout
    assert mlp("doctor", "run").code in (0, 1)
