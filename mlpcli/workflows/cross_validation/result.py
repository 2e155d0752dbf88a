"""The result of a cross-validation: scores of the folds, their means, and gate results."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

from mlpcli.data.targets.target import Target, prediction_names
from mlpcli.errors import MlpError
from mlpcli.evaluation.gates import Gate, GateResult, evaluate_gates, fault_of
from mlpcli.evaluation.metrics.scores import ENDS, explain_unknown_metric
from mlpcli.evaluation.uncertainty.fold_scores import FoldScores, summarize
from mlpcli.evaluation.uncertainty.intervals import gate_names, interval_ends
from mlpcli.messages import format_count
from mlpcli.storage.run.fold_file import FoldRecord, Scores
from mlpcli.workflows.cross_validation.folds import FoldOptions
from mlpcli.workflows.scoring.baseline import far_worse
from mlpcli.workflows.scoring.main_metrics import decisive_metric


@dataclass(frozen=True)
class CvResult:
    """The scores of every fold with their means and intervals; `constant` has the mean of the baseline by metric.

    `n_train` is the mean number of training rows of a fold, including its validation rows. `folder` is the output
    folder, `kept` the new name of an older one with another config ("" for none); `has_model` says that the folder has
    the merged model.
    """

    target: Target
    options: FoldOptions
    confidence: float
    n_rows: int
    n_train: int
    is_forward: bool
    test_ratio: float
    records: tuple[FoldRecord, ...]
    scores: dict[str, FoldScores]
    constant: dict[str, float]
    gate_results: tuple[GateResult, ...]
    folder: str
    has_model: bool = False
    kept: str = ""
    seconds: float = 0.0

    @property
    def metric(self) -> str:
        """The metric that decides which of two models is better."""
        return decisive_metric(self.target.task, prediction_names(self.target))

    @property
    def flat(self) -> dict[str, float | None]:
        """The means by `test.metric`, and of the baseline by `constant.metric`, as in a model file."""
        means = {f"test.{key}": _plain(score.mean) for key, score in self.scores.items()}
        return means | {f"constant.{key}": _plain(mean) for key, mean in self.constant.items()}

    @property
    def passed(self) -> bool:
        """Whether every gate is met."""
        return all(result.passed for result in self.gate_results)

    @property
    def far_worse(self) -> str:
        """A sentence if the models are far worse than the constant baseline, else ""."""
        means = {key: score.mean for key, score in self.scores.items()}
        return far_worse(means, self.constant, "the rows of the folds")

    @property
    def coverage(self) -> str:
        """A sentence on what the confidence intervals cover, and what they do not."""
        percent = f"{100.0 * self.confidence:.4g}%"
        of = f"the mean score of models trained on {format_count(self.n_train, 'row')} like these"
        spans = ", scored on later rows" if self.is_forward else ""
        kept = " The kept model was retrained with inputs that are the same for all folds." if self.has_model else ""
        return (
            f"{percent} intervals are of {of}{spans}, over other draws of training and test rows (Student's t, the "
            "variance corrected for overlapping training sets: Nadeau & Bengio 2003). They do not cover rows of "
            f"another kind.{kept}"
        )


def check_gates(gates: Sequence[Gate], target: Target) -> None:
    """Raise MlpError for a gate on an unknown metric, or one that no model can meet."""
    allowed = gate_names(target.task, prediction_names(target))
    for gate in gates:
        if gate.metric not in allowed:
            raise MlpError(f"gate {gate.text}: {explain_unknown_metric(gate.metric, allowed)}")
        if fault := fault_of(gate):
            raise MlpError(f"gate {gate.text}: {fault}")


def summarize_scores(scores: Sequence[Scores], test_ratio: float, confidence: float) -> dict[str, FoldScores]:
    """Summarize each metric over the folds; a score that a fold does not have is NaN."""

    def values_of(key: str) -> list[float]:
        return [nan if (value := fold_scores.get(key)) is None else value for fold_scores in scores]

    keys = dict.fromkeys(key for fold_scores in scores for key in fold_scores)
    return {key: summarize(key, values_of(key), test_ratio, confidence) for key in keys}


def check_mean_gates(gates: Sequence[Gate], scores: dict[str, FoldScores]) -> list[GateResult]:
    """Check gates on the means of the folds, and on the ends of their intervals."""
    means = {key: score.mean for key, score in scores.items()}
    intervals = {key: score.interval for key, score in scores.items()}
    reasons = {key + end: interval.reason for key, interval in intervals.items() for end in ("", *ENDS)}
    return evaluate_gates(gates, means | interval_ends(intervals), "", reasons)


def as_json(result: CvResult) -> dict[str, Any]:
    """The JSON document of `--json`, which is also the content of cv.json."""
    return {
        "output": result.folder,
        "task": result.target.task,
        "metric": result.metric,
        "folds": result.options.n_folds,
        "repeats": result.options.n_repeats,
        "n_rows": result.n_rows,
        "n_train": result.n_train,
        "trained_ahead_of_test": result.is_forward,
        "test_ratio": result.test_ratio,
        "confidence": result.confidence,
        "passed": result.passed,
        "missed_gates": [result.gate.text for result in result.gate_results if not result.passed],
        "weights": f"{result.folder}/weights.npz" if result.has_model else None,
        "scores": {key: _score_json(score, result.constant.get(key, nan)) for key, score in result.scores.items()},
        "trainings": [_record_json(record, result.options.n_folds) for record in result.records],
    }


def _score_json(score: FoldScores, constant: float) -> dict[str, Any]:
    fields = {
        "mean": _plain(score.mean),
        "deviation": _plain(score.deviation),
        "low": _plain(score.interval.low),
        "high": _plain(score.interval.high),
        "constant": _plain(constant),
        "folds": [_plain(value) for value in score.values],
    }
    return fields | ({"reason": score.interval.reason} if score.interval.reason else {})


def _record_json(record: FoldRecord, n_folds: int) -> dict[str, Any]:
    return {
        "repeat": record.number // n_folds + 1,
        "fold": record.number % n_folds + 1,
        "n_train": record.n_train,
        "n_validation": record.n_validation,
        "n_test": len(record.rows),
        "epochs": record.epochs,
        "best_epoch": record.best_epoch,
        "stop_reason": record.stop_reason or "all epochs done",
        "seconds": round(record.seconds, 3),
    }


def _plain(value: float) -> float | None:
    return value if isfinite(value) else None
