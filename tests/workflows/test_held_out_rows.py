"""Held-out rows leak nothing: inputs do not depend on their targets, and on noise their scores are those of chance."""

import re

import numpy as np
import pytest

from mlpcli.config.loading import load_config
from mlpcli.config.recipes.sizes import RECIPES
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from tests.program import done, write_csv
from tests.workflows.staging import Watch, loaded

KINDS = ("classes", "amounts")


def noise(kind, n_rows=300, n_columns=6, seed=0):
    """Inputs (n_rows, n_columns + 2), with a date and a category, and independent targets."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n_rows, n_columns)).round(3)
    days = [
        f"2024-{m:02}-{d:02}" for m, d in zip(rng.integers(1, 13, n_rows), rng.integers(1, 29, n_rows), strict=True)
    ]
    letters = rng.choice(list("abcdef"), n_rows)
    inputs = [(*row, day, letter) for row, day, letter in zip(numbers.tolist(), days, letters, strict=True)]
    targets = (
        rng.permutation(["yes", "no"] * (n_rows // 2)) if kind == "classes" else rng.gamma(2.0, size=n_rows).round(4)
    )
    return inputs, targets.tolist()


def written(path, inputs, targets):
    names = [*(f"x{i}" for i in range(len(inputs[0]) - 2)), "day", "letter", "y"]
    return write_csv(path, names, [(*row, target) for row, target in zip(inputs, targets, strict=True)])


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_inputs_of_a_recipe_are_the_same_whatever_the_targets_are(folder, kind, recipe):
    inputs, targets = noise(kind)
    written(folder / "t.csv", inputs, targets)
    done("init", "t.csv", "--target", "y", "--recipe", recipe, "-o", "t.yaml")
    # In place of a share of the rows, which is drawn by class.
    text = re.sub(r"validation: 0\.2", "validation: t.csv", (folder / "t.yaml").read_text())
    (folder / "t.yaml").write_text(text)
    before = prepare(load_config("t.yaml")).train.samples.X
    written(folder / "t.csv", inputs, np.random.default_rng(1).permutation(targets))
    after = prepare(load_config("t.yaml")).train.samples.X
    assert before.shape[1] > 8
    assert np.array_equal(before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_fold_scores_of_noise_are_those_of_chance(folder, kind):
    metric, chance = ("roc_auc", 0.5) if kind == "classes" else ("r2", 0.0)
    scores = []
    for seed in range(24):
        written(folder / "t.csv", *noise(kind, 120, 10, seed))
        config = loaded(
            {"train": "t.csv", "target": "y", "validation": None},
            {"epochs": 12, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}},
            preprocess={"encoding": {"name": "piecewise_linear", "span": 0.3}},
            model={"layers": ["auto", 32, "auto"], "members": {"count": 3, "rows": "folds"}},
        )
        scores.append(train(config, Watch()).outcome.scores["validation"][metric])
    error = np.std(scores, ddof=1) / np.sqrt(len(scores))
    assert np.mean(scores) < chance + 2.5 * error
