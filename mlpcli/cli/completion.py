"""What the tab key completes beside verbs and options: keys and values after `--set`, names after other options.

Typer writes the scripts of the shells and calls the program for each key press, with the words in the environment.
"""

import os
from collections.abc import MutableMapping

ASKED = "_MLP_COMPLETE"
KEY = "_MLP_COMPLETE_KEY"  # the key whose value bash completes
Found = list[tuple[str, str]]


def complete_setting(incomplete: str) -> Found:
    """`KEY=` for each key that begins so, with its sentence; behind an equals sign, or of one key, its values."""
    from mlpcli.config.schema.published import Key, keys

    known = keys()
    if key := os.environ.get(KEY):
        return [(value, "") for value in known.get(key, Key("", ())).values]
    key, equals, _ = incomplete.partition("=")
    found = [name for name in known if name.startswith(key)]
    if equals:
        return [(f"{key}={value}", "") for value in known.get(key, Key("", ())).values]
    # Of a single answer the shell would write a space behind it.
    more = [(f"{name}={value}", "") for name in found[:1] for value in known[name].values] if len(found) == 1 else []
    return [*((f"{name}=", known[name].description) for name in found), *more]


def complete_metric(incomplete: str) -> Found:
    """`METRIC=` for each metric, and `METRIC.low=` for the lower end of its interval."""
    from mlpcli.evaluation.metrics import METRICS

    found = [(f"{name}=", metric.doc) for name, metric in METRICS.items()]
    return found + [(f"{name}.low=", metric.doc) for name, metric in METRICS.items() if metric.has_interval]


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes of `mlp init`."""
    from mlpcli.config.recipes.sizes import RECIPES

    return list(RECIPES)


def complete_task(incomplete: str) -> list[str]:
    """The tasks."""
    from mlpcli.config.schema.published import keys

    return list(keys()["task"].values)


def complete_drift(incomplete: str) -> list[str]:
    """What can be done about drift."""
    return ["ignore", "warn", "fail"]


def join_words(environment: MutableMapping[str, str]) -> None:
    """Have bash complete the value of `--set KEY=VALUE`, which it takes for three words of which the last is asked for.

    The first two are taken out, and the key is kept for `complete_setting`.
    """
    if environment.get(ASKED) != "complete_bash":
        return
    words, at = environment.get("COMP_WORDS", "").split("\n"), int(environment.get("COMP_CWORD", "0"))
    if at < len(words) and words[at] == "=":  # nothing stands behind it yet
        words.insert(at + 1, "")
        at += 1
    if at >= 3 and words[at - 1 : at] == ["="] and words[at - 3] == "--set":
        environment[KEY] = words[at - 2]
        del words[at - 2 : at]
        at -= 2
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(at)
