"""The strongest recipe whose training fits into a given time."""

from dataclasses import replace
from time import perf_counter

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes.sizes import Recipe, cheaper
from mlpcli.config.recipes.starter import starter_yaml
from mlpcli.workflows.init import Starter
from mlpcli.workflows.preparing.preparation import prepare
from mlpcli.workflows.training.estimates.timing import expected_seconds


def fit_time_budget(starter: Starter, seconds: float) -> Starter:
    """The starter with its recipe, or the first one down the ladder that is expected to train in `seconds`.

    Each is timed by a few real steps on the table. Where the last one takes longer, it gets as many epochs as fit, and
    at least one. The config has `seconds` as its budget, so that a training on a slower machine ends in time as well.
    """
    recipe = starter.recipe
    data = replace(starter.data, budget_seconds=seconds)

    def timed(recipe: Recipe) -> tuple[Starter, float]:
        text = starter_yaml(data, recipe)
        started = perf_counter()
        prepared = prepare(config_from_text(text, data.train), starter.table)
        fixed = starter.read_seconds + perf_counter() - started
        estimate = fixed + expected_seconds(prepared)
        return replace(starter, text=text, recipe=recipe, data=data, seconds=estimate, budget=seconds), fixed

    while True:
        fitted, fixed = timed(recipe)
        assert fitted.seconds is not None
        if fitted.seconds <= seconds:
            return fitted
        below = cheaper(recipe, data.summary)
        if below is None:
            break
        recipe = below
    per_epoch = (fitted.seconds - fixed) / recipe.epochs
    epochs = max(1, int((seconds - fixed) / per_epoch))
    recipe = replace(recipe, epochs=min(epochs, recipe.epochs))
    text, estimate = starter_yaml(data, recipe), fixed + recipe.epochs * per_epoch
    return replace(fitted, text=text, recipe=recipe, seconds=estimate)
