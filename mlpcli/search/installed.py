"""Whether the extra `search` is installed."""

from importlib.util import find_spec

from mlpcli.errors import MlpError


def require_optuna() -> None:
    """Raise MlpError, which says what to install, where Optuna is missing."""
    if find_spec("optuna") is None:
        raise MlpError('mlp search: needs the package optuna. Install it with: pip install "mlp-train[search]"')
