"""Where a cluster is, and how it is spoken to; nothing here needs Dask."""

import re
from dataclasses import dataclass

from mlpcli.errors import MlpError

LOCAL = re.compile(r"local:([1-9]\d{0,3})")
SCHEDULER = re.compile(r"(tcp|tls)://[^\s/:]+:\d+|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d+")


@dataclass(frozen=True)
class TlsFiles:
    """The files of TLS: the authority that both sides trust, and the own certificate and key."""

    authority: str
    certificate: str
    key: str


@dataclass(frozen=True)
class ClusterAddress:
    """A scheduler, `tcp://host:port` or `tls://host:port`, or `local:N`, N processes of this machine."""

    where: str
    tls: TlsFiles | None = None


def check_address(where: str) -> None:
    """Raise MlpError for what is no address of a cluster, before anything is done."""
    if not (LOCAL.fullmatch(where) or SCHEDULER.fullmatch(where)):
        raise MlpError(f"--cluster {where}: must be tcp://HOST:PORT, tls://HOST:PORT or local:N, N processes here.")
