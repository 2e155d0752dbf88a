"""Options of the verbs that can use a cluster."""

from typing import Annotated

import typer

from mlpcli.cluster.address import LOCAL, ClusterAddress, TlsFiles, check_address, require_distributed
from mlpcli.errors import MlpError

Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, or local:N for N local processes.",
    ),
]
ClusterSecurity = Annotated[
    str,
    typer.Option(
        "--cluster-security", metavar="FILES", help="TLS files of the cluster: CA.pem,CERTIFICATE.pem,KEY.pem."
    ),
]


def cluster_at(cluster: str, security: str) -> ClusterAddress | None:
    """The address of `--cluster`; None without it. Starts the imports of local workers in the background.

    Raises MlpError for invalid addresses and files, and if Dask is not installed.
    """
    if not cluster:
        if security:
            raise MlpError("--cluster-security: applies to a cluster only. Add --cluster tls://HOST:PORT")
        return None
    check_address(cluster)
    require_distributed()
    if LOCAL.fullmatch(cluster):
        from mlpcli.fork_server import start_server

        start_server("distributed", "mlpcli.workflows.predicting.on_cluster")
    if not security:
        if cluster.startswith("tls://"):
            raise MlpError(f"--cluster {cluster}: needs --cluster-security CA.pem,CERTIFICATE.pem,KEY.pem")
        return ClusterAddress(cluster)
    files = security.split(",")
    if len(files) != 3:
        raise MlpError(f"--cluster-security {security}: must be three files: CA.pem,CERTIFICATE.pem,KEY.pem")
    return ClusterAddress(cluster, TlsFiles(*files))


def cluster_arguments(cluster: str, security: str, local_steps: int | None = None) -> list[str]:
    """The options as command-line arguments."""
    arguments = ["--cluster", cluster] if cluster else []
    arguments += [] if local_steps is None else ["--local-steps", str(local_steps)]
    return arguments + (["--cluster-security", security] if security else [])
