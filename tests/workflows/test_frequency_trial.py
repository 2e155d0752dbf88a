"""`mlp init` takes other frequencies of numbers than the usual ones where a trial shows them to be clearly better."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes.sizes import FEWEST_FREQUENCY_ROWS, LARGE_ROWS, MANY_ROWS, FrequencyTrial, TableSummary
from mlpcli.workflows.init import init
from mlpcli.workflows.preparing import engine_choice
from mlpcli.workflows.starter import frequency_trial
from mlpcli.workflows.starter import trial as starter_trial

N_ROWS = 400


def waves(frequency, seed=0, n_rows=N_ROWS):
    """A number that swings with x, and does not depend on z."""
    rng = np.random.default_rng(seed)
    x, z, noise = rng.normal(size=(3, n_rows))
    return pd.DataFrame(
        {"x": x.round(4), "z": z.round(4), "y": (np.sin(frequency * x) + 0.5 * x + 0.1 * noise).round(4)}
    )


def starter(frame, folder, *targets, **options):
    frame.to_csv(folder / "waves.csv", index=False)
    return init(str(folder / "waves.csv"), targets or ("y",), **options)


def has_high_frequencies(found):
    config = config_from_text(found.text, "w.yaml").config
    scales = "model.numeric_embedding.sigma" in (config.model.members.draw or {})
    assert scales == (config.preprocess.numeric.name == "quantile")
    return scales


def reason_of(low_rmse, high_rmse):
    return FrequencyTrial("low", "high", low_rmse, high_rmse).reason


def test_a_target_that_swings_gets_high_frequencies_and_the_config_shows_both_errors(folder):
    found = starter(waves(9.0), folder)
    trial = found.data.summary.frequency_trial
    assert (trial.usual, trial.taken) == ("low", "high")
    assert trial.other_rmse < trial.usual_rmse
    assert has_high_frequencies(found)
    assert trial.reason in re.sub(r"\n +# ", " ", found.text)


def test_a_smooth_target_keeps_low_frequencies_and_the_config_shows_both_errors(folder):
    found = starter(waves(0.3), folder)
    trial = found.data.summary.frequency_trial
    assert (trial.usual, trial.other, trial.taken) == ("low", "high", "low")
    assert not has_high_frequencies(found)
    assert trial.reason in re.sub(r"\n +# ", " ", found.text)


def test_the_trial_is_the_same_every_time(folder):
    assert starter(waves(9.0), folder).text == starter(waves(9.0), folder).text


def test_many_rows_of_noise_about_a_smooth_mean_get_plain_numbers_and_small_steps(folder):
    *columns, noise = np.random.default_rng(0).normal(size=(17, MANY_ROWS)).round(4)
    table = pd.DataFrame({f"x{number}": column for number, column in enumerate(columns)})
    found = starter(table.assign(y=(sum(columns) + 2 * noise).round(4)), folder)
    trial, config = found.data.summary.frequency_trial, config_from_text(found.text, "w.yaml").config
    assert (trial.usual, trial.other, trial.taken) == ("high", "none", "none")
    assert (config.preprocess.numeric.name, config.preprocess.encoding.name) == ("standardize", "none")
    assert (config.model.numeric_embedding, config.training.optimizer.learning_rate) == (None, 0.01)
    assert trial.reason in re.sub(r"\n +# ", " ", found.text)


def test_many_rows_of_a_target_that_swings_keep_high_frequencies(folder):
    found = starter(waves(9.0, n_rows=MANY_ROWS), folder)
    trial = found.data.summary.frequency_trial
    assert (trial.usual, trial.other, trial.taken) == ("high", "none", "high")
    assert has_high_frequencies(found)


def test_a_damaged_numba_does_not_prevent_the_trial(folder, monkeypatch):
    table = waves(9.0, n_rows=MANY_ROWS)
    monkeypatch.setattr(frequency_trial, "EPOCHS", 8)
    monkeypatch.setattr(frequency_trial, "find_spec", lambda name: object())
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "mlpcli.compiled.trainer", None)
    assert starter(table, folder).data.summary.frequency_trial is not None


def test_only_a_clear_gain_takes_other_frequencies():
    assert FrequencyTrial("low", "high", 1.0, 0.95).taken == "high"
    assert FrequencyTrial("low", "high", 1.0, 0.97).taken == "low"
    assert FrequencyTrial("low", "high", 0.0, 0.0).taken == "low"
    assert "0.950 with normal scores and high frequencies, clearly lower than 1.000 with" in reason_of(1.0, 0.95)
    assert "0.980 with normal scores and high frequencies, not clearly lower than 1.000 with" in reason_of(1.0, 0.98)
    assert "1.020 with normal scores and high frequencies, not lower than 1.000 with" in reason_of(1.0, 1.02)


@pytest.mark.parametrize(
    ("n_rows", "usual", "other"),
    [
        (FEWEST_FREQUENCY_ROWS - 1, "low", None),
        (FEWEST_FREQUENCY_ROWS, "low", "high"),
        (MANY_ROWS - 1, "low", "high"),
        (MANY_ROWS, "high", "none"),
        (LARGE_ROWS - 1, "high", "none"),
        (LARGE_ROWS, "high", None),
    ],
)
def test_very_few_and_very_many_rows_have_no_trial(n_rows, usual, other):
    summary = TableSummary("regression", n_rows, n_continuous=3)
    assert (summary.frequencies, summary.frequencies_to_try) == (usual, other)


def test_classes_several_targets_and_quick_recipes_have_no_trial(folder):
    table = waves(9.0)
    classes = starter(table.assign(y=np.where(table.y > 0, "up", "down")), folder)
    several = starter(table.assign(w=2 * table.y), folder, "y", "w")
    quick = starter(table, folder, recipe="fast")
    assert [found.data.summary.frequency_trial for found in (classes, several, quick)] == [None] * 3


def test_a_table_of_categories_has_no_trial(folder):
    levels = np.random.default_rng(0).choice(["a", "b", "c"], N_ROWS)
    found = starter(waves(9.0)[["y"]].assign(level=levels), folder)
    assert found.data.summary.frequency_trial is None


def test_a_column_with_a_fault_keeps_low_frequencies(folder):
    size = [f"{i % 50}" if i < N_ROWS - 80 else "about 7" for i in range(N_ROWS)]
    found = starter(waves(9.0).assign(size=size), folder)
    assert [note for note in found.notes if "size" in note]
    assert found.data.summary.frequency_trial is None
    assert not has_high_frequencies(found)


def test_a_table_with_very_many_inputs_keeps_low_frequencies(folder, monkeypatch):
    monkeypatch.setattr(starter_trial, "MOST_INPUTS", 1)
    found = starter(waves(9.0), folder)
    assert found.data.summary.frequency_trial is None
    assert not has_high_frequencies(found)
