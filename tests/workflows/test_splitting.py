"""Rows of one group are held out together, in validation rows and in folds."""

import hashlib

import numpy as np
import pandas as pd
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


def x_of_splits(prepared):
    """The column x of the training and validation rows, in its original unit."""
    index = prepared.preprocessor.feature_names.index("x")
    center, scale = (prepared.preprocessor.state[name][-1] for name in ("center", "scale"))
    splits = (prepared.train, prepared.validation)
    return tuple(np.round(split.samples.X[:, index].astype(float) * scale + center, 1) for split in splits)


def values_by_x(folder, column):
    """The cell of a column by the value of x in its row."""
    lines = [line.split(",") for line in (folder / "t.csv").read_text().splitlines()]
    index = lines[0].index(column)
    return {round(float(cells[3]), 1): cells[index] for cells in lines[1:]}


def test_the_rows_of_a_group_are_in_one_split_and_the_column_is_no_input(table):
    prepared = prepare(config({"group": "patient", "fraction": 0.3}))
    group_of = values_by_x(table, "patient")
    train_groups, held_out = ({group_of[x] for x in split_x.tolist()} for split_x in x_of_splits(prepared))
    assert not train_groups & held_out
    assert len(held_out) == 9
    assert not any("patient" in name for name in prepared.preprocessor.feature_names)


def test_the_validation_rows_are_the_last_by_time_which_may_be_an_input_or_dropped(table):
    for drop in ([], ["day"]):
        prepared = prepare(config({"time": "day"}, drop=["patient", *drop]))
        day_of = values_by_x(table, "day")
        train_days, held_out = ([day_of[x] for x in split_x.tolist()] for split_x in x_of_splits(prepared))
        assert max(train_days) < min(held_out)
        assert len(held_out) / N_ROWS == pytest.approx(0.2, abs=0.03)
        assert ("day" in prepared.preprocessor.feature_names) == (not drop)


@pytest.mark.parametrize("members", [1, FOLDS])
def test_a_rare_positive_of_several_boolean_targets_is_in_every_split_by_groups(folder, members):
    """Four of forty groups have a positive: without stratification one in eight splits would hold out none."""
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
            assert [int(split.truth[:, 0].sum()) for split in (prepared.train, prepared.validation)] == [9, 3], seed
        else:
            assert np.bincount(prepared.folds, prepared.train.truth[:, 0]).min() >= 3, seed


def test_equal_rows_are_in_one_split(table):
    prepared = prepare(config({"copies": "together", "fraction": 0.5}, features=["small"]))
    train_values, held_out = (set(split.samples.X[:, 0].tolist()) for split in (prepared.train, prepared.validation))
    assert len(train_values) + len(held_out) == 5


@pytest.mark.parametrize(
    ("validation", "column", "follows"), [({"group": "patient"}, "patient", False), ({"time": "day"}, "day", True)]
)
def test_folds_of_members_keep_groups_together_and_are_spans_of_time(table, validation, column, follows):
    prepared = prepare(config(validation, FOLDS))
    value_of, folds = values_by_x(table, column), prepared.folds
    values = np.array([value_of[x] for x in x_of_splits(prepared)[0].tolist()])
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
        ({"group": "patient", "hash": "day"}, 1, "data.validation: group and hash cannot be combined."),
        ({"time": "day", "copies": "together"}, 1, "data.validation: time and copies cannot be combined."),
        ({"group": "day", "time": "day"}, 1, "data.validation: group and time are both day."),
        ({"group": "patient", "gap": 3}, 1, "data.validation.gap: applies to time only."),
        ({"hash": "pateint"}, 1, "data.validation.hash: no column 'pateint' in t.csv. Did you mean patient"),
        ({"fraction": 0.3}, 1, "data.validation: does not say how to hold out rows."),
        ({"column": "patient"}, 1, "data.validation: equals is missing"),
        (
            {"column": "patient", "equals": "p01", "fraction": 0.3},
            1,
            "data.validation.fraction: cannot be combined with column",
        ),
        ({"group": "patient", "fraction": 0.3}, FOLDS, "data.validation.fraction: each fold is held out once."),
        ({"column": "patient", "equals": "p01"}, FOLDS, "data.validation: model.members.rows: folds defines"),
    ],
)
def test_an_invalid_split_strategy_is_an_error_with_its_key(table, validation, members, message):
    with pytest.raises(ConfigError) as caught:
        prepare(config(validation, members))
    assert message in str(caught.value)


def test_a_column_that_cannot_split_the_rows_is_an_error(table):
    with pytest.raises(ConfigError, match=r"validation.time: column patient of t\.csv holds neither dates nor numbers"):
        prepare(config({"time": "patient"}))
    write_csv(table / "t.csv", ["g", "x", "y"], [("one", i, "ab"[i % 2]) for i in range(20)])
    with pytest.raises(DataError, match="need as many groups, and there is 1"):
        prepare(config({"group": "g"}))


def test_rows_without_a_group_are_separate_groups_and_rows_without_a_time_are_the_earliest(table):
    rows = [("" if i % 5 == 0 else f"g{i % 7}", "" if i % 5 == 0 else i, i % 11, "ab"[i % 2]) for i in range(70)]
    write_csv(table / "t.csv", ["g", "t", "x", "y"], rows)
    assert "t.csv: 14 rows without a value of g: each forms a separate group." in prepare(config({"group": "g"})).notes
    assert "t.csv: 14 rows without a value of t: treated as the earliest." in prepare(config({"time": "t"})).notes


def times_of(xs, folder):
    day_of = values_by_x(folder, "day")
    return tuple(np.array([np.datetime64(day_of[x]) for x in split_x.tolist()]) for split_x in xs)


@pytest.mark.parametrize("gap", [1, 30, 45.5])
def test_a_gap_excludes_rows_that_are_nearer_to_the_validation_rows(table, gap):
    prepared, plain = (prepare(config({"time": "day", **options})) for options in ({"gap": gap}, {}))
    train_days, held_out = times_of(x_of_splits(prepared), table)
    all_days, plain_held_out = times_of(x_of_splits(plain), table)
    assert sorted(held_out) == sorted(plain_held_out)
    is_far = (held_out.min() - all_days).astype(float) >= gap
    assert sorted(train_days) == sorted(all_days[is_far])
    n_near = int((~is_far).sum())
    left_out_notes = [note for note in prepared.notes if "left out" in note]
    expected = f"{n_near} rows of 120 are left out: they are nearer to the validation rows than {gap:g} in day."
    assert left_out_notes == ([expected] if n_near else [])


def test_a_gap_that_leaves_no_training_rows_is_an_error(table):
    with pytest.raises(DataError, match=r"t\.csv: a gap of 1000 leaves no row before it"):
        prepare(config({"time": "day", "gap": 1000}))
    with pytest.raises(DataError, match=r"a gap of 1000 leaves no training row for fold 1"):
        prepare(config({"time": "day", "gap": 1000}, FOLDS))


def visits(folder, n_patients=40, seed=0):
    """A table of visits, in which the periods of patients follow each other."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(n_patients):
        for _ in range(int(rng.integers(1, 9))):
            day = patient * 3 + int(rng.integers(0, 20))
            rows.append((f"p{patient}", day, len(rows) / 10, "ab"[len(rows) % 2]))
    order = rng.permutation(len(rows))
    write_csv(folder / "v.csv", ["patient", "day", "x", "y"], [rows[i] for i in order])
    return {round(x, 1): (patient, day) for patient, day, x, _ in rows}


@pytest.mark.parametrize("gap", [None, 4])
def test_with_group_and_time_validation_rows_are_later_and_of_new_groups(folder, gap):
    row_of = visits(folder)
    validation = {"group": "patient", "time": "day", "fraction": 0.25} | ({} if gap is None else {"gap": gap})
    prepared = prepare(config(validation, train="v.csv"))
    trained, held_out = ([row_of[x] for x in split_x.tolist()] for split_x in x_of_splits(prepared))
    assert not {patient for patient, _ in trained} & {patient for patient, _ in held_out}
    assert min(day for _, day in held_out) - max(day for _, day in trained) >= (gap or 1)
    assert len(held_out) / len(row_of) == pytest.approx(0.25, abs=0.05)
    new = {patient for patient, _ in held_out}
    assert sum(patient in new for patient, _ in row_of.values()) == len(held_out)
    (left_out_note,) = [note for note in prepared.notes if "left out" in note]
    assert left_out_note.startswith(
        f"{len(row_of) - len(trained) - len(held_out)} rows of {len(row_of)} are left out: their "
    )


def test_folds_of_groups_by_time_keep_groups_together_in_the_order_of_their_first_rows(folder):
    row_of = visits(folder)
    prepared = prepare(config({"group": "patient", "time": "day"}, FOLDS, train="v.csv"))
    rows = [row_of[x] for x in x_of_splits(prepared)[0].tolist()]
    firsts = {patient: min(day for who, day in row_of.values() if who == patient) for patient, _ in rows}
    fold_of = dict(zip([patient for patient, _ in rows], prepared.folds.tolist(), strict=True))
    assert all(fold_of[patient] == fold for (patient, _), fold in zip(rows, prepared.folds.tolist(), strict=True))
    by_first = sorted(firsts, key=lambda patient: firsts[patient])
    assert [fold_of[patient] for patient in by_first] == sorted(fold_of[patient] for patient in by_first)


def test_members_do_not_train_on_rows_near_their_fold(table):
    prepared = prepare(config({"time": "day", "gap": 10}, FOLDS))
    days = times_of(x_of_splits(prepared)[:1], table)[0]
    for number, member in enumerate(prepared.members):
        own = days[prepared.folds == number]
        others = days[member.rows]
        assert len(others) > 0
        is_before = others < own.min()
        assert ((own.min() - others[is_before]).astype(float) >= 10).all()
        assert ((others[~is_before] - own.max()).astype(float) >= 10).all()


def test_a_hash_keeps_each_row_in_its_split_when_the_table_grows_or_is_reordered(folder):
    rng, names = np.random.default_rng(0), ["id", "x", "y"]
    rows = [(f"c-{i * 7919:08d}", i / 10, "ab"[i % 2]) for i in range(2000)]
    validation = {"hash": "id", "fraction": 0.3}
    write_csv(folder / "t.csv", names, rows[:1000])
    first = prepare(config(validation, train="t.csv"))
    write_csv(folder / "t.csv", names, [rows[i] for i in rng.permutation(2000)])
    later = prepare(config(validation, train="t.csv", decimal="."))
    for before, after in zip(x_of_splits(first), x_of_splits(later), strict=True):
        assert set(before.tolist()) <= set(after.tolist())
    assert later.validation.samples.n_rows / 2000 == pytest.approx(0.3, abs=0.03)
    # As docs/held-out-rows.md says it can be computed elsewhere.
    held_out = {
        round(x, 1) for text, x, _ in rows
        if int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64 < 0.3
    }  # fmt: skip
    assert set(x_of_splits(later)[1].tolist()) == held_out
    assert "id" not in later.preprocessor.feature_names


def test_a_hash_of_a_number_is_that_of_its_text_in_every_format(folder):
    rows = [(i, i / 10, "ab"[i % 2]) for i in range(300)]
    write_csv(folder / "t.csv", ["id", "x", "y"], rows)
    pd.DataFrame(rows, columns=["id", "x", "y"]).astype({"id": float}).to_json(
        folder / "t.jsonl", orient="records", lines=True
    )
    text, typed = (x_of_splits(prepare(config({"hash": "id"}, train=name))) for name in ("t.csv", "t.jsonl"))
    assert [sorted(split_x.tolist()) for split_x in text] == [sorted(split_x.tolist()) for split_x in typed]


def test_rows_without_an_id_are_training_rows_and_too_few_ids_are_an_error(folder):
    write_csv(folder / "t.csv", ["id", "x", "y"], [(i if i % 4 else "", i, "ab"[i % 3 == 0]) for i in range(200)])
    prepared = prepare(config({"hash": "id"}, train="t.csv"))
    assert "t.csv: 50 rows without a value of id: used for training." in prepared.notes
    assert not {x for x in x_of_splits(prepared)[1].tolist() if x % 4 == 0}
    write_csv(folder / "t.csv", ["id", "x", "y"], [("one", i, "ab"[i % 2]) for i in range(20)])
    with pytest.raises(DataError, match=r"t\.csv: the hash of the ids leaves one of 2 splits empty; there are 1 ids"):
        prepare(config({"hash": "id"}, train="t.csv"))
