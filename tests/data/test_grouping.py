import numpy as np
import pandas as pd
import pytest

from mlpcli.data.grouping import MISSING, cross_groups, group_rows
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.errors import DataError


def groups_of(values):
    """Names by row."""
    groups = group_rows(table_from_frame(pd.DataFrame({"c": values})), "c")
    return [groups.names[code] for code in groups.codes]


def test_each_text_is_a_group_and_so_are_the_missing_cells():
    assert groups_of(["b", "a", None, "b", " a"]) == ["c = b", "c = a", f"c = {MISSING}", "c = b", "c = a"]


def test_few_numbers_are_groups_and_many_are_split_at_their_quartiles():
    assert groups_of([3.0, 1.0, np.nan]) == ["c = 3", "c = 1", f"c = {MISSING}"]
    many = groups_of([*np.arange(1.0, 101.0), np.nan])
    assert sorted(set(many)) == sorted(
        ["c = up to 25.75", "c = over 25.75 to 50.5", "c = over 50.5 to 75.25", "c = over 75.25", f"c = {MISSING}"]
    )
    assert many.count("c = up to 25.75") == 25


def test_quartiles_that_fall_together_make_fewer_groups():
    names = groups_of([0.0] * 80 + list(np.arange(1.0, 21.0)))
    assert set(names) == {"c = up to 0", "c = over 0"}


def test_every_row_is_in_one_group_and_no_group_is_empty():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.choice(["x", "y", None], 200), "b": rng.normal(size=200)})
    groups = cross_groups(table_from_frame(frame).take(np.arange(50, 120)), ["a", "b"])
    assert len(groups.codes) == 70
    assert set(groups.codes) == set(range(len(groups.names)))
    assert len(set(groups.names)) == len(groups.names)
    assert all(name.startswith("a = ") and ", b = " in name for name in groups.names)


def test_a_column_that_is_not_there_or_holds_too_much_is_refused():
    table = table_from_frame(pd.DataFrame({"region": [f"r{i}" for i in range(1001)]}))
    with pytest.raises(DataError, match=r"--by regoin: no such column\. Did you mean region\?"):
        group_rows(table, "regoin")
    with pytest.raises(DataError, match="1001 values, and at most 1000 groups"):
        group_rows(table, "region")
