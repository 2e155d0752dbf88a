"""The strongest recipe whose training fits into a time limit."""

from dataclasses import replace
from time import perf_counter

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes.sizes import Recipe, cheaper
from mlpcli.config.recipes.starter import starter_yaml
from mlpcli.workflows.init import Starter
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.estimates.timing import expected_seconds


def fit_time_budget(starter: Starter, seconds: float) -> Starter:
    """The starter with its recipe, or the next cheaper one whose estimated training time is at most `seconds`.

    Estimates time a few real steps on the table. If even the cheapest recipe takes longer, its number of epochs is
    reduced, to at least one. `seconds` is also the budget in the config, so that training stops in time on slower
    machines.
    """
    recipe = starter.recipe
    data = replace(starter.data, budget_seconds=seconds)

    def estimate_recipe(recipe: Recipe) -> tuple[Starter, float]:
        text = starter_yaml(data, recipe)
        started = perf_counter()
        prepared = prepare(config_from_text(text, data.train), starter.table)
        fixed = starter.read_seconds + perf_counter() - started
        estimate = fixed + expected_seconds(prepared)
        return replace(starter, text=text, recipe=recipe, data=data, seconds=estimate, budget=seconds), fixed

    while True:
        fitted, fixed = estimate_recipe(recipe)
        assert fitted.seconds is not None
        if fitted.seconds <= seconds:
            return fitted
        cheaper_recipe = cheaper(recipe, data.summary)
        if cheaper_recipe is None:
            break
        recipe = cheaper_recipe
    per_epoch = (fitted.seconds - fixed) / recipe.epochs
    epochs = max(1, int((seconds - fixed) / per_epoch))
    recipe = replace(recipe, epochs=min(epochs, recipe.epochs))
    text, estimate = starter_yaml(data, recipe), fixed + recipe.epochs * per_epoch
    return replace(fitted, text=text, recipe=recipe, seconds=estimate)
