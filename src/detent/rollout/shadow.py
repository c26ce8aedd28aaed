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

    `put` never waits. What does not fit into the queue is dropped, and counted. A version that does
    not answer in time has failed on that request, and on those that come while it hangs: its thread
    cannot be taken from it.

    Attributes
    ----------
    n_dropped : int
        Requests that were not asked, because too many waited.
    """

    def __init__(self, *, timeout_s: float, most: int = MOST_WAITING) -> None:
        self.n_dropped = 0
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
