"""Notes on scored rows that the model was trained on."""

from mlpcli.data.row_sketch import TrainedRows, count_trained_rows, exceeds_expected
from mlpcli.data.table import Rows, Table
from mlpcli.model import Model


def notes_on_trained_rows(model: Model, table: Table, rows: Rows) -> list[str]:
    """A note if rows of a cast table are training rows, with their fraction.

    They are recognized by the hash of the file, or by the hashes of the rows, independent of file name and row order.
    """
    return notes_on_trained(model, table, count_trained_rows(model.trained_rows, table, model.row_columns, rows))


def notes_on_trained(model: Model, table: Table, counts: TrainedRows) -> list[str]:
    """As `notes_on_trained_rows`, from the counts of training rows."""
    files = model.record.get("data", {}).get("sha256", {})
    split = next((name for name in ("train", "validation") if table.sha256 and files.get(name) == table.sha256), "")
    if split == "validation":
        return [f"{table.name}: this file was used to choose the epoch, so the scores are optimistic."]
    if not split and not exceeds_expected(counts, model.trained_rows):
        return []
    what = "this is the training file" if split else "this table contains training rows"
    size = f"{_about(counts.fraction, model)} of the rows were trained on"
    return [f"{table.name}: {what}: {size}, so the scores are optimistic. Evaluate on rows that were not trained on."]


def _about(fraction: float, model: Model) -> str:
    shown = "100%" if fraction == 1.0 else f"{fraction:.1%}" if fraction < 0.1 else f"{fraction:.0%}"
    return f"about {shown}" if model.trained_rows.is_sample else shown
