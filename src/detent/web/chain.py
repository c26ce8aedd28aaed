"""Whether the journal's chain is unbroken, as it was found lately: a page does not wait for it."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from detent.domain.report import JournalReport
from detent.errors import DetentError
from detent.registry.stores import Stores
from detent.registry.verify import verify_journal

LEAST_S = 60.0  # between two checks, in seconds
_SHARE = 100  # so many times as long as a check takes is left between two


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check of the journal has found, and when it began."""

    report: JournalReport
    at: datetime


class ChainCheck:
    """The newest check of a journal. May be shared between threads.

    A check reads the whole journal. It is made in a thread when somebody looks and the last one is
    old, so that a hundredth of the time at most goes into checking, however large the journal is.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = threading.Lock()  # guards what follows
        self._last: Checked | None = None
        self._next_at = 0.0
        self._thread: threading.Thread | None = None

    def look(self, *, wait_s: float = 0.3) -> Checked | None:
        """Return the newest check; None when the first one takes longer than `wait_s` seconds."""
        with self._lock:
            if self._thread is None and time.monotonic() >= self._next_at:
                self._thread = threading.Thread(target=self._run, name="detent-chain", daemon=True)
                self._thread.start()
            thread, last = self._thread, self._last
        if thread is not None and last is None:
            thread.join(wait_s)
        with self._lock:
            return self._last

    def _run(self) -> None:
        started, at = time.monotonic(), self._stores.clock()
        found = None
        try:
            found = Checked(report=verify_journal(self._stores), at=at)
        except DetentError:
            pass  # the database does not answer now: the last check stands, with its time
        finally:
            took = time.monotonic() - started
            with self._lock:
                self._last = found or self._last
                self._next_at = time.monotonic() + max(LEAST_S, _SHARE * took)
                self._thread = None
            self._stores.metadata.release()
