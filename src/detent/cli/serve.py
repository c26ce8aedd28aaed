"""Serving: answer requests with what aliases hold, until told to end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from detent.cli.running import Call, Command
from detent.errors import InvalidError

if TYPE_CHECKING:
    import argparse


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("names", nargs="+", metavar="MODEL[@ALIAS]", help="what to serve (alias: production)")
    add("--host", default="127.0.0.1", help="the address to listen at (default: 127.0.0.1)")
    add("--port", type=int, default=8080, metavar="N", help="of HTTP (default: 8080; 0: any free)")
    add("--grpc-port", type=int, metavar="N", help="also answer gRPC there")
    add("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    add(
        "--fence",
        choices=("available", "strict"),
        default="available",
        help="without contact to the registry: answer with what is loaded, or stop answering",
    )
    add(
        "--lease",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds that a change waits for a process that is not heard of (default: 10)",
    )
    add("--batch-ms", type=float, default=0.0, metavar="MS", help="gather requests so long")
    add("--limit-mb", type=float, default=16.0, metavar="MB", help="largest body (default: 16)")
    add("--trusted", action="store_true", help="load files that can run code")
    add("--log-requests", action="store_true", help="a line in the log for each request")


def _serve(call: Call) -> None:
    from detent.inference.engine import parse_aliases
    from detent.inference.options import ServeOptions
    from detent.inference.serve import serve
    from detent.settings import read_settings

    aliases = parse_aliases(call.names)
    for alias in aliases:
        call.registry.status(alias)
    for name, value, least in (
        ("--workers", call.workers, 1),
        ("--lease", call.lease, 0.5),
        ("--batch-ms", call.batch_ms, 0),
        ("--limit-mb", call.limit_mb, 0.001),
        ("--port", call.port, 0),
    ):
        if value < least:
            raise InvalidError(f"{name} is {value}: at least {least} is expected")
    settings = read_settings(url=call.url, user=call.user)
    options = ServeOptions(
        url=settings.url,  # as it was given: what is shown of it has lost its parameters
        user=call.registry.user,
        aliases=aliases,
        host=call.host,
        port=call.port,
        grpc_port=call.grpc_port,
        workers=call.workers,
        is_strict=call.fence == "strict",
        lease_s=call.lease,
        batch_s=call.batch_ms / 1000,
        trusted=call.trusted,
        limit_bytes=int(call.limit_mb * 1024 * 1024),
        log_requests=call.log_requests,
    )
    call.registry.close()

    def say(host: str, port: int) -> None:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        call.output.line(f"{', '.join(aliases)} at {address}/v2, {call.workers} processes")
        call.output.fields(aliases=aliases, address=address, workers=call.workers)
        sys.stdout.flush()

    serve(options, on_start=say)


COMMANDS = {
    "serve": Command(
        _serve,
        arguments=_serve_arguments,
        examples="""
detent serve churn
detent serve churn@production fraud@staging --workers 4 --port 8080 --grpc-port 8081
""",
    ),
}
