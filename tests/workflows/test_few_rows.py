"""Few validation rows are noted with the interval of their score, and `mlp init` avoids them."""

import numpy as np
import pytest

from mlpcli.config.loading import config_from_text
from mlpcli.evaluation.uncertainty.intervals import DEFAULT_OPTIONS
from mlpcli.messages import format_number
from mlpcli.workflows.init import init
from mlpcli.workflows.preparing.warnings.few_rows import MARGIN, MIN_ROWS, min_rows
from mlpcli.workflows.train import train
from tests.program import write_csv
from tests.workflows.staging import Watch, loaded


def table(folder, n_rows, signal, task="classification", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, 3))
    score = signal * x[:, 0] + rng.normal(size=n_rows)
    target = score if task == "regression" else np.where(score > 0, "yes", "no")
    write_csv(
        folder / "t.csv", ["a", "b", "c", "y"], [(*map(float, row), one) for row, one in zip(x, target, strict=True)]
    )


def caution(members=1, validation=0.2, **more):
    config = loaded({"train": "t.csv", "target": "y", "validation": validation}, model={"members": members}, **more)
    return train(config, Watch()).outcome.caution


def test_the_stated_number_of_rows_gives_any_proportion_a_margin_of_a_tenth():
    assert 1.959964 * np.sqrt(0.25 / MIN_ROWS) <= MARGIN < 1.959964 * np.sqrt(0.25 / (MIN_ROWS - 1))


@pytest.mark.parametrize(("task", "key"), [("classification", "roc_auc"), ("regression", "r2")])
def test_few_validation_rows_are_noted_with_the_interval_of_their_score(folder, task, key):
    table(folder, 60, 0.3, task)
    said = caution()
    assert said.startswith("12 validation rows are few: ")
    assert key in said
    assert "members: {count: 5, rows: folds}" in said
    said = caution({"count": 5, "rows": "folds"}, None)
    assert said.startswith("60 validation rows in folds are few: ")
    assert said.endswith("Use more rows.")


def test_rows_of_folds_are_noted_by_the_intervals_of_folds(folder):
    """Scores of folds are correlated, so a number of rows that is enough when independent is few in folds."""
    n_rows = 2 * MIN_ROWS
    table(folder, n_rows, 0.3)
    folds = {"count": 5, "rows": "folds"}
    nothing_chosen = {"early_stopping": None, "epochs": 1}
    outcome = train(
        loaded(
            {"train": "t.csv", "target": "y", "validation": None},
            nothing_chosen,
            model={"members": folds},
            expect={"min": {"accuracy.low": 0.999}},
        ),
        Watch(),
    ).outcome
    (result,) = outcome.gate_results
    assert f"has the confidence interval [{format_number(result.score)}, " in outcome.caution
    enough = min_rows(DEFAULT_OPTIONS.of_folds(5))
    assert enough == pytest.approx(MIN_ROWS * 2.25, abs=2)
    assert f"From {enough} rows on" in outcome.caution


def test_enough_rows_and_rows_with_narrow_intervals_are_not_noted(folder):
    table(folder, 5 * MIN_ROWS, 0.3)
    assert caution() == ""
    rows = [(i % 2 + 0.001 * i, "yes" if i % 2 else "no") for i in range(300)]
    write_csv(folder / "t.csv", ["a", "y"], rows)
    config = loaded(
        {"train": "t.csv", "target": "y"}, {"epochs": 40, "optimizer": {"name": "adam", "learning_rate": 0.1}}
    )
    outcome = train(config, Watch()).outcome
    assert outcome.scores["validation"]["accuracy"] == 1.0
    assert "accuracy" not in outcome.caution


@pytest.mark.parametrize(("n_rows", "members"), [(8, 1), (60, 5), (484, 5), (485, 1)])
def test_init_writes_folds_for_fast_if_a_fifth_of_the_rows_are_few(folder, n_rows, members):
    table(folder, n_rows, 1.0)
    config = config_from_text(init("t.csv", recipe="fast").text, "t.yaml").config
    assert config.model.members.count == members
    assert (config.data.validation is None) == (members > 1)


def test_a_table_of_few_rows_trains_by_the_config_that_init_writes(folder):
    table(folder, 60, 1.0)
    config = config_from_text(init("t.csv", recipe="fast").text + "output: run\n", "t.yaml")
    outcome = train(config, Watch()).outcome
    assert len(outcome.model.ensemble.networks) == 5
