"""What `mlp eval` shows."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from mlpcli.cli.render import Row, Screen, aligned, count, number
from mlpcli.cli.summaries import describe_target
from mlpcli.cli.verdicts import gates_json, show_verdicts
from mlpcli.data.targets import ClassTarget
from mlpcli.workflows.evaluate import EvalResult
from mlpcli.workflows.predict import describe_counts

# Of more classes, outputs or columns than these only what concerns all of them is shown.
MOST_CLASSES = 30


def eval_summary(screen: Screen, result: EvalResult) -> None:
    """Every score, the confusion matrix, and a line per gate."""
    target = result.model.target
    for note in result.notes:
        screen.warn(note)
    odd = describe_counts(result.counts)
    if odd:
        screen.warn(odd)
    screen.answer(f"{count(result.n_rows, 'row')} · {describe_target(target)}")
    together = {name: value for name, value in result.scores.items() if "[" not in name}
    screen.answer_table([(name, number(value)) for name, value in together.items()])
    _show_parts(screen, result.scores)
    if isinstance(target, ClassTarget) and result.confusion is not None and len(target.labels) <= MOST_CLASSES:
        screen.answer()
        rows: list[Row] = [("confusion", *target.labels)]
        rows += [
            (label, *(number(cell) if cell % 1 else f"{cell:.0f}" for cell in cells))
            for label, cells in zip(target.labels, result.confusion.tolist(), strict=True)
        ]
        lines = aligned(rows)
        screen.answer(Text.assemble(lines[0], ("   (rows: truth, columns: predicted)", "dim")))
        for line in lines[1:]:
            screen.answer(line)
    show_verdicts(screen, result.verdicts)


def eval_json(result: EvalResult) -> dict[str, Any]:
    """Scores, gates and the confusion matrix."""
    document: dict[str, Any] = {
        "n_rows": result.n_rows,
        "task": result.model.target.task,
        "scores": result.scores,
        "gates": gates_json(result.verdicts),
        "passed": result.passed,
        "n_missing": result.counts.n_missing,
        "n_unseen": result.counts.n_unseen,
    }
    if isinstance(result.model.target, ClassTarget):
        document |= {"classes": result.model.target.labels, "confusion": result.confusion}
    return document


def _show_parts(screen: Screen, scores: Mapping[str, float]) -> None:
    """Scores per class, output or column, as a table: a row each, a column per metric."""
    table: dict[str, dict[str, float]] = {}
    for key, value in scores.items():
        if "[" in key:
            metric, _, part = key.partition("[")
            table.setdefault(part[:-1], {})[metric] = value
    if not table or len(table) > MOST_CLASSES:
        return
    metrics = list(next(iter(table.values())))
    screen.answer()
    screen.answer_table([("", *metrics), *((part, *map(number, of.values())) for part, of in table.items())])
