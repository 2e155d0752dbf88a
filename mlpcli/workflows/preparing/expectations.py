"""The gates under `expect`: what may be asked of which rows."""

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

# What validation rows may choose, and the key that has it chosen.
SELECTION_KEYS = {
    "epoch": "training.early_stopping",
    "bin edges": "preprocess.encoding",
    "members": "model.members.select",
    "temperature": "postprocess.calibration",
    "threshold": "postprocess.threshold",
}


def chosen_on_validation(loaded: LoadedConfig) -> tuple[str, ...]:
    """What the validation rows choose, of CHOOSERS: their scores are then the best of several, and optimistic.

    Folds that members leave out are such rows as well: the epoch and the temperature are chosen by the answers of the
    members that have not seen them, and bin edges by the targets of all rows.
    """
    config = loaded.config
    if not has_validation(loaded):
        return ()
    judged = scored_epochs(config.training)
    n_candidates = config.training.epochs if judged is None else len(judged)
    is_chosen = {
        "epoch": config.training.early_stopping is not None and n_candidates > 1,
        "bin edges": uses_folds(loaded) and config.preprocess.encoding.uses_targets,
        "members": config.model.members.select == "greedy",
        "temperature": config.postprocess.calibration == "temperature",
        "threshold": isinstance(config.postprocess.threshold, str),
    }
    return tuple(what for what in SELECTION_KEYS if is_chosen[what])


def check_gates(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> list[str]:
    """What is odd about the gates of `expect`.

    Raises ConfigError for an unknown metric, a bound that no model meets, no rows to judge on, or the end of an
    interval on rows that chose.
    """
    config = loaded.config
    known = gate_names(task, names, _interval_metrics(loaded, task, names))
    chosen = () if config.data.test is not None else chosen_on_validation(loaded)
    for key, gates in (("expect.min", config.expect.min), ("expect.max", config.expect.max)):
        for metric, bound in gates.items():
            if metric.partition("[")[0].partition(".")[0] in (*INTERVAL_KEYS, *SET_KEYS) and metric not in known:
                raise loaded.error(
                    key,
                    f"{metric}: is a score of intervals or sets. It needs intervals.level, and rows used neither "
                    "for training nor for calibration, data.test: FILE",
                )
            if metric not in known:
                raise loaded.error(key, explain_unknown_metric(metric, known))
            if chosen and without_end(metric) != metric:
                choosers = ", ".join(f"{what} ({SELECTION_KEYS[what]})" for what in chosen)
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
    asked = make_gates(config.expect.min, config.expect.max)
    notes = notes_on_bounds(asked)
    if config.intervals.level is not None and config.data.test is None:
        notes.append("intervals.level: coverage and width are reported for the rows of data.test, and there is none.")
    if asked and chosen:
        notes.append(
            f"the gates of expect are checked on the validation rows, which choose the {format_list(chosen)}: their "
            "scores are optimistic. Use other rows with data.test: FILE"
        )
    return notes


def _interval_metrics(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    """The scores of intervals on the test rows, and of an answer that is a quantile."""
    config = loaded.config
    has_level = config.intervals.level is not None and config.data.test is not None
    return further_keys(task, names, has_level, isinstance(config.training.loss, Quantile))


def check_test_file(loaded: LoadedConfig) -> list[str]:
    """What is wrong with a test file that has the rows of the validation file; raises ConfigError where gates judge."""
    chosen = chosen_on_validation(loaded)
    if not chosen:
        return []
    fault = (
        f"has the rows of data.validation, which choose the {format_list(chosen)}: its scores are optimistic as well"
    )
    if loaded.config.expect.min or loaded.config.expect.max:
        raise loaded.error("data.test", f"{fault}. Name another file, or leave it out.")
    return [f"data.test {fault}."]
