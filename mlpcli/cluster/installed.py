"""Whether the extra `cluster` is installed."""

from importlib.util import find_spec

from mlpcli.errors import MlpError


def require_distributed() -> None:
    """Raise MlpError, which says what to install, where Dask's scheduler is missing."""
    if find_spec("distributed") is None:
        raise MlpError('--cluster: needs the package distributed. Install it with: pip install "mlp-train[cluster]"')
