"""Where a cluster is, and how it is spoken to; nothing here needs Dask."""

from dataclasses import dataclass


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
