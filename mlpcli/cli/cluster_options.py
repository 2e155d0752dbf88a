"""Options of the verbs that can use a cluster."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlpcli.errors import MlpError

if TYPE_CHECKING:
    from mlpcli.cluster.connection import TlsFiles
    from mlpcli.workflows.answering_on_cluster import Cluster as Place

Cluster = Annotated[
    str,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, or local:N processes."
    ),
]
ClusterSecurity = Annotated[
    str,
    typer.Option("--cluster-security", metavar="FILES", help="TLS of the cluster: CA.pem,CERTIFICATE.pem,KEY.pem."),
]


def tls_files(cluster: str, security: str) -> "TlsFiles | None":
    """The files of `--cluster-security`, None for none; raises MlpError also where a cluster cannot be used."""
    if not cluster:
        if security:
            raise MlpError("--cluster-security: says how a cluster is spoken to. Add --cluster tls://HOST:PORT")
        return None
    from mlpcli.cluster.installed import require_distributed

    require_distributed()
    from mlpcli.cluster.connection import TlsFiles

    if not security:
        if cluster.startswith("tls://"):
            raise MlpError(f"--cluster {cluster}: needs --cluster-security CA.pem,CERTIFICATE.pem,KEY.pem")
        return None
    files = security.split(",")
    if len(files) != 3:
        raise MlpError(f"--cluster-security {security}: must be three files: CA.pem,CERTIFICATE.pem,KEY.pem")
    return TlsFiles(*files)


def cluster_at(cluster: str, security: str) -> "Place | None":
    """The cluster of the two options, None for none; raises MlpError."""
    tls = tls_files(cluster, security)
    if not cluster:
        return None
    from mlpcli.workflows.answering_on_cluster import Cluster as Place

    return Place(cluster, tls)


def cluster_words(cluster: str, security: str) -> list[str]:
    """The options again."""
    found = ["--cluster", cluster] if cluster else []
    return found + (["--cluster-security", security] if security else [])
