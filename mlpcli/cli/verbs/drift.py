"""`mlp check MODEL TABLE`: drift of a table from the training data of a model."""

from typing import Any

from mlpcli.cli.document import Block, Cell, Column, Document, Form, Paragraph, Table, name_column
from mlpcli.cli.progress.bars import show_progress
from mlpcli.cli.rendering.terminal import Screen
from mlpcli.errors import MlpError
from mlpcli.messages import format_count, format_list, format_number
from mlpcli.workflows.reading.drift import MIN_ROWS, ColumnDrift, DriftCheck, check_drift, check_on_drift, percent

ZIP = b"PK\x03\x04"


def is_model(path: str) -> bool:
    """Whether a path is a model file, not a config: by its first bytes, or its name if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return path.endswith(".npz")


def check_table(
    screen: Screen, weights: str, source: str, on_drift: str, delimiter: str | None, encoding: str | None, form: Form
) -> None:
    """Check a table and write the report; raises GateMissed if columns drifted with `--on-drift fail`."""
    if not source:
        raise MlpError(
            f"{weights}: a model is checked with a table: mlp check {weights} NEW.csv. Its content: mlp inspect"
        )
    check_on_drift(on_drift)
    with show_progress(screen):
        result = check_drift(weights, source, delimiter, encoding)
    screen.write_result(document(result), as_json(result), form)
    result.report.refuse(on_drift)


def document(result: DriftCheck) -> Document:
    """A row per column, the unseen levels, and the verdict."""
    report = result.report
    n_columns = format_count(len(report.columns), "column")
    n_training_rows = format_count(report.n_training_rows, "training row")
    title = f"{format_count(report.n_rows, 'row')} beside {n_training_rows} · {n_columns}"
    columns = [
        *(name_column("column"), Column("role", is_text=True, rank=4), Column("missing (before)", rank=2)),
        *(Column("range", rank=1), Column("range before", rank=1)),
        *(Column("outside"), Column("PSI"), Column("p", rank=3)),
        Column("verdict", is_text=True),
    ]
    blocks: list[Block] = [Table(columns, [_row(drift) for drift in report.columns])]
    for drift in report.columns:
        if drift.unseen:
            levels = format_list([f"{text} {n}" for text, n in drift.unseen.items()])
            blocks.append(Paragraph(f"{drift.column.name}: not among the levels of the reference profile: {levels}"))
    drifted = len(report.drifted)
    verdict = f"{drifted} of {n_columns} drifted" if drifted else f"no drift in {n_columns}"
    is_short = report.n_rows < MIN_ROWS
    if is_short and not drifted:
        verdict = f"no verdict on {n_columns}"
    few = [f"fewer than {MIN_ROWS} rows: too few to test for drift"] if is_short else []
    blocks.append(Paragraph(verdict, "bad" if drifted else ""))
    return Document(title, blocks, [*result.notes, *few], heading=f"mlp check: {verdict}")


def as_json(result: DriftCheck) -> dict[str, Any]:
    """The result for JSON."""
    report = result.report
    return {
        "n_rows": report.n_rows,
        "n_training_rows": report.n_training_rows,
        "drifted": [drift.column.name for drift in report.drifted],
        "passed": not report.drifted,
        "columns": [
            {
                "name": drift.column.name,
                "role": drift.column.role,
                "reasons": drift.reasons,
                "n_missing": drift.n_missing,
                "missing": drift.missing,
                "missing_before": drift.missing_before,
                "n_outside": drift.n_outside,
                "outside": drift.outside,
                "minimum": drift.low,
                "maximum": drift.high,
                "minimum_before": drift.column.minimum,
                "maximum_before": drift.column.maximum,
                "unseen": drift.unseen,
                "psi": drift.index,
                "distance": drift.distance,
                "p_value": drift.p_value,
            }
            for drift in report.columns
        ],
        "notes": result.notes,
    }


def _row(drift: ColumnDrift) -> tuple[str | Cell, ...]:
    column = drift.column
    is_number = column.role == "number"
    verdict = Cell(", ".join(drift.reasons), "bad") if drift.reasons else Cell("ok", "good")
    return (
        column.name,
        column.role,
        f"{percent(drift.missing)} ({percent(drift.missing_before)})",
        *((_range(drift.low, drift.high), _range(column.minimum, column.maximum)) if is_number else ("", "")),
        percent(drift.outside),
        format_number(drift.index),
        format_number(drift.p_value),
        verdict,
    )


def _range(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{low:.4g} to {high:.4g}"
