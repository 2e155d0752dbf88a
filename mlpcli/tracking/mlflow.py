"""A run of MLflow for each training, by mlflow-skinny's client; where it goes is said as MLflow has it.

MLFLOW_TRACKING_URI names the server or database, MLFLOW_EXPERIMENT_NAME the experiment.
"""

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice
from time import time as now
from typing import Any

from mlpcli.tracking.tracker import Ending, Row, Training

EXPERIMENT = "Default"
STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
# Bounds of MLflow: entries of one request, and letters of a parameter.
MOST_METRICS, MOST_PARAMS, LONGEST_PARAM = 1000, 100, 6000
RUN_TAG, MODEL_TAG = "mlp.run", "mlp.model_file"
# Unless the user says otherwise: MLflow writes its log to standard error, counts its users over the network, and waits
# for a server that does not answer 120 s, seven times.
DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MLflow:
    """One run: the config as parameters, the curves and the scores as metrics, the path of the model as a tag.

    A training that goes on looks for its run, which was left as interrupted, and goes on with that.
    """

    def __init__(self, training: Training) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        self._entities = import_module("mlflow.entities")
        self._client: Any = import_module("mlflow.tracking").MlflowClient()
        self._waiting: list[Any] = []
        run = os.path.abspath(training.run)
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
        self._run_id = self._interrupted(experiment, run) if training.from_epoch else ""
        if self._run_id:
            self._client.update_run(self._run_id, status="RUNNING")
            return
        made = self._client.create_run(experiment, run_name=os.path.basename(run), tags={RUN_TAG: run})
        self._run_id = made.info.run_id
        params = [
            self._entities.Param(_allowed(name), str(value)[:LONGEST_PARAM]) for name, value in training.config.items()
        ]
        for some in _batches(params, MOST_PARAMS):
            self._client.log_batch(self._run_id, params=some)

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """A metric for each number, at the step of its epoch; sent with others where many come quickly."""
        self._waiting += [self._metric(name, value, epoch, time) for name, value in row.items()]
        if len(self._waiting) >= MOST_METRICS:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        for some in _batches(waiting, MOST_METRICS):
            self._client.log_batch(self._run_id, metrics=some)

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Send the scores and where the model is, and end the run."""
        step = int(scores.get("epochs", 0))
        self._waiting += [self._metric(name, value, step, now()) for name, value in scores.items()]
        self.flush()
        if model_file:
            self._client.set_tag(self._run_id, MODEL_TAG, os.path.abspath(model_file))
        self._client.set_terminated(self._run_id, STATUS[ending])

    def _metric(self, name: str, value: float, step: int, time: float) -> Any:
        return self._entities.Metric(_allowed(name), value, round(1000 * time), step)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if found is None else found.experiment_id)

    def _interrupted(self, experiment: str, run: str) -> str:
        """The last run that was left as interrupted by this training, "" for none."""
        if "'" in run:  # the language of the search has no way to write it
            return ""
        query = f"tags.`{RUN_TAG}` = '{run}' and attributes.status = 'KILLED'"
        found = self._client.search_runs([experiment], query, order_by=["attributes.start_time DESC"], max_results=1)
        return str(found[0].info.run_id) if found else ""


def _allowed(name: str) -> str:
    """The name with the letters that MLflow takes: `rmse/price` for `rmse[price]`."""
    name = name.replace("[", "/").removesuffix("]")
    return "".join(sign if sign.isalnum() or sign in "_-. :/" else "_" for sign in name)[:250]


def _batches(entries: Sequence[Any], size: int) -> Iterator[list[Any]]:
    left = iter(entries)
    while some := list(islice(left, size)):
        yield some
