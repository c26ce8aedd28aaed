"""What the fault tests run in a process of its own: ``python child.py OPERATION FOLDER …``.

Prints `ready` when all is imported, waits for a line, and prints a line for each thing that is
durable. An error that detent raises on purpose is printed with its class, and ends the process.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import detent
import detent.blobs.local  # here, so that nothing is imported in the middle of an operation
from detent import Registry
from detent.testing.registries import register_bytes


def register(registry: Registry, *paths: str) -> None:
    for path in paths:
        version = registry.register("fraud", path, code="/")
        say("done", version.number)


def activate(registry: Registry, times: str = "1") -> None:
    """Activate versions 1 and 2 in turn."""
    for _ in range(int(times)):
        newest = registry.status("fraud@production").activation.version
        entry = registry.activate(
            f"fraud/{1 if newest == 2 else 2}", "production", override="a test"
        )
        say("done", entry.entry, entry.version)


def rollback(registry: Registry, times: str = "1") -> None:
    for _ in range(int(times)):
        entry = registry.rollback("fraud@production")
        say("done", entry.entry, entry.version)


def compete(registry: Registry, times: str) -> None:
    """Change the alias so many times, each on the entry seen before."""
    n_done = 0
    while n_done < int(times):
        seen = registry.status("fraud@production")
        assert seen.version is not None
        other = seen.version.number % 4 + 1
        try:
            entry = registry.activate(f"fraud/{other}", "production", expected=seen)
        except detent.ConflictError:
            continue
        say("done", entry.entry, entry.previous, seen.version.number)
        n_done += 1


def crowd(registry: Registry, n_threads: str, times: str) -> None:
    """Register and compete in several threads at once."""

    def work(i: int) -> None:
        for j in range(int(times)):
            content = f"{os.getpid()} {i} {j}".encode()
            say("registered", register_bytes(registry._stores, "fraud", content).number)
            compete(registry, "1")

    with ThreadPoolExecutor(int(n_threads)) as threads:
        list(threads.map(work, range(int(n_threads))))


def read(registry: Registry) -> None:
    """Read everything, once for each line that comes in."""
    while True:
        status = registry.status("fraud@production")
        versions = registry.versions("fraud")
        assert status.version is not None
        files = registry.load(status.version)
        size = sum(len(files[path]) for path in files)
        journal = registry.audit(verify=True)
        problems = [*registry.verify().problems, *journal.problems]
        say("done", status.activation.entry, len(versions), size, len(problems))
        if not sys.stdin.readline():
            return


def write(registry: Registry, path: str) -> None:
    """Try each way of writing; each has to be refused."""
    tries: list[Callable[[], object]] = [
        lambda: registry.activate("fraud/2", "production"),
        lambda: registry.rollback("fraud@production"),
        lambda: registry.note("fraud/1", "seen"),
        lambda: registry.register("fraud", path, code="/"),
        lambda: registry.prune(grace_s=0),
    ]
    for attempt in tries:
        try:
            attempt()
        except detent.DetentError as error:
            say("refused", type(error).__name__, error.message)
        else:
            say("done")


def say(*words: object) -> None:
    sys.stdout.write(f"{' '.join(map(str, words))}\n")  # one write: threads do not mix their lines
    sys.stdout.flush()


def main(operation: str, folder: str, *arguments: str) -> None:
    warm = detent.connect("memory:")
    warm.register("warm", Path(__file__), code="/")
    warm.activate("warm/1", "production")
    warm.status("warm@production")
    registry = detent.connect(folder, user=operation)
    say("ready")
    sys.stdin.readline()
    os.access("/the operation begins", os.F_OK)  # two calls that a trace can be searched for
    try:
        OPERATIONS[operation](registry, *arguments)
    except detent.DetentError as error:
        say("error", type(error).__name__, error.message)
    os.access("/the operation ends", os.F_OK)


_ALL = (register, activate, rollback, compete, crowd, read, write)
OPERATIONS: dict[str, Callable[..., None]] = {operation.__name__: operation for operation in _ALL}

if __name__ == "__main__":
    main(*sys.argv[1:])
