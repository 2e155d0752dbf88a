"""The strongest recipe whose training fits into a given time."""

from dataclasses import replace

from mlpcli.config.loading import config_from_text
from mlpcli.config.recipes import cheaper
from mlpcli.config.starter import starter_yaml
from mlpcli.workflows.init import Starter
from mlpcli.workflows.preparation import prepare
from mlpcli.workflows.timing import expected_seconds


def fitted_into(starter: Starter, seconds: float) -> Starter:
    """The starter with its recipe, or the first one down the ladder that is expected to train in `seconds`.

    Each is timed by a few real steps on the table; the last one is taken whatever it takes.
    """
    recipe = starter.recipe
    while True:
        text = starter_yaml(starter.data, recipe)
        estimate = expected_seconds(prepare(config_from_text(text, starter.data.train), starter.table))
        below = cheaper(recipe, starter.data.facts)
        if estimate <= seconds or below is None:
            return replace(starter, text=text, recipe=recipe, seconds=estimate, budget=seconds)
        recipe = below
