"""The initial trials of a search: the config as written, then the recipes of `mlp init`."""

from collections.abc import Iterator
from typing import Any

from mlpcli.config.loading import LoadedConfig, Override, with_values
from mlpcli.config.recipes.lines import sections
from mlpcli.config.recipes.sizes import MANY_VALUES, RECIPES, TableSummary, choose_recipe
from mlpcli.config.yaml.dumping import as_plain
from mlpcli.config.yaml.parsing import parse_yaml
from mlpcli.data.targets.target import ClassTarget
from mlpcli.search.space import Space, value_at
from mlpcli.search.study import InitialTrial
from mlpcli.workflows.preparing.preparation import Prepared
from mlpcli.workflows.preparing.resolution import uses_folds

AS_WRITTEN = "as written"
# Keys that keep the value of the config in every recipe, so that differences in score are due to the recipe.
KEPT_KEYS = ("training.seed", "training.dtype", "training.engine", "training.threads", "training.class_weights")


def make_initial_trials(
    loaded: LoadedConfig, prepared: Prepared, space: Space, with_recipes: bool
) -> list[InitialTrial]:
    """The config as written, and each recipe whose config differs; all hold out the same rows as the config."""
    drawn = space.as_drawn(loaded)
    trials = [InitialTrial(AS_WRITTEN, loaded, drawn, {key: value_at(loaded, key) for key in drawn})]
    for recipe_trial in _recipe_trials(loaded, prepared) if with_recipes else ():
        if all(recipe_trial.loaded.config != trial.loaded.config for trial in trials):
            trials.append(recipe_trial)
    return trials


def _recipe_trials(loaded: LoadedConfig, prepared: Prepared) -> Iterator[InitialTrial]:
    n_classes = len(prepared.target.labels) if isinstance(prepared.target, ClassTarget) else 0
    n_continuous = len(prepared.preprocessor.number_inputs_with(MANY_VALUES))
    summary = TableSummary(
        prepared.task, prepared.train.samples.n_rows, n_classes, n_continuous, n_targets=len(prepared.target.names)
    )
    for name in RECIPES:
        if name == "best":  # takes many times as long as all other recipes together
            continue
        text = "\n".join(
            f"{section.name}:\n" + "\n".join(f"  {line}" for line, _ in section.lines)
            for section in sections(choose_recipe(name, summary), summary)
        )
        recipe: dict[str, Any] = parse_yaml(text, f"recipe {name}")[0]
        recipe["model"] |= _members(loaded, recipe["model"].get("members", {}))
        overrides = [Override(key, value, f"recipe {name}") for key, value in recipe.items()]
        overrides += [Override(key, value_at(loaded, key), f"recipe {name}") for key in KEPT_KEYS]
        if stopping := as_plain(loaded.config.training.early_stopping):
            overrides.append(Override("training.early_stopping.metric", stopping["metric"], f"recipe {name}"))
        yield InitialTrial(f"recipe {name}", with_values(loaded, overrides))


def _members(loaded: LoadedConfig, members: dict[str, Any]) -> dict[str, Any]:
    """The section `members` of a recipe: trained on the folds of the config, or on all training rows without folds."""
    count = members.get("count", 1)
    kept = {key: members[key] for key in ("views", "features", "draw") if key in members}
    if not uses_folds(loaded):
        return {"members": {"count": count, **kept}}
    configured = loaded.config.model.members
    n_folds = configured.folds or configured.count
    n_rounds = max(1, round(count / n_folds))
    repeats = {"repeat_folds": True} if configured.repeat_folds and n_rounds > 1 else {}
    return {"members": {"count": n_folds * n_rounds, "rows": "folds", "folds": n_folds, **repeats, **kept}}
