"""Recipes: what each chooses for a table, and that every line of its text is read back as it is written."""

import re
from itertools import pairwise

import pytest
import yaml

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes.lines import sections
from mlpcli.config.recipes.sizes import RECIPES, TableSummary, cheaper, choose_recipe
from mlpcli.config.recipes.starter import StarterColumn, StarterData, starter_yaml
from mlpcli.config.schema.network import ModelConfig
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.nn.schedules import CosLog, plateau_ends
from tests.program import ROOT

TASKS = ("classification", "regression", "multilabel")
ROWS = (10, 300, 3000, 30_000, 200_000, 2_000_000)


def text_of(recipe, summary):
    columns = (StarterColumn("x", "number", ""),)
    return starter_yaml(StarterData("t.csv", ("y",), summary, "because", columns, {}), recipe)


def named(value):
    """A value of a config as plain values, distributions by their kind alone."""
    if isinstance(value, dict):
        return {key: {kind: found for kind, found in as_plain(one).items() if found} for key, one in value.items()}
    return value


@pytest.mark.parametrize("n_continuous", [0, 3])
@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", RECIPES)
def test_every_line_of_a_recipe_is_read_back_as_written(name, task, n_rows, n_continuous):
    summary = TableSummary(
        task,
        n_rows,
        3 if task == "classification" else 0,
        n_continuous,
        "b (3 of 90 rows)" if task == "classification" else "",
    )
    recipe = choose_recipe(name, summary)
    text = text_of(recipe, summary)
    loaded = config_from_text(text, "t.yaml")
    for section in sections(recipe, summary):
        for line, _ in section.lines:
            key = line.lstrip("# ").partition(":")[0]
            if line.startswith("#"):
                continue
            written = yaml.safe_load(line)[key]
            resolved = getattr(getattr(loaded.config, section.name), key)
            if isinstance(written, dict):
                for inner, value in written.items():
                    assert named(getattr(resolved, inner)) == value, line
            elif hasattr(resolved, "name"):
                assert resolved.name == written, line
            else:
                assert (list(resolved) if isinstance(written, list) else resolved) == written, line
    config = loaded.config
    assert config.training.epochs == recipe.epochs
    assert config.training.batch_size == recipe.batch_size
    assert config.model.members.count == recipe.members
    assert config.model.layers == ("auto", *recipe.hidden, "auto")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_line_in_a_comment_is_one_that_could_be_taken(name, task):
    summary = TableSummary(task, 300, rarest_class="b (3 of 90 rows)" if task == "classification" else "")
    text = text_of(choose_recipe(name, summary), summary)
    assert ("# class_weights: balanced" in text) == (task == "classification")
    taken = re.sub(r"^  # class_weights: balanced.*$", r"  class_weights: balanced", text, flags=re.M)
    expected = "balanced" if task == "classification" else None
    assert config_from_text(taken, "t.yaml").config.training.class_weights == expected


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_itself_and_the_others(name):
    second = text_of(
        choose_recipe(name, TableSummary("regression", 300)), TableSummary("regression", 300)
    ).splitlines()[1]
    others = [other for other in RECIPES if other != name]
    assert second == f"# Recipe {name}; other recipes: {', '.join(others[:-1])} and {others[-1]}."


def cost(recipe, n_rows):
    """Products of a training: rows, epochs, members and weights between the hidden layers."""
    n_trained = n_rows * (1 - 1 / recipe.folds) if recipe.members > 1 else n_rows
    weights = sum(before * after for before, after in pairwise((20, *recipe.hidden, 1)))
    return recipe.epochs * recipe.members * weights * n_trained


@pytest.mark.parametrize("n_rows", ROWS)
def test_each_rung_of_the_ladder_costs_less_and_it_ends(n_rows):
    summary = TableSummary("regression", n_rows, n_continuous=3)
    ladder = [choose_recipe("best", summary)]
    while (below := cheaper(ladder[-1], summary)) is not None:
        ladder.append(below)
        assert len(ladder) < 20
    costs = [cost(recipe, n_rows) for recipe in ladder]
    assert all(after < before for before, after in pairwise(costs)), list(zip(ladder, costs, strict=True))
    assert ladder[-1] == choose_recipe("fast", summary)
    assert cheaper(choose_recipe("textbook", summary), summary) is None


@pytest.mark.parametrize(
    ("task", "loss", "output"),
    [
        ("classification", "cross_entropy", "softmax"),
        ("regression", "squared_error", "identity"),
        ("multilabel", "binary_cross_entropy", "sigmoid"),
    ],
)
def test_the_textbook_recipe_is_the_network_of_the_textbooks_and_nothing_else(task, loss, output):
    summary = TableSummary(task, 300)
    config = config_from_text(text_of(choose_recipe("textbook", summary), summary), "t.yaml").config
    assert (config.model.activation, config.model.output_activation) == ("sigmoid", output)
    assert config.training.loss.name == loss
    optimizer = config.training.optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.weight_decay) == ("sgd", 0.0, 0.0)
    assert len(config.model.layers) == 3
    plain = ModelConfig(layers=config.model.layers, activation="sigmoid", output_activation=output)
    assert config.model == plain
    assert (config.training.schedule.name, config.training.averaging) == ("constant", None)


def test_the_readme_shows_of_the_strong_recipe_lines_that_it_writes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = [one for one in re.findall(r"```yaml\n(.*?)```", readme, re.S) if "folds: 4" in one]
    summary = TableSummary("classification", 3000, n_classes=3, n_continuous=3)
    written = [
        " ".join(line.split("#")[0].split()) for line in text_of(choose_recipe("strong", summary), summary).splitlines()
    ]
    shown = [" ".join(line.split("#")[0].split()) for line in block.splitlines()]
    assert [line for line in shown if line not in written] == []
    assert len(shown) > 5


@pytest.mark.parametrize("n_rows", ROWS)
def test_members_are_dealt_evenly_over_folds(n_rows):
    recipe = choose_recipe("best", TableSummary("classification", n_rows))
    while recipe is not None and recipe.members > 1:
        assert recipe.members % recipe.folds == 0
        recipe = cheaper(recipe, TableSummary("classification", n_rows))


@pytest.mark.parametrize(("n_rows", "n_classes"), [(3000, 0), (30_000, 0), (99_999, 0), (3000, 8), (19_999, 26)])
def test_two_members_have_not_seen_a_row_so_that_their_mean_chooses_the_epoch(n_rows, n_classes):
    summary = TableSummary("classification" if n_classes else "regression", n_rows, n_classes, n_continuous=3)
    recipe = choose_recipe("strong", summary)
    assert recipe.members >= 2 * recipe.folds


@pytest.mark.parametrize("name", ["best", "strong"])
def test_numbers_of_few_rows_get_more_rows_for_each_member_and_more_and_smaller_steps(name):
    few, many = (choose_recipe(name, TableSummary("regression", n_rows)) for n_rows in (1999, 2000))
    classes = choose_recipe(name, TableSummary("classification", 1999, 2))
    assert few.folds == 8
    for other in (many, classes):
        assert (few.epochs, few.cycles) == (2 * other.epochs, other.cycles + 1)
        assert few.batch_size < other.batch_size


def test_a_further_cycle_is_added_to_those_of_the_recipe_for_more_rows_and_stops_as_early():
    few, many = (choose_recipe("strong", TableSummary("regression", n_rows)) for n_rows in (1999, 2000))
    ends = plateau_ends(CosLog(cycles=few.cycles), few.epochs)
    assert ends[:4] == pytest.approx(plateau_ends(CosLog(cycles=many.cycles), many.epochs), rel=0.04)
    assert few.patience == many.patience
    halved = cheaper(cheaper(few, TableSummary("regression", 1999)), TableSummary("regression", 1999))
    assert (halved.epochs, halved.cycles) == (many.epochs, many.cycles)


def test_many_classes_of_a_large_table_get_more_epochs_and_fewer_members():
    few, many = (choose_recipe("strong", TableSummary("classification", 30_000, n)) for n in (3, 20))
    assert many.epochs > few.epochs
    assert many.members < few.members


@pytest.mark.parametrize("n_rows", [300, 3000, 30_000])
def test_activations_are_parametric_where_there_are_many_classes(n_rows):
    for n_classes in (0, 2, 7, 8, 26):
        summary = TableSummary("classification" if n_classes else "regression", n_rows, n_classes)
        config = config_from_text(text_of(choose_recipe("strong", summary), summary), "t.yaml").config
        assert config.model.learn_slopes == (n_classes >= 8)
        assert config.training.rates.slopes == (0.1 if n_classes >= 8 else 1)


def test_a_list_and_a_key_with_its_value_stay_on_a_line_of_the_config():
    summary = TableSummary("regression", 5000, n_continuous=2)
    for line in text_of(choose_recipe("best", summary), summary).splitlines():
        assert line.count("[") == line.count("]"), line
        assert not line.endswith(":") or not line.startswith("     "), line


@pytest.mark.parametrize("name", ["best", "strong"])
def test_members_draw_their_cosines_only_where_there_are_many_rows(name):
    for n_rows in (1999, 2000):
        summary = TableSummary("regression", n_rows, n_continuous=2)
        config = config_from_text(text_of(choose_recipe(name, summary), summary), "t.yaml").config
        is_large = n_rows == 2000
        assert (config.preprocess.numeric.name, bool(config.model.members.draw)) == (
            "quantile" if is_large else "robust",
            is_large,
        )
        assert config.model.numeric_embedding.sigma == 0.1


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "low"), [(9_999, 2, 0.2), (10_000, 2, 1), (10_000, 0, 1), (10_000, 8, 0.2)]
)
def test_frequencies_are_higher_where_there_are_many_rows_of_each_class(n_rows, n_classes, low):
    summary = TableSummary("classification" if n_classes else "regression", n_rows, n_classes, n_continuous=2)
    config = config_from_text(text_of(choose_recipe("strong", summary), summary), "t.yaml").config
    assert config.model.members.draw["model.numeric_embedding.sigma"].log_uniform[0] == low


def test_views_alternate_only_where_numbers_have_many_values():
    for n_continuous, expected in ((0, "same"), (2, "alternate")):
        summary = TableSummary("regression", 500, n_continuous=n_continuous)
        config = config_from_text(text_of(choose_recipe("strong", summary), summary), "t.yaml").config
        assert config.model.members.views == expected
        assert (config.model.numeric_embedding is not None) == bool(n_continuous)


@pytest.mark.parametrize("n_rows", [300, 3000, 30_000])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_are_smoothed_little_only_where_two_classes_have_many_rows(n_rows, n_classes):
    summary = TableSummary("classification", n_rows, n_classes)
    smoothing = 0.02 if n_classes == 2 and n_rows >= 2000 else 0.1
    assert f"label_smoothing: {smoothing}}}" in text_of(choose_recipe("strong", summary), summary)


@pytest.mark.parametrize("name", ["best", "strong", "fast"])
def test_every_level_of_a_column_of_codes_has_an_input(name):
    for n_codes, is_written in ((0, False), (90, False), (250, True)):
        summary = TableSummary("regression", 20_000, n_codes=n_codes)
        assert ("max_levels: 250" in text_of(choose_recipe(name, summary), summary)) == is_written


@pytest.mark.parametrize("name", ["best", "strong"])
@pytest.mark.parametrize(
    ("task", "n_rows", "residual"),
    [("regression", 1999, True), ("regression", 2000, False), ("classification", 1999, False)],
)
def test_only_numbers_of_few_rows_get_residual_connections(name, task, n_rows, residual):
    summary = TableSummary(task, n_rows, n_classes=2 * (task == "classification"), n_continuous=3)
    found = config_from_text(text_of(choose_recipe(name, summary), summary), "t.yaml").config
    assert found.model.residual == residual
