"""A door: memory that a process which answers shares with whoever waits for it, on one machine.

Asking each process to say that it has followed means waiting until the system runs it, which on a
busy machine takes longer than the change itself. Most of the time a process is between two answers,
and then there is nothing to wait for, as long as it looks for news before the next one.

So the process keeps here how many answers it has begun and not finished, and which versions it
can answer with at once; whoever changed something leaves *news* here, and then reads the numbers.
Each side writes before it reads. So either the process sees the news before it begins an answer, or
the other one sees that an answer was begun (Dekker's argument: E. W. Dijkstra, *Cooperating
sequential processes*, 1968, doi:10.1007/978-1-4757-3472-0_2).
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from detent.domain.alias import Activation

_SIZE = 4096
# One line of a cache each.
_N_BEGUN, _NEWS, _ENTRY, _ACTIVE, _STANDBY, _IS_OPEN, _KNOCK = range(0, 56, 8)
_NOTHING = 0
# The argument needs that a processor finishes writing before it reads on. On these, taking or
# giving back a lock does that; elsewhere only what a process says of itself counts.
_IS_ORDERED = hasattr(os, "uname") and os.uname().machine in ("x86_64", "amd64", "i686")
# A durable commit takes about a millisecond. Where it takes longer, nobody is kept from answering.
_MOST_NS = 3_000_000
_POLL_S = 0.0001
_KEEP_S = 3600.0  # what a killed process has left


class Door:
    """What one process says of one alias that it answers for. Made by `make_door`.

    The process calls `begin` and `hold` under a lock, which it gives back before `has_news`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with open(path, "r+b") as stream:
            self._cells = memoryview(mmap.mmap(stream.fileno(), _SIZE)).cast("Q")
        self._seen = self._cells[_NEWS]

    # The side of the process that answers --------------------------------------------------

    def begin(self, n: int) -> None:
        """Say how many answers are begun and not finished."""
        self._cells[_N_BEGUN] = n

    def has_news(self) -> bool:
        """Return whether somebody left news that `look` has not seen."""
        return self._cells[_NEWS] != self._seen

    def wait_for_news(self) -> None:
        """Wait for news that somebody has announced: 3 ms at most, and not at all without.

        An answer begun meanwhile would be one more that a change has to wait for, and would take
        the processor from those that it waits for already.
        """
        cells = self._cells
        # Another clock (of a container, say) gives times out of this range: then nobody waits.
        while (until := cells[_KNOCK]) and 0 < until - time.monotonic_ns() <= _MOST_NS:
            if self.has_news():
                return
            time.sleep(_POLL_S)

    def news(self) -> int:
        """Return what `saw` is given after the registry was looked at."""
        return self._cells[_NEWS]

    def saw(self, news: int) -> None:
        """Say which news was there before the registry was looked at."""
        self._seen = news

    def hold(self, active: int | None, standby: int | None) -> None:
        """Say which versions can answer at once: what answers, and what stands by."""
        self._cells[_ACTIVE] = active or _NOTHING
        self._cells[_STANDBY] = standby or _NOTHING

    def followed(self, entry: int) -> None:
        """Say by which entry every answer is given that is not finished."""
        self._cells[_ENTRY] = entry
        self._cells[_IS_OPEN] = 1

    def remove(self) -> None:
        """Take it away. Answers that are not finished may go on saying so."""
        with suppress(OSError):
            os.unlink(self.path)

    # The side of whoever waits --------------------------------------------------------------

    def knock(self) -> None:
        """Announce news: the process waits for them, for a moment, before it begins an answer."""
        self._cells[_KNOCK] = time.monotonic_ns() + _MOST_NS

    def take_back_knock(self) -> None:
        """Say that there will be no news."""
        self._cells[_KNOCK] = 0

    def leave_news(self) -> None:
        """Make the process look before it begins an answer."""
        # Any other number than before: two that leave news at one time must not leave the same.
        self._cells[_NEWS] = int.from_bytes(os.urandom(8), "little")
        self._cells[_KNOCK] = 0  # after the news: who waits for them must not go on without
        with threading.Lock():
            pass  # written before anything is read

    def answers_by(self, entry: Activation) -> bool:
        """Return whether each answer that is not finished, or begins from now on, is by an entry.

        Meant for one that was committed before `leave_news` was called here.
        """
        cells = self._cells
        if not cells[_IS_OPEN]:
            return False
        if cells[_ENTRY] >= entry.entry:
            return True
        is_ready = entry.version is None or entry.version in (cells[_ACTIVE], cells[_STANDBY])
        return is_ready and cells[_N_BEGUN] == 0 and _IS_ORDERED


def door_name(id: str, model: str, alias: str) -> str:
    """Return the name of the file, from the names in a row of servers."""
    return f"{id}-{model}@{alias}"


def make_door(folder: str | None, name: str) -> Door | None:
    """Return a new door; None where processes share no memory."""
    if folder is None:
        return None
    path = os.path.join(folder, name)
    try:
        os.makedirs(folder, exist_ok=True)
        with open(path, "xb") as stream:  # written, not only made long: the space is there
            stream.write(bytes(_SIZE))
        return Door(path)
    except (OSError, ValueError):  # the rows of servers are slower, and enough
        return None


@lru_cache(maxsize=256)
def open_door(folder: str, name: str) -> Door:
    """Return the door of another process. No two processes have doors of one name.

    Raises
    ------
    OSError
        If there is none, or none to be opened.
    ValueError
        If it is not whole.
    """
    return Door(os.path.join(folder, name))


def find_doors(folder: str | None, name: str) -> dict[str, Door]:
    """Return the doors of an alias (named with its model), by the ids of their processes.

    A process makes its door before it reads what the alias holds. So one that is not found here
    knows already of whatever was committed before.
    """
    found: dict[str, Door] = {}
    if folder is None:
        return found
    with suppress(OSError):
        for file in os.listdir(folder):
            id, _, alias = file.partition("-")
            if alias == name:
                with suppress(OSError, ValueError):  # gone, or not whole yet
                    found[id] = open_door(folder, file)
    return found


def sweep_doors(folder: str | None, known: Iterable[str]) -> None:
    """Remove what killed processes have left, an hour ago or more; `known` are ids of processes."""
    if folder is None:
        return
    ids = frozenset(known)
    with suppress(OSError):
        for found in os.scandir(folder):
            is_old = time.time() - found.stat().st_mtime > _KEEP_S
            if is_old and found.name.partition("-")[0] not in ids:
                os.unlink(found.path)
