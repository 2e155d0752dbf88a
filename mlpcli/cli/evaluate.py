"""`mlp eval`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Delimiter, Encoding, Json, OnDrift, Quiet, Weights


def evaluate(
    weights: Weights,
    source: Annotated[str, typer.Argument(metavar="TEST", help="CSV file with the target column, or -.")],
    minimum: Annotated[
        list[str] | None,
        typer.Option("--min", metavar="METRIC=VALUE", help="Fail (exit 1) below this value; repeatable."),
    ] = None,
    maximum: Annotated[
        list[str] | None,
        typer.Option("--max", metavar="METRIC=VALUE", help="Fail (exit 1) above this value; repeatable."),
    ] = None,
    on_drift: OnDrift = "warn",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Score a model on rows whose target is known; with gates, the exit code is the verdict.

    Example: mlp eval runs/penguins/weights.npz test.csv --min accuracy=0.95 --max log_loss=0.2
    """
    from mlpcli.cli.eval_summary import eval_json, eval_summary
    from mlpcli.cli.render import Screen
    from mlpcli.cli.verdicts import refuse_missed
    from mlpcli.evaluation.gates import parse_gate
    from mlpcli.workflows.evaluate import evaluate as run_evaluation

    gates = [parse_gate(text, is_minimum=True) for text in minimum or []]
    gates += [parse_gate(text, is_minimum=False) for text in maximum or []]
    result = run_evaluation(weights, source, gates, delimiter, encoding, on_drift)
    screen = Screen(quiet)
    if json:
        screen.json(eval_json(result))
    else:
        eval_summary(screen, result)
    refuse_missed(result.verdicts)
    if result.drift is not None:
        result.drift.refuse(on_drift)
