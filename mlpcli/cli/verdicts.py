"""How gates are shown, and how a missed one ends the program."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from mlpcli.cli.render import Screen, count
from mlpcli.errors import GateMissed
from mlpcli.evaluation.gates import Verdict


def refuse_missed(verdicts: Sequence[Verdict]) -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless every gate is met."""
    missed = [verdict.gate.text for verdict in verdicts if not verdict.passed]
    if missed:
        raise GateMissed(f"{len(missed)} of {count(len(verdicts), 'gate')} missed: {', '.join(missed)}")


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
