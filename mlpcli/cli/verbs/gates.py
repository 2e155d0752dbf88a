"""How gates are shown, and how a missed one ends the program."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from mlpcli.cli.terminal import Screen
from mlpcli.errors import GateMissed
from mlpcli.evaluation.gates import Verdict
from mlpcli.messages import count, listed, on_one_line

MOST_MISSED = 30


def refuse_missed(verdicts: Sequence[Verdict]) -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless every gate is met."""
    missed = [on_one_line(verdict.name) for verdict in verdicts if not verdict.passed]
    if missed:
        raise GateMissed(f"{tally(verdicts)}: {listed(missed)}")


def tally(verdicts: Sequence[Verdict]) -> str:
    """`1 of 2 gates missed`, `2 gates met`, `no gates`."""
    n_missed = sum(not verdict.passed for verdict in verdicts)
    gates = count(len(verdicts), "gate")
    return f"{n_missed} of {gates} missed" if n_missed else f"{gates} met" if verdicts else "no gates"


def shown_verdicts(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that are worth a line: every one of all rows, and of groups the first ones that are missed."""
    missed = [verdict for verdict in verdicts if verdict.where and not verdict.passed]
    return [*(verdict for verdict in verdicts if not verdict.where), *missed[:MOST_MISSED]]


def show_verdicts(screen: Screen, verdicts: Sequence[Verdict]) -> None:
    """A line per gate; of groups only the missed ones, and a count."""
    if not verdicts:
        return
    screen.answer()
    rows = [(f"gate  {one.name}", one.score_text, _colored(one.passed)) for one in shown_verdicts(verdicts)]
    screen.answer_table(rows)
    of_groups = [verdict.passed for verdict in verdicts if verdict.where]
    if of_groups:
        screen.answer(f"gates in groups: {sum(of_groups)} of {len(of_groups)} pass")


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
            **({"where": verdict.where} if verdict.where else {}),
            **({"reason": verdict.reason} if verdict.reason else {}),
        }
        for verdict in verdicts
    ]
