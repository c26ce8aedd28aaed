"""Asking a candidate in threads of its own, with a limit of time: it may hang, and keep them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST_HANGING = 16


class Aside:
    """Runs calls in daemon threads, and waits for each so long. May be shared between threads.

    A thread that hangs is lost; of those there are a few at most.
    """

    def __init__(self, *, most: int = MOST_HANGING) -> None:
        self._most = most
        self._hanging: list[threading.Thread] = []

    def run(self, work: Callable[[], T], *, timeout_s: float) -> T:
        """Return what a call returns.

        Raises
        ------
        TimeoutError
            If it takes longer than that, or too many calls are running still.
        Exception
            What the call raised.
        """
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= self._most:
            raise TimeoutError(f"{self._most} earlier calls wait for an answer still")
        found: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                found.put((work(), None))
            except Exception as error:
                found.put((None, error))

        thread = threading.Thread(target=run, name="detent-candidate", daemon=True)
        thread.start()
        try:
            answer, error = found.get(timeout=timeout_s)
        except queue.Empty:
            self._hanging.append(thread)
            raise TimeoutError(f"no answer in {timeout_s:g} s") from None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]  # it is there, as nothing was raised
