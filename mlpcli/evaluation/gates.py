"""Gates: bounds on scores that decide whether a run passes."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlpcli.errors import MlpError
from mlpcli.evaluation.conformal.metrics import INTERVAL_METRICS
from mlpcli.evaluation.metrics.registry import METRICS, Metric
from mlpcli.evaluation.metrics.scores import ENDS, explain_unknown_metric


@dataclass(frozen=True)
class Gate:
    """A score that must reach `bound` (is_minimum) or must not exceed it; `metric` is the key of a score."""

    metric: str
    bound: float
    is_minimum: bool

    @property
    def text(self) -> str:
        """Such as "accuracy >= 0.95"."""
        return f"{self.metric} {'>=' if self.is_minimum else '<='} {repr(float(self.bound)).removesuffix('.0')}"

    def passes(self, score: float) -> bool:
        """Whether the score meets the bound; a score equal to it does, NaN does not."""
        return score >= self.bound if self.is_minimum else score <= self.bound


@dataclass(frozen=True)
class GateResult:
    """The result of a gate.

    `where` names the group of rows, "" for all rows; `reason` is why the score is undefined, "" if it is defined.
    """

    gate: Gate
    score: float
    passed: bool
    where: str = ""
    reason: str = ""

    @property
    def score_text(self) -> str:
        """The score with three decimals or digits, or as many as show which side of the bound it is on."""
        if math.isnan(self.score):
            return "-"
        usual = f"{self.score:.3f}" if abs(self.score) >= 0.01 or self.score == 0 else f"{self.score:.3g}"
        texts = [usual, *(f"{self.score:.{digits}g}" for digits in range(4, 17))]
        return next((text for text in texts if self.gate.passes(float(text)) == self.passed), repr(self.score))

    @property
    def name(self) -> str:
        """Such as "accuracy >= 0.95" or "accuracy >= 0.95 in region = north"."""
        return f"{self.gate.text} in {self.where}" if self.where else self.gate.text

    @property
    def text(self) -> str:
        """Such as "accuracy >= 0.95: 0.986 pass" or "rmse.high <= 1: - FAIL (too few rows for an interval)"."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.name}: {self.score_text} {'pass' if self.passed else 'FAIL'}{reason}"


def parse_gate(text: str, is_minimum: bool) -> Gate:
    """Parse the value of `--min` or `--max`, such as "accuracy=0.95"; raises MlpError if invalid."""
    option, example = ("--min", "accuracy=0.95") if is_minimum else ("--max", "log_loss=0.2")
    metric, _, number = (word.strip() for word in text.rpartition("="))
    if not metric or not number:
        raise MlpError(f"{option} {text}: expected METRIC=NUMBER. Write for example {option} {example}")
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound) or "_" in number:
        raise MlpError(f"{option} {text}: {number!r} is not a finite number. Write for example {option} {example}")
    gate = Gate(metric, bound, is_minimum)
    if fault := fault_of(gate):
        raise MlpError(f"{option} {text}: {fault}")
    return gate


def fault_of(gate: Gate) -> str:
    """Why no model can meet a gate, such as accuracy >= 90, with a suggestion; "" for a satisfiable gate."""
    metric = _metric(gate)
    if metric is None:
        return ""
    if gate.is_minimum and gate.bound > metric.highest:
        is_percent = metric.lowest == 0.0 and metric.highest == 1.0 and 2 <= gate.bound <= 100
        meant = f" Write {gate.bound / 100:g} for {gate.bound:g}%." if is_percent else ""
        return f"{metric.name} is at most {metric.highest:g}, so no model meets it.{meant}"
    if not gate.is_minimum and gate.bound < metric.lowest:
        return f"{metric.name} is at least {metric.lowest:g}, so no model meets it."
    return ""


def is_always_met(gate: Gate) -> bool:
    """Whether any model meets a gate, such as accuracy >= 0."""
    metric = _metric(gate)
    if metric is None:
        return False
    return gate.bound <= metric.lowest if gate.is_minimum else gate.bound >= metric.highest


def _metric(gate: Gate) -> Metric | None:
    """The metric of a gate, also of one on an interval end; None if unknown."""
    key = next((gate.metric.removesuffix(end) for end in ENDS if gate.metric.endswith(end)), gate.metric)
    name = key.partition("[")[0]
    return METRICS.get(name) or INTERVAL_METRICS.get(name)


def make_gates(minimum: Mapping[str, float], maximum: Mapping[str, float]) -> list[Gate]:
    """Gates from bounds by metric: `make_gates({"accuracy": 0.95}, {"log_loss": 0.2})`."""
    return [
        *(Gate(metric, bound, is_minimum=True) for metric, bound in minimum.items()),
        *(Gate(metric, bound, is_minimum=False) for metric, bound in maximum.items()),
    ]


def evaluate_gates(
    gates: Iterable[Gate], scores: Mapping[str, float], where: str = "", reasons: Mapping[str, str] | None = None
) -> list[GateResult]:
    """One result per gate, in order; raises MlpError for a gate on an unknown score.

    `reasons` has the reason for each undefined score.
    """
    gate_results = []
    for gate in gates:
        if gate.metric not in scores:
            raise MlpError(f"gate {gate.text}: {explain_unknown_metric(gate.metric, list(scores))}")
        score = scores[gate.metric]
        reason = (reasons or {}).get(gate.metric, "") if math.isnan(score) else ""
        gate_results.append(GateResult(gate, score, gate.passes(score), where, reason))
    return gate_results
