"""The trackers that can be chosen, by name."""

from collections.abc import Callable, Sequence

from mlpcli.tracking.mlflow import MLflow
from mlpcli.tracking.tensorboard import TensorBoard
from mlpcli.tracking.tracker import Kind, Tracking, Training, require

KINDS = {
    "tensorboard": Kind("tensorboardX", "tensorboardX", "tensorboard", TensorBoard),
    "mlflow": Kind("mlflow", "mlflow-skinny", "mlflow", MLflow),
}


def require_trackers(names: Sequence[str]) -> None:
    """Raise MlpError where a package is not installed."""
    for name in names:
        require(KINDS[name], name)


def start_tracking(names: Sequence[str], training: Training, note: Callable[[str], None]) -> Tracking:
    """Start the trackers; `note` is told once one of them is given up."""
    return Tracking({name: KINDS[name] for name in names}, training, note)
