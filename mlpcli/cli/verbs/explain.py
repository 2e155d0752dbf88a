"""`mlp explain`."""

import csv
import sys
from collections.abc import Sequence
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlpcli.cli.document import Block, Cell, Column, Document, Paragraph, Table, name_column
from mlpcli.cli.options import (
    Confidence,
    Delimiter,
    Encoding,
    Html,
    Json,
    Markdown,
    Quiet,
    Weights,
    form_of,
    parse_count,
    parse_number,
)
from mlpcli.cli.rendering.plain import plain
from mlpcli.cli.verbs.describing import describe_target
from mlpcli.errors import MlpError
from mlpcli.messages import format_count, format_interval, format_list, format_number

if TYPE_CHECKING:
    from mlpcli.explain.importance import Importance
    from mlpcli.workflows.explaining.results import DependenceResult, ImportanceResult

BAR = 14  # characters of the longest bar
MOST_NAMED = 8  # of a group of correlated columns
MOST_ROWS = 40  # most important columns


def explain(
    weights: Weights,
    source: Annotated[str, typer.Argument(metavar="DATA", help="Table with the target column, or -.")],
    rows: Annotated[
        bool, typer.Option("--rows", help="Write a line for each row with the contribution of each column.")
    ] = False,
    columns: Annotated[
        str, typer.Option("--columns", metavar="COLUMNS", help="Show partial dependence on these columns: age,income.")
    ] = "",
    of: Annotated[str, typer.Option("--of", metavar="NAME", help="With --rows: the class or target to explain.")] = "",
    metric: Annotated[str, typer.Option("--metric", help="Metric of the importance; default log_loss or rmse.")] = "",
    sample: Annotated[
        str, typer.Option("--sample", metavar="N", help="Largest number of rows to use; 0 is all.")
    ] = "20000",
    repeats: Annotated[str, typer.Option("--repeats", metavar="N", help="Number of shuffles of each column.")] = "5",
    max_seconds: Annotated[
        str, typer.Option("--max-seconds", metavar="S", help="Stop shuffling after this time.")
    ] = "",
    image: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Draw to this file: .svg or .png (extra report).")
    ] = "",
    confidence: Confidence = "0.95",
    seed: Annotated[str, typer.Option("--seed", help="Seed of the shuffles and the sample.")] = "0",
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
    json: Json = False,
    markdown: Markdown = False,
    html: Html = False,
) -> None:
    """Explain a model: column importance, contributions to each row (--rows), partial dependence (--columns).

    Example: mlp explain runs/penguins/weights.npz test.csv
    """
    from mlpcli.cli.progress.bars import show_progress
    from mlpcli.cli.rendering.terminal import Screen
    from mlpcli.workflows.explain import ExplainRequest, explain_columns, explain_dependence, explain_rows

    form, screen = form_of(json, markdown, html), Screen(quiet)
    request = ExplainRequest(
        weights, source, metric, parse_count("--sample", sample), parse_count("--repeats", repeats, 1),
        parse_number("--max-seconds", max_seconds, above=0.0) if max_seconds else None,
        parse_number("--confidence", confidence), parse_count("--seed", seed), delimiter, encoding, image,
    )  # fmt: skip
    wanted = _parse_columns(rows, columns, of, form, image)
    if rows:
        _write_rows(*explain_rows(request, of), is_json=form == "json")
    elif wanted:
        with show_progress(screen, "explaining"):
            dependence = explain_dependence(request, wanted)
        screen.write_result(dependence_document(dependence), dependence_json(dependence), form)
    else:
        with show_progress(screen, "explaining"):
            result = explain_columns(request)
        screen.write_result(document(result), as_json(result), form)


def _parse_columns(rows: bool, columns: str, of: str, form: str, image: str) -> tuple[str, ...]:
    """The names in --columns; raises MlpError for options that cannot be combined."""
    wanted = tuple(name.strip() for name in next(csv.reader([columns]), []) if name.strip())
    if columns and not wanted:
        raise MlpError(f"--columns {columns}: names no column.")
    if rows and wanted:
        raise MlpError("--rows and --columns cannot be combined. Choose one.")
    if of and not rows:
        raise MlpError(f"--of {of}: applies to --rows only. Add --rows, or leave it out.")
    if rows and image:
        raise MlpError(f"--rows and -o {image}: lines for rows cannot be drawn. Write them to a file: > FILE")
    if rows and form in ("markdown", "html"):
        raise MlpError(f"--rows and --{form}: the output is CSV, or JSON Lines with --json.")
    return wanted


def document(result: "ImportanceResult") -> Document:
    """A row per column, most important first, and the importance of groups of correlated columns."""
    title = (
        f"{_rows_of(result)} · {describe_target(result.model.target)} · {result.metric} {format_number(result.score)}"
    )
    largest = max((importance.loss for importance in result.columns), default=0.0)
    columns = [
        name_column("column"),
        Column(result.change),
        Column("interval", rank=1),
        Column("", is_text=True, rank=2),
    ]
    rows = [
        (
            importance.columns[0],
            format_number(importance.loss),
            format_interval(importance),
            Cell("▇" * _length(importance, largest), "good"),
        )
        for importance in result.columns[:MOST_ROWS]
    ]
    n_more = len(result.columns) - len(rows)
    more = (
        f"and {format_count(n_more, 'column')} that {'matters' if n_more == 1 else 'matter'} less (--json)"
        if n_more
        else ""
    )
    blocks: list[Block] = [Table(columns, rows, more=more)]
    for group, importance in result.together:
        together = f"{format_number(importance.loss)} {format_interval(importance)}".rstrip()
        blocks.append(
            Paragraph(
                f"{_all_of(group.columns)} are correlated (rank correlation {format_number(group.correlation)}): "
                f"each can replace the other. Shuffled together: {together}"
            )
        )
    reasons = dict.fromkeys(importance.reason for importance in result.columns if importance.reason)
    return Document(title, blocks, [*result.notes, *reasons], heading="mlp explain")


def _all_of(columns: Sequence[str]) -> str:
    """`a, b and c`; of more than MOST_NAMED the first ones and the number of others."""
    return format_list(columns) if len(columns) > MOST_NAMED else f"{', '.join(columns[:-1])} and {columns[-1]}"


def as_json(result: "ImportanceResult") -> dict[str, Any]:
    """The importance of each column and of groups of correlated columns, with intervals."""
    return {
        "n_rows": result.n_rows,
        "n_sampled": result.n_sampled,
        "metric": result.metric,
        "score": result.score,
        "columns": [_importance_json(importance) for importance in result.columns],
        "together": [
            {**_importance_json(importance), "columns": group.columns, "correlation": group.correlation}
            for group, importance in result.together
        ],
        "notes": result.notes,
    }


def dependence_document(result: "DependenceResult") -> Document:
    """A table per column: the mean prediction with all rows set to each of its values."""
    title = f"{_rows_of(result)} · {describe_target(result.model.target)} · mean prediction with all rows at the value"
    tables = [
        Table(
            [
                name_column(dependence.column),
                *(Column(name, rank=int(index > 5)) for index, name in enumerate(result.shown.values())),
            ],
            [
                (value, *(format_number(float(dependence.mean[row, index])) for index in result.shown))
                for row, value in enumerate(dependence.values)
            ],
        )
        for dependence in result.columns
    ]
    return Document(title, tables, result.notes, heading="mlp explain")


def dependence_json(result: "DependenceResult") -> dict[str, Any]:
    """The mean predictions, and the curves of individual rows."""
    return {
        "n_rows": result.n_rows,
        "n_sampled": result.n_sampled,
        "outputs": result.output_names,
        "columns": [
            {
                "column": dependence.column,
                "values": dependence.values,
                "mean": dependence.mean,
                "curves": dependence.curves,
            }
            for dependence in result.columns
        ],
        "notes": result.notes,
    }


def _importance_json(importance: "Importance") -> dict[str, Any]:
    record = {
        "column": importance.columns[0],
        "loss": importance.loss,
        "low": importance.low,
        "high": importance.high,
        "repeats": importance.repeats,
    }
    return record | ({"reason": importance.reason} if importance.reason else {})


def _rows_of(result: "ImportanceResult | DependenceResult") -> str:
    few = f"{format_count(result.n_sampled, 'row')} of {format_count(result.n_rows, 'row')}"
    return few if result.n_sampled < result.n_rows else format_count(result.n_rows, "row")


def _length(importance: "Importance", largest: float) -> int:
    return round(BAR * max(importance.loss, 0.0) / largest) if largest > 0 else 0


def _write_rows(columns: tuple[str, ...], rows: Any, is_json: bool) -> None:
    """Write a line of CSV or JSON for each row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    heading = ["row", "prediction", "explained", "value", "typical", *(f"by_{name}" for name in columns)]
    if not is_json:
        writer.writerow(heading)
    for row in rows:
        prediction = row.prediction.item() if hasattr(row.prediction, "item") else row.prediction
        if is_json:
            contributions = dict(zip(columns, row.contributions, strict=True))
            record = {
                "row": row.row, "prediction": prediction, "explained": row.explained, "value": row.value,
                "typical": row.baseline, "by": contributions,
            }  # fmt: skip
            sys.stdout.write(dumps(plain(record), allow_nan=False, default=str) + "\n")
        else:
            numbers = (f"{value:.6g}" for value in (row.value, row.baseline, *row.contributions))
            prediction = f"{prediction:.9g}" if isinstance(prediction, float) else prediction
            writer.writerow([row.row, prediction, row.explained, *numbers])
