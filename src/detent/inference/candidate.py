"""Asking a candidate for a request of a user: in threads of its own, with a limit of time.

A version on trial may hang, and the thread that it hangs in is lost. So it gets none of those that
the active version needs, and a few at most: whoever comes when all hang is not kept waiting.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from detent.runtime.slot import Slot

T = TypeVar("T")
MOST_RUNNING = 16


class CandidateError(Exception):
    """The candidate did not answer, for a reason that is its own."""


class Aside:
    """Runs calls in daemon threads, a few at a time for each version. For one event loop.

    A thread whose call has ended takes the next one: to start one, the event loop would have to
    wait until it runs.
    """

    def __init__(self, *, most: int = MOST_RUNNING) -> None:
        self._most = most
        self._running: Counter[Slot] = Counter()
        self._idle: list[SimpleQueue[Callable[[], None]]] = []

    async def run(self, slot: Slot, work: Callable[[], T], *, timeout_s: float) -> T:
        """Return what a call to a version returns.

        Raises
        ------
        CandidateError
            If it takes longer than that, or too many calls are running still.
        Exception
            What the call raised.
        """
        if self._running[slot] >= self._most:
            raise CandidateError(f"{self._most} earlier requests wait for an answer still")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        calls = self._idle.pop() if self._idle else _start_thread()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._idle.append(calls)
            self._running[slot] -= 1
            if not self._running[slot]:
                del self._running[slot]
            if future.done():  # nobody waits any more
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # what the call returned

        def run() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        self._running[slot] += 1
        calls.put(run)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise CandidateError(f"no answer in {timeout_s:g} s") from None


def _start_thread() -> SimpleQueue[Callable[[], None]]:
    """Return where a new thread takes its calls from."""
    calls: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def work() -> None:
        while True:
            calls.get()()

    threading.Thread(target=work, name="detent-candidate", daemon=True).start()
    return calls
