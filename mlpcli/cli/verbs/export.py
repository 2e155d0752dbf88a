"""`mlp export`."""

import csv
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Document, Paragraph
from mlpcli.cli.options import Html, Json, Level, Markdown, Quiet, Weights, form_of, parse_level
from mlpcli.errors import MlpError
from mlpcli.messages import format_count

if TYPE_CHECKING:
    from mlpcli.workflows.export import ExportResult


def export(
    weights: Weights,
    to: Annotated[str, typer.Option("--to", metavar="LANGUAGE", help="onnx, python, c, sql or json.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Output file, or -.")],
    dialect: Annotated[str, typer.Option("--dialect", help="SQL dialect: sqlite, postgresql or duckdb.")] = "sqlite",
    table: Annotated[str, typer.Option("--table", metavar="NAME", help="SQL: name of the input table.")] = "data",
    keep: Annotated[
        str,
        typer.Option("--keep", metavar="COLUMNS", help="SQL: columns to copy in front of the predictions: id,date."),
    ] = "",
    interval: Level = "",
    fixed_point: Annotated[
        bool, typer.Option("--fixed-point", help="C: integer arithmetic; at least 999 of 1000 labels stay the same.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not test the file on sample rows before writing it.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Export a model with its preprocessing to ONNX, Python, C, SQL or JSON; exit 1 if its predictions differ.

    Example: mlp export runs/penguins/weights.npz --to python -o penguins.py
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen, write_out
    from mlpcli.workflows.export import ExportRequest
    from mlpcli.workflows.export import export as run_export

    form, screen = form_of(json, markdown, html), Screen(quiet)
    if output == "-" and form != "text":
        raise MlpError(f"-o - and --{form}: two results on standard output. Choose one, or name a file with -o.")
    kept = tuple(name.strip() for name in next(csv.reader([keep]), []) if name.strip())
    level = parse_level(interval)
    request = ExportRequest(weights, to, output, not no_check, dialect, table, kept, level, fixed_point)
    with show_progress(screen, "exporting"):
        result = run_export(request)
    if output != "-":
        screen.write_result(document(result), as_json(result), form)
        return
    write_out(result.data)
    (screen.info if result.agreement else screen.warn)(_describe_agreement(result))


def document(result: "ExportResult") -> Document:
    """The written file, and how it was verified."""
    n_networks, n_numbers = format_count(result.n_networks, "network"), format_count(result.n_numbers, "number")
    title = f"Wrote {result.path}: {n_networks}, {n_numbers}."
    if result.agreement is None:
        return Document(title, notes=[_describe_agreement(result)], heading="mlp export")
    return Document(title, [Paragraph(_describe_agreement(result))], heading="mlp export")


def _describe_agreement(result: "ExportResult") -> str:
    if result.agreement is None:
        return f"not tested: {result.reason}"
    apart = f"{result.agreement.difference:.1g}"
    n_labels = result.agreement.n_labels
    labels = (
        (f"{format_count(n_labels, 'label')} {'differs' if n_labels == 1 else 'differ'}")
        if n_labels
        else "no label differs"
    )
    found = f"probabilities differ by {apart} at most, {labels}" if result.has_labels else f"by {apart} at most"
    if not result.has_labels:
        found = f"predictions differ {found}, relative to their size or the standard deviation of the target"
    return f"Tested on {format_count(result.agreement.n_rows, 'row')}: {found}."


def as_json(result: "ExportResult") -> dict[str, Any]:
    """The written file, and how it was verified."""
    agreement = result.agreement
    return {
        "path": result.path,
        "language": result.language,
        "bytes": len(result.data),
        "networks": result.n_networks,
        "numbers": result.n_numbers,
        "tried": None if agreement is None else {"rows": agreement.n_rows, "largest_difference": agreement.difference},
    }
