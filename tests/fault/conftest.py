"""Registries to be hurt, processes to be killed, and what has to hold afterwards."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from detent import Registry, connect
from detent.blobs.local import LocalBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes, stores_on

CHILD = Path(__file__).with_name("child.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == CHILD.parent:
            item.add_marker(pytest.mark.fault)


@pytest.fixture
def rng() -> random.Random:
    """Return a source of randomness; a failing test shows how to repeat it."""
    seed = os.environ.get("FAULT_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"to repeat this test: FAULT_SEED={seed}")
    return random.Random(seed)


class Opener(Protocol):
    """Opens the stores of a registry in a folder."""

    def __call__(self, folder: Path, *, timeout_s: float = 10.0) -> Stores: ...


@pytest.fixture
def open_stores() -> Iterator[Opener]:
    opened: list[Stores] = []

    def open_(folder: Path, *, timeout_s: float = 10.0) -> Stores:
        metadata = SqliteMetadata(folder / "detent.db", timeout_s=timeout_s)
        opened.append(stores_on(metadata, LocalBlobs(folder / "blobs")))
        return opened[-1]

    yield open_
    for stores in opened:
        stores.metadata.close()


@pytest.fixture
def folder(tmp_path: Path, open_stores: Opener) -> Path:
    """Return a folder with a registry: `fraud` has two versions, the second of which is active."""
    stores = open_stores(tmp_path / "registry")
    for content in (b"first version", b"second version"):
        register_bytes(stores, "fraud", content)
    registry = Registry(stores)
    registry.activate("fraud/1", "production")
    registry.activate("fraud/2", "production")
    stores.metadata.close()
    return tmp_path / "registry"


@dataclass
class Child:
    """A process that does something to a registry, and what it said."""

    process: subprocess.Popen[str]
    said: list[list[str]] = field(default_factory=list)

    @property
    def done(self) -> list[list[int]]:
        return [[int(word) for word in words[1:]] for words in self.said if words[0] == "done"]

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def hear(self) -> list[str]:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words, "the process ended"
        self.said.append(words)
        return words

    def finish(self) -> "Child":
        """Wait for its end; return it with all that it said."""
        out, _ = self.process.communicate()
        self.said += [line.split() for line in out.splitlines()]
        return self

    def kill_after(self, delay_s: float) -> "Child":
        """Let it go, kill it after a while if it has not ended, and hear what it said."""
        self.go()
        try:
            self.process.wait(delay_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.finish()


class Starter(Protocol):
    """Starts a process and waits until it is ready."""

    def __call__(
        self, *arguments: object, before: Sequence[str] = (), user: str | None = None
    ) -> Child: ...


@pytest.fixture
def start() -> Iterator[Starter]:
    children: list[Child] = []

    def start_(*arguments: object, before: Sequence[str] = (), user: str | None = None) -> Child:
        process = subprocess.Popen(
            [*before, sys.executable, CHILD, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=user,
        )
        children.append(Child(process))
        assert children[-1].hear() == ["ready"]
        return children[-1]

    yield start_
    for child in children:
        child.process.kill()
        child.process.communicate()


Check = Callable[[Path | str], Registry]


@pytest.fixture
def check(open_stores: Opener) -> Check:
    """Return what says that a registry is whole, and gives it back opened."""

    def check_(folder: Path | str) -> Registry:
        registry = connect(folder, user="checker")
        assert registry.audit(verify=True).problems == ()
        told = [
            event.body["version"]
            for event in reversed(registry.audit())
            if event.type == "VersionRegistered"
        ]
        assert told == list(range(1, len(told) + 1)), "numbers have a gap or came twice"
        assert registry.verify().problems == ()
        for version in registry.versions("fraud"):
            assert registry.load(version)
        return registry

    return check_
