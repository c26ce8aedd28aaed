"""Serving until the signal to end: one process, or several under a supervisor."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from detent.errors import InvalidError, UnavailableError
from detent.inference.options import ServeOptions

Started = Callable[[str, int], None]


def serve(options: ServeOptions, *, on_start: Started = lambda host, port: None) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those in flight.

    Parameters
    ----------
    options : ServeOptions
        What to serve, and where.
    on_start : callable, optional
        Told host and port once connections are taken, just before workers start.

    Raises
    ------
    InvalidError
        If what serving needs is not installed.
    UnavailableError
        If the port is taken.
    """
    try:
        import uvicorn

        if options.grpc_port is not None:
            import grpc  # noqa: F401  only to see that it is there
    except ImportError as error:
        extra = "grpc" if error.name in ("grpc", "google") else "server"
        raise InvalidError(
            f"serving needs {error.name}, which is not installed",
            hint=f'pip install "detent[{extra}]"',
        ) from None
    from detent.inference.logs import LOG_CONFIG
    from detent.inference.metrics import FOLDER_VARIABLE
    from detent.inference.supervisor import Supervisor
    from detent.inference.worker import make_application

    listening = _listen(options.host, options.port)
    config = uvicorn.Config(
        partial(make_application, options),
        factory=True,
        workers=options.workers,
        lifespan="on",
        access_log=False,
        log_config=LOG_CONFIG,
        server_header=False,
        timeout_graceful_shutdown=int(options.drain_s),
    )
    on_start(options.host, listening.getsockname()[1])
    with listening:
        if options.workers == 1:
            with _ending_well():
                uvicorn.Server(config).run(sockets=[listening])
            return
        with tempfile.TemporaryDirectory(prefix="detent-serve-") as folder:
            os.environ[FOLDER_VARIABLE] = folder  # before the workers import prometheus-client
            Supervisor(config, listening, Path(folder)).run()


@contextmanager
def _ending_well() -> Iterator[None]:
    """Let a process that was asked to end, and has, say that all is well: exit code 0.

    When everything in flight is finished, uvicorn raises the signal anew for whoever listened
    before it. By default that is the system, which would end the process with -15.
    """

    def leave(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UnavailableError(
            f"port {port} of {host} cannot be used: {error.strerror or error}",
            hint="choose another with --port; 0 takes a free one",
        ) from error
    listening.listen(2048)
    listening.set_inheritable(True)
    return listening
