"""`mlp compare`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Cell, Column, Document, Gate, Gates, Paragraph, Table, Tone, name_column, number_columns
from mlpcli.cli.options import Delimiter, Encoding, Html, Json, Markdown, Quiet, form_of, parse_number
from mlpcli.cli.verbs.describing import describe_target
from mlpcli.errors import GateMissed
from mlpcli.messages import format_count, format_interval, format_number

if TYPE_CHECKING:
    from mlpcli.evaluation.uncertainty.paired import Difference, McNemar
    from mlpcli.workflows.compare import CompareResult

TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "undecided": "faint"}


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Current model file, or a folder of mlp cv.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Candidate model file, or a folder of mlp cv.")],
    source: Annotated[
        str, typer.Argument(metavar="TEST", help="Table with the target column, or -; omitted for folders.")
    ] = "",
    metric: Annotated[
        str,
        typer.Option("--metric", help="Metric that decides; default log_loss or rmse.", show_default=False),
    ] = "",
    margin: Annotated[str, typer.Option("--margin", help="How much worse the new model may be.")] = "0",
    confidence: Annotated[str, typer.Option("--confidence", help="Confidence level of the intervals.")] = "0.95",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Compare two models on the same rows; exit 1 only if the new one is significantly worse.

    Example: mlp compare old.npz runs/penguins/weights.npz test.csv --metric accuracy --margin 0.01
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.compare import CompareRequest
    from mlpcli.workflows.compare import compare as run_comparison

    form = form_of(json, markdown, html)
    bounds = parse_number("--margin", margin), parse_number("--confidence", confidence)
    request = CompareRequest(old, new, source, metric, *bounds, delimiter, encoding)
    screen = Screen(quiet)
    with show_progress(screen, "scoring"):
        result = run_comparison(request)
    screen.write_result(document(result), as_json(result), form)
    if not result.passed:
        decisive = result.decisive
        raise GateMissed(
            f"{new} is worse than {old}: {decisive.metric} {format_number(decisive.new)} against "
            f"{format_number(decisive.old)}, new - old {_interval(decisive)} ({_percent(result)} interval)"
        )


def document(result: "CompareResult") -> Document:
    """A row per metric, the numbers of rows that only one model predicts correctly, and the verdict."""
    subject = f"scores of {result.n_scores} folds" if result.model is None else describe_target(result.model.target)
    title = f"{format_count(result.n_rows, 'row')} · {subject}"
    columns = [
        *(
            name_column(""),
            *number_columns(["old", "new", "new - old"]),
            Column(f"{_percent(result)} interval", rank=1),
        ),
        Column("", is_text=True),
    ]
    rows = [
        (
            *(
                difference.metric,
                format_number(difference.old),
                format_number(difference.new),
                format_number(difference.difference),
                _interval(difference),
            ),
            Cell(difference.verdict, TONES[difference.verdict]),
        )
        for difference in result.differences
    ]
    without: dict[str, list[str]] = {}
    for difference in result.differences:
        if difference.reason:
            without.setdefault(difference.reason, []).append(difference.metric)
    reasons = [Paragraph(f"no interval of {', '.join(keys)}: {reason}") for reason, keys in without.items()]
    tests = [
        Paragraph(_mcnemar(difference.metric, difference.mcnemar))
        for difference in result.differences
        if difference.mcnemar is not None
    ]
    margin = f" by more than {result.request.margin:g}" if result.request.margin else ""
    gates = Gates([Gate(f"{result.metric} not worse{margin}", "", result.passed)])
    verdict = "pass" if result.passed else "FAIL"
    return Document(
        title, [Table(columns, rows), *reasons, *tests, gates], result.notes, heading=f"mlp compare: {verdict}"
    )


def as_json(result: "CompareResult") -> dict[str, Any]:
    """Every score of both models, with the difference and its interval."""
    request = result.request
    return {
        "old": request.old,
        "new": request.new,
        "n_rows": result.n_rows,
        "task": result.task,
        "metric": result.metric,
        "margin": request.margin,
        "confidence": request.confidence,
        "passed": result.passed,
        "metrics": {difference.metric: _difference_json(difference) for difference in result.differences},
    }


def _difference_json(difference: "Difference") -> dict[str, Any]:
    record: dict[str, Any] = {
        "old": difference.old, "new": difference.new, "difference": difference.difference,
        "low": difference.low, "high": difference.high, "verdict": difference.verdict,
    }  # fmt: skip
    if difference.reason:
        record["reason"] = difference.reason
    if difference.mcnemar is not None:
        test = difference.mcnemar
        record["mcnemar"] = {"only_old_right": test.only_old, "only_new_right": test.only_new, "p": test.p}
    return record


def _interval(difference: "Difference") -> str:
    return "-" if difference.reason else format_interval(difference)


def _percent(result: "CompareResult") -> str:
    return f"{100 * result.request.confidence:.4g}%"


def _mcnemar(metric: str, test: "McNemar") -> str:
    return (
        f"correct in {metric}: {test.only_old} by the old model only, {test.only_new} by the new model only, "
        f"McNemar p {format_number(test.p)}"
    )
