"""`mlp init` takes numbers that act as levels for categories where the rows at hand show it, and only there."""

import numpy as np
import pandas as pd
import pytest

from mlpcli.config.loading import config_from_text
from mlpcli.data.schema.column import ColumnOptions
from mlpcli.workflows.init import init
from tests.program import done

N_ROWS, N_LEVELS = 3000, 25


def rows(seed=0):
    """Codes 100, 107, 114, ... with an effect of each on the price, and a number without any."""
    rng = np.random.default_rng(seed)
    level = rng.integers(N_LEVELS, size=N_ROWS)
    price = rng.normal(size=N_LEVELS)[level] + 0.5 * rng.normal(size=N_ROWS)
    return pd.DataFrame({"code": 100 + 7 * level, "x": rng.normal(size=N_ROWS).round(3), "price": price.round(4)})


def starter(frame, path, **options):
    frame.to_csv(path, index=False)
    return init(str(path), ("price",), **options)


def columns_of(text):
    return config_from_text(text, "t.yaml").config.data.columns


def columns(found):
    return columns_of(found.text)


def test_a_column_without_values_where_the_target_is_known_stays_a_number(tmp_path):
    table = rows().astype({"code": float})
    table.loc[: N_ROWS // 2, "price"] = np.nan
    table.loc[N_ROWS // 2 :, "code"] = np.nan
    assert columns(starter(table, tmp_path / "t.csv"))["code"].role == "number"


def test_only_rows_with_a_value_count(tmp_path):
    """Some columns of 60 values in 150 rows, of no effect, would be levels by chance."""
    rng = np.random.default_rng(0)
    codes = np.full((N_ROWS, 40), np.nan)
    codes[:150] = rng.integers(60, size=(150, 40))
    table = pd.DataFrame(codes).rename(columns=str).assign(price=rng.normal(size=N_ROWS))
    assert {options.role for options in columns(starter(table, tmp_path / "t.csv")).values()} == {"number"}


@pytest.mark.parametrize("is_class", [True, False])
def test_rows_of_one_target_do_not_count_as_evidence(tmp_path, is_class):
    """Three rows of 900 differ from the others in the target: by chance alone the mean of some value does too."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(18, size=(900, 30))).rename(columns=str)
    table["price"] = np.where(np.arange(900) % 300 == 7, *(("rare", "usual") if is_class else (2.5, 0.0)))
    assert {options.role for options in columns(starter(table, tmp_path / "t.csv")).values()} == {"number"}


def test_a_group_of_rows_is_no_input_and_so_no_level(tmp_path):
    found = starter(rows().rename(columns={"code": "patient"}), tmp_path / "t.csv")
    assert found.data.summary.group == "patient"
    assert not [note for note in found.notes if "category levels" in note]


def test_years_stay_numbers_as_later_ones_come(tmp_path):
    table = rows()
    table["code"] = 1980 + table["code"] // 7
    assert columns(starter(table, tmp_path / "t.csv"))["code"].role == "number"


def test_levels_keep_the_format_of_their_numbers(folder):
    table = rows()
    table["code"] = [f"${10 * code:,}" for code in table["code"]]
    table.to_csv("t.csv", index=False)
    done("init", "t.csv", "-t", "price", "--recipe", "fast", "-o", "t.yaml")
    text = (folder / "t.yaml").read_text()
    assert columns_of(text)["code"] == ColumnOptions(role="category", prefix="$", thousands=",")
    done("train", "t.yaml", "--set", "training.epochs=2", "--output", "run")
    pd.DataFrame({"code": ["$1,070", "$1070", "1070.00", "$9,999"], "x": 0.0}).to_csv("new.csv", index=False)
    ended = done("predict", "run/weights.npz", "new.csv")
    predictions = ended.stdout.split()[1:]
    assert len(set(predictions[:3])) == 1 != len(set(predictions))
    assert "1 cell unseen or rare in training (code 1)" in ended.stderr


def test_a_decimal_comma_is_kept_whether_it_is_that_of_all_columns_or_not(tmp_path):
    table = rows()
    table["code"] = [f"{code / 4:.2f}".replace(".", ",") for code in table["code"]]
    assert columns(starter(table, tmp_path / "t.csv"))["code"] == ColumnOptions(role="category", decimal=",")
    table["x"] = [str(x).replace(".", ",") for x in table["x"]]
    table["price"] = [str(price).replace(".", ",") for price in table["price"]]
    found = starter(table, tmp_path / "t.csv")
    assert (columns(found)["code"], found.data.decimal) == (ColumnOptions(role="category"), ",")
