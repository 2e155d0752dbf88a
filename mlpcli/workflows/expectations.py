"""The gates under `expect`: what may be asked of which rows."""

from mlpcli.config.loading import LoadedConfig
from mlpcli.data.targets.target import Task
from mlpcli.evaluation.gates import make_gates
from mlpcli.evaluation.intervals import gate_names
from mlpcli.evaluation.scores import explain_unknown_metric
from mlpcli.workflows.certainty import notes_on_sides
from mlpcli.workflows.resolution import has_validation


def check_gates(loaded: LoadedConfig, task: Task, names: tuple[str, ...]) -> list[str]:
    """What is odd about the gates of `expect`; raises ConfigError for an unknown metric or no rows to judge on."""
    config = loaded.config
    known = gate_names(task, names)
    for key, gates in (("expect.min", config.expect.min), ("expect.max", config.expect.max)):
        for metric in gates:
            if metric not in known:
                raise loaded.error(key, explain_unknown_metric(metric, known))
        if gates and not has_validation(loaded) and config.data.test is None:
            raise loaded.error(key, "needs rows to judge on that are not trained on: set data.validation or data.test.")
    return notes_on_sides(make_gates(config.expect.min, config.expect.max))
