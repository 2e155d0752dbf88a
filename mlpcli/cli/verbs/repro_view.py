"""What `mlp repro` shows."""

from typing import Any

from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.errors import GateMissed
from mlpcli.messages import count, listed, number
from mlpcli.storage.records import to_plain
from mlpcli.workflows.repro import ReproResult

MOST_ARRAYS = 5


def repro_summary(screen: Screen, result: ReproResult) -> None:
    """One line where the bytes are the same; else what is different, and the arrays that moved farthest."""
    if result.is_same:
        screen.answer(f"{result.weights}: {count(result.n_epochs, 'epoch')} gave the same bytes")
        return
    ending = "not the same bytes" if result.was_trained else "the data is not the same: not trained again"
    screen.answer(f"{result.weights}: {ending}")
    screen.answer()
    rows: list[Row] = [("", "then", "now")]
    rows += [(one.what, one.then, one.now) for one in result.deviations]
    for line in aligned(rows, text_columns=(0, 1, 2)):
        screen.answer(line)
    if not result.was_trained:
        return
    screen.answer()
    if not result.arrays:
        screen.answer("all arrays are equal")
        return
    rows = [("array", "distance", "largest change")]
    rows += [(one.name, number(one.distance), number(one.largest_change)) for one in result.arrays[:MOST_ARRAYS]]
    screen.answer_table(rows)
    if len(result.arrays) > MOST_ARRAYS:
        screen.answer(f"and {len(result.arrays) - MOST_ARRAYS} more arrays")


def repro_json(result: ReproResult) -> dict[str, Any]:
    """The verdict, and all that is different."""
    return {
        "weights": result.weights,
        "same": result.is_same,
        "trained": result.was_trained,
        "epochs": result.n_epochs,
        "deviations": [to_plain(one) for one in result.deviations],
        "arrays": [{"name": one.name, "distance": one.distance, "largest_change": one.largest_change}
                   for one in result.arrays],
    }  # fmt: skip


def refuse_other(result: ReproResult) -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless the bytes are the same."""
    if not result.is_same:
        what = [one.what for one in result.deviations] + (["arrays"] if result.arrays else [])
        raise GateMissed(f"{result.weights}: not reproduced: {listed(what)}")
