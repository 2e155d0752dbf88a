"""Output of gates, and the exit code for missed ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpcli.cli.document import Gate, Gates
from mlpcli.errors import GateMissed
from mlpcli.messages import escape_line, format_count, format_list

if TYPE_CHECKING:
    from mlpcli.evaluation.gates import GateResult

MOST_MISSED = 30


def refuse_missed(gate_results: "Sequence[GateResult]") -> None:
    """Raise GateMissed (exit code 1) unless every gate is met."""
    missed = [escape_line(result.name) for result in gate_results if not result.passed]
    if missed:
        raise GateMissed(f"{tally(gate_results)}: {format_list(missed)}")


def tally(gate_results: "Sequence[GateResult]") -> str:
    """`1 of 2 gates missed`, `2 gates met`, `no gates`."""
    n_missed = sum(not result.passed for result in gate_results)
    gates = format_count(len(gate_results), "gate")
    return f"{n_missed} of {gates} missed" if n_missed else f"{gates} met" if gate_results else "no gates"


def gate_blocks(gate_results: "Sequence[GateResult]") -> list[Gates]:
    """The gates of all rows, the first missed gates of groups, and the number of met ones; no block without gates."""
    of_groups = [result for result in gate_results if result.where]
    missed = [result for result in of_groups if not result.passed]
    shown = [*(result for result in gate_results if not result.where), *missed[:MOST_MISSED]]
    more = f"gates in groups: {len(of_groups) - len(missed)} of {len(of_groups)} pass" if of_groups else ""
    return (
        [Gates([Gate(result.name, result.score_text, result.passed) for result in shown], more)] if gate_results else []
    )


def gates_json(gate_results: "Sequence[GateResult]") -> list[dict[str, Any]]:
    """Gates with their scores and results."""
    return [
        {
            "metric": result.gate.metric,
            "bound": result.gate.bound,
            "kind": "min" if result.gate.is_minimum else "max",
            "score": result.score,
            "passed": result.passed,
            **({"where": result.where} if result.where else {}),
            **({"reason": result.reason} if result.reason else {}),
        }
        for result in gate_results
    ]
