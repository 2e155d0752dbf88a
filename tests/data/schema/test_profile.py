import numpy as np
import pandas as pd
import pytest

from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.schema.profile import profile_columns
from mlpcli.data.schema.task import infer_targets
from tests.data.tables_by_hand import frame_table

rng = np.random.default_rng(0)
N = 200
TARGET = rng.choice(["a", "b", "c"], N)


def profile(cells, name="x", roles=None, target=TARGET):
    """Profile of one column beside an ordinary one."""
    frame = pd.DataFrame({name: cells, "other": rng.normal(size=len(cells)), "y": target[: len(cells)]})
    return next(column for column in profiles_of(frame, roles) if column.name == name)


def profiles_of(frame, roles=None):
    """Profile of each column but the target y."""
    table = frame_table(frame)
    options = {name: ColumnOptions(role=role) for name, role in (roles or {}).items()}
    return profile_columns(table, infer_targets(table, ["y"]), options)


def texts(*cells):
    return pd.Series(list(cells), dtype=object)


@pytest.mark.parametrize(
    ("cells", "kind", "role"),
    [
        (rng.normal(size=N), "number", "number"),
        (rng.integers(10, 90, N), "number", "number"),
        (rng.integers(0, 5, N), "code", "number"),
        (rng.integers(0, 2, N), "boolean", "boolean"),
        (rng.choice(["yes", "no"], N).astype(object), "boolean", "boolean"),
        (rng.choice(["u", "v", "w"], N).astype(object), "category", "category"),
        (np.array([f"2020-01-{day:02d}" for day in rng.integers(1, 28, N)], dtype=object), "date", "date"),
        (np.array([f"name {row}" for row in range(N)], dtype=object), "near_unique", "category"),
        (np.full(N, 7), "constant", "number"),
        (np.full(N, "x", dtype=object), "constant", "category"),
        (np.full(N, np.nan), "empty", "number"),
        (rng.permutation(N), "id", "number"),
        (rng.permutation(N) + 1.0, "id", "number"),
        (rng.permutation(1000)[:N], "number", "number"),
        (np.arange(1825, 1825 + N), "number", "number"),
    ],
)
def test_every_kind_of_column_is_detected(cells, kind, role):
    column = profile(cells)
    assert (column.kind, column.role) == (kind, role)
    assert bool(column.drop_reason) == (kind in ("near_unique", "constant", "empty", "id", "leak"))


@pytest.mark.parametrize(
    "name", ["id", "ID", "customer_id", "PassengerId", "customerID", "Unnamed: 0", "uuid", "row_id"]
)
def test_whole_numbers_with_the_name_of_an_id_are_ids(name):
    assert profile(rng.permutation(10**6)[:N], name).kind == "id"


@pytest.mark.parametrize("name", ["paid", "width", "idle", "monkey", "valid"])
def test_names_that_only_end_like_an_id_are_no_ids(name):
    assert profile(rng.permutation(10**6)[:N], name).kind == "number"


def test_fractions_are_never_ids():
    assert profile(rng.normal(size=N), "id").kind == "number"


def test_an_only_input_that_counts_the_rows_is_kept():
    frame = pd.DataFrame({"x": np.arange(N), "y": np.arange(N) ** 2})
    (column,) = profiles_of(frame)
    assert (column.kind, column.drop_reason) == ("number", "")


def test_one_value_and_gaps_are_not_constant():
    column = profile(texts(*["x"] * 100, *[np.nan] * 100))
    assert (column.kind, column.n_missing, column.drop_reason) == ("category", 100, "")


def test_counts_and_examples_are_given():
    column = profile(texts("u", "v", np.nan, *["u"] * 50))
    assert (column.n_rows, column.n_distinct, column.n_missing, column.examples) == (53, 2, 1, ("u", "v"))


def test_examples_of_numbers_are_short():
    assert profile([2.0, 3.5, 2.0, 1.0, 9.0]).examples == ("1", "2", "3.5")


def test_texts_of_numbers_are_numbers():
    column = profile(texts(*["19.5", " ", "20"] * 30))
    assert (column.kind, column.role, column.n_missing) == ("number", "number", 30)


def test_a_role_given_by_the_user_is_kept():
    assert profile(rng.integers(0, 5, N), roles={"x": "category"}).kind == "category"
    assert profile(rng.permutation(N), roles={"x": "number"}).drop_reason == ""
    assert profile(rng.integers(0, 2, N), roles={"x": "number"}).role == "number"


def test_ambiguous_dates_are_noted():
    column = profile(texts(*["01/02/2020", "03/04/2021"] * 20))
    assert "dates could be MM/DD/YYYY or DD/MM/YYYY: read as MM/DD/YYYY" in column.note


def test_columns_that_leak_the_target_are_reported():
    column = profile(np.array([f"code {label}" for label in TARGET], dtype=object))
    assert (column.kind, column.drop_reason) == ("leak", "leaks the target (y can be derived from it alone)")
    assert profile(np.where(TARGET == "a", 0.5, np.where(TARGET == "b", 1.5, 2.5))).kind == "leak"
    amounts = rng.normal(size=N)
    assert profile(amounts * 2 + 1, target=amounts).kind == "leak"
    assert profile(amounts + rng.normal(size=N), target=amounts).kind == "number"


def test_targets_are_not_profiled():
    frame = pd.DataFrame({"y": TARGET, "x": rng.normal(size=N)})
    assert [column.name for column in profiles_of(frame)] == ["x"]


def test_what_training_rejects_is_a_fault_with_its_location_but_not_a_reason_to_drop():
    column = profile(texts(*map(str, rng.normal(size=N - 1)), "oops"))
    assert (column.role, column.drop_reason) == ("number", "")
    assert column.fault.startswith(f"new.csv:{N + 1}: column x: 'oops' is not a number; the other {N - 1} cells are")


def test_formatted_numbers_are_profiled_as_numbers():
    column = profile(texts(*(f"${number:,.2f}" for number in rng.uniform(0, 9000, N))))
    assert (column.kind, column.role, column.schema.number.prefix, column.fault) == ("number", "number", "$", "")
