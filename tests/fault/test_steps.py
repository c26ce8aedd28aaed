"""Each step of an operation fails once: the first, the second, … until the operation succeeds."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.fault.conftest import Check, Opener

from detent import DetentError, Registry, UnavailableError, connect
from detent.blobs.base import put
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes

STEPS = ("open", "write", "fsync", "fchmod", "close", "replace", "mkdir", "unlink")
CODES = [errno.EIO, errno.ENOSPC]


@contextmanager
def failing(step: int, code: int) -> Iterator[list[str]]:
    """Let one call of the system fail; give the names of those made so far."""
    calls: list[str] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) != step:
                return real(*args, **options)
            if name == "close":  # a file is closed even when that reports an error
                real(*args, **options)
            raise OSError(code, os.strerror(code))

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in STEPS:
            patch.setattr(os, name, wrapped(name, getattr(os, name)))
        yield calls


def each_step(
    folder: Path, open_stores: Opener, code: int, operation: Callable[[Stores], object]
) -> Iterator[tuple[Stores, DetentError | None, str]]:
    """Yield a registry after one step of an operation failed in it, for each step.

    Also the error that came of it (none, if the operation could do without), and which step it was.
    """
    for step in count(1):
        copy = folder.with_name(f"step{step}")
        if folder.exists():
            shutil.copytree(folder, copy)
        stores = open_stores(copy) if folder.exists() else None
        with failing(step, code) as calls:
            stores = stores or open_stores(copy)
            try:
                operation(stores)
                error = None
            except DetentError as caught:
                error = caught
        if len(calls) < step:
            assert error is None
            assert step > 1
            return
        yield stores, error, f"step {step} ({calls[step - 1]})"
        stores.metadata.close()
        shutil.rmtree(copy)


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
class TestBlobs:
    """When it raises, nothing was changed, and the error says so."""

    def test_registering(self, folder: Path, open_stores: Opener, check: Check, code: int) -> None:
        def register(stores: Stores) -> None:
            register_bytes(stores, "fraud", b"third version" * 100)

        for stores, error, step in each_step(folder, open_stores, code, register):
            if error is not None:
                assert isinstance(error, UnavailableError), step
                assert error.message.endswith(("nothing was registered", "nothing was changed"))
                assert error.hint, step
                if code == errno.ENOSPC:
                    assert "no room is left" in error.message or "lock" in error.message
            registry = check(Path(stores.metadata.location))
            n_registered = 2 if error else 3
            assert registry.versions("fraud", limit=1)[0].number == n_registered, step
            registry.prune(grace_s=0)
            assert registry.verify().problems == ()
            assert list(stores.blobs.list_unfinished()) == []
            assert register_bytes(stores, "fraud", b"third version" * 100).number == 3
            registry.close()

    def test_making_a_registry(self, tmp_path: Path, open_stores: Opener, code: int) -> None:
        folder = tmp_path / "deep" / "registry"
        for step in count(1):
            shutil.rmtree(tmp_path / "deep", ignore_errors=True)
            with failing(step, code) as calls:
                try:
                    open_stores(folder)
                    error = None
                except DetentError as caught:
                    error = caught
            if len(calls) < step:
                break
            assert isinstance(error, UnavailableError | None)
            open_stores(folder)
            registry = connect(folder)
            assert registry.models() == []
            assert registry.audit(verify=True).is_unbroken
            registry.close()
        assert step > 5

    def test_pruning(self, folder: Path, open_stores: Opener, check: Check, code: int) -> None:
        stores = open_stores(folder)
        for i in range(3):
            put(stores.blobs, b"left behind %d" % i)
        stores.metadata.close()
        for after, error, step in each_step(
            folder, open_stores, code, lambda stores: Registry(stores).prune(grace_s=0)
        ):
            assert isinstance(error, UnavailableError | None), step
            registry = check(Path(after.metadata.location))
            registry.prune(grace_s=0)
            assert {i.digest for i in after.blobs.list_all()} == needed(registry), step
            registry.close()

    def test_repairing(
        self, folder: Path, tmp_path: Path, open_stores: Opener, check: Check, code: int
    ) -> None:
        shutil.copytree(folder, tmp_path / "good")
        for path in folder.glob("blobs/sha256/*/*"):
            path.chmod(0o600)
            path.write_bytes(b"bad")

        def repair(stores: Stores) -> None:
            Registry(stores).repair(tmp_path / "good")

        for after, error, step in each_step(folder, open_stores, code, repair):
            assert isinstance(error, UnavailableError | None), step
            registry = Registry(after)
            registry.repair(tmp_path / "good")
            assert registry.verify().problems == (), step
            check(Path(after.metadata.location)).close()


def needed(registry: Registry) -> set[str]:
    digests = set()
    for version in registry.versions("fraud"):
        manifest = registry.show(version).manifest
        digests |= {version.digest} | {digest for _, digest in manifest.blobs()}
    return digests


def test_short_writes_are_continued(
    folder: Path, open_stores: Opener, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system may write less than it was given, without an error."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: max(1, len(data) // 2)]))
    stores = open_stores(folder)
    assert register_bytes(stores, "fraud", b"third version" * 10_000).number == 3
    monkeypatch.undo()
    check(folder).close()
