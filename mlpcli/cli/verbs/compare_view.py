"""What `mlp compare` shows."""

from typing import Any

from rich.text import Text

from mlpcli.cli.terminal import Row, Screen, aligned
from mlpcli.cli.verbs.describing import describe_target
from mlpcli.errors import GateMissed
from mlpcli.evaluation.paired import Difference
from mlpcli.messages import count, number
from mlpcli.workflows.compare import CompareResult

COLOURS = {"better": "green", "worse": "bold red", "undecided": "dim"}


def compare_summary(screen: Screen, result: CompareResult) -> None:
    """A line per metric, the rows that one model alone has right, and the verdict."""
    target = result.model.target
    screen.answer(f"{count(result.n_rows, 'row')} · {describe_target(target)}")
    rows: list[Row] = [(*_heading(result), "")]
    rows += [(*_cells(one), Text(one.verdict, COLOURS[one.verdict])) for one in result.differences]
    for line in aligned(rows, text_columns=(0, 5)):
        screen.answer(line)
    for text in _mcnemar_texts(result):
        screen.answer(text)
    verdict = Text("pass", "green") if result.passed else Text("FAIL", "bold red")
    screen.answer()
    screen.answer_table([(f"gate  {_gate_text(result)}", verdict)])


def compare_markdown(screen: Screen, result: CompareResult) -> None:
    """The same as a table for a pull request."""
    screen.answer(f"**{'pass' if result.passed else 'FAIL'}**: {_gate_text(result)}, on {count(result.n_rows, 'row')}")
    screen.answer()
    rows = [(*_heading(result), "verdict"), ("---", *["---:"] * 4, "---")]
    rows += [(f"`{one.metric}`", *_cells(one)[1:], one.verdict) for one in result.differences]
    for row in rows:
        screen.answer(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |")
    for text in _mcnemar_texts(result):
        screen.answer()
        screen.answer(text)


def compare_json(result: CompareResult) -> dict[str, Any]:
    """Every score of both models, with the difference and its interval."""
    request = result.request
    return {
        "old": request.old,
        "new": request.new,
        "n_rows": result.n_rows,
        "task": result.model.target.task,
        "metric": result.metric,
        "margin": request.margin,
        "confidence": request.confidence,
        "passed": result.passed,
        "metrics": {one.metric: _difference_json(one) for one in result.differences},
    }


def refuse_worse(result: CompareResult) -> None:
    """Raise GateMissed, which ends the program with exit code 1, if the new model is worse."""
    if result.passed:
        return
    one = result.decisive
    raise GateMissed(
        f"{result.request.new} is worse than {result.request.old}: {one.metric} {number(one.new)} against "
        f"{number(one.old)}, new - old {_interval_text(one)} ({100 * result.request.confidence:.4g} % interval)"
    )


def _difference_json(one: Difference) -> dict[str, Any]:
    document: dict[str, Any] = {
        "old": one.old, "new": one.new, "difference": one.difference, "low": one.low, "high": one.high,
        "verdict": one.verdict,
    }  # fmt: skip
    if one.mcnemar is not None:
        test = one.mcnemar
        document["mcnemar"] = {"only_old_right": test.only_old, "only_new_right": test.only_new, "p": test.p}
    return document


def _heading(result: CompareResult) -> tuple[str, ...]:
    return "", "old", "new", "new - old", f"{100 * result.request.confidence:.4g} % interval"


def _cells(one: Difference) -> tuple[str, ...]:
    return one.metric, number(one.old), number(one.new), number(one.difference), _interval_text(one)


def _interval_text(one: Difference) -> str:
    return f"{number(one.low)} to {number(one.high)}"


def _mcnemar_texts(result: CompareResult) -> list[str]:
    return [
        f"right in {one.metric}: {test.only_old} by the old alone, {test.only_new} by the new alone, "
        f"McNemar p {number(test.p)}"
        for one in result.differences
        if (test := one.mcnemar) is not None
    ]


def _gate_text(result: CompareResult) -> str:
    margin = f" by more than {result.request.margin:g}" if result.request.margin else ""
    return f"{result.metric} not worse{margin}"
