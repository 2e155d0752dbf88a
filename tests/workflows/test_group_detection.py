"""`mlp init` detects a column of groups of correlated rows."""

import numpy as np
import pytest

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes.sizes import RECIPES
from mlpcli.workflows.init import init
from tests.program import done, write_csv

N_GROUPS, SIZE = 40, 5


def table(path, name="patient_id", spread=1.0, n_groups=N_GROUPS, as_text=True, missing=0):
    """Rows of groups with a random intercept of deviation `spread`; the deviation within a group is 0.5."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n_groups), N_GROUPS * SIZE // n_groups)
    level = rng.normal(0.0, spread, n_groups)[groups]
    y = level + rng.normal(0.0, 0.5, len(groups))
    x = rng.normal(0.0, 1.0, len(groups))
    cells = [f"p{group}" if as_text else str(group) for group in groups]
    cells[:missing] = [""] * missing
    rows = [[cell, f"{a:.3f}", f"{b:.3f}", "yes" if b > 0 else "no"] for cell, a, b in zip(cells, x, y, strict=True)]
    return str(write_csv(path, [name, "x", "y", "sign"], rows))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("target", ["y", "sign"])
@pytest.mark.parametrize("as_text", [True, False])
def test_rows_of_one_patient_stay_together_and_the_column_is_no_input(tmp_path, recipe, target, as_text):
    starter = init(table(tmp_path / "t.csv", as_text=as_text, missing=3), (target,), recipe=recipe)
    config = config_from_text(starter.text, "t.yaml").config
    assert config.data.validation.group == "patient_id"
    assert config.data.validation.fraction == (None if config.model.members.rows == "folds" else 0.2)
    assert "patient_id" not in (*config.data.columns, *config.data.drop)
    assert any(note.startswith("rows with the same patient_id are correlated") for note in starter.notes)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "shop"},  # may well be an input
        {"spread": 0.0},  # rows of one value are as different as any
        {"n_groups": 5},  # too few to tell
        {"n_groups": N_GROUPS * SIZE},  # each row has its own: an id
        {"missing": N_GROUPS * SIZE - 20},
    ],
)
def test_other_columns_are_not_detected_as_groups(tmp_path, options):
    starter = init(table(tmp_path / "t.csv", **options), ("y",))
    assert starter.data.summary.group == ""
    assert "group" not in starter.text


def test_the_only_input_is_not_detected_as_a_group(tmp_path):
    rows = [[f"p{number // 5}", str(number // 5)] for number in range(200)]
    path = write_csv(tmp_path / "t.csv", ["patient", "y"], rows)
    assert init(str(path), ("y",)).data.summary.group == ""


def test_the_column_with_the_highest_correlation_is_chosen(tmp_path):
    rng = np.random.default_rng(0)
    level = rng.normal(0.0, 1.0, 40)
    rows = [[n // 5, n // 10, f"{rng.normal():.3f}", f"{level[n // 5] + rng.normal(0, 0.1):.3f}"] for n in range(200)]
    path = write_csv(tmp_path / "t.csv", ["patient", "site", "x", "y"], rows)
    assert init(str(path), ("y",)).data.summary.group == "patient"


def test_check_finds_no_leak_in_the_config_of_init(folder):
    source = table(folder / "t.csv")
    ended = done("init", source, "-t", "sign", "--recipe", "fast", "-o", "t.yaml", "--json")
    assert ended.document["group"] == "patient_id"
    assert not [text for text in done("check", "t.yaml", "--json").document["warnings"] if "alike" in text]
    by_chance = done("check", "t.yaml", "--json", "--set", "data.validation=null").document["warnings"]
    assert [text for text in by_chance if "alike" in text], "that is what it would have said"
