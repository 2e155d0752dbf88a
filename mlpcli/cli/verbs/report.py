"""`mlp report`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Document, Form, Paragraph
from mlpcli.cli.options import (
    Confidence,
    Delimiter,
    Encoding,
    Html,
    Json,
    Markdown,
    Maximum,
    Minimum,
    Quiet,
    Replicates,
    form_of,
    parse_count,
)
from mlpcli.cli.usage_errors import refuse_swapped
from mlpcli.cli.verbs.gates import gate_blocks, gates_json, refuse_missed, tally
from mlpcli.errors import MlpError
from mlpcli.messages import format_count, format_duration, format_size

if TYPE_CHECKING:
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.report import ReportResult


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, or a model file.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="Table with the target column, or -; default: the test file of the config."
        ),
    ] = "",
    compare: Annotated[
        str, typer.Option("--compare", metavar="OLD", help="Another run or model file to score on the same rows.")
    ] = "",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Output file; - is standard output.")
    ] = "report.html",
    minimum: Minimum = None,
    maximum: Maximum = None,
    confidence: Confidence = "0.95",
    replicates: Replicates = "",
    seed: Annotated[str, typer.Option("--seed", help="Seed of the shuffles.")] = "0",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Write an HTML report of a run and its scores on a table: curves, columns, groups and training record.

    Example: mlp report runs/penguins test.csv -o report.html
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.cli.verbs.eval_options import parse_gates, parse_interval_options
    from mlpcli.workflows.report import ReportRequest
    from mlpcli.workflows.report import report as write_report

    form, screen = form_of(json, markdown, html), Screen(quiet)
    if output == "-" and form != "text":
        raise MlpError(f"-o - and --{form}: two results on standard output. Choose one, or name a file with -o.")
    if source:
        refuse_swapped("report", run, source)
    gates, bounds = parse_gates(minimum, maximum), parse_interval_options(confidence, replicates)
    request = ReportRequest(
        run, source, compare, output, gates, bounds, delimiter, encoding, parse_count("--seed", seed)
    )
    with show_progress(screen, "reporting"):
        result = write_report(request)
    _write_result(result, screen, form)
    refuse_missed(result.gate_results)


def _write_result(result: "ReportResult", screen: "Screen", form: Form) -> None:
    """Write the result, to standard error if the page itself goes to standard output."""
    if result.path != "-":
        screen.write_result(document(result), as_json(result), form)
        return
    sys.stdout.write(result.page.decode("utf-8"))
    for text in (result.verdict, *(gate_result.text for gate_result in result.gate_results)):
        screen.info(text)
    for note in result.notes:
        screen.warn(note)


def document(result: "ReportResult") -> Document:
    """The verdict, the gates, and the path of the page."""
    blocks: list[Block] = [Paragraph(result.verdict), *gate_blocks(result.gate_results)]
    blocks.append(
        Paragraph(
            f"Wrote {result.path} ({format_size(len(result.page))}, {format_duration(result.seconds)}). Open it in a "
            "browser."
        )
    )
    title = f"{format_count(result.n_rows, 'row')} of {result.source}" if result.source else ""
    heading = f"mlp report: {tally(result.gate_results)}" if result.gate_results else "mlp report"
    return Document(title, blocks, result.notes, heading)


def as_json(result: "ReportResult") -> dict[str, Any]:
    """The path of the page, its scores, and its sections."""
    return {
        "page": result.path,
        "bytes": len(result.page),
        "table": result.source or None,
        "n_rows": result.n_rows,
        "n_sampled": result.n_sampled,
        "verdict": result.verdict,
        "scores": result.scored.scores,
        "intervals": {key: {"low": ends.low, "high": ends.high} for key, ends in result.scored.intervals.items()},
        "gates": gates_json(result.gate_results),
        "passed": all(gate_result.passed for gate_result in result.gate_results),
        "sections": result.sections,
        "notes": result.notes,
    }
