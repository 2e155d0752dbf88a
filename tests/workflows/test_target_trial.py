"""`mlp init` takes the logarithm of a target where a trial shows it to be clearly better, and only there."""

import re

import numpy as np
import pandas as pd
import pytest

from mlpcli.config.loading import config_from_text
from mlpcli.messages import format_number
from mlpcli.workflows.init import init
from mlpcli.workflows.starter import trial as starter_trial
from mlpcli.workflows.starter.skewed_target import FEWEST_ROWS, is_worth_trying
from mlpcli.workflows.starter.target_trial import is_log_better
from tests.program import done

N_ROWS = FEWEST_ROWS


def prices(noise, seed=0):
    """Skewed prices: exp(4 + x + z), with noise that is multiplied, or added."""
    rng = np.random.default_rng(seed)
    x, z, e = rng.normal(size=(3, N_ROWS))
    mean = np.exp(4 + 0.6 * x + 0.6 * z)
    price = mean * np.exp(0.15 * e) if noise == "multiplied" else np.maximum(mean + 40 * e, 0)
    return pd.DataFrame({"x": x.round(3), "z": z.round(3), "price": price.round(2)})


def starter(frame, folder, **options):
    frame.to_csv(folder / "prices.csv", index=False)
    return init(str(folder / "prices.csv"), ("price",), **options)


def config_of(found):
    return config_from_text(found.text, "t.yaml").config


def errors_of(trial):
    mae, log_mae, rmse, log_rmse = map(format_number, (trial.mae, trial.log_mae, trial.rmse, trial.log_rmse))
    return (
        f"MAE of a small network out of fold: {log_mae} with log, {mae} without; "
        f"RMSE: {log_rmse} with log, {rmse} without"
    )


def unwrapped(text):
    """The text of a config with each comment on one line."""
    return re.sub(r"\n +# ", " ", text)


def test_with_multiplied_noise_the_logarithm_is_taken_and_its_mean_corrected(folder):
    found = starter(prices("multiplied"), folder)
    trial = found.data.summary.target_trial
    assert trial.takes_log
    assert (config_of(found).preprocess.target, config_of(found).postprocess.bias_correction) == ("log", True)
    assert trial.log_mae < trial.mae
    assert "log is better: errors grow with the target. " + errors_of(trial) in unwrapped(found.text)


def test_with_added_noise_the_target_stays_as_it_is_and_the_config_shows_the_errors(folder):
    found = starter(prices("added"), folder)
    trial = found.data.summary.target_trial
    assert not trial.takes_log
    assert (config_of(found).preprocess.target, config_of(found).postprocess.bias_correction) == ("auto", False)
    assert "# target: log" in found.text
    assert "log is not clearly better. " + errors_of(trial) in unwrapped(found.text)


@pytest.mark.parametrize("recipe", ["fast", "textbook"])
def test_quick_recipes_have_no_trial(folder, recipe):
    assert "target: log" not in starter(prices("multiplied"), folder, recipe=recipe).text


def test_a_column_with_a_fault_leaves_the_target_as_it_is(folder):
    table = prices("multiplied").assign(size=[*["12"] * (N_ROWS - 300), *["about 7"] * 300])
    table["size"] = [f"{i % 50}" if text == "12" else text for i, text in enumerate(table["size"])]
    found = starter(table, folder)
    assert [note for note in found.notes if "size" in note]
    assert found.data.summary.target_trial is None


def test_several_targets_have_no_trial(folder):
    table = prices("multiplied").assign(cost=lambda table: 2 * table["price"])
    table.to_csv("prices.csv", index=False)
    assert "target: log" not in init("prices.csv", ("price", "cost")).text


@pytest.mark.parametrize("exponent", [1, 30, 140])
def test_targets_of_zero_and_of_any_size_are_safe(folder, exponent):
    rng = np.random.default_rng(0)
    x = rng.normal(size=N_ROWS)
    price = np.where(x < -1, 0.0, 10.0 ** (exponent * np.minimum(x + 0.3 * rng.normal(size=N_ROWS), 1)))
    found = starter(pd.DataFrame({"x": x.round(3), "price": price}), folder)
    trial = found.data.summary.target_trial
    assert np.isfinite([trial.mae, trial.log_mae, trial.rmse, trial.log_rmse]).all()


def test_a_table_with_very_many_inputs_is_not_tried(folder, monkeypatch):
    monkeypatch.setattr(starter_trial, "MOST_INPUTS", 1)
    assert starter(prices("multiplied"), folder).data.summary.target_trial is None


def test_only_skewed_targets_of_many_rows_that_have_a_logarithm_are_tried():
    logs = np.random.default_rng(0).normal(5, 1, FEWEST_ROWS)
    skewed = np.exp(logs)
    assert is_worth_trying(skewed)
    assert is_worth_trying(np.where(logs < 5, 0.0, skewed))
    assert is_worth_trying(skewed * 1e140)
    assert not is_worth_trying(skewed[:-1])
    assert not is_worth_trying(np.where(logs < 3, -0.01, skewed))
    assert not is_worth_trying(logs)
    assert not is_worth_trying(skewed.max() - skewed)


def noisy(seed, n_rows=4000):
    """Truth with multiplied noise, and predictions of its mean with further errors that are added, or multiplied."""
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.normal(6, 1, n_rows))
    first, second, third = rng.normal(size=(3, n_rows))
    multiplied = mean * np.exp(0.05 * first)
    return mean * np.exp(0.1 * second), np.maximum(mean + 60 * third, 0), multiplied


@pytest.mark.parametrize("seed", range(5))
def test_better_predictions_by_the_logarithm_are_recognized(seed):
    truth, added, multiplied = noisy(seed)
    assert is_log_better(truth, added, multiplied)
    assert not is_log_better(truth, multiplied, added)


@pytest.mark.parametrize("seed", range(5))
def test_equally_good_predictions_are_no_reason_for_the_logarithm(seed):
    truth, _, multiplied = noisy(seed)
    assert not is_log_better(truth, multiplied, multiplied)
    assert not is_log_better(truth, truth, truth)
    assert not is_log_better(truth, multiplied, np.random.default_rng(seed).permutation(multiplied))


def test_a_logarithm_that_misses_the_large_targets_is_not_better():
    truth, added, multiplied = noisy(0)
    assert not is_log_better(truth, added, np.minimum(multiplied, np.quantile(multiplied, 0.9)))


def test_a_model_with_the_logarithm_predicts_the_same_from_every_export(folder):
    prices("multiplied").to_csv("prices.csv", index=False)
    done("init", "prices.csv", "-t", "price", "-o", "prices.yaml")
    small = ["--set", "training.epochs=3", "--set", "model.layers=[auto, 8, auto]"]
    done("train", "prices.yaml", *small, "--output", "run")
    predicted = done("predict", "run/weights.npz", "prices.csv").stdout
    assert float(pd.Series(predicted.split()[1:], dtype=float).mean()) == pytest.approx(
        prices("multiplied")["price"].mean(), rel=0.1
    )
    for language in ("python", "c", "sql"):  # each export is compared with the model on rows of its own
        done("export", "run/weights.npz", "--to", language, "--output", f"model.{language}")


def test_a_sample_of_zeros_keeps_the_target_as_it_is():
    zeros = np.zeros(9)
    assert not is_log_better(zeros, zeros + 0.1, zeros)
