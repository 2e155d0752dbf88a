"""Connects to a scheduler, or starts a local cluster for the duration of the command."""

import logging
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dask.config
from distributed import Client, LocalCluster, Security, Worker, WorkerPlugin

from mlpcli.cluster.address import LOCAL, TlsFiles
from mlpcli.errors import MlpError
from mlpcli.fork_server import METHOD, start_server

CONNECT_SECONDS = 15.0  # for the first answer of a scheduler
CLOSE_SECONDS = 10.0  # for a client or a local cluster to close
# Any free port of the loopback interface: by default Dask serves its dashboard to the network on a fixed port, on which
# two clusters of one machine would collide.
DASHBOARD_ADDRESS = "127.0.0.1:0"
# The profiler of a worker samples the stack of each thread a hundred times a second.
NO_PROFILE = {"distributed.worker.profile.enabled": False}


class _IgnoreInterrupts(WorkerPlugin):
    """Has workers ignore SIGINT: Ctrl-C reaches every process of the terminal, and the command still needs them."""

    def setup(self, worker: Worker) -> None:
        with suppress(ValueError):  # only the main thread can set handlers
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connected(address: str, tls: TlsFiles | None = None) -> Iterator[Client]:
    """Connect to the scheduler `tcp://host:port` or `tls://host:port`, or start N processes for `local:N`.

    The connection, and the local processes, are closed at the end of the `with` block. Raises MlpError if the scheduler
    does not answer in time, or for unusable TLS files.
    """
    for name in ("distributed", "tornado.application"):  # this program reports failures itself
        logging.getLogger(name).setLevel(logging.CRITICAL)
    local = LOCAL.fullmatch(address)
    if local is None:
        with _client(address, address, _security(tls)) as client:
            yield client
        return
    start_server("distributed")  # workers forked from it leave Ctrl-C to this process; no effect if it runs already
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": METHOD}),
        _local(int(local[1]), address) as client,
    ):
        yield client


@contextmanager
def _local(n_workers: int, address: str) -> Iterator[Client]:
    try:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=DASHBOARD_ADDRESS,
            host="127.0.0.1",
            config=NO_PROFILE,
        )
    except (OSError, TimeoutError, RuntimeError) as error:
        raise MlpError(f"--cluster {address}: its processes do not start ({error}).") from error
    try:
        with _client(cluster, address, None) as client:
            client.register_plugin(_IgnoreInterrupts())
            yield client
    finally:
        with suppress(Exception):
            cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def _client(target: Any, address: str, security: Security | None) -> Iterator[Client]:
    try:
        client = Client(target, timeout=CONNECT_SECONDS, security=security, set_as_default=False, name="mlp")
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        reason = f": {error}" if isinstance(error, ValueError | TypeError) else ""
        reason += ", or it does not accept the certificate" if security is not None else ""
        raise MlpError(
            f"--cluster {address}: no scheduler answers within {CONNECT_SECONDS:g} s{reason}. "
            "Start one with: dask scheduler"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # the work is finished or lost: a failure to close changes nothing
            client.close(timeout=CLOSE_SECONDS)


def _security(tls: TlsFiles | None) -> Security | None:
    if tls is None:
        return None
    _check_files(tls)
    return Security(
        tls_ca_file=tls.authority, tls_client_cert=tls.certificate, tls_client_key=tls.key, require_encryption=True
    )


def _check_files(tls: TlsFiles) -> None:
    """Raise MlpError for a missing or invalid file, with which Dask would retry the connection until it times out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in (tls.authority, tls.certificate, tls.key):
        try:
            with open(name, "rb"):
                pass
        except OSError as error:
            raise MlpError(f"--cluster-security: {name}: cannot be read ({error.strerror}).") from error
    try:
        context.load_verify_locations(tls.authority)
    except OSError as error:
        raise MlpError(f"--cluster-security: {tls.authority}: holds no CA certificates in PEM format.") from error
    try:
        # With an empty password, as OpenSSL would prompt for one on the terminal otherwise.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except OSError as error:
        raise MlpError(
            f"--cluster-security: {tls.certificate} and {tls.key}: not a certificate and its key in PEM, the key "
            "without a password."
        ) from error
