"""How Typer's commands behave here: help in plain text, and texts from the command line taken as they are.

Typer's own ways would take longer than a small job: its framed help imports most of rich, and newer versions hand every
value to pydantic, where a text comes back as it went in.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from typer.core import TyperCommand, TyperGroup


class Program(TyperGroup):
    """The program: its help shows the whole sentence of each verb."""

    def get_params(self, ctx: Any) -> Any:
        """Give the options of the program, all of them flags."""
        return _taken_as_they_are(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of verbs."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, (verb.help or "").partition("\n")[0]) for name, verb in self.commands.items()])


class Verb(TyperCommand):
    """A verb: its help is a sentence and an example that can be pasted."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the sentence, wrapped, and the example, which stays one line."""
        sentence, _, example = (self.help or "").partition("Example: ")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"{sentence.rstrip()}\n\n\b\nExample: {example}")


class TextVerb(Verb):
    """A verb whose parameters are texts, lists of texts and flags: none of their values needs to be converted."""

    def get_params(self, ctx: Any) -> Any:
        """Give the parameters and `--help`."""
        return _taken_as_they_are(super().get_params(ctx))


def _taken_as_they_are(parameters: Any) -> Any:
    """The parameters, which convert no text any more; Typer lets one choose the class of a command, not of these."""
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_as_it_is, parameter, parameter.process_value)
    return parameters


def _as_it_is(parameter: Any, convert: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """The value of a parameter; flags that were given, and arguments that were not, are left to Typer."""
    if value is None and not parameter.required:
        value = () if getattr(parameter, "multiple", False) else None
    elif not _is_text(value):
        return convert(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value))
