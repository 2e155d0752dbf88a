"""Which columns of a table are read as texts, for a model that is there; and sample weights."""

import numpy as np
import pytest

from mlpcli.data.schema.column import ColumnSchema
from mlpcli.data.schema.spelling import NumberFormat
from mlpcli.data.table import TableFormat
from mlpcli.errors import DataError
from mlpcli.workflows.reading.tables import is_read_as_text
from mlpcli.workflows.reading.weights import row_weights
from tests.data.tables_by_hand import hand_table


@pytest.mark.parametrize(
    ("schema", "is_text"),
    [
        (ColumnSchema("x", "number"), False),
        (ColumnSchema("x", "number", number=NumberFormat(decimal=",")), True),
        (ColumnSchema("x", "number", number=NumberFormat(prefix="$")), True),
        (ColumnSchema("x", "number", number=NumberFormat(thousands=",")), True),
        (ColumnSchema("x", "number", missing=("-99",)), True),
        (ColumnSchema("x", "date", date_format="YYYY-MM-DD"), True),
        (ColumnSchema("x", "boolean", levels=("0", "1")), True),
        (ColumnSchema("x", "category"), True),
    ],
)
def test_numbers_that_a_reader_knows_are_read_as_numbers_and_all_else_as_texts(schema, is_text):
    assert is_read_as_text(schema, TableFormat()) == is_text


def test_weights_of_chosen_rows_come_in_their_order():
    table = hand_table(w=[1, 2, 3])
    assert row_weights(table, "w").tolist() == [1.0, 2.0, 3.0]
    assert row_weights(table, "w", np.array([2, 0])).tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -2.0], r"new\.csv:3: the weight w is -2"),
        ([1.0, float("nan")], r"new\.csv:3: the weight w is missing"),
        ([0.0, 0.0], "every weight w is 0"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        row_weights(hand_table(w=weights), "w")


def test_a_bad_weight_among_chosen_rows_is_told_with_its_place():
    with pytest.raises(DataError, match=r"^new\.csv:3: the weight w is -2"):
        row_weights(hand_table(w=[1.0, -2.0, 3.0]), "w", np.array([2, 1]))
