"""What the servers of an alias do about a change, in words."""

from __future__ import annotations

import argparse
from datetime import datetime

from detent.cli.output import lasting
from detent.cli.running import Call
from detent.domain.alias import Activation
from detent.domain.clock import utc_now
from detent.domain.server import Server
from detent.errors import InvalidError

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
    if entry.confirmation is None or entry.confirmation.is_complete:
        return 0
    now = utc_now()
    for server in entry.confirmation.behind:
        call.output.warn(f"`{server.name}` {_still(server, entry.entry, now)}")
    call.output.aside(f"  see later: detent status {entry.name}")
    return NOT_FOLLOWED


def _still(server: Server, entry: int, now: datetime) -> str:
    heard = lasting(now - server.heard_at)
    if server.problem and server.problem_entry >= entry:
        why = server.problem
    elif server.version is None:
        why = "no answer yet to what it was told"
    else:
        why = f"last heard {heard} ago"
    answers = f"still answers with v{server.version}" if server.version else "answers nothing"
    return f"{answers}: {why}"


def describe(servers: list[Server], entry: Activation) -> str:
    """Return what the servers of an alias answer with, for a table.

    ``3 of 3`` when all do as the newest entry says; ``2 of 3 (web-1:812 v8)`` names the others.
    """
    if not servers:
        return "-"
    behind = [server for server in servers if server.entry < entry.entry]
    text = f"{len(servers) - len(behind)} of {len(servers)}"
    named = ", ".join(
        f"{server.name} {f'v{server.version}' if server.version else 'nothing'}"
        for server in behind
    )
    return f"{text} ({named})" if behind else text


def say_problems(call: Call, servers: list[Server]) -> None:
    """Say which servers cannot follow, and which were not heard of."""
    now = utc_now()
    for server in servers:
        name = f"`{server.name}` ({server.model}@{server.alias})"
        if server.problem:
            call.output.warn(f"{name} {_still(server, server.problem_entry, now)}")
        elif server.lease_until < now:
            heard = lasting(now - server.heard_at)
            call.output.warn(f"{name} was last heard {heard} ago: changes do not wait for it")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise InvalidError(f"--wait takes seconds from 0 to 86,400, not {text!a}")
    return value
