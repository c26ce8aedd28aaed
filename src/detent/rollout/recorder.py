"""Writing predictions beside the answers: a bounded queue, and a thread that empties it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from detent.domain.clock import to_us, utc_now
from detent.errors import UnavailableError
from detent.metadata.predictions import Predictions, Record

MOST_WAITING = 10_000
KEEP_S = 30 * 86400.0
KEEP_REQUESTS = 2_000_000
_BATCH_S = 0.1
_BATCH = 1000
_FORGET_EVERY_S = 60.0

Draft = Callable[[], Record]  # made into a record by the thread: not while an answer waits


class Recorder:
    """Writes records in batches. `put` never waits; what does not fit is dropped, and counted.

    Attributes
    ----------
    n_dropped : int
        Records that were lost: too many at once, or the store could not be written.
    """

    def __init__(
        self,
        predictions: Predictions,
        *,
        most: int = MOST_WAITING,
        keep_s: float = KEEP_S,
        keep_requests: int = KEEP_REQUESTS,
    ) -> None:
        self.n_dropped = 0
        self._predictions = predictions
        self._most = most
        self._keep_s, self._keep_requests = keep_s, keep_requests
        self._drafts: deque[Draft] = deque()
        self._wake = threading.Event()
        self._is_closed = False
        self._writing = threading.Lock()
        self._forget_at = 0.0
        self._thread = threading.Thread(target=self._run, name="detent-record", daemon=True)
        self._thread.start()

    def put(self, draft: Draft) -> None:
        """Have a record written soon."""
        if len(self._drafts) >= self._most:
            self.n_dropped += 1
            return
        self._drafts.append(draft)

    def flush(self) -> None:
        """Write what is there. Waits for the disk: not on an event loop."""
        with self._writing:
            while self._drafts:
                drafts = list(islice(self._drafts, _BATCH))
                try:
                    self._predictions.write([draft() for draft in drafts])
                except UnavailableError:
                    self.n_dropped += len(drafts)
                for _ in drafts:
                    self._drafts.popleft()

    def close(self) -> None:
        """Write what is there, and end."""
        self._is_closed = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            while not self._is_closed:
                self._wake.wait(_BATCH_S)
                self.flush()
                self._forget()
            self.flush()
        finally:
            self._predictions.close()

    def _forget(self) -> None:
        now = time.monotonic()
        if now < self._forget_at:
            return
        self._forget_at = now + _FORGET_EVERY_S
        oldest_us = to_us(utc_now()) - int(self._keep_s * 1e6)
        try:
            self._predictions.forget(before_us=oldest_us, most=self._keep_requests)
        except UnavailableError:
            return  # in a minute it is tried again
