"""Where a process runs, and whether one that ran here still does."""

import os
import time
from contextlib import suppress
from functools import lru_cache

from detent.domain.server import Server

_HAS_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")


def host_name() -> str:
    """Return the name of this machine, for people."""
    import socket

    return socket.gethostname()


@lru_cache(maxsize=1)
def this_place() -> str:
    """Return what tells this machine, since it started, and its space of process numbers apart.

    Two containers may have one host name, and each its own process 7.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id") as stream:
            boot = stream.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: one space of process numbers for each machine
        return host_name()


def time_passed() -> float:
    """Return seconds since some moment, which go on while the machine sleeps, where it says so.

    A lease ends elsewhere while a machine that holds it sleeps; ``time.monotonic`` stands still.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _HAS_BOOTTIME else time.monotonic()


def is_gone(server: Server) -> bool:
    """Return whether the process is known to have ended: only of one in this place."""
    if server.place != this_place():
        return False
    try:
        os.kill(server.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is there, and another user's
        return False
    # A killed process keeps its number until its parent has heard of it.
    with suppress(OSError):
        return _status(server.pid)[0] in "ZX"
    return False


def is_running_here(server: Server) -> bool:
    """Return whether the process that wrote a row is known to run in this place still.

    A number that was given again since, to a process that began later, does not count.
    """
    if server.place != this_place() or is_gone(server):
        return False
    try:
        ticks = int(_status(server.pid)[19])
        with open("/proc/uptime") as stream:
            up_s = float(stream.read().split()[0])
    except (OSError, ValueError, IndexError):  # not Linux, or it ended just now
        return False
    age_s = up_s - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s <= server.heard_at.timestamp() + 1


def _status(pid: int) -> list[str]:
    """Return what Linux says of a process: its state, and the numbers after it."""
    file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(file, 4096).decode("utf-8", "replace").rpartition(")")[2].split()
    finally:
        os.close(file)
