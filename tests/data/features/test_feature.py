from mlpcli.data.features.feature import Feature
from mlpcli.data.schema.column import ColumnSchema


def n_inputs(role, **learnt):
    return Feature(ColumnSchema("a", role), **learnt).n_inputs


def test_n_inputs_counts_what_a_column_feeds():
    assert n_inputs("number") == 1
    assert n_inputs("number", flag_of="a") == 2
    assert n_inputs("number", flag_of="b") == 1
    assert n_inputs("number", n_bins=4) == 5
    assert n_inputs("date") == 5
    assert n_inputs("date", has_time=True) == 7
    assert n_inputs("boolean") == 1
    assert n_inputs("category", levels=("x", "y"), has_missing_level=True, has_other_level=True) == 4
    assert n_inputs("category", levels=("x", "y"), is_signed=True) == 1
