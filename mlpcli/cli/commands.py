"""Typer's commands with plain-text help and without conversion of strings, to start faster.

Typer's framed help imports most of rich, and newer versions validate every value with pydantic, strings included; both
take longer than a small job.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from typer.core import TyperCommand, TyperGroup


class Program(TyperGroup):
    """The program, whose help shows the full summary of each verb."""

    def get_params(self, ctx: Any) -> Any:
        """The options of the program, all of them flags."""
        return _without_conversion(super().get_params(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of verbs."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, (verb.help or "").partition("\n")[0]) for name, verb in self.commands.items()])


class Verb(TyperCommand):
    """A verb, whose help is a summary and an example."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the summary, wrapped, and the example on one line."""
        sentence, _, example = (self.help or "").partition("Example: ")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"{sentence.rstrip()}\n\n\b\nExample: {example}")


class TextVerb(Verb):
    """A verb whose parameters are strings, lists of strings and flags, which need no conversion."""

    def get_params(self, ctx: Any) -> Any:
        """The parameters and `--help`."""
        return _without_conversion(super().get_params(ctx))


def _without_conversion(parameters: Any) -> Any:
    """The parameters, patched not to convert strings: Typer has no option for the class of a parameter."""
    for parameter in parameters:
        if not isinstance(parameter.process_value, partial):
            parameter.process_value = partial(_raw_value, parameter, parameter.process_value)
    return parameters


def _raw_value(parameter: Any, convert: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """The value of a parameter without conversion; flags and missing required arguments are left to Typer."""
    if value is None and not parameter.required:
        value = () if getattr(parameter, "multiple", False) else None
    elif not _is_text(value):
        return convert(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value))
