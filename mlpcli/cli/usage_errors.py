"""Messages for usage errors, with the command to type instead."""

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from mlpcli.aliases import KEYS, VERBS, key_of
from mlpcli.errors import MlpError

YAML_ENDINGS = (".yaml", ".yml")
CONFIG_ENDINGS = (*YAML_ENDINGS, ".json")
MODEL = "a model (weights.npz of a run)"

# Start of Typer's message about extra arguments, which follow with a closing bracket.
EXTRA = "Got unexpected extra argument(s) ("


def refuse_swapped(verb: str, weights: str, table: str) -> None:
    """Raise MlpError if a config or a table is given as the model; `check` accepts a config."""
    if verb != "check":
        refuse_config(weights, MODEL)
    if _is_model_name(table) and not _is_model_name(weights):
        command = shlex.join(["mlp", verb, table, weights])
        raise MlpError(f"{weights}: not a model, but {table} is one. The model comes first: {command}")


def refuse_config(path: str, instead: str) -> None:
    """Raise MlpError if a config is given as a model or a table; `instead` names what is expected."""
    if path.lower().endswith(YAML_ENDINGS) and os.path.isfile(path):
        raise MlpError(f"{path}: a config, not {instead}. Train it with: mlp train {shlex.quote(path)}")


def usage_message(error: Any, arguments: Sequence[str]) -> str:
    """The message for a usage error of Typer: what is wrong, and what to type."""
    context = getattr(error, "ctx", None)
    verbs = [word for word in arguments[:1] if not word.startswith("-")]
    path = getattr(context, "command_path", "") or " ".join(["mlp", *verbs])
    verb: Any = getattr(context, "command", None)
    if hasattr(error, "option_name") and hasattr(error, "possibilities"):
        return _unknown_option(error.option_name, verb, path, arguments)
    message = str(error.format_message())
    if message.startswith(("Missing argument", "Missing option")):
        return f"{path}: {_placeholder(error.param)} is missing: {error.param.help}\n{_example_of(verb)}"
    if hasattr(error, "option_name"):  # a missing or an extra value; Typer's message does not name the verb
        rule = "takes no value" if message.endswith("does not take a value.") else "has no value"
        return f"{path}: {error.option_name} {rule}. See: {path} --help"
    if message.startswith(EXTRA):
        return f"{path}: {_extra_arguments(message.removeprefix(EXTRA)[:-1], verb, arguments)}\n{_example_of(verb)}"
    if message.startswith("No such command"):
        return unknown_verb(str(message).split("'")[1], verb.commands, arguments)
    if message.startswith("Invalid value for '"):
        option, _, rule = message.removeprefix("Invalid value for '").partition("': ")
        return f"{option} {_value_of(option, arguments)}: {_constraint(rule)} See: {path} --help"
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {path} --help"


def _example_of(verb: Any) -> str:
    """The example of a verb as a line of a message."""
    return f"Example: {(getattr(verb, 'help', None) or '').partition('Example: ')[2].strip()}"


def _placeholder(parameter: Any) -> str:
    """`WEIGHTS`, `--to LANGUAGE`: an argument or an option with its placeholder."""
    names = [name for name in parameter.opts if name.startswith("-")]
    return " ".join([*sorted(names, key=len)[-1:], parameter.metavar or "VALUE"])


def _extra_arguments(words: str, verb: Any, arguments: Sequence[str]) -> str:
    """The message for extra arguments `words`: a value after a flag, or more than the verb takes."""
    first = words.partition(" ")[0]
    before = [previous for previous, word in pairwise(arguments) if word == first][-1:]
    flags = {name for parameter in verb.params if getattr(parameter, "is_flag", False) for name in parameter.opts}
    if flags.intersection(before):
        return f"{before[0]} takes no value, got {words}."
    arguments_of_verb = [
        parameter.metavar for parameter in verb.params if not any(name.startswith("-") for name in parameter.opts)
    ]
    return f"{words}: no more arguments are taken{' after ' if arguments_of_verb else ''}{' '.join(arguments_of_verb)}."


def _constraint(rule: str) -> str:
    """The rule for a value, in the words of our messages instead of pydantic's."""
    rule = rule.rstrip(".")
    for pydantic_text, our_text in (
        ("Input should be a valid integer", "must be an integer."),
        ("Input should be a valid number", "must be a number."),
        ("Input should be greater than or equal to ", "must be at least {}."),
        ("Input should be less than or equal to ", "must be at most {}."),
        ("Input should be greater than ", "must be greater than {}."),
    ):
        if rule.startswith(pydantic_text):
            return our_text.format(rule.removeprefix(pydantic_text))
    return f"{rule}."


def _unknown_option(option: str, verb: Any, path: str, arguments: Sequence[str]) -> str:
    """The message for an unknown option: a config key of this name if the verb has `--set`, else the nearest option."""
    options = [name for parameter in verb.params for name in parameter.opts if name.startswith("--")]
    word = option.lstrip("-")
    near_keys = get_close_matches(word.replace("-", "_"), list(CONFIG_KEYS), 1, 0.8)
    key = key_of(word) or (CONFIG_KEYS[near_keys[0]] if near_keys else "")
    if near := get_close_matches(option, options, 1, 0.8):
        return f"No such option: {option}. Did you mean {near[0]}? See: {path} --help"
    if key and any(parameter.name == "settings" for parameter in verb.params):
        return f"No such option: {option}. Set the config key: --set {key}={_value_of(option, arguments)}"
    near = get_close_matches(option, options, 1)
    return f"No such option: {option}.{f' Did you mean {near[0]}?' if near else ''} See: {path} --help"


def _value_of(option: str, arguments: Sequence[str]) -> str:
    """The value given for an option, or VALUE."""
    for index, word in enumerate(arguments):
        if word.startswith(f"{option}="):
            return shlex.quote(word.partition("=")[2])
        if word == option and index + 1 < len(arguments) and not arguments[index + 1].startswith("--"):
            return shlex.quote(arguments[index + 1])
    return "VALUE"


def unknown_verb(word: str, verbs: Sequence[str], arguments: Sequence[str]) -> str:
    """The message for a verb of another program, a misspelt verb, or a file without a verb."""
    meant = VERBS.get(word.lower()) or next(iter(get_close_matches(word, list(verbs), 1)), "")
    if meant:
        words = [meant if other == word else other for other in arguments]
        return f"No such command '{word}'. Did you mean: {shlex.join(['mlp', *words])}"
    if word.endswith(CONFIG_ENDINGS):
        return f"No such command '{word}'. A config is trained with: mlp train {shlex.quote(word)}"
    if _is_model_name(word):
        return f"No such command '{word}'. A model is shown with: mlp inspect {shlex.quote(word)}"
    if os.path.isfile(word):
        return f"No such command '{word}'. A table gets a config with: mlp init {shlex.quote(word)} --target COLUMN"
    return f"No such command '{word}'. There is: {', '.join(verbs)}. See: mlp --help"


def _is_model_name(path: str) -> bool:
    return path.lower().endswith(".npz")


# Config keys by their last component, as users type them as options: --epochs, --batch-size.
CONFIG_KEYS = {
    path.rpartition(".")[2]: path
    for path in (*KEYS.values(), "model.activation", "preprocess.categorical", "data.drop", "data.features")
}
