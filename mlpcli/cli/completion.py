"""Shell completion of option values: keys and values after `--set`, names after other options.

Typer generates the shell scripts, which call the program for each completion, with the words in the environment.
"""

import os
from collections.abc import MutableMapping

COMPLETE_VARIABLE = "_MLP_COMPLETE"
KEY_VARIABLE = "_MLP_COMPLETE_KEY"  # set by `join_setting`: the key whose value bash completes
Completions = list[tuple[str, str]]


def complete_setting(incomplete: str) -> Completions:
    """`KEY=` with its description for each matching key; values after an equals sign, or if only one key matches."""
    from mlpcli.config.schema.published import Key, keys

    all_keys = keys()
    if key := os.environ.get(KEY_VARIABLE):
        return [(value, "") for value in all_keys.get(key, Key("", ())).values]
    key, equals, _ = incomplete.partition("=")
    names = [name for name in all_keys if name.startswith(key)]
    if equals:
        return [(f"{key}={value}", "") for value in all_keys.get(key, Key("", ())).values]
    # The shell would add a space after a single completion.
    values = (
        [(f"{name}={value}", "") for name in names[:1] for value in all_keys[name].values] if len(names) == 1 else []
    )
    return [*((f"{name}=", all_keys[name].description) for name in names), *values]


def complete_metric(incomplete: str) -> Completions:
    """`METRIC=` for each metric, and `METRIC.low=` for the lower end of its interval."""
    from mlpcli.evaluation.metrics.registry import METRICS

    completions = [(f"{name}=", metric.doc) for name, metric in METRICS.items()]
    return completions + [(f"{name}.low=", metric.doc) for name, metric in METRICS.items() if metric.has_interval]


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes of `mlp init`."""
    from mlpcli.config.recipes.sizes import RECIPES

    return list(RECIPES)


def complete_task(incomplete: str) -> list[str]:
    """The tasks."""
    from mlpcli.config.schema.published import keys

    return list(keys()["task"].values)


def complete_drift(incomplete: str) -> list[str]:
    """The values of `--on-drift`."""
    return ["ignore", "warn", "fail"]


def join_setting(environment: MutableMapping[str, str]) -> None:
    """Let bash complete VALUE in `--set KEY=VALUE`, which it splits into three words and completes the last.

    The first two are removed, and the key is kept in KEY_VARIABLE for `complete_setting`.
    """
    if environment.get(COMPLETE_VARIABLE) != "complete_bash":
        return
    words, at = environment.get("COMP_WORDS", "").split("\n"), int(environment.get("COMP_CWORD", "0"))
    if at < len(words) and words[at] == "=":  # no value yet
        words.insert(at + 1, "")
        at += 1
    if at >= 3 and words[at - 1 : at] == ["="] and words[at - 3] == "--set":
        environment[KEY_VARIABLE] = words[at - 2]
        del words[at - 2 : at]
        at -= 2
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(at)
