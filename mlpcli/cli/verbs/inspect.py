"""`mlp inspect`."""

from mlpcli.cli.options import Json, Weights


def inspect(weights: Weights, json: Json = False) -> None:
    """Show what a model file holds: layers, columns, classes, scores and how it was made.

    Example: mlp inspect runs/penguins/weights.npz
    """
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.inspect_view import inspect_json, inspect_summary
    from mlpcli.workflows.inspect import inspect as run_inspection

    inspection = run_inspection(weights)
    screen = Screen(is_quiet=False)
    if json:
        screen.json(inspect_json(inspection))
    else:
        inspect_summary(screen, inspection)
