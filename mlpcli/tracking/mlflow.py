"""An MLflow run for each training, by the client of mlflow-skinny.

The environment variables of MLflow apply: MLFLOW_TRACKING_URI is the server or database, MLFLOW_EXPERIMENT_NAME the
experiment.
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
# Limits of MLflow: metrics and parameters per request, and length of a parameter.
MAX_METRICS, MAX_PARAMS, MAX_PARAM_LENGTH = 1000, 100, 6000
RUN_TAG, MODEL_TAG = "mlp.run", "mlp.model_file"
# By default MLflow logs to standard error, sends telemetry, and waits seven times 120 s for an unresponsive server.
DEFAULTS = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MLflow:
    """An MLflow run: config as parameters, learning curves and scores as metrics, path of the model as a tag.

    A resumed training continues its interrupted run.
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
        new_run = self._client.create_run(experiment, run_name=os.path.basename(run), tags={RUN_TAG: run})
        self._run_id = new_run.info.run_id
        params = [
            self._entities.Param(_allowed(name), str(value)[:MAX_PARAM_LENGTH])
            for name, value in training.config.items()
        ]
        for batch in _batches(params, MAX_PARAMS):
            self._client.log_batch(self._run_id, params=batch)

    def epoch(self, epoch: int, time: float, row: Row) -> None:
        """Log a metric for each number, with the epoch as step; batched."""
        self._waiting += [self._metric(name, value, epoch, time) for name, value in row.items()]
        if len(self._waiting) >= MAX_METRICS:
            self.flush()

    def flush(self) -> None:
        """Send pending metrics."""
        waiting, self._waiting = self._waiting, []
        for batch in _batches(waiting, MAX_METRICS):
            self._client.log_batch(self._run_id, metrics=batch)

    def end(self, ending: Ending, scores: Row, model_file: str) -> None:
        """Send the scores and the path of the model, and end the run."""
        step = int(scores.get("epochs", 0))
        self._waiting += [self._metric(name, value, step, now()) for name, value in scores.items()]
        self.flush()
        if model_file:
            self._client.set_tag(self._run_id, MODEL_TAG, os.path.abspath(model_file))
        self._client.set_terminated(self._run_id, STATUS[ending])

    def _metric(self, name: str, value: float, step: int, time: float) -> Any:
        return self._entities.Metric(_allowed(name), value, round(1000 * time), step)

    def _experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        return str(self._client.create_experiment(name) if experiment is None else experiment.experiment_id)

    def _interrupted(self, experiment: str, run: str) -> str:
        """The last interrupted run of this training, "" for none."""
        if "'" in run:  # the query language has no escape for it
            return ""
        query = f"tags.`{RUN_TAG}` = '{run}' and attributes.status = 'KILLED'"
        runs = self._client.search_runs([experiment], query, order_by=["attributes.start_time DESC"], max_results=1)
        return str(runs[0].info.run_id) if runs else ""


def _allowed(name: str) -> str:
    """The name with the characters that MLflow allows: `rmse/price` for `rmse[price]`."""
    name = name.replace("[", "/").removesuffix("]")
    return "".join(sign if sign.isalnum() or sign in "_-. :/" else "_" for sign in name)[:250]


def _batches(entries: Sequence[Any], size: int) -> Iterator[list[Any]]:
    left = iter(entries)
    while batch := list(islice(left, size)):
        yield batch
