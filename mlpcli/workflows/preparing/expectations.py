"""Checks the gates of the section `expect`, and names what is chosen on validation rows."""

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.targets.target import Task
from mlpcli.evaluation.conformal.metrics import INTERVAL_KEYS, SET_KEYS, further_keys
from mlpcli.evaluation.gates import Gate, fault_of, make_gates
from mlpcli.evaluation.metrics.scores import explain_unknown_metric
from mlpcli.evaluation.uncertainty.intervals import gate_names, without_end
from mlpcli.messages import format_list
from mlpcli.nn.losses import Quantile
from mlpcli.workflows.preparing.networks.early_stopping import scored_epochs
from mlpcli.workflows.preparing.resolution import has_validation, uses_folds
from mlpcli.workflows.scoring.predictions import notes_on_bounds

# What can be chosen on validation rows, and the config key of that choice.
SELECTION_KEYS = {
    "epoch": "training.early_stopping",
    "bin edges": "preprocess.encoding",
    "members": "model.members.select",
    "temperature": "postprocess.calibration",
    "threshold": "postprocess.threshold",
    "bias correction": "postprocess.bias_correction",
}


def chosen_on_validation(loaded: LoadedConfig) -> tuple[str, ...]:
    """Which of SELECTION_KEYS are chosen on the validation rows, whose scores are therefore optimistic.

    With folds all training rows are validation rows: out-of-fold predictions choose the epoch and the temperature, and
    the targets of all rows choose the bin edges.
    """
    config = loaded.config
    if not has_validation(loaded):
        return ()
    scored = scored_epochs(config.training)
    n_candidates = config.training.epochs if scored is None else len(scored)
    is_chosen = {
        "epoch": config.training.early_stopping is not None and n_candidates > 1,
        "bin edges": uses_folds(loaded) and config.preprocess.encoding.uses_targets,
        "members": config.model.members.select == "greedy",
        "temperature": config.postprocess.calibration == "temperature",
        "threshold": isinstance(config.postprocess.threshold, str),
        "bias correction": config.postprocess.bias_correction,
    }
    return tuple(choice for choice in SELECTION_KEYS if is_chosen[choice])


def check_gates(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> list[str]:
    """Check the gates of `expect`; returns notes on unusual ones.

    Raises ConfigError for an unknown metric, a bound that no model can meet, gates without held-out rows, and a gate on
    the end of an interval if the rows chose something.
    """
    config = loaded.config
    allowed = gate_names(task, names, _interval_metrics(loaded, task, names))
    chosen = () if config.data.test is not None else chosen_on_validation(loaded)
    for key, gates in (("expect.min", config.expect.min), ("expect.max", config.expect.max)):
        for metric, bound in gates.items():
            if metric.partition("[")[0].partition(".")[0] in (*INTERVAL_KEYS, *SET_KEYS) and metric not in allowed:
                raise loaded.error(
                    key,
                    f"{metric}: is a score of intervals or sets. It needs intervals.level, and rows used neither "
                    "for training nor for calibration, data.test: FILE",
                )
            if metric not in allowed:
                raise loaded.error(key, explain_unknown_metric(metric, allowed))
            if chosen and without_end(metric) != metric:
                choosers = ", ".join(f"{choice} ({SELECTION_KEYS[choice]})" for choice in chosen)
                raise loaded.error(
                    key,
                    f"{metric}: there is no confidence interval on rows that chose the {choosers}: their scores "
                    f"are optimistic. Use rows that choose nothing, data.test: FILE, or gate the score itself: "
                    f"{without_end(metric)}",
                )
            if fault := fault_of(Gate(metric, bound, is_minimum=key == "expect.min")):
                raise loaded.error(key, f"{metric} {bound:g}: {fault}")
        if gates and not has_validation(loaded) and config.data.test is None:
            raise loaded.error(key, "needs rows that are not trained on: set data.validation or data.test.")
    all_gates = make_gates(config.expect.min, config.expect.max)
    notes = notes_on_bounds(all_gates)
    if config.intervals.level is not None and config.data.test is None:
        notes.append("intervals.level: coverage and width are reported for the rows of data.test, and there is none.")
    if all_gates and chosen:
        notes.append(
            f"the gates of expect are checked on the validation rows, which choose the {format_list(chosen)}: their "
            "scores are optimistic. Use other rows with data.test: FILE"
        )
    return notes


def _interval_metrics(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    """The metrics of intervals or sets on the test rows, and those of a predicted quantile."""
    config = loaded.config
    has_level = config.intervals.level is not None and config.data.test is not None
    return further_keys(task, names, has_level, isinstance(config.training.loss, Quantile))


def check_test_file(loaded: LoadedConfig) -> list[str]:
    """Notes on a test file that equals the validation file; raises ConfigError if gates would use its scores."""
    chosen = chosen_on_validation(loaded)
    if not chosen:
        return []
    fault = (
        f"has the rows of data.validation, which choose the {format_list(chosen)}: its scores are optimistic as well"
    )
    if loaded.config.expect.min or loaded.config.expect.max:
        raise loaded.error("data.test", f"{fault}. Name another file, or leave it out.")
    return [f"data.test {fault}."]
