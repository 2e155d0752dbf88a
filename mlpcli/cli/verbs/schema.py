"""`mlp schema`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Quiet


def schema(
    of: Annotated[
        str, typer.Option("--of", metavar="DOCUMENT", help="config, or export (the output of mlp export --to json).")
    ] = "config",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Output file; - is standard output.")
    ] = "-",
    quiet: Quiet = False,
) -> None:
    """Write the JSON Schema of the config, for completion and validation in editors.

    Example: mlp schema -o mlp.schema.json
    """
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.schema import MODELINE, SCHEMA_FILE
    from mlpcli.workflows.schema import schema as run_schema

    text = run_schema(output, of)
    if output == "-":
        typer.echo(text, nl=False)
        return
    name = output.rpartition("/")[2]
    screen = Screen(quiet)
    if of != "config":
        screen.info(f"Wrote {output}.")
        return
    by_itself = " (mlp init writes it by itself)" * (name == SCHEMA_FILE)
    screen.info(f"Wrote {output}. First line of a config beside it{by_itself}:")
    screen.info(f"  {MODELINE}{name}")
