"""`mlp init`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Delimiter, Encoding, Quiet, parse_number


def init(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Table to train on: CSV, JSON Lines, Parquet, Excel.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="COLUMN", help="Column to predict; repeatable; else the last column."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - is standard output.")
    ] = "-",
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME", help="strong (best scores), fast (seconds) or textbook (sigmoids, plain SGD)."
        ),
    ] = "strong",
    task: Annotated[
        str,
        typer.Option("--task", metavar="NAME", help="classification, regression or multilabel; else the target tells."),
    ] = "auto",
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", metavar="SECONDS", help="Take the strongest recipe that trains in so long."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
) -> None:
    """Read a table and write a config for it, with every choice visible and commented.

    Example: mlp init data/penguins.csv --target species -o penguins.yaml
    """
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.init_view import init_summary
    from mlpcli.config.recipes import RECIPES
    from mlpcli.data.schema.task import TASKS
    from mlpcli.errors import MlpError, did_you_mean
    from mlpcli.workflows.init import init as run_init
    from mlpcli.workflows.init import write_config

    if recipe not in RECIPES:
        raise MlpError(f"--recipe {recipe}: must be one of {', '.join(RECIPES)}.{did_you_mean(recipe, RECIPES)}")
    if task not in TASKS:
        raise MlpError(f"--task {task}: must be one of {', '.join(TASKS)}.{did_you_mean(task, TASKS)}")
    starter = run_init(data, tuple(target or ()), delimiter, encoding, recipe, task)
    if time_budget is not None:
        from mlpcli.workflows.time_budget import fitted_into

        starter = fitted_into(starter, parse_number("--time-budget", time_budget, above=0.0))
    if output != "-":
        write_config(starter, output, force)
    init_summary(Screen(quiet), starter, output)
    if output == "-":
        typer.echo(starter.text, nl=False)
