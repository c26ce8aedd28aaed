"""Answering in the shadow: the same requests, off the way of the answers, and nobody waits."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from detent.runtime.slot import Slot

MOST_WAITING = 256
# Python runs one thread at a time: whenever the shadow works, an answer may have to wait for its
# turn. A part of the requests is as good a sample as all of them.
MOST_BUSY = 0.2  # of the time, on average
_AT_ONCE_S = 0.25  # that it may be ahead of that


@dataclass(slots=True)
class Shadowed:
    """What became of one request in the shadow."""

    slot: Slot
    methods: Sequence[str]
    rows: Any
    then: Callable[[Shadowed], None]
    answers: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    started: float = 0.0
    is_told: bool = False


class Shadow:
    """One thread that asks a version what another has answered. May be shared between threads.

    `put` never waits. What does not fit into the queue is dropped, and counted; so is what would
    keep it busy for more than its part of the time. A version that does not answer in time has
    failed on that request, and on those that come while it hangs: its thread cannot be taken from
    it.

    Attributes
    ----------
    n_dropped : int
        Requests that were not asked, because too many waited, or came.
    """

    def __init__(
        self, *, timeout_s: float, most: int = MOST_WAITING, most_busy: float = MOST_BUSY
    ) -> None:
        self.n_dropped = 0
        self._most_busy = most_busy
        self._paid_until = 0.0  # when it has rested enough for what it has done
        self._timeout_s = timeout_s
        self._jobs: queue.Queue[Shadowed | None] = queue.Queue(maxsize=most)
        self._running: Shadowed | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="detent-shadow", daemon=True).start()

    def put(self, job: Shadowed) -> bool:
        """Have a request asked; return False when it was dropped."""
        running = self._running
        if running is not None and time.monotonic() - running.started > self._timeout_s:
            self._fail(running)
            self._fail_waiting()
            self._fail(job)
            return True
        if self._paid_until - time.monotonic() > _AT_ONCE_S:
            self.n_dropped += 1
            return False
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.n_dropped += 1
            return False
        return True

    def close(self) -> None:
        """Ask nothing more. A version that hangs is not waited for."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                break
        self._jobs.put_nowait(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.started = time.monotonic()
            self._running = job
            started = time.perf_counter()
            error = None
            answers = {}
            try:
                answers = {name: job.slot.methods[name](job.rows) for name in job.methods}
            except Exception as raised:
                error = f"{type(raised).__name__}: {str(raised)[:200]}"
            seconds = time.perf_counter() - started
            self._running = None
            began = max(self._paid_until, job.started)
            self._paid_until = began + seconds / self._most_busy
            if error is None and seconds > self._timeout_s:
                error = self._late()
            with self._lock:
                if job.is_told:
                    continue
                job.is_told = True
            job.answers, job.seconds, job.error = answers, seconds, error
            job.then(job)

    def _fail(self, job: Shadowed) -> None:
        with self._lock:
            if job.is_told:
                return
            job.is_told = True
        job.error = self._late()
        job.then(job)

    def _fail_waiting(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is None:  # it was closed meanwhile
                self._jobs.put_nowait(None)
                return
            self._fail(job)

    def _late(self) -> str:
        return f"no answer in {self._timeout_s:g} s"
