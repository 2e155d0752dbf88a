"""The available trackers by name."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from mlpcli.tracking.mlflow import MLflow
from mlpcli.tracking.tensorboard import TensorBoard
from mlpcli.tracking.tracker import Kind

KINDS = {
    "tensorboard": Kind("tensorboardX", "tensorboardX", "tensorboard", TensorBoard),
    "mlflow": Kind("mlflow", "mlflow-skinny", "mlflow", MLflow),
}


def kinds_of(names: Sequence[str]) -> Mapping[str, Kind]:
    """The trackers of these names."""
    return {name: KINDS[name] for name in names}


def what_is_missing(names: Sequence[str]) -> str:
    """A sentence if a package of these trackers is not installed, otherwise ""."""
    for name in names:
        kind = KINDS[name]
        if find_spec(kind.module) is None:
            install = f'pip install "mlp-train[{kind.extra}]"'
            return f"{name} needs the package {kind.package}. Install it with: {install}"
    return ""
