"""A progress bar: on a terminal only, and only for what takes longer than a second."""

import os
import sys
import time
from types import TracebackType

from detent.cli.output import Output
from detent.domain.version import format_size

_WAIT_S = 1.0
_STEP_S = 0.1
_WIDTH = 24


class Progress:
    """Called with how many more bytes were done; draws on stderr, and wipes it at the end.

    With a `unit` it counts these instead of bytes.
    """

    def __init__(
        self,
        output: Output,
        what: str,
        path: str | None = None,
        *,
        total: int = 0,
        unit: str | None = None,
    ) -> None:
        self._is_wanted = sys.stderr.isatty() and not output.as_json
        self._what = what
        self._unit = unit
        self._total = _size(path) if path is not None else total
        self._done = 0
        self._started = self._drawn = time.monotonic()
        self._is_drawn = False

    def __enter__(self) -> "Progress":
        """Begin."""
        return self

    def reach(self, done: int, total: int) -> None:
        """Say how much is done, of how much."""
        self._total = total
        self(done - self._done)

    def __call__(self, n: int) -> None:
        """Count bytes, or units, that were done."""
        self._done += n
        now = time.monotonic()
        if not self._is_wanted or now - self._started < _WAIT_S or now - self._drawn < _STEP_S:
            return
        self._drawn, self._is_drawn = now, True
        print(f"\r\x1b[K{self._text(now)}", end="", file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wipe the bar."""
        if self._is_drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _text(self, now: float) -> str:
        text = f"{self._what} {self._amount(self._done)}"
        if not self._total:
            return text
        share = min(self._done / self._total, 1.0)
        left_s = (now - self._started) * (1 - share) / share if share else 0.0
        bar = "█" * int(share * _WIDTH) + "·" * (_WIDTH - int(share * _WIDTH))
        return f"{text} of {self._amount(self._total)} {bar} {share:.0%}, {left_s:.0f} s left"

    def _amount(self, n: int) -> str:
        return format_size(n) if self._unit is None else f"{n:,} {self._unit}"


def _size(path: str) -> int:
    if os.path.isdir(path):
        return sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
        )
    return os.path.getsize(path) if os.path.exists(path) else 0
