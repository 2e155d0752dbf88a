"""The number of inputs is known before the preprocessing is fitted, to decide whether they fit into memory."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpcli.data.features.preprocessor import fit_preprocessor
from mlpcli.workflows.preparing.networks import input_size
from mlpcli.workflows.preparing.networks.input_size import count_inputs, max_inputs
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.preparing.rows import data_store
from mlpcli.workflows.preparing.rows.data_store import store_options
from mlpcli.workflows.preparing.rows.tables import read_training_table, resolve_columns
from tests.program import write_csv
from tests.workflows.staging import loaded

N_ROWS = 60
CELLS = {
    "number": lambda i: i * 1.5,
    "gaps": lambda i: "" if i % 7 == 0 else i % 9,
    "gaps_too": lambda i: "" if i % 7 == 0 else i,
    "few": lambda i: i % 2,
    "day": lambda i: f"2024-0{i % 9 + 1}-{i % 28 + 1:02d}",
    "moment": lambda i: f"0{i % 9 + 1}.03.2024 10:{i % 60:02d}",
    "price": lambda i: f"${i + 1},000",
    "level": lambda i: f"l{i % 12}",
    "rare": lambda i: f"r{i}",
    "code": lambda i: f"{i % 5}" if i else "007",
    "truth": lambda i: "yes" if i % 3 else "no",
    "size": lambda i: ("", "NA", "s", "m", "l")[i % 5],
}
OPTIONS = [
    {},
    {"categorical": {"max_levels": 4, "min_count": 1}},
    {"categorical": {"binary": "one"}, "missing": {"name": "median", "flag": False}},
    {"encoding": {"name": "piecewise_linear", "bins": 7}},
    {"encoding": {"name": "piecewise_linear", "edges": "target"}},
]
COLUMNS = {"price": {"role": "number", "prefix": "$", "thousands": ","}}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS | {"few": "category", "day": "category"}])
def test_the_number_of_inputs_counted_before_a_training_is_that_of_the_training(folder, options, columns):
    write_csv(folder / "t.csv", [*CELLS, "y"], [[*(of(i) for of in CELLS.values()), i % 2] for i in range(N_ROWS)])
    config = loaded({"train": "t.csv", "target": "y", "columns": columns, "validation": None}, preprocess=options)
    table = read_training_table(config)
    n_inputs = len(prepare(config).preprocessor.feature_names)
    counted = count_inputs(config, table)
    assert counted == n_inputs or (config.config.preprocess.encoding.uses_targets and counted > n_inputs)
    n_texts = {name: len(getattr(column, "levels", ())) for name, column in table.columns.items()}
    assert max_inputs(config, n_texts) >= n_inputs


@given(codes=st.lists(st.integers(0, 30), min_size=20, max_size=200), n_texts=st.integers(2, 40))
@settings(max_examples=20)
def test_roles_inferred_from_a_sample_of_the_texts_are_those_of_all_texts(tmp_path_factory, codes, n_texts):
    folder = tmp_path_factory.mktemp("many")
    rows = [(f"l{code}", f"2024-01-{code + 1:02d}", i if i else "01", i % 2) for i, code in enumerate(codes)]
    write_csv(folder / "t.csv", ["level", "day", "code", "y"], rows)
    config = loaded({"train": str(folder / "t.csv"), "target": "y", "validation": None})
    table = read_training_table(config)
    training_table, options = resolve_columns(config, table), config.config.preprocess
    fitted, _ = fit_preprocessor(
        training_table.table,
        training_table.features,
        options.numeric,
        options.missing,
        options.categorical,
        options.encoding,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(input_size, "MAX_TEXTS", n_texts)
        assert count_inputs(config, table) == len(fitted.feature_names)


def is_on_disk(monkeypatch, data, n_bytes, **sections):
    """Whether the rows of a table are stored on disk, if all memory is for inputs."""
    for name in ("BASE_BYTES", "MIN_BYTES", "READING_BYTES"):
        monkeypatch.setattr(data_store, name, 0)
    config = loaded(data, budget={"memory": int(n_bytes)}, **sections)
    return read_training_table(config, store_options(config)).n_buckets > 1


def test_a_table_of_dates_and_prices_is_stored_on_disk_exactly_if_its_inputs_do_not_fit(folder, monkeypatch):
    rows = [(i * 7 % 3001, i * 11 % 3001, f"200{i % 9}-0{i % 8 + 1}-{i % 28 + 1:02d}", f"${i + 1}", i % 2)
            for i in range(4000)]  # fmt: skip
    write_csv(folder / "t.csv", ["a", "b", "day", "price", "y"], rows)
    data = {"train": "t.csv", "target": "y", "columns": {"price": {"role": "number", "prefix": "$"}}}
    n_inputs = len(prepare(loaded(data)).preprocessor.feature_names)
    needed = 4000 * n_inputs * 4 * data_store.OVERHEAD
    assert not is_on_disk(monkeypatch, data, needed * 1.01)
    assert is_on_disk(monkeypatch, data, needed * 0.99)


@pytest.mark.parametrize("max_levels", [100, 1000])
def test_a_table_of_many_levels_is_stored_on_disk_exactly_if_its_inputs_do_not_fit(folder, monkeypatch, max_levels):
    write_csv(folder / "t.csv", ["level", "y"], [(f"l{i % 500}", i % 2) for i in range(4000)])
    data, categorical = {"train": "t.csv", "target": "y"}, {"max_levels": max_levels}
    needed = 4000 * min(500, max_levels + 1) * 4 * data_store.OVERHEAD
    assert not is_on_disk(monkeypatch, data, needed * 1.01, preprocess={"categorical": categorical})
    assert is_on_disk(monkeypatch, data, needed * 0.99, preprocess={"categorical": categorical})
