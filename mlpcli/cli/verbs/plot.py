"""`mlp plot`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Chart, Column, Curve, Document, Paragraph, Table, name_column
from mlpcli.cli.options import Html, Json, Markdown, form_of
from mlpcli.messages import format_count, format_number

if TYPE_CHECKING:
    from mlpcli.workflows.plot import Curves, RunCurves


def plot(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders, complete or not.")],
    metric: Annotated[
        str, typer.Option("--metric", help="A metric of history.csv; default: the one that chooses the epoch.")
    ] = "",
    log: Annotated[bool, typer.Option("--log", help="Use a logarithmic axis.")] = False,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Draw to this file: .svg or .png (extra report).")
    ] = "",
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Plot the learning curves of one or more runs, during or after training.

    Example: mlp plot runs/penguins --metric log_loss --log
    """
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.plot import plot as read_curves

    form = form_of(json, markdown, html)
    curves = read_curves(runs, metric, log, output)
    Screen(is_quiet=False).write_result(document(curves, log, output), as_json(curves), form)


def document(curves: "Curves", is_log: bool, image: str = "") -> Document:
    """The chart unless drawn to a file, and the scores of each run in its kept epoch."""
    chart = chart_of(curves, is_log)
    title = f"{curves.metric} by epoch" + (" (logarithmic)" if is_log else "")
    if len(curves.runs) > 1:
        rows = {"validation" if run.validation.values else "train" for run in curves.runs}
        title += f" · {format_count(len(curves.runs), 'run')} · on the {' or '.join(sorted(rows))} rows"
    columns = [
        name_column("run"),
        Column("epochs", rank=2),
        Column("kept epoch"),
        Column("train"),
        Column("validation"),
    ]
    table = Table(columns, [_row(run) for run in curves.runs])
    drawn: list[Block] = [] if image else [chart]
    wrote = [Paragraph(f"Wrote {image}")] if image else []
    return Document(title, [*drawn, table, *wrote], curves.notes, heading="mlp plot")


def chart_of(curves: "Curves", is_log: bool) -> Chart:
    """Training and validation curves of a single run, or one curve per run."""
    if len(curves.runs) == 1:
        run = curves.runs[0]
        sides = (("train", run.train), ("validation", run.validation))
        shown = [Curve(name, points.epochs, points.values) for name, points in sides if points.values]
        return Chart(shown, "epoch", is_log, run.kept_epoch)
    return Chart(
        [Curve(run.name, run.main_points.epochs, run.main_points.values) for run in curves.runs], "epoch", is_log
    )


def _row(run: "RunCurves") -> list[str]:
    """The scores of the kept epoch, or of the last scored epoch if the run is incomplete."""
    kept = "" if run.kept_epoch is None else str(run.kept_epoch)
    scores = [
        points.at(run.kept_epoch) if kept else next(reversed(points.values), None)
        for points in (run.train, run.validation)
    ]
    return [run.name, str(run.epochs), kept, *("" if score is None else format_number(score) for score in scores)]


def as_json(curves: "Curves") -> dict[str, Any]:
    """All points of all runs."""
    return {
        "metric": curves.metric,
        "runs": [
            {
                "name": run.name,
                "folder": run.folder,
                "epochs": run.epochs,
                "kept_epoch": run.kept_epoch,
                "train": {"epoch": run.train.epochs, "value": run.train.values},
                "validation": {"epoch": run.validation.epochs, "value": run.validation.values},
            }
            for run in curves.runs
        ],
        "notes": curves.notes,
    }
