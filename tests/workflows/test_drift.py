"""Whether rows have drifted from the training data: seldom a false alarm, and none missed that matters."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mlpcli.data.features.bins import NoEncoding
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.preprocessor import cast_inputs, fit_preprocessor
from mlpcli.data.features.scaling import MedianFill, Standardize
from mlpcli.data.reading.typed.frames import table_from_frame
from mlpcli.data.reference import ReferenceProfile, count_rows
from mlpcli.errors import GateMissed, MlpError
from mlpcli.workflows.reading.drift import MIN_ROWS, check_on_drift, drift_notes, judge_drift
from tests.data.tables_by_hand import read_as


def table(n_rows, seed):
    """Columns of every kind, with the shapes that statistics are fooled by."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "normal": rng.normal(size=n_rows),
            "heavy": rng.standard_cauchy(n_rows),
            "count": rng.poisson(2, n_rows),
            "mostly_zero": np.where(rng.random(n_rows) < 0.97, 0.0, rng.exponential(size=n_rows)),
            "gaps": np.where(rng.random(n_rows) < 0.3, np.nan, rng.normal(size=n_rows)),
            "flag": rng.choice(["yes", "no"], n_rows, p=[0.1, 0.9]),
            "letter": pd.Series(rng.choice(list("abcde"), n_rows)).where(rng.random(n_rows) > 0.05),
            "many": [f"l{k}" for k in np.minimum(rng.zipf(1.3, n_rows), 10**6)],
            "name": [f"u{k}" for k in rng.integers(0, 10**7, n_rows)],
        }
    )


def learnt(frame):
    given, schemas = read_as(table_from_frame(frame))
    fit, profile = fit_preprocessor(given, schemas, Standardize(), MedianFill(), OneHot(), NoEncoding())
    return SimpleNamespace(reference=profile, preprocessor=fit)


@cache
def learnt_once(n_rows, seed):
    """What is learnt from a table, which no report changes."""
    return learnt(table(n_rows, seed))


def report(model, frame):
    seen = count_rows(
        model.reference, model.preprocessor.columns, cast_inputs(model.preprocessor, table_from_frame(frame))
    )
    return judge_drift(model, seen)


def drifted(found):
    return {column.column.name: column.reasons for column in found.drifted}


@pytest.mark.parametrize("n_rows", [50, 200, 1000])
@pytest.mark.parametrize("n_new", [50, 300, 3000])
def test_rows_of_the_same_source_seldom_raise_an_alarm(n_rows, n_new):
    alarms = 0
    for seed in range(8):
        model = learnt_once(n_rows, seed)
        alarms += bool(report(model, table(n_new, 1000 + seed)).drifted)
    assert alarms == 0


def levels(rng, n_levels, n_rows, exponent=0.0):
    weights = np.arange(1, n_levels + 1.0) ** -exponent
    return [f"l{k}" for k in rng.choice(n_levels, n_rows, p=weights / weights.sum())]


@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize("n_levels", [30, 130, 300, 1000, 5000])
def test_levels_of_the_same_source_seldom_raise_an_alarm_however_many_there_are(n_levels, exponent):
    alarms = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        model = learnt(pd.DataFrame({"x": levels(rng, n_levels, 1000, exponent), "y": 0.0}))
        for n_new in (300, 1000):
            alarms += bool(report(model, pd.DataFrame({"x": levels(rng, n_levels, n_new, exponent), "y": 0.0})).drifted)
    assert alarms == 0


@pytest.mark.parametrize("n_levels", [30, 300, 3000])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rng, cells: [f"new {k}" if rng.random() < 0.3 else cell for k, cell in enumerate(cells)], "new levels"),
        (lambda rng, cells: ["l7" if rng.random() < 0.4 else cell for cell in cells], "distribution"),
    ],
    ids=["new", "lump"],
)
def test_of_many_levels_too_a_change_is_found(n_levels, change, reason):
    rng = np.random.default_rng(n_levels)
    model = learnt(pd.DataFrame({"x": levels(rng, n_levels, 3000), "y": 0.0}))
    found = report(model, pd.DataFrame({"x": change(rng, levels(rng, n_levels, 1000)), "y": 0.0}))
    assert reason in drifted(found)["x"]


@pytest.mark.parametrize(
    ("name", "change", "reasons"),
    [
        ("normal", lambda f: f["normal"] + 2.0, ("distribution", "range")),
        ("normal", lambda f: f["normal"] * 0.3, ("distribution",)),
        ("normal", lambda f: f["normal"].where(f.index % 20 > 0, 50.0), ("range",)),
        ("count", lambda f: f["count"] * 3, ("distribution", "range")),
        ("gaps", lambda f: f["gaps"].where(f.index % 3 > 0), ("missing cells",)),
        ("gaps", lambda f: f["gaps"].fillna(0.0), ("distribution", "missing cells")),
        ("flag", lambda f: f["flag"].where(f.index % 2 > 0, "yes"), ("distribution",)),
        ("letter", lambda f: f["letter"].where(f.index % 30 > 0, "z"), ("new levels",)),
        ("many", lambda f: f["many"] + "x", ("distribution", "new levels")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_column_that_has_changed_is_named_with_the_reason_and_no_other_is(name, change, reasons):
    model = learnt(table(1000, 0))
    new = table(1000, 1)
    assert drifted(report(model, new)) == {}
    assert drifted(report(model, new.assign(**{name: change(new)}))) == {name: reasons}


@pytest.mark.parametrize("n_rows", [50, 200, 3000])
def test_a_table_never_drifts_from_itself_nor_from_its_rows_in_another_order(n_rows):
    for seed in range(4):
        frame = table(n_rows, seed)
        model = learnt(frame)
        for same in (frame, frame[::-1].reset_index(drop=True)):
            found = report(model, same)
            assert drifted(found) == {}
            assert all(not column.index and column.missing == column.missing_before for column in found.columns)
        assert drifted(report(model, pd.concat([frame, frame], ignore_index=True))) == {}


def test_of_few_rows_nothing_is_said():
    model = learnt(table(1000, 0))
    found = report(model, table(MIN_ROWS - 1, 1).assign(normal=99.0, letter="z"))
    assert found.drifted == ()
    assert all(column.index is None and column.p_value is None for column in found.columns)


def test_many_columns_do_not_add_up_to_an_alarm():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 300)), columns=[f"x{i}" for i in range(300)])
    assert report(learnt(frame[:150]), frame[150:].reset_index(drop=True)).drifted == ()


def test_a_column_without_a_cell_left_is_told_by_its_missing_cells():
    model = learnt(table(500, 0))
    new = table(500, 1).assign(normal=np.nan)
    assert drifted(report(model, new)) == {"normal": ("missing cells",)}


def test_a_model_without_a_reference_profile_says_so_and_gives_no_verdict():
    model = SimpleNamespace(reference=ReferenceProfile(), preprocessor=SimpleNamespace(columns=()))
    found = judge_drift(model, None)
    assert found.columns == ()
    assert [note.partition(",")[0] for note in drift_notes(found, "w.npz", "t.csv")] == [
        "the model has no reference profile"
    ]
    check_on_drift("warn", model)
    with pytest.raises(MlpError, match="--on-drift fail: the model has no reference profile"):
        check_on_drift("fail", model)


def test_the_choice_is_one_of_three():
    with pytest.raises(MlpError, match=r"--on-drift warm: no such choice. Did you mean warn\?"):
        check_on_drift("warm")


def test_only_fail_refuses_and_names_the_columns():
    model = learnt(table(500, 0))
    found = report(model, table(500, 1).assign(normal=7.0))
    found.refuse("warn")
    with pytest.raises(GateMissed, match="1 of 9 columns drifted: normal"):
        found.refuse("fail")
