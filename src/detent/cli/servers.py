"""What the servers of an alias do about a change, in words."""

from __future__ import annotations

import argparse
from datetime import datetime

from detent.cli.running import Call
from detent.domain.alias import Activation
from detent.domain.clock import lasting, utc_now
from detent.domain.server import Server
from detent.errors import InvalidError, UnavailableError

NOT_FOLLOWED = 8  # the exit code: the change was made, and a server did not answer for it


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Declare ``--wait``."""
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=5.0,
        metavar="S",
        help="seconds to wait until all servers follow (default: 5)",
    )


def followed(entry: Activation) -> str:
    """Return how many servers answer as an entry says; nothing where there are none."""
    found = entry.confirmation
    if found is None or not found.servers:
        return ""
    one = found.servers == 1
    answer = "answers" if one else "answer"
    version = f"v{entry.version}" if entry.version else "no version"
    return (
        f"{found.confirmed} of {found.servers} server{'' if one else 's'} {answer} with {version}"
        f" after {found.seconds:.{1 if found.seconds >= 0.1 else 3}f} s"
    )


def say_behind(call: Call, entry: Activation) -> int:
    """Name the servers that do not answer as an entry says; return the exit code."""
    found = entry.confirmation
    if found is None:
        return 0
    now = utc_now()
    for server in (*found.behind, *found.silent):
        call.output.warn(f"`{server.name}` {_still(server, entry.entry, now)}")
    for server in found.stopped:
        call.output.aside(f"  `{server.name}` {_still(server, entry.entry, now)}")
    if found.is_complete:
        return 0
    call.output.aside(f"  see later: detent status {entry.name}")
    return NOT_FOLLOWED


def _still(server: Server, entry: int, now: datetime) -> str:
    if server.problem and server.problem_entry >= entry:
        why = server.problem
    else:
        why = f"last heard {lasting(now - server.heard_at)} ago"
        if server.is_strict and server.lease_until > now:
            left = lasting(server.lease_until - now)
            why += f"; if that stays so, it stops answering in {left}"
    return f"{server.answers(now)}: {why}"


def describe(servers: list[Server] | None, entry: Activation, now: datetime) -> str:
    """Return what the servers of an alias answer with, for a table.

    ``3 of 3`` when all do as the newest entry says; ``2 of 3 (web-1:812 v8)`` names the others.
    """
    if servers is None:
        return "not known"
    if not servers:
        return "-"
    behind = [server for server in servers if server.entry < entry.entry]
    text = f"{len(servers) - len(behind)} of {len(servers)}"
    named = ", ".join(f"{server.name} {_shortly(server, now)}" for server in behind)
    return f"{text} ({named})" if behind else text


def _shortly(server: Server, now: datetime) -> str:
    if server.is_strict and server.lease_until < now:
        return "stopped"
    return f"v{server.version}" if server.version else "nothing"


def find_servers(call: Call, name: str | None) -> list[Server] | None:
    """Return the servers of aliases; None, and a warning, where they cannot be known now."""
    try:
        return list(call.registry.servers(name))
    except UnavailableError as error:
        call.output.warn(f"which servers answer with what is not known: {error.message}")
        return None


def say_problems(call: Call, servers: list[Server]) -> None:
    """Say which servers cannot follow, and which were not heard of."""
    now = utc_now()
    for server in servers:
        name = f"`{server.name}` ({server.model}@{server.alias})"
        if server.problem:
            call.output.warn(f"{name} {_still(server, server.problem_entry, now)}")
        elif server.lease_until < now:
            what = _still(server, server.entry, now)
            call.output.warn(f"{name} {what}; changes do not wait for it")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise InvalidError(f"--wait takes seconds from 0 to 86,400, not {text!a}")
    return value
