"""`mlp repro`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Document, Paragraph, Table, name_column, number_columns, text_columns
from mlpcli.cli.options import Html, Json, Markdown, Quiet, Weights, form_of
from mlpcli.errors import GateMissed
from mlpcli.messages import format_count, format_list, format_number

if TYPE_CHECKING:
    from mlpcli.workflows.repro import ReproResult

MOST_ARRAYS = 5


def repro(
    weights: Weights,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="FILE", help="The training data, if it has moved; repeatable."),
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Retrain a model from the record in its file; exit 0 only if the result is bit-identical.

    Example: mlp repro runs/penguins/weights.npz --data data/penguins.csv
    """
    from mlpcli.cli.progress.training_view import TrainingView
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.repro import repro as run_repro

    form, screen = form_of(json, markdown, html), Screen(quiet)
    view = TrainingView(screen)
    with view.watching():
        result = run_repro(weights, tuple(data or ()), view)
    screen.write_result(document(result), as_json(result), form)
    if not result.is_same:
        differing = [deviation.what for deviation in result.deviations] + (["arrays"] if result.arrays else [])
        raise GateMissed(f"{weights}: not reproduced: {format_list(differing)}")


def document(result: "ReproResult") -> Document:
    """One line if the result is bit-identical; else the differences, and the arrays that changed most."""
    if result.is_same:
        title = f"{result.weights}: {format_count(result.n_epochs, 'epoch')} reproduced bit for bit"
        return Document(title, heading="mlp repro: pass")
    ending = "not bit-identical" if result.was_trained else "the data differs: not trained again"
    rows = [(deviation.what, deviation.then, deviation.now) for deviation in result.deviations]
    blocks: list[Block] = [Table(text_columns(["", "then", "now"]), rows)]
    if result.was_trained:
        blocks.append(_arrays(result) if result.arrays else Paragraph("all arrays are equal"))
    return Document(f"{result.weights}: {ending}", blocks, heading="mlp repro: FAIL")


def as_json(result: "ReproResult") -> dict[str, Any]:
    """The verdict, and all differences."""
    return {
        "weights": result.weights,
        "same": result.is_same,
        "trained": result.was_trained,
        "epochs": result.n_epochs,
        "deviations": result.deviations,
        "arrays": [
            {"name": array.name, "distance": array.distance, "largest_change": array.largest_change}
            for array in result.arrays
        ],
    }


def _arrays(result: "ReproResult") -> Table:
    rows = [
        (array.name, format_number(array.distance), format_number(array.largest_change))
        for array in result.arrays[:MOST_ARRAYS]
    ]
    n_more = len(result.arrays) - MOST_ARRAYS
    more = f"and {format_count(n_more, 'more array')}" if n_more > 0 else ""
    return Table([name_column("array"), *number_columns(["distance", "largest change"])], rows, more=more)
