"""What `mlp train` shows when the work is done."""

from collections.abc import Mapping
from typing import Any

from mlpcli.cli.terminal import Row, Screen
from mlpcli.cli.verbs.describing import chosen_remarks, score_headings
from mlpcli.cli.verbs.gates import gates_json, refuse_missed, show_verdicts
from mlpcli.data.targets.target import NumberTarget, Target, answer_names
from mlpcli.errors import GateMissed
from mlpcli.messages import count, duration, listed, number
from mlpcli.workflows.journal import flat_metrics
from mlpcli.workflows.main_metrics import main_metrics
from mlpcli.workflows.train import TrainResult
from mlpcli.workflows.up_to_date import FinishedRun

# The metric, lower being better, in which a model trained on a loss should beat the constant baseline.
LOSS_METRICS = {
    "cross_entropy": "log_loss",
    "binary_cross_entropy": "log_loss",
    "squared_error": "rmse",
    "absolute_error": "mae",
    "poisson": "rmse",
}


def train_summary(screen: Screen, result: TrainResult | FinishedRun) -> None:
    """Scores against the baseline, gates, where the files are, and what to type next."""
    if isinstance(result, FinishedRun):
        screen.answer(f"{result.folder} is up to date: config, data and version are those of the run. Nothing to do.")
        return
    outcome = result.outcome
    parts = list(outcome.scores)
    target = result.prepared.target
    names = list(main_metrics(target.task, answer_names(target)))
    if result.prepared.metric not in ("loss", *names):
        names.append(result.prepared.metric)
    if result.rarest_class and "average_precision" not in names:
        names.append("average_precision")
    chosen = {"validation": outcome.chosen}
    rows: list[Row] = [("", *score_headings(parts, chosen))]
    rows += [(name, *(number(outcome.scores[part].get(name)) for part in parts)) for name in names]
    screen.answer()
    screen.answer_table(rows)
    for remark in chosen_remarks(chosen, outcome.model):
        screen.answer(remark)
    show_verdicts(screen, outcome.verdicts)
    metric = LOSS_METRICS.get(result.prepared.spec.loss.name)
    poor = [] if metric is None else _no_better(outcome.scores, metric, target)
    if poor:
        screen.warn(f"in {listed(poor)} the model is no better than the constant baseline, which ignores the inputs.")
    where = f"after epoch {outcome.epochs}" if outcome.epochs else "in the first epoch"
    ending = f"Stopped {where}: {outcome.stop_reason}. " if outcome.stop_reason else ""
    last = "The last epoch is kept." if outcome.epochs else "The weights of the last step are kept."
    kept = last if outcome.best_score is None else f"Best epoch {outcome.best_epoch}."
    done = ending or f"{count(outcome.epochs, 'epoch')}. "
    screen.answer(f"{done}{kept} {duration(result.seconds)}")
    weights = f"{result.folder}/weights.npz"
    screen.answer(f"{weights} · metrics.json · history.csv")
    screen.say(f"Next: mlp eval {weights} NEW.csv    or    mlp predict {weights} NEW.csv")


def train_json(result: TrainResult | FinishedRun) -> dict[str, Any]:
    """The metrics, the folder, and the gates."""
    if isinstance(result, FinishedRun):
        return {
            "output": result.folder,
            "weights": f"{result.folder}/weights.npz",
            "up_to_date": True,
            "judged_on": result.judged_on,
            "passed": not result.missed_gates,
            "metrics": dict(result.metrics),
        }
    return {
        "output": result.folder,
        "weights": f"{result.folder}/weights.npz",
        "up_to_date": False,
        "layers": result.prepared.network.sizes,
        "gates": gates_json(result.outcome.verdicts),
        "judged_on": result.prepared.parts[-1].name,
        "passed": result.outcome.passed,
        "metrics": flat_metrics(result.outcome, result.seconds),
    }


def refuse_failed(result: TrainResult | FinishedRun) -> None:
    """Raise GateMissed, which ends the program with exit code 1, unless every gate is (or was) met."""
    if isinstance(result, TrainResult):
        refuse_missed(result.outcome.verdicts)
    elif result.missed_gates:
        raise GateMissed(f"{result.folder} missed when it was trained: {', '.join(result.missed_gates)}")


def _no_better(scores: Mapping[str, Mapping[str, float]], metric: str, target: Target) -> list[str]:
    """The metric, or of several numbers that of each target, in which the last split does not beat the baseline."""
    last = list(scores)[-2]
    is_in_parts = isinstance(target, NumberTarget) and len(target.names) > 1
    keys = [f"{metric}[{name}]" for name in target.names] if is_in_parts else [metric]
    return [key for key in keys if key in scores[last] and scores[last][key] >= scores["constant"][key]]
