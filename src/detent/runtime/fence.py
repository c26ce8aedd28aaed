"""The fence: a change returns when every server has acknowledged it, or says which has not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from detent.domain.clock import utc_now
from detent.domain.server import Confirmation, Server, sort_servers
from detent.domain.value import replace
from detent.errors import UnavailableError

if TYPE_CHECKING:
    from detent.domain.alias import Activation
    from detent.metadata.base import Metadata

WAIT_S = 5.0
_POLL_S = 0.0002  # asking costs a few microseconds; an acknowledgement is seen this soon
# At first without a pause: an answer in flight takes less than waiting for a turn to look again.
_NO_PAUSE_S = 0.001
_LOOK_AGAIN_S = 0.05  # a server that dies or whose lease ends writes nothing: look for that too


@contextmanager
def announced(metadata: Metadata, name: str) -> Iterator[None]:
    """Have the servers of an alias begin no answer while it is changed inside, for 3 ms at most.

    While the change becomes durable they finish what they have begun, so that `confirm` finds
    little to wait for. Nothing depends on it: a server that does not wait is waited for.

    Parameters
    ----------
    metadata : Metadata
        The rows of the registry, and of its servers.
    name : str
        The alias with its model.
    """
    from detent.runtime.door import find_doors

    doors = find_doors(metadata.servers.doors, name).values()
    for door in doors:
        door.knock()
    try:
        yield
    except BaseException:
        for door in doors:
            door.take_back_knock()
        raise


def confirm(metadata: Metadata, entry: Activation, *, wait_s: float = WAIT_S) -> Confirmation:
    """Wait until every server of an alias has acknowledged an entry of its history.

    A server is waited for while its lease is alive and its process is not known to have ended, and
    on this machine for as long as its process runs. One that says that it cannot follow (the
    version does not load there) is not waited for. Nor is one whose lease has ended: it has
    stopped, if it is strict, and otherwise may answer on with what it had, and is named.

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
    doors = _Doors(metadata, entry)
    while True:
        counter: int | None = None
        try:
            counter = metadata.servers.change_counter()
            alive, lapsed = _servers(metadata, entry.model, entry.alias)
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"`{entry.name}` was changed (entry {entry.entry}), but whether its servers"
                    f" have followed is not known: {error.message}",
                    hint=f"see what they answer with: `detent status {entry.name}`",
                ) from error
            waiting: tuple[Server, ...] = ()
        else:
            answering = tuple(doors.as_it_answers(server) for server in alive)
            confirmed, waiting, failed = sort_servers(answering, entry.entry)
            if not waiting or time.monotonic() >= deadline:
                behind = (*failed, *waiting)
                late = [server for server in lapsed if 0 < server.entry < entry.entry]
                silent = tuple(server for server in late if not server.is_strict)
                return Confirmation(
                    servers=len(confirmed) + len(behind) + len(silent),
                    confirmed=len(confirmed),
                    seconds=time.monotonic() - started,
                    behind=behind,
                    silent=silent,
                    stopped=tuple(server for server in late if server.is_strict),
                )
        until = min(deadline, time.monotonic() + _LOOK_AGAIN_S)
        _wait_for_news(metadata, counter, until, doors, waiting)


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

    followed = sorted({(server.model, server.alias) for server in servers})
    newest = {key: metadata.current.newest_activation(*key) for key in followed}
    doors = {key: _Doors(metadata, entry) for key, entry in newest.items() if entry}
    return [
        doors[key].as_it_answers(server)
        if (key := (server.model, server.alias)) in doors
        else server
        for server in servers
        if not is_gone(server)
    ]


class _Doors:
    """The doors of the servers on this machine, where news of an entry was left."""

    def __init__(self, metadata: Metadata, entry: Activation) -> None:
        from detent.runtime.door import find_doors

        self._entry = entry
        self._waiting = find_doors(metadata.servers.doors, entry.name)
        self._followed: set[str] = set()
        for door in self._waiting.values():
            door.leave_news()
        # Now, before the rows are read: whoever begins nothing at this moment has followed for
        # good, and need not be waited for while he looks.
        for id in list(self._waiting):
            self._look_at(id)

    def as_it_answers(self, server: Server) -> Server:
        """Return what a server answers with now, which its row may not say yet."""
        if server.entry >= self._entry.entry or not self.has_followed(server):
            return server
        entry, version = self._entry.entry, self._entry.version
        return replace(server, entry=entry, version=version, problem=None)

    def has_followed(self, server: Server) -> bool:
        """Return whether each answer of a server, now and from now on, is by the entry."""
        from detent.runtime.place import this_place

        if server.place != this_place():
            return False
        self._look_at(server.id)
        return server.id in self._followed

    def _look_at(self, id: str) -> None:
        door = self._waiting.get(id)
        if door is not None and door.answers_by(self._entry):
            self._followed.add(id)
            del self._waiting[id]


def _servers(
    metadata: Metadata, model: str, alias: str
) -> tuple[tuple[Server, ...], tuple[Server, ...]]:
    """Return the servers that are heard of, and those that may run without being heard of.

    On this machine it is known which processes run: one that was kept from renewing its lease
    counts among the first, one that has ended among none.
    """
    rows = metadata.servers.list_servers(model, alias)
    if not rows:
        return (), ()
    from detent.runtime.place import is_gone, is_running_here, this_place

    now, here = utc_now(), this_place()
    alive, lapsed = [], []
    for row in rows:
        if row.lease_until > now:
            if not is_gone(row):
                alive.append(row)
        elif row.place != here:
            lapsed.append(row)
        elif is_running_here(row):
            alive.append(row)
    return tuple(alive), tuple(lapsed)


def _wait_for_news(
    metadata: Metadata,
    counter: int | None,
    until: float,
    doors: _Doors,
    waiting: tuple[Server, ...],
) -> None:
    pause_from = time.monotonic() + _NO_PAUSE_S
    while (now := time.monotonic()) < until:
        if now > pause_from:
            time.sleep(_POLL_S)
        try:
            if counter is None or metadata.servers.change_counter() != counter:
                return
            if any(doors.has_followed(server) for server in waiting):
                return
        except UnavailableError:
            return
