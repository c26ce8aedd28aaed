"""One timer for all requests: it interrupts those whose body does not arrive.

A timer for each request would cost as much as decoding it.
"""

from __future__ import annotations

import asyncio
import time

_LOOKS = 4  # in the time that a body may take: it is interrupted at most a quarter too late


class BodyWatch:
    """Watches the tasks of one event loop that read a body.

    Parameters
    ----------
    limit_s : float
        How long a body may take to arrive, in seconds.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._reading: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[object]) -> None:
        """Watch a task from now on."""
        self._reading[task] = time.monotonic()
        if self._timer is None:
            self._set_timer(task.get_loop())

    def end(self, task: asyncio.Task[object]) -> None:
        """Watch it no more."""
        self._reading.pop(task, None)

    def was_late(self, task: asyncio.Task[object]) -> bool:
        """Return whether a task that was cancelled was cancelled here; if so, it may go on."""
        if task not in self._late:
            return False
        self._late.discard(task)
        return task.uncancel() == 0

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self.limit_s / _LOOKS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = time.monotonic()
        for task, since in list(self._reading.items()):
            if now - since >= self.limit_s:
                del self._reading[task]
                self._late.add(task)
                task.cancel()
        if self._reading:
            self._set_timer(loop)
