"""`mlp check MODEL TABLE`: whether a table looks like what a model was trained on."""

from typing import Any

from rich.text import Text

from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.errors import MlpError
from mlpcli.messages import count, listed, number
from mlpcli.workflows.drift import FEWEST_ROWS, ColumnDrift, DriftCheck, check_drift, check_on_drift, percent

ZIP = b"PK\x03\x04"


def is_model(path: str) -> bool:
    """Whether a path names a model file, not a config: by its beginning, or its name if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(ZIP)) == ZIP
    except OSError:
        return path.endswith(".npz")


def check_table(
    screen: Screen, weights: str, source: str, on_drift: str, delimiter: str | None, encoding: str | None, as_json: bool
) -> None:
    """Show the whole report; raises GateMissed for `--on-drift fail` and a column that drifted."""
    if not source:
        raise MlpError(
            f"{weights}: a model is checked with a table: mlp check {weights} NEW.csv. Its content: mlp inspect"
        )
    check_on_drift(on_drift)
    found = check_drift(weights, source, delimiter, encoding)
    if as_json:
        screen.json(drift_json(found))
    else:
        drift_summary(screen, found)
    found.report.refuse(on_drift)


def drift_summary(screen: Screen, found: DriftCheck) -> None:
    """A row per column, the levels that were not seen, and the verdict."""
    report = found.report
    for note in found.notes:
        screen.warn(note)
    n_columns = count(len(report.columns), "column")
    screen.answer(f"{count(report.n_rows, 'row')} beside {count(report.n_training_rows, 'training row')} · {n_columns}")
    rows: list[Row] = [("column", "role", "missing (before)", "range (before)", "outside", "PSI", "p", "verdict")]
    rows += [_row(drift) for drift in report.columns]
    screen.answer()
    for line in aligned(rows, text_columns=(0, 1, 7)):
        screen.answer(line)
    unseen = [drift for drift in report.columns if drift.unseen]
    if unseen:
        screen.answer()
    for drift in unseen:
        texts = listed([f"{text} {n}" for text, n in drift.unseen.items()])
        screen.answer(f"{drift.column.name}: not among the levels of the reference profile: {texts}")
    if report.n_rows < FEWEST_ROWS:
        screen.warn(f"fewer than {FEWEST_ROWS} rows: too few to say whether they are as in the training")
    screen.answer()
    drifted = len(report.drifted)
    verdict = f"{drifted} of {n_columns} drifted" if drifted else f"{n_columns} as in the training"
    if report.n_rows < FEWEST_ROWS and not drifted:
        verdict = f"no verdict on {n_columns}"
    screen.answer(verdict)


def drift_json(found: DriftCheck) -> dict[str, Any]:
    """The same as one document."""
    report = found.report
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
        "notes": found.notes,
    }


def _row(drift: ColumnDrift) -> Row:
    column = drift.column
    verdict = Text(", ".join(drift.reasons), "bold red") if drift.reasons else Text("ok", "green")
    return (
        column.name,
        column.role,
        f"{percent(drift.missing)} ({percent(drift.missing_before)})",
        f"{_range(drift.low, drift.high)} ({_range(column.minimum, column.maximum)})"
        if column.role == "number"
        else "",
        percent(drift.outside),
        number(drift.index),
        number(drift.p_value),
        verdict,
    )


def _range(low: float | None, high: float | None) -> str:
    return "none" if low is None or high is None else f"{low:.4g} to {high:.4g}"
