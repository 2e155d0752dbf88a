"""The address of a cluster, its TLS files, and the check that Dask is installed; imports no Dask."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

from mlpcli.errors import MlpError

LOCAL = re.compile(r"local:([1-9]\d{0,3})")
SCHEDULER = re.compile(r"(tcp|tls)://[^\s/:]+:\d+|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d+")


@dataclass(frozen=True)
class TlsFiles:
    """Paths of the CA certificate, the client certificate and its key."""

    authority: str
    certificate: str
    key: str


@dataclass(frozen=True)
class ClusterAddress:
    """The address of a scheduler (`tcp://host:port`, `tls://host:port`), or `local:N`: N processes on this machine."""

    address: str
    tls: TlsFiles | None = None


def check_address(address: str) -> None:
    """Raise MlpError for an invalid cluster address."""
    if not (LOCAL.fullmatch(address) or SCHEDULER.fullmatch(address)):
        raise MlpError(f"--cluster {address}: must be tcp://HOST:PORT, tls://HOST:PORT or local:N, N processes here.")


def require_distributed() -> None:
    """Raise MlpError with the install command if the extra `cluster` is missing."""
    if find_spec("distributed") is None:
        raise MlpError('--cluster: needs the package distributed. Install it with: pip install "mlp-train[cluster]"')
