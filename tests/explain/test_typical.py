"""The typical row of the reference profile."""

import numpy as np
import pandas as pd
import pytest

from mlpcli.explain.typical import typical_inputs
from mlpcli.workflows.train import train
from tests.workflows.staging import Watch, loaded

N_ROWS = 400


def typical_of(values, folder):
    """The typical value of a column, before it is scaled."""
    frame = pd.DataFrame({"x": values, "y": np.arange(N_ROWS) % 7})
    frame.to_csv("t.csv", index=False)
    config = loaded(
        {"train": "t.csv", "target": "y", "validation": None, "columns": {"x": {"role": "number"}}},
        {"epochs": 1},
        preprocess={"numeric": "none"},
        task="regression",
    )
    return float(typical_inputs(train(config, Watch()).outcome.model)[0])


@pytest.mark.parametrize(("most", "value"), [(0.9, 0.0), (0.1, 1.0)])
def test_of_two_values_the_typical_one_is_the_more_frequent(folder, most, value):
    assert typical_of((np.arange(N_ROWS) >= most * N_ROWS).astype(float), folder) == value


def test_the_typical_number_is_within_a_twentieth_of_the_rows_of_the_median(folder):
    values = np.exp(np.random.default_rng(0).normal(size=N_ROWS)).round(4)
    low, high = np.quantile(values, [0.45, 0.55])
    assert low <= typical_of(values, folder) <= high


def test_the_typical_number_of_a_constant_column_is_the_constant(folder):
    assert typical_of(np.full(N_ROWS, 3.0), folder) == 3.0
