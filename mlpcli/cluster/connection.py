"""The way to a cluster: a scheduler by its address, or workers of this machine for as long as they are needed."""

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

CONNECT_SECONDS = 15.0  # for a scheduler to answer
CLOSE_SECONDS = 10.0
# A free port that only this machine reaches: without an address Dask serves its pages to the network at its fixed port,
# and two clusters of one machine meet there.
DASHBOARD_ADDRESS = "127.0.0.1:0"
# A worker would look at the stack of each of its threads a hundred times a second.
NO_PROFILE = {"distributed.worker.profile.enabled": False}


class _IgnoreInterrupts(WorkerPlugin):
    """Ctrl-C reaches every process of a terminal: the command ends what it began, and needs its workers for that."""

    def setup(self, worker: Worker) -> None:
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connected(where: str, tls: TlsFiles | None = None) -> Iterator[Client]:
    """A client of the scheduler `tcp://host:port` or `tls://host:port`, or of `local:N`, N processes of this machine.

    Raises MlpError where nobody answers in time.
    """
    for name in ("distributed", "tornado.application"):  # what goes wrong, this program says itself
        logging.getLogger(name).setLevel(logging.CRITICAL)
    local = LOCAL.fullmatch(where)
    if local is None:
        with _client(where, where, _security(tls)) as client:
            yield client
        return
    start_server("distributed")  # unless the command has: workers leave Ctrl-C to this process
    with dask.config.set({"distributed.worker.multiprocessing-method": METHOD}), _local(int(local[1]), where) as client:
        yield client


@contextmanager
def _local(n_workers: int, where: str) -> Iterator[Client]:
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
        raise MlpError(f"--cluster {where}: its processes do not start ({error}).") from error
    try:
        with _client(cluster, where, None) as client:
            client.register_plugin(_IgnoreInterrupts())
            yield client
    finally:
        with suppress(Exception):
            cluster.close(timeout=CLOSE_SECONDS)


@contextmanager
def _client(address: Any, where: str, security: Security | None) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_SECONDS, security=security, set_as_default=False, name="mlp")
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        reason = f": {error}" if isinstance(error, ValueError | TypeError) else ""
        reason += ", or it does not accept the certificate" if security is not None else ""
        raise MlpError(
            f"--cluster {where}: no scheduler answers within {CONNECT_SECONDS:g} s{reason}. "
            "Start one with: dask scheduler"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):  # the work is done, or lost: a farewell that fails changes nothing
            client.close(timeout=CLOSE_SECONDS)


def _security(tls: TlsFiles | None) -> Security | None:
    if tls is None:
        return None
    _check_files(tls)
    return Security(
        tls_ca_file=tls.authority, tls_client_cert=tls.certificate, tls_client_key=tls.key, require_encryption=True
    )


def _check_files(tls: TlsFiles) -> None:
    """Raise MlpError for a file that is missing or is not what it should be, which Dask would try again and again."""
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
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")  # without it the terminal is asked
    except OSError as error:
        raise MlpError(
            f"--cluster-security: {tls.certificate} and {tls.key}: not a certificate and its key in PEM, the key "
            "without a password."
        ) from error
