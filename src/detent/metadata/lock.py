"""An advisory lock between processes and threads that is fair and gives up after a while."""

import os
import threading

try:
    import fcntl
except ImportError:  # no such lock on Windows: SQLite's own has to do
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """An exclusive lock on a file. The system releases it when its holder dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def acquire(self, timeout_s: float) -> bool:
        """Wait for the lock for at most `timeout_s` seconds; return whether it was got."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if fcntl is None or _try(descriptor) or _wait(descriptor, timeout_s):
            self._local.descriptor = descriptor
            return True
        return False

    def release(self) -> None:
        """Give the lock to the next one in the queue."""
        os.close(self._local.descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(descriptor: int, timeout_s: float) -> bool:
    # Polling would lose the place in the system's queue, so a thread waits in it. When the time is
    # up the thread stays behind and closes the file as soon as it gets the lock.
    decided = threading.Lock()
    state = {"locked": False, "given_up": False}
    done = threading.Event()

    def wait() -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with decided:
            state["locked"] = True
            if state["given_up"]:
                os.close(descriptor)
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    done.wait(timeout_s)
    with decided:
        state["given_up"] = not state["locked"]
        return state["locked"]
