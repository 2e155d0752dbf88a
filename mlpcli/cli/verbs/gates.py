"""How gates are shown, and how a missed one ends the program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpcli.cli.document import Gate, Gates
from mlpcli.errors import GateMissed
from mlpcli.messages import count, listed, on_one_line

if TYPE_CHECKING:
    from mlpcli.evaluation.gates import Verdict

MOST_MISSED = 30


def refuse_missed(verdicts: "Sequence[Verdict]") -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless every gate is met."""
    missed = [on_one_line(verdict.name) for verdict in verdicts if not verdict.passed]
    if missed:
        raise GateMissed(f"{tally(verdicts)}: {listed(missed)}")


def tally(verdicts: "Sequence[Verdict]") -> str:
    """`1 of 2 gates missed`, `2 gates met`, `no gates`."""
    n_missed = sum(not verdict.passed for verdict in verdicts)
    gates = count(len(verdicts), "gate")
    return f"{n_missed} of {gates} missed" if n_missed else f"{gates} met" if verdicts else "no gates"


def gate_blocks(verdicts: "Sequence[Verdict]") -> list[Gates]:
    """Every gate of all rows, of groups the first ones that are missed, and how many hold; no block for no gates."""
    of_groups = [verdict for verdict in verdicts if verdict.where]
    missed = [verdict for verdict in of_groups if not verdict.passed]
    shown = [*(verdict for verdict in verdicts if not verdict.where), *missed[:MOST_MISSED]]
    more = f"gates in groups: {len(of_groups) - len(missed)} of {len(of_groups)} pass" if of_groups else ""
    return [Gates([Gate(one.name, one.score_text, one.passed) for one in shown], more)] if verdicts else []


def gates_json(verdicts: "Sequence[Verdict]") -> list[dict[str, Any]]:
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
