"""What a worker says of itself to its supervisor beforehand, because it may not be able to later.

A process that starts, or loads a version, may keep Python's lock for as long as that takes:
unpickling many small objects does. Asked then whether it is well, it cannot answer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def is_steady(folder: Path, pid: int) -> bool:
    """Return whether a worker has started and loads nothing, so that it must answer soon."""
    return _mark(folder, pid).exists()


class Health:
    """Says whether this process is steady, by a file. May be shared between threads.

    Parameters
    ----------
    folder : Path or None
        What the processes of one server share; None says it to nobody.
    """

    def __init__(self, folder: Path | None) -> None:
        self._mark = None if folder is None else _mark(folder, os.getpid())
        self._lock = threading.Lock()
        self._n_reasons = 0  # not to be steady
        self._change(1)  # it starts

    def started(self) -> None:
        """Say that it answers from now on."""
        self._change(-1)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Do what may take its time."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, more: int) -> None:
        with self._lock:
            self._n_reasons += more
            if self._mark is None:
                return
            with suppress(OSError):  # the folder may be gone: the supervisor has ended
                if self._n_reasons:
                    self._mark.unlink(missing_ok=True)
                else:
                    self._mark.touch()


def _mark(folder: Path, pid: int) -> Path:
    return folder / f"steady-{pid}"
