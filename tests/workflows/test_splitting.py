"""Rows that belong together are held out together, in validation and in folds."""

import numpy as np
import pytest

from mlpcli.errors import ConfigError, DataError
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.train import train
from tests.program import write_csv
from tests.workflows.staging import Watch, loaded

FOLDS = {"count": 3, "rows": "folds"}
N_ROWS = 120


@pytest.fixture
def table(folder):
    rows = [
        (f"p{i // 4:02d}", f"2024-{1 + i % 12:02d}-{1 + i // 12:02d}", i % 5, i / 10, "ab"[i % 3 == 0])
        for i in range(N_ROWS)
    ]
    write_csv(folder / "t.csv", ["patient", "day", "small", "x", "y"], rows)
    return folder


def config(validation, members=1, **data):
    return loaded({"train": "t.csv", "target": "y", "validation": validation, **data}, model={"members": members})


def sides(prepared):
    """The x of training and validation rows, scaled back."""
    place = prepared.preprocessor.feature_names.index("x")
    center, scale = (prepared.preprocessor.state[name][-1] for name in ("center", "scale"))
    parts = (prepared.train, prepared.validation)
    return tuple(np.round(part.samples.X[:, place].astype(float) * scale + center, 1) for part in parts)


def of_rows(folder, column):
    lines = [line.split(",") for line in (folder / "t.csv").read_text().splitlines()]
    place = lines[0].index(column)
    return {round(float(cells[3]), 1): cells[place] for cells in lines[1:]}


def test_the_rows_of_a_group_are_on_one_side_and_the_column_is_no_input(table):
    prepared = prepare(config({"group": "patient", "fraction": 0.3}))
    group_of = of_rows(table, "patient")
    train_groups, held_out = ({group_of[x] for x in side.tolist()} for side in sides(prepared))
    assert not train_groups & held_out
    assert len(held_out) == 9
    assert not any("patient" in name for name in prepared.preprocessor.feature_names)


def test_the_validation_rows_are_the_last_by_time_which_may_be_an_input_or_dropped(table):
    for drop in ([], ["day"]):
        prepared = prepare(config({"time": "day"}, drop=["patient", *drop]))
        day_of = of_rows(table, "day")
        train_days, held_out = ([day_of[x] for x in side.tolist()] for side in sides(prepared))
        assert max(train_days) < min(held_out)
        assert len(held_out) / N_ROWS == pytest.approx(0.2, abs=0.03)
        assert ("day" in prepared.preprocessor.feature_names) == (not drop)


@pytest.mark.parametrize("members", [1, FOLDS])
def test_a_rare_yes_of_several_columns_is_on_every_side_of_a_split_by_groups(folder, members):
    """Four of forty groups have it: by chance one in eight splits would hold out none, and three folds lack it more."""
    rows = [(f"p{i // 3:02d}", i / 10, int(i // 3 % 10 == 0), i % 2) for i in range(N_ROWS)]
    write_csv(folder / "t.csv", ["patient", "x", "rare", "often"], rows)
    for seed in range(8):
        options = {"target": ["rare", "often"]}
        prepared = prepare(
            loaded(
                {"train": "t.csv", "validation": {"group": "patient"}, **options},
                {"seed": seed},
                task="multilabel",
                model={"members": members},
            )
        )
        if members == 1:
            assert [int(part.truth[:, 0].sum()) for part in (prepared.train, prepared.validation)] == [9, 3], seed
        else:
            assert np.bincount(prepared.folds, prepared.train.truth[:, 0]).min() >= 3, seed


def test_equal_rows_are_on_one_side(table):
    prepared = prepare(config({"copies": "together", "fraction": 0.5}, features=["small"]))
    train_values, held_out = (set(part.samples.X[:, 0].tolist()) for part in (prepared.train, prepared.validation))
    assert len(train_values) + len(held_out) == 5


@pytest.mark.parametrize(
    ("validation", "column", "follows"), [({"group": "patient"}, "patient", False), ({"time": "day"}, "day", True)]
)
def test_folds_of_members_keep_groups_whole_and_are_spans_of_time(table, validation, column, follows):
    prepared = prepare(config(validation, FOLDS))
    value_of, folds = of_rows(table, column), prepared.folds
    values = np.array([value_of[x] for x in sides(prepared)[0].tolist()])
    sets = [set(values[folds == fold].tolist()) for fold in range(3)]
    assert sum(map(len, sets)) == len(set(values.tolist()))
    assert np.bincount(folds).tolist() == pytest.approx([40, 40, 40], abs=4)
    if follows:
        assert max(sets[0]) < min(sets[1])
        assert max(sets[1]) < min(sets[2])
    assert train(config(validation, FOLDS), Watch()).outcome.epochs == 2


@pytest.mark.parametrize(
    ("validation", "members", "message"),
    [
        ({"group": "pateint"}, 1, "data.validation.group: no column 'pateint' in t.csv. Did you mean patient"),
        ({"group": "y"}, 1, "data.validation.group: y is the target."),
        ({"group": ""}, 1, "data.validation.group: no column '' in t.csv."),
        ({"time": ""}, FOLDS, "data.validation.time: no column '' in t.csv."),
        ({"group": "patient", "time": "day"}, 1, "data.validation: group and time do not go together."),
        ({"fraction": 0.3}, 1, "data.validation: names no way to hold rows out."),
        ({"column": "patient"}, 1, "data.validation: equals is missing"),
        (
            {"column": "patient", "equals": "p01", "fraction": 0.3},
            1,
            "data.validation.fraction: column says which rows",
        ),
        ({"group": "patient", "fraction": 0.3}, FOLDS, "data.validation.fraction: each fold is held out once."),
        ({"column": "patient", "equals": "p01"}, FOLDS, "data.validation: model.members.rows: folds makes"),
    ],
)
def test_a_way_that_is_none_is_refused_with_the_key(table, validation, members, message):
    with pytest.raises(ConfigError) as caught:
        prepare(config(validation, members))
    assert message in str(caught.value)


def test_a_column_that_cannot_part_rows_is_refused(table):
    with pytest.raises(DataError, match=r"t\.csv: column patient holds neither dates nor numbers"):
        prepare(config({"time": "patient"}))
    write_csv(table / "t.csv", ["g", "x", "y"], [("one", i, "ab"[i % 2]) for i in range(20)])
    with pytest.raises(DataError, match="need as many groups, and there is 1"):
        prepare(config({"group": "g"}))


def test_rows_without_a_group_are_alone_and_without_a_time_the_first(table):
    rows = [("" if i % 5 == 0 else f"g{i % 7}", "" if i % 5 == 0 else i, i % 11, "ab"[i % 2]) for i in range(70)]
    write_csv(table / "t.csv", ["g", "t", "x", "y"], rows)
    assert "t.csv: 14 rows without a value of g: each is a group of its own." in prepare(config({"group": "g"})).notes
    assert "t.csv: 14 rows without a value of t: taken as the first." in prepare(config({"time": "t"})).notes
