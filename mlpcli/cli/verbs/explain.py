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
from mlpcli.messages import format_count, format_list, format_number

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
    wanted = _wanted(rows, columns, of, form, image)
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


def _wanted(rows: bool, columns: str, of: str, form: str, image: str) -> tuple[str, ...]:
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
    largest = max((one.loss for one in result.columns), default=0.0)
    columns = [
        name_column("column"),
        Column(result.change),
        Column("interval", rank=1),
        Column("", is_text=True, rank=2),
    ]
    rows = [
        (one.columns[0], format_number(one.loss), _interval(one), Cell("▇" * _length(one, largest), "good"))
        for one in result.columns[:MOST_ROWS]
    ]
    n_more = len(result.columns) - len(rows)
    more = (
        f"and {format_count(n_more, 'column')} that {'matters' if n_more == 1 else 'matter'} less (--json)"
        if n_more
        else ""
    )
    blocks: list[Block] = [Table(columns, rows, more=more)]
    for linked, one in result.together:
        blocks.append(
            Paragraph(
                f"{_all_of(linked.columns)} are correlated (rank correlation {format_number(linked.correlation)}): "
                f"each can replace the other. Shuffled together: {format_number(one.loss)} {_interval(one)}".rstrip()
            )
        )
    reasons = dict.fromkeys(one.reason for one in result.columns if one.reason)
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
        "columns": [_importance_json(one) for one in result.columns],
        "together": [
            {**_importance_json(one), "columns": linked.columns, "correlation": linked.correlation}
            for linked, one in result.together
        ],
        "notes": result.notes,
    }


def dependence_document(result: "DependenceResult") -> Document:
    """A table per column: the mean prediction with all rows set to each of its values."""
    title = f"{_rows_of(result)} · {describe_target(result.model.target)} · mean prediction with all rows at the value"
    tables = [
        Table(
            [
                name_column(one.column),
                *(Column(name, rank=int(place > 5)) for place, name in enumerate(result.shown.values())),
            ],
            [
                (value, *(format_number(float(one.mean[row, index])) for index in result.shown))
                for row, value in enumerate(one.values)
            ],
        )
        for one in result.columns
    ]
    return Document(title, tables, result.notes, heading="mlp explain")


def dependence_json(result: "DependenceResult") -> dict[str, Any]:
    """The mean predictions, and the curves of individual rows."""
    return {
        "n_rows": result.n_rows,
        "n_sampled": result.n_sampled,
        "answers": result.output_names,
        "columns": [
            {"column": one.column, "values": one.values, "mean": one.mean, "curves": one.curves}
            for one in result.columns
        ],
        "notes": result.notes,
    }


def _importance_json(one: "Importance") -> dict[str, Any]:
    record = {"column": one.columns[0], "loss": one.loss, "low": one.low, "high": one.high, "repeats": one.repeats}
    return record | ({"reason": one.reason} if one.reason else {})


def _rows_of(result: "ImportanceResult | DependenceResult") -> str:
    few = f"{format_count(result.n_sampled, 'row')} of {format_count(result.n_rows, 'row')}"
    return few if result.n_sampled < result.n_rows else format_count(result.n_rows, "row")


def _interval(one: "Importance") -> str:
    return "" if one.reason or one.low != one.low else f"[{format_number(one.low)}, {format_number(one.high)}]"


def _length(one: "Importance", largest: float) -> int:
    return round(BAR * max(one.loss, 0.0) / largest) if largest > 0 else 0


def _write_rows(columns: tuple[str, ...], rows: Any, is_json: bool) -> None:
    """Write a line of CSV or JSON for each row."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    heading = ["row", "answer", "explained", "value", "typical", *(f"by_{name}" for name in columns)]
    if not is_json:
        writer.writerow(heading)
    for one in rows:
        prediction = one.prediction.item() if hasattr(one.prediction, "item") else one.prediction
        if is_json:
            parts = dict(zip(columns, one.parts, strict=True))
            record = {
                "row": one.row, "answer": prediction, "explained": one.of, "value": one.value, "typical": one.baseline,
                "by": parts,
            }  # fmt: skip
            sys.stdout.write(dumps(plain(record), allow_nan=False, default=str) + "\n")
        else:
            numbers = (f"{part:.6g}" for part in (one.value, one.baseline, *one.parts))
            prediction = f"{prediction:.9g}" if isinstance(prediction, float) else prediction
            writer.writerow([one.row, prediction, one.of, *numbers])
