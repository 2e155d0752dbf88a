"""The networks of a config and its data: members, folds, input layers, and options that cannot be combined."""

import re

import numpy as np
import pytest

from mlpcli.errors import ConfigError
from mlpcli.nn.embeddings import CategoryEmbedding, ColumnMask, PeriodicEmbedding
from mlpcli.nn.network import predict
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.finalize import finalize
from mlpcli.workflows.training.fitting import epochs
from mlpcli.workflows.training.initial_state import initial_state
from tests.program import DATA, write_csv
from tests.workflows.staging import IRIS, loaded

FOLDED = {**IRIS, "validation": None}
BINS = {"encoding": {"name": "piecewise_linear", "bins": 3}}


@pytest.mark.parametrize(
    ("data", "sections", "message"),
    [
        (
            IRIS, {"model": {"members": {"count": 4, "rows": "folds"}}},
            "data.validation: model.members.rows: folds defines the validation rows. Write validation: null.",
        ),
        (
            FOLDED, {"model": {"members": {"count": 4, "rows": "folds", "folds": 3}}},
            "model.members.folds: 3 does not divide the 4 members.",
        ),
        (
            FOLDED, {"model": {"members": {"rows": "folds"}}},
            "model.members.rows: folds need at least 2 members. Set model.members.count.",
        ),
        (
            IRIS, {"model": {"members": {"count": 4, "folds": 2}}},
            "model.members.folds: applies to members.rows: folds only. Leave it out.",
        ),
        (
            IRIS, {"model": {"members": {"count": 2, "views": "alternate"}}},
            "model.members.views: alternate needs model.numeric_embedding and preprocess.encoding: piecewise_linear.",
        ),
        (
            IRIS, {"model": {"members": {"count": 2, "views": "alternate"}}, "preprocess": BINS},
            "model.members.views: alternate needs model.numeric_embedding",
        ),
        (
            IRIS, {"model": {"members": {"count": 2, "views": "alternate"}, "numeric_embedding": "periodic"}},
            "and preprocess.encoding: piecewise_linear.",
        ),
        (
            FOLDED, {"postprocess": {"calibration": "temperature"}},
            "postprocess.calibration: is fitted on validation rows: set data.validation, or leave it out.",
        ),
    ],
)  # fmt: skip
def test_options_that_cannot_be_combined_are_errors_with_key_and_remedy(data, sections, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(loaded(data, **sections))


def test_folds_of_too_few_rows_are_an_error(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i, "ab"[i % 2]) for i in range(7)])
    model = {"members": {"count": 4, "rows": "folds"}}
    with pytest.raises(ConfigError, match=r"model\.members: 4 folds need at least 8 rows, there are 7\."):
        prepare(loaded({"train": "t.csv", "target": "y", "validation": None}, model=model))


def outcome_of(config):
    prepared = prepare(config)
    state = initial_state(prepared)
    list(epochs(prepared, state, lambda: False))
    return prepared, state, finalize(prepared, state)


def test_folds_are_validation_rows_for_calibration_threshold_gates_and_the_choice_of_the_epoch(folder):
    rng = np.random.default_rng(0)
    rows = [(round(x, 3), "no" if x + rng.normal() < 0.5 else "yes") for x in rng.normal(size=120)]
    write_csv(folder / "t.csv", ["x", "y"], rows)
    prepared, _, outcome = outcome_of(
        loaded(
            {"train": "t.csv", "target": "y", "validation": None},
            {"epochs": 6, "early_stopping": {"patience": 2}, "optimizer": "adam"},
            model={"members": {"count": 4, "rows": "folds", "folds": 2}},
            postprocess={"calibration": "temperature", "threshold": "f1"},
            expect={"min": {"accuracy": 0.01}},
        )
    )
    assert prepared.picks_best_epoch
    assert list(outcome.scores) == ["train", "validation", "constant"]
    assert outcome.passed
    assert 0.0 < outcome.model.target_state["threshold"][0] < 1.0
    assert "temperature" not in outcome.model.target_state  # it is in the weights of the members
    np.testing.assert_array_equal(np.bincount(prepared.folds), [60, 60])
    for code in (0, 1):
        assert np.ptp(np.bincount(prepared.folds[prepared.train.truth == code])) <= 1


def test_the_temperature_of_members_lowers_the_log_loss_of_new_rows():
    """The networks are overconfident, as every tenth label is wrong."""
    model = {"layers": ["auto", 16, "auto"], "members": {"count": 4, "rows": "folds", "folds": 2}}
    training = {"epochs": 40, "optimizer": {"name": "adam", "learning_rate": 0.1}, "early_stopping": None}
    data = {"train": str(DATA / "diabetes.csv"), "target": "sex", "validation": None}
    plain, tempered = (
        outcome_of(loaded(data, training, model=model, task="classification", postprocess={"calibration": kind}))[2]
        for kind in ("none", "temperature")
    )
    assert tempered.scores["validation"]["log_loss"] < plain.scores["validation"]["log_loss"] - 0.05
    assert tempered.scores["train"]["log_loss"] != plain.scores["train"]["log_loss"]


def test_finalizing_twice_gives_the_same_model():
    config = loaded(
        FOLDED, model={"members": {"count": 2, "rows": "folds"}}, postprocess={"calibration": "temperature"}
    )
    prepared, state, outcome = outcome_of(config)
    again = finalize(prepared, state)
    for one, other in zip(again.model.ensemble.flats, outcome.model.ensemble.flats, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.scores == outcome.scores


def test_members_on_all_rows_are_validated_by_the_mean_of_their_predictions():
    prepared, state, outcome = outcome_of(loaded(IRIS, {"epochs": 3, "early_stopping": None}, model={"members": 3}))
    assert prepared.folds is None
    part = prepared.validation
    each = [
        predict(network, member.flat, part.samples.X)
        for network, member in zip(prepared.networks, state.members, strict=True)
    ]
    right = np.mean(each, axis=0)[np.arange(len(part.truth)), part.truth]
    assert outcome.scores["validation"]["log_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-5)


def test_the_first_member_starts_as_a_single_network_would():
    alone = initial_state(prepare(loaded(IRIS))).members[0].flat
    together = initial_state(prepare(loaded(IRIS, model={"members": 3}))).members
    np.testing.assert_array_equal(together[0].flat, alone)
    assert len(together) == 3


def has(network, kind):
    """Whether a network has an input layer of this type."""
    return any(isinstance(layer, kind) for layer in network.layers)


def test_every_fold_has_members_of_both_views():
    model = {
        "members": {"count": 8, "rows": "folds", "folds": 4, "views": "alternate"},
        "numeric_embedding": "periodic",
    }
    networks = prepare(loaded(FOLDED, model=model, preprocess=BINS)).networks
    sees = [has(network, PeriodicEmbedding) for network in networks]
    assert sorted(sees) == [False] * 4 + [True] * 4
    assert all(sees[member] != sees[member + 4] for member in range(4))
    masks = [layer for network in networks for layer in network.layers if isinstance(layer, ColumnMask)]
    assert {mask.spans for mask in masks} == {((0, 4),)}
    assert [has(network, ColumnMask) for network in networks] == sees


def test_views_do_not_differ_if_all_columns_have_few_values(folder):
    write_csv(folder / "t.csv", ["x", "y"], [(i % 3, "ab"[i % 2]) for i in range(40)])
    encoding = {"name": "piecewise_linear", "min_distinct": 20}
    model = {
        "members": {"count": 2, "views": "alternate"}, "numeric_embedding": {"name": "periodic", "min_distinct": 20},
    }  # fmt: skip
    networks = prepare(
        loaded({"train": "t.csv", "target": "y"}, model=model, preprocess={"encoding": encoding})
    ).networks
    assert networks[0] == networks[1]
    assert not has(networks[0], (PeriodicEmbedding, ColumnMask))


def test_only_columns_with_more_levels_than_configured_are_embedded(folder):
    write_csv(
        folder / "t.csv",
        ["few", "many", "y"],
        [("ab"[i % 2], "cdefg"[i % 5], ("no", "yes")[i % 3 > 0]) for i in range(60)],
    )
    data = {"train": "t.csv", "target": "y"}
    network = prepare(loaded(data, model={"category_embedding": {"size": 3, "above": 4}})).network
    assert network.layers[0] == CategoryEmbedding(spans=((2, 7),), size=3)
    assert (network.sizes[0], network.chain.widths(7)[1]) == (7, 2 + 3)
    assert not has(prepare(loaded(data, model={"category_embedding": {"above": 5}})).network, CategoryEmbedding)


@pytest.mark.parametrize(
    ("layers", "activation", "counted"),
    [
        (["auto", 5, 4, "auto"], ["tanh"], "1 activation for 2 hidden layers (layers: [auto, 5, 4, auto])"),
        (["auto", 5, "auto"], ["tanh", "relu"], "2 activations for 1 hidden layer (layers: [auto, 5, auto])"),
        (["auto", "auto"], ["tanh"], "1 activation for 0 hidden layers (layers: [auto, auto])"),
    ],
)
def test_a_wrong_number_of_activations_is_an_error_with_both_numbers(layers, activation, counted):
    message = f"model.activation: {counted}. Write one for each, or a single name for all."
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(loaded(model={"layers": layers, "activation": activation}))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"layers": ["auto", *[2] * 501, "auto"]}, "model.layers: 1003 layers, activations and the like included; at"),
        ({"layers": ["auto", *[2] * 40, "auto"], "members": 64}, "model.members.count: the members have 5248 arrays"),
    ],
)
def test_networks_too_large_for_a_model_file_are_an_error_before_the_training(model, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(loaded(model=model))


def test_the_memory_limit_of_a_container_is_respected(monkeypatch):
    monkeypatch.setattr("mlpcli.workflows.preparing.networks.building.memory_of_machine", lambda: 10_000_000)
    prepare(loaded(model={"layers": ["auto", 100, "auto"]}))
    with pytest.raises(
        ConfigError, match=r"4 -> 1000 -> 1000 -> 3 takes about 24.* MB of memory to train, and 10.* MB"
    ):
        prepare(loaded(model={"layers": ["auto", 1000, 1000, "auto"]}))
