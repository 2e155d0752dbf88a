"""`mlp help`."""

from typing import Annotated, Any

import typer

from mlpcli.cli.usage_errors import unknown_verb
from mlpcli.errors import MlpError


def show_help(
    context: typer.Context,
    verb: Annotated[str, typer.Argument(metavar="VERB", help="The verb; default: all of them.")] = "",
) -> None:
    """Show what a verb does, its options and an example.

    Example: mlp help train
    """
    program = context.parent
    assert program is not None
    verbs: Any = getattr(program.command, "commands", {})
    if not verb:
        typer.echo(program.get_help())
        return
    if verb not in verbs:
        raise MlpError(unknown_verb(verb, verbs, ["help", verb]))
    command = verbs[verb]
    with command.make_context(verb, [], parent=program, resilient_parsing=True) as inner:
        typer.echo(command.get_help(inner))
