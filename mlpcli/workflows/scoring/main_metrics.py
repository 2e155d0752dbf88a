"""The metrics that are shown first, and where there is no space for all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # views import this before NumPy is needed
    from mlpcli.data.targets.target import Task

MAIN_METRICS: "dict[Task, tuple[str, ...]]" = {
    "classification": ("accuracy", "balanced_accuracy", "log_loss", "roc_auc"),
    "regression": ("rmse", "mae", "r2"),
    "multilabel": ("subset_accuracy", "hamming_loss", "log_loss", "roc_auc"),
}
# The mean error of several targets has no meaningful unit.
MULTI_TARGET_METRIC = "r2"
MAX_TARGETS = 10  # with their own scores among the main metrics

DECISIVE_METRICS: "dict[Task, str]" = {"classification": "log_loss", "multilabel": "log_loss", "regression": "rmse"}


def main_metrics(task: "Task", names: Sequence[str]) -> tuple[str, ...]:
    """The main metrics of a target; `names` are its classes, outputs or boolean columns.

    For several numbers the mean R2, then error and R2 of each.
    """
    if task != "regression" or len(names) < 2:
        return MAIN_METRICS[task]
    return (MULTI_TARGET_METRIC, *(f"{metric}[{name}]" for name in names[:MAX_TARGETS] for metric in ("rmse", "r2")))


def decisive_metric(task: "Task", names: Sequence[str]) -> str:
    """The metric that decides which of two models is better."""
    return MULTI_TARGET_METRIC if task == "regression" and len(names) > 1 else DECISIVE_METRICS[task]
