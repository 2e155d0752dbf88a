"""What `mlp eval` shows; and how scores, targets and gates are shown by every verb."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from mlpcli.cli.render import Row, Screen, aligned, count, number
from mlpcli.data.targets import ClassTarget, Target
from mlpcli.errors import GateMissed
from mlpcli.evaluation.gates import Verdict
from mlpcli.workflows.evaluate import EvalResult
from mlpcli.workflows.predict import describe_counts

# What the table after a training shows; metrics.json has every score.
MAIN_METRICS = {
    "classification": ("accuracy", "balanced_accuracy", "log_loss", "roc_auc"),
    "regression": ("rmse", "mae", "r2"),
    "multilabel": ("subset_accuracy", "hamming_loss", "log_loss", "roc_auc"),
}
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


def describe_target(target: Target) -> str:
    """`3 classes`, `target price`, `targets a, b`."""
    if isinstance(target, ClassTarget):
        return f"{len(target.labels)} classes"
    return f"{'target' if len(target.names) == 1 else 'targets'} {', '.join(target.names)}"


def refuse_missed(verdicts: Sequence[Verdict]) -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless every gate is met."""
    missed = [verdict.gate.text for verdict in verdicts if not verdict.passed]
    if missed:
        raise GateMissed(f"{len(missed)} of {count(len(verdicts), 'gate')} missed: {', '.join(missed)}")


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


def show_verdicts(screen: Screen, verdicts: Sequence[Verdict]) -> None:
    """A line per gate."""
    if not verdicts:
        return
    screen.answer()
    rows = [(f"gate  {verdict.gate.text}", verdict.score_text, _colored(verdict.passed)) for verdict in verdicts]
    screen.answer_table(rows)


def _colored(passed: bool) -> Text:
    return Text("pass", "green") if passed else Text("FAIL", "bold red")


def gates_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Gates with their scores and verdicts."""
    return [
        {
            "metric": verdict.gate.metric,
            "bound": verdict.gate.bound,
            "kind": "min" if verdict.gate.is_minimum else "max",
            "score": verdict.score,
            "passed": verdict.passed,
        }
        for verdict in verdicts
    ]
