"""mlp: train, evaluate and apply multilayer perceptrons on tabular data from the command line.

From Python, `mlpcli.load("weights.npz")` gives a model with `predict` and `predict_proba`, and `mlpcli.train(config,
df)` trains one.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpcli.api import TrainedModel, load, train
    from mlpcli.errors import MlpError, MlpWarning

__version__ = "0.1.0"
__all__ = ["MlpError", "MlpWarning", "TrainedModel", "__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    # The command line imports this package first; `mlp --help` must not pay for pandas.
    if name in ("TrainedModel", "load", "train"):
        from mlpcli import api

        return getattr(api, name)
    if name in ("MlpError", "MlpWarning"):
        from mlpcli import errors

        return getattr(errors, name)
    raise AttributeError(f"module 'mlpcli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
