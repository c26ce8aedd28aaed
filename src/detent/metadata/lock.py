"""An advisory lock between processes and threads that is fair and gives up after a while."""

import os
import threading
from contextlib import suppress

try:
    import fcntl
except ImportError:  # no such lock on Windows: SQLite's own has to do
    fcntl = None  # type: ignore[assignment]

_open: set[int] = set()  # descriptors of this process, of locks that it holds or waits for


class FileLock:
    """An exclusive lock on a file. The system releases it when its holder dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def acquire(self, timeout_s: float) -> bool:
        """Wait for the lock for at most `timeout_s` seconds; return whether it was got.

        Raises
        ------
        OSError
            If the file cannot be opened or locked.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _open.add(descriptor)
        if fcntl is None or _try(descriptor) or _wait(descriptor, timeout_s):
            self._local.descriptor = descriptor
            return True
        return False

    def release(self) -> None:
        """Give the lock to the next one in the queue."""
        _close(self._local.descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        _close(descriptor)
        raise
    return True


def _wait(descriptor: int, timeout_s: float) -> bool:
    # Polling would lose the place in the system's queue, so a thread waits in it. When nobody waits
    # for the thread any more it stays behind, and gives the lock back as soon as it gets it.
    decided = threading.Lock()
    state = {"locked": False, "given_up": False}
    done = threading.Event()

    def wait() -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            locked = True
        except OSError:  # the system has no more locks: as if the time had run out
            locked = False
        with decided:
            state["locked"] = locked
            if state["given_up"] or not locked:
                _close(descriptor)
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    is_wanted = False
    try:
        done.wait(timeout_s)
        is_wanted = True
    finally:  # also when the user interrupts the wait: a lock that nobody releases stops everyone
        with decided:
            got_it = state["locked"] and is_wanted
            state["given_up"] = not got_it
            if state["locked"] and not got_it:
                _close(descriptor)
    return got_it


def _close(descriptor: int) -> None:
    if descriptor in _open:
        _open.discard(descriptor)
        with suppress(OSError):  # what the lock was for is done
            if fcntl is not None:
                # Closing alone would not do: a process forked since may have the same open file.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)


def _close_in_child() -> None:
    # The locks are the parent's. They must not outlive it because a child has the files open.
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
