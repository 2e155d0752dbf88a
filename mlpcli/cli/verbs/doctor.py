"""`mlp doctor`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Cell, Column, Document, Table
from mlpcli.cli.options import Html, Json, Markdown, Quiet, form_of
from mlpcli.errors import GateMissed
from mlpcli.messages import format_count

if TYPE_CHECKING:
    from mlpcli.workflows.doctor import Diagnosis


def doctor(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, or a model file.")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="FILE", help="The training data, if it has moved; repeatable."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail (exit 1) if there is any finding.")] = False,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Diagnose a training run: what is wrong, why it matters, and which key to change.

    Example: mlp doctor runs/penguins
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.doctor import examine

    form, screen = form_of(json, markdown, html), Screen(quiet)
    with show_progress(screen, "examining"):
        result = examine(run, tuple(data or ()))
    screen.write_result(document(result), as_json(result), form)
    if strict and result.findings:
        raise GateMissed(f"{result.run}: {format_count(len(result.findings), 'finding')}")


def document(result: "Diagnosis") -> Document:
    """A line per finding, then the checks that passed and those that were skipped."""
    rows: list[list[str | Cell]] = [
        [Cell(name, "warning"), f"{finding.fact}. {finding.why} {finding.remedy}."] for name, finding in result.findings
    ]
    well = [check.name for check in result.checks if not check.findings and not check.skipped]
    if well:
        rows.append([Cell("ok", "good"), ", ".join(well)])
    skipped: dict[str, list[str]] = {}
    for check in result.checks:
        if check.skipped:
            skipped.setdefault(check.skipped, []).append(check.name)
    for reason, names in skipped.items():
        rows.append([Cell("skipped", "faint"), f"{', '.join(names)}: {reason}"])
    title = f"{result.run}: {format_count(len(result.findings), 'finding') if result.findings else 'no finding'}"
    blocks: list[Block] = [Table([Column(is_text=True), Column(is_text=True)], rows)]
    return Document(title, blocks, heading="mlp doctor")


def as_json(result: "Diagnosis") -> dict[str, Any]:
    """Every check by its name, with its findings."""
    return {
        "run": result.run,
        "n_findings": len(result.findings),
        "checks": [
            {
                "name": check.name,
                "state": "skipped" if check.skipped else "found" if check.findings else "ok",
                "reason": check.skipped,
                "findings": [
                    {"fact": finding.fact, "why": finding.why, "remedy": finding.remedy, "values": finding.values}
                    for finding in check.findings
                ],
            }
            for check in result.checks
        ],
    }
