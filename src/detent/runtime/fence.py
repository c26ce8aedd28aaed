"""The fence: a change returns when every server has acknowledged it, or says which has not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from detent.domain.clock import utc_now
from detent.domain.server import Confirmation, Server, sort_servers
from detent.errors import UnavailableError

if TYPE_CHECKING:
    from detent.domain.alias import Activation
    from detent.metadata.base import Metadata

WAIT_S = 5.0
_POLL_S = 0.0002  # asking costs a few microseconds; an acknowledgement is seen this soon
_LOOK_AGAIN_S = 0.05  # a server that dies or whose lease ends writes nothing: look for that too


def confirm(metadata: Metadata, entry: Activation, *, wait_s: float = WAIT_S) -> Confirmation:
    """Wait until every server of an alias has acknowledged an entry of its history.

    A server counts while its lease is alive and its process is not known to have ended, and on
    this machine for as long as its process runs. One that says that it cannot follow (the version
    does not load there) is not waited for.

    Parameters
    ----------
    metadata : Metadata
        The rows of the registry, and of its servers.
    entry : Activation
        The entry.
    wait_s : float, default=5
        Wait for at most so many seconds; 0 asks once.

    Raises
    ------
    UnavailableError
        If the rows of servers cannot be read for so long. The change itself was made.
    """
    started = time.monotonic()
    deadline = started + wait_s
    has_rung = False
    confirmed: tuple[Server, ...] = ()
    waiting: tuple[Server, ...] = ()
    failed: tuple[Server, ...] = ()
    while True:
        counter: int | None = None
        try:
            counter = metadata.servers.change_counter()
            alive = _live_servers(metadata, entry.model, entry.alias)
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"`{entry.name}` was changed (entry {entry.entry}), but whether its servers"
                    f" have followed is not known: {error.message}",
                    hint=f"see what they answer with: `detent status {entry.name}`",
                ) from error
        else:
            confirmed, waiting, failed = sort_servers(alive, entry.entry)
            if waiting and not has_rung:
                from detent.runtime.bell import ring
                from detent.runtime.place import this_place

                ring([s.port for s in waiting if s.port and s.place == this_place()])
                has_rung = True
            if not waiting or time.monotonic() >= deadline:
                return Confirmation(
                    servers=len(confirmed) + len(waiting) + len(failed),
                    confirmed=len(confirmed),
                    seconds=time.monotonic() - started,
                    behind=(*failed, *waiting),
                )
        _wait_for_news(metadata, counter, min(deadline, time.monotonic() + _LOOK_AGAIN_S))


def list_servers(metadata: Metadata, name: str | None = None) -> list[Server]:
    """Return the processes that follow aliases, of all models, of one, or of one alias.

    Those known to have ended are left out; those whose lease has ended are not.
    """
    from detent.domain.reference import parse_reference

    model, alias = None, None
    if name is not None:
        reference = parse_reference(name)
        model, alias = reference.model, reference.alias
    servers = metadata.servers.list_servers(model, alias)
    if not servers:
        return []
    from detent.runtime.place import is_gone

    return [server for server in servers if not is_gone(server)]


def _live_servers(metadata: Metadata, model: str, alias: str) -> tuple[Server, ...]:
    """Return the servers that may be answering.

    Those whose lease is alive, and on this machine those whose process is: one that was kept from
    renewing its lease goes on answering.
    """
    rows = metadata.servers.list_servers(model, alias)
    if not rows:
        return ()
    from detent.runtime.place import is_gone, is_running_here

    now = utc_now()
    return tuple(
        row for row in rows if (not is_gone(row) if row.lease_until > now else is_running_here(row))
    )


def _wait_for_news(metadata: Metadata, counter: int | None, until: float) -> None:
    while time.monotonic() < until:
        time.sleep(_POLL_S)
        try:
            if counter is None or metadata.servers.change_counter() != counter:
                return
        except UnavailableError:
            return
