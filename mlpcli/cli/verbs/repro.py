"""`mlp repro`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Json, Quiet, Weights


def repro(
    weights: Weights,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="FILE", help="The training data, if it lies elsewhere today; repeatable."),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a model again from the record inside it; exit 0 only if the same bytes come out.

    Example: mlp repro runs/penguins/weights.npz --data data/penguins.csv
    """
    from mlpcli.cli.progress import TrainingView
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.repro_view import refuse_other, repro_json, repro_summary
    from mlpcli.workflows.repro import repro as run_repro

    screen = Screen(quiet)
    result = run_repro(weights, tuple(data or ()), TrainingView(screen))
    if json:
        screen.json(repro_json(result))
    else:
        repro_summary(screen, result)
    refuse_other(result)
