"""Gates on coin labels: an end of an interval passes as often as it promises, on rows that chose nothing."""

import json

import numpy as np
import pytest

from benchmarks.chance import recipes
from benchmarks.chance.choosing import GATES, PROMISED, SETTINGS, measure
from benchmarks.printing import RESULTS
from mlpcli.config.loading import config_from_mapping
from mlpcli.config.recipes.sizes import RECIPES
from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.targets.target import ClassTarget
from mlpcli.errors import ConfigError
from mlpcli.evaluation.gates import Gate
from mlpcli.workflows.preparing.expectations import check_gates
from mlpcli.workflows.scoring.predictions import LabeledPredictions

HONEST = [setting for setting in SETTINGS if "choose nothing" in setting.name or setting.has_test]
CLASSES = "classification", ("no", "yes")
CHOOSING = [setting for setting in SETTINGS if setting not in HONEST]


@pytest.mark.parametrize("n_rows", [40, 200])
def test_answers_without_a_look_at_the_labels_pass_no_more_often_than_promised(n_rows):
    rng, n_repeats = np.random.default_rng(n_rows), 200
    target = ClassTarget(ColumnSchema("k", "category"), ("no", "yes"))
    gates = [Gate(key, 0.5, is_minimum=True) for key in (*GATES, "accuracy.low")]
    passed = np.zeros(len(gates))
    for _ in range(n_repeats):
        truth, yes = rng.integers(0, 2, n_rows), rng.random(n_rows)
        predictions = LabeledPredictions(target, truth, np.stack([1.0 - yes, yes], axis=1), None, None)
        passed += [verdict.passed for verdict in predictions.check_gates(gates, 0)]
    spread = np.sqrt(PROMISED * (1.0 - PROMISED) / n_repeats)
    assert (passed / n_repeats <= PROMISED + 3.0 * spread).all(), passed


def test_a_model_of_coins_does_not_pass_on_a_test_file():
    found = measure(HONEST[0], 12)
    assert max(found[gate] for gate in GATES) <= 1 / 12
    assert found["chosen"] == ""


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_what_the_benchmark_calls_rows_that_choose_is_what_training_refuses(setting):
    loaded = config_from_mapping(setting.config(0) | {"expect": {"min": {"roc_auc.low": 0.5}}})
    if setting in HONEST:
        assert not any("optimistic" in note for note in check_gates(loaded, "classification", ("no", "yes")))
        return
    with pytest.raises(ConfigError, match="there is no confidence interval on rows that chose"):
        check_gates(loaded, "classification", ("no", "yes"))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("split", recipes.SPLITS, ids=lambda split: split.name)
def test_what_init_writes_has_no_interval_on_the_rows_that_choose_and_has_one_on_those_that_do_not(
    recipe, split, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    recipes.write_tables(split.column, 0)
    for judged in (recipes.TEST, recipes.HELD_OUT):
        config = recipes.config_of(recipe, split, judged)
        assert not any("optimistic" in note for note in check_gates(config_from_mapping(config), *CLASSES))
    config = recipes.config_of(recipe, split, recipes.TEST)
    del config["data"]["test"]
    with pytest.raises(ConfigError, match="there is no confidence interval on rows that chose the epoch"):
        check_gates(config_from_mapping(config), *CLASSES)


@pytest.mark.parametrize(("name", "judged"), [("groups", recipes.TEST), ("folds of time", recipes.HELD_OUT)])
def test_permuted_labels_are_trained_on_and_judged_with_an_interval_each(name, judged):
    (split,) = (split for split in recipes.SPLITS if split.name == name)
    found = list(recipes.measure("textbook", split, judged, 3))
    assert [one["metric"] for one in found] == list(recipes.METRICS)
    assert all(one["given"] == one["repeats"] == 3 for one in found)
    assert all(0.3 < one["mean"] < 0.7 for one in found)
    assert f"{found[0]['mean']:.3f} (" in recipes.table(
        [{**one, "judged": kind} for one in found for kind in (recipes.TEST, recipes.HELD_OUT)]
    )


def test_the_recorded_scores_of_permuted_labels_are_chance_within_the_interval():
    """For every recipe and split, over 200 tables: what a share of so many strays by is allowed, and no more."""
    counts = json.loads((RESULTS / "chance.json").read_text())["results"]["recipes"]
    places = {(one["recipe"], one["split"], one["judged"], one["metric"]) for one in counts}
    assert len(places) == len(counts) == len(recipes.RECIPES) * len(recipes.SPLITS) * 2 * len(recipes.METRICS)
    for one in counts:
        where = [one[key] for key in ("recipe", "split", "judged", "metric")]
        assert one["repeats"] >= 200
        assert one["given"] == one["repeats"], where
        for side in ("below", "above"):
            stray = 3.0 * np.sqrt(recipes.PROMISED * (1.0 - recipes.PROMISED) / one["repeats"])
            assert one[side] / one["repeats"] <= recipes.PROMISED + stray, where
        assert abs(one["mean"] - recipes.CHANCE) < 0.02, where
