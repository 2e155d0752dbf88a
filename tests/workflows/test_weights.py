"""Sample weights."""

import pandas as pd
import pytest

from mlpcli.data.tables import table_from_frame
from mlpcli.errors import DataError
from mlpcli.workflows.weights import row_weights


def test_weights_of_chosen_rows_come_in_their_order():
    table = table_from_frame(pd.DataFrame({"w": [1, 2, 3]}))
    assert row_weights(table, "w").tolist() == [1.0, 2.0, 3.0]
    assert row_weights(table, "w", pd.Series([2, 0]).to_numpy()).tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -2.0], "the data frame: row 1: the weight w is -2"),
        ([1.0, float("nan")], "the data frame: row 1: the weight w is missing"),
        ([0.0, 0.0], "every weight w is 0"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        row_weights(table_from_frame(pd.DataFrame({"w": weights})), "w")
