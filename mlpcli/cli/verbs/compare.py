"""`mlp compare`."""

from typing import Annotated

import typer

from mlpcli.cli.options import Delimiter, Encoding, Json, Quiet, parse_number


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Model file to beat.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Model file that may take its place.")],
    source: Annotated[str, typer.Argument(metavar="TEST", help="Table with the target column, or -.")],
    metric: Annotated[
        str,
        typer.Option("--metric", help="The metric that decides; log_loss or rmse if not given.", show_default=False),
    ] = "",
    margin: Annotated[str, typer.Option("--margin", help="How much worse is still good enough.")] = "0",
    confidence: Annotated[str, typer.Option("--confidence", help="Confidence of the intervals.")] = "0.95",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write a table for a pull request.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare two models on the same rows; exit 1 only if the new one is significantly worse.

    Example: mlp compare old.npz runs/penguins/weights.npz test.csv --metric accuracy --margin 0.01
    """
    from mlpcli.cli.terminal import Screen
    from mlpcli.cli.verbs.compare_view import compare_json, compare_markdown, compare_summary, refuse_worse
    from mlpcli.workflows.compare import CompareRequest
    from mlpcli.workflows.compare import compare as run_comparison

    bounds = parse_number("--margin", margin), parse_number("--confidence", confidence)
    request = CompareRequest(old, new, source, metric, *bounds, delimiter, encoding)
    result = run_comparison(request)
    screen = Screen(quiet)
    for note in result.notes:
        screen.warn(note)
    if json:
        screen.json(compare_json(result))
    elif markdown:
        compare_markdown(screen, result)
    else:
        compare_summary(screen, result)
    refuse_worse(result)
