"""A copy tells what its source tells, proves it, and nothing is sent twice."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers.ceph import Bucket

from detent import (
    ConflictError,
    CorruptError,
    NotFoundError,
    RefusedError,
    Registry,
    UnavailableError,
    connect,
)
from detent.blobs.base import BlobWriter, put
from detent.blobs.local import LocalBlobs
from detent.blobs.memory import MemoryBlobs
from detent.cli import main
from detent.domain.events import Link
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.copy import encode
from detent.registry.stores import Stores
from detent.remote import RemoteOperations
from detent.server.app import make_app
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving

Place = Callable[[], Registry]


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Registry]]:
    """Return what opens a place for a registry by its kind."""
    opened: list[Registry] = []

    def open_(kind: str) -> Registry:
        if kind == "memory":
            opened.append(Registry(stores_on(SqliteMetadata(None), MemoryBlobs())))
        elif kind == "folder":
            opened.append(connect(tmp_path / f"place{len(opened)}", user="ana"))
        else:
            url: str = request.getfixturevalue("postgres_url")
            bucket: Bucket = request.getfixturevalue("bucket")
            opened.append(connect(url, blobs=bucket.url, user="ana"))
        return opened[-1]

    yield open_
    for registry in opened:
        registry.close()


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Registry]:
    """Return a registry in a folder that has lived through everything."""
    registry = connect(tmp_path / "source", user="ana")
    registry.create()
    live_through_everything(registry._stores)
    yield registry
    registry.close()


def check_same(source: Registry, copy: Registry) -> None:
    """Check that two registries tell the same, each in its own way."""
    assert copy.audit() == source.audit()
    assert copy.audit(verify=True).head == source.audit(verify=True).head
    assert copy.audit(verify=True).problems == ()
    assert copy.verify().problems == ()
    assert copy.models() == source.models()
    assert copy.list_status() == source.list_status()
    assert copy.rollouts() == source.rollouts()
    for status in source.list_status():
        assert copy.history(status.name) == source.history(status.name)
        assert copy.policy(status.name) == source.policy(status.name)
    for model in source.models():
        assert copy.versions(model.name) == source.versions(model.name)
        assert copy.evaluations(model.name) == source.evaluations(model.name)
        for version in source.versions(model.name):
            assert copy.show(version) == source.show(version)
            assert copy.load(version)["model.bin"] == source.load(version)["model.bin"]
    assert copy.versions("fraud", search="holiday") == source.versions("fraud", search="holiday")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("first", "second"),
    [("scaled", "folder"), ("folder", "memory"), ("memory", "scaled")],
)
def test_there_and_back(
    source: Registry, places: Callable[[str], Registry], first: str, second: str
) -> None:
    there, back = places(first), places(second)
    report = source.copy_to(there)
    n_versions = sum(len(source.versions(model.name)) for model in source.models())
    assert (report.n_versions, report.n_known_blobs, report.n_known_events) == (n_versions, 0, 0)
    check_same(source, there)
    assert there.copy_to(back).head == report.head
    check_same(source, back)
    again = source.copy_to(there)
    assert (again.n_blobs, again.size_bytes, again.n_events) == (0, 0, 0)
    # What happens later is added, and changed rows are changed there, too.
    register_bytes(source._stores, "fraud", b"one more", note="after the copy")
    source.note("fraud/3", "seen again")
    source.rollback("fraud@production")
    source.hold("fraud@staging", reason="a longer holiday")
    report = source.copy_to(there)
    assert (report.n_blobs, report.n_events) == (2, 4)
    check_same(source, there)
    # And the copy is a registry of its own right.
    entry = there.activate("fraud/3", "production", override="it is better here")
    assert entry.entry == source.status("fraud@production").activation.entry + 1
    assert register_bytes(there._stores, "fraud", b"its own").number == 8
    assert there.audit(verify=True).problems == ()
    with pytest.raises(ConflictError, match="has a history of its own; nothing was copied"):
        source.copy_to(there)
    with pytest.raises(ConflictError, match="has a history of its own"):
        back.copy_to(there)


@pytest.fixture
def server() -> Iterator[str]:
    """Return the URL of a server of a new registry."""
    with serving(make_app(stores_on(SqliteMetadata(None), MemoryBlobs()))) as url:
        yield url


def behind(url: str, token: str | None = None) -> Registry:
    return Registry(RemoteOperations(url, user="ana", token=token))


def receive(url: str, links: list[Link]) -> None:
    there = behind(url)._operations
    there.receive(put(there.blobs, encode(links)))


def test_there_and_back_through_servers(source: Registry, server: str, tmp_path: Path) -> None:
    there, back = behind(server), connect(tmp_path / "back")
    plan = source.copy_to(there, dry_run=True)
    assert there.models() == []
    assert source.copy_to(there) == plan
    check_same(source, there)
    again = source.copy_to(there)
    assert (again.n_blobs, again.size_bytes, again.n_events) == (0, 0, 0)
    assert there.copy_to(back).head == plan.head
    check_same(source, back)
    register_bytes(source._stores, "fraud", b"one more", note="after the copy")
    source.rollback("fraud@production")
    for target in (there, back):
        report = source.copy_to(target)
        assert (report.n_blobs, report.n_events) == (2, 2)
        check_same(source, target)
    there.note("fraud/1", "its own")
    assert there.audit(verify=True).problems == ()
    with pytest.raises(ConflictError, match="has a history of its own; nothing was copied"):
        source.copy_to(there)
    back.close()


def test_a_copy_to_a_server_that_breaks_off_goes_on(source: Registry, server: str) -> None:
    n_blobs = source.copy_to(behind(server), dry_run=True).n_blobs
    told: list[int] = []

    def stop(n_bytes: int) -> None:
        told.append(n_bytes)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.copy_to(behind(server), progress=stop)
    assert behind(server).models() == []
    report = source.copy_to(behind(server))
    assert report.n_known_blobs > 0
    assert report.n_blobs + report.n_known_blobs == n_blobs
    check_same(source, behind(server))


def test_a_copy_has_the_tokens_of_its_source(source: Registry, server: str) -> None:
    """Whoever is admin there is so here; and only they may copy."""
    admin = source.create_token("root", role="admin").secret
    reader = source.create_token("rea", role="reader").secret
    source.copy_to(behind(server))
    with pytest.raises(RefusedError, match="asks for a token"):
        source.copy_to(behind(server))
    for token in (reader, "wrong"):
        with pytest.raises(RefusedError):
            behind(server, token).copy_to(Registry(stores_on(SqliteMetadata(None), MemoryBlobs())))
    source.note("fraud/1", "seen again")
    assert source.copy_to(behind(server, admin)).n_events == 1
    check_same(source, behind(server, admin))


def test_a_server_keeps_no_journal_that_is_none(source: Registry, server: str) -> None:
    links = source._operations.links()
    source.copy_to(behind(server))
    before = behind(server).audit()
    (forged,) = [link for link in source._operations.links(after=len(links) - 1)]
    new = [replace(forged, seq=len(links) + 1, previous=forged.digest, actor="eve")]
    for sent in (new, links[:3], links[5:7]):
        with pytest.raises((ConflictError, CorruptError)):
            receive(server, sent)
    assert behind(server).audit() == before
    assert behind(server).audit(verify=True).problems == ()


def test_a_server_names_no_blob_that_it_has_not(source: Registry, server: str) -> None:
    with pytest.raises(ConflictError, match="before a row could name them; no row was copied"):
        receive(server, source._operations.links())
    assert behind(server).models() == []


def test_a_place_with_a_history_of_its_own_is_left_alone(
    source: Registry, places: Callable[[str], Registry]
) -> None:
    other = places("folder")
    other.create()
    register_bytes(other._stores, "churn", b"theirs")
    before = other.audit()
    with pytest.raises(ConflictError):
        source.copy_to(other)
    assert other.audit() == before
    assert [info.size_bytes for info in other._stores.blobs.list_all()] != []
    assert len(list(other._stores.blobs.list_all())) == 2


def test_a_dry_run_leaves_nothing(source: Registry, tmp_path: Path) -> None:
    target = connect(tmp_path / "target")
    plan = source.copy_to(target, dry_run=True)
    assert not (tmp_path / "target").exists()
    told: list[int] = []
    report = source.copy_to(target, progress=told.append)
    assert report == plan
    assert sum(told) == plan.size_bytes
    target.close()


def test_nothing_to_copy(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no registry"):
        connect(tmp_path / "missing").copy_to(connect(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


class TestInterrupted:
    """A copy that was interrupted goes on where it stopped; what was sent stays."""

    def test_each_blob_fails_once(self, source: Registry, tmp_path: Path) -> None:
        target = _Failing(tmp_path / "target")
        stores = Stores(
            metadata=SqliteMetadata(tmp_path / "target" / "detent.db"),
            open_blobs=lambda: target,
            actor="ana",
        )
        n_blobs = source.copy_to(Registry(stores), dry_run=True).n_blobs
        for i in range(n_blobs - 1):
            target.room = 1
            with pytest.raises(UnavailableError, match="no room"):
                source.copy_to(Registry(stores))
            assert len(target.sent) == i + 1
        target.room = 2  # for the journal, too
        report = source.copy_to(Registry(stores))
        assert (report.n_blobs, report.n_known_blobs) == (1, n_blobs - 1)
        assert sorted(target.sent) == sorted(set(target.sent))
        check_same(source, Registry(stores))
        stores.metadata.close()

    def test_killed_at_any_moment(self, source: Registry, tmp_path: Path) -> None:
        rng = random.Random(7)
        for i in range(40):
            register_bytes(source._stores, "fraud", rng.randbytes(200_000), note=f"run {i}")
        target = tmp_path / "target"
        command = [sys.executable, "-m", "detent", "copy", str(tmp_path / "source"), str(target)]
        n_killed = 0
        for n in (1, 10, 40, 80):
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
                while process.poll() is None and len(list(target.glob("blobs/sha256/*/*"))) < n:
                    pass
                process.send_signal(signal.SIGKILL)
            n_killed += process.returncode == -signal.SIGKILL
            copy = connect(target)
            if (target / "detent.db").exists():
                assert copy.audit(verify=True).problems == ()
                assert copy.verify().problems == ()
                copy.close()
        assert n_killed
        report = source.copy_to(connect(target))
        assert report.n_known_blobs >= 1
        check_same(source, connect(target))

    def test_pruned_meanwhile(self, source: Registry, tmp_path: Path) -> None:
        target = connect(tmp_path / "target")

        def remove_all(_: int) -> None:
            for info in target._stores.blobs.list_all():
                target._stores.blobs.delete(info.digest)

        with pytest.raises(ConflictError, match="before a row could name them; no row was copied"):
            source.copy_to(target, progress=remove_all)
        assert target.models() == []
        source.copy_to(target)
        check_same(source, target)
        target.close()


class _Failing(LocalBlobs):
    """A folder with room for a few blobs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "blobs")
        self.room = 0
        self._counting = threading.Lock()
        self.sent: list[str] = []

    @contextmanager
    def create(self) -> Iterator[Any]:
        with self._counting:
            if self.room == 0:
                raise UnavailableError("no room is left")
            self.room -= 1
        with super().create() as writer:
            yield writer
        made: BlobWriter = writer
        self.sent.append(made.digest)


class TestDamage:
    """What is damaged is not copied as if it were whole."""

    def test_damaged_bytes(self, source: Registry, tmp_path: Path) -> None:
        (path,) = (tmp_path / "source").glob(f"blobs/sha256/*/{_digest(source)[9:]}")
        os.chmod(path, 0o600)
        path.write_bytes(b"spoiled")
        target = connect(tmp_path / "target")
        with pytest.raises(CorruptError, match="is corrupt"):
            source.copy_to(target)
        assert not (tmp_path / "target" / "detent.db").exists()
        path.unlink()
        with pytest.raises(CorruptError, match=r"is missing from .*; nothing was copied"):
            source.copy_to(target)

    def test_an_altered_event(self, source: Registry, tmp_path: Path) -> None:
        with source._stores.metadata.write() as tables:
            tables._all("UPDATE journal SET actor = 'nobody' WHERE seq = 3")
        with pytest.raises(CorruptError, match=r"event 3 .* was altered"):
            source.copy_to(connect(tmp_path / "target"))
        assert not (tmp_path / "target").exists()

    def test_an_altered_copy(self, source: Registry, tmp_path: Path) -> None:
        target = connect(tmp_path / "target")
        source.copy_to(target)
        with target._stores.metadata.write() as tables:
            tables._all("UPDATE activation SET version = 3 WHERE entry = 1")
        source.copy_to(target)  # every row is compared, not only those that are new
        check_same(source, target)
        with target._stores.metadata.write() as tables:
            tables._all("UPDATE journal SET actor = 'nobody' WHERE seq = 3")
        with pytest.raises(CorruptError, match=r"event 3 .* was altered"):
            source.copy_to(target)
        target.close()


def _digest(source: Registry) -> str:
    return source.show("fraud/1").manifest.files[0].digest


def test_the_command(source: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = (str(tmp_path / "source"), str(tmp_path / "target"))
    assert main(["copy", *places, "--dry-run"]) == 0
    n_versions = sum(len(source.versions(model.name)) for model in source.models())
    assert f"{n_versions} versions would be copied to" in capsys.readouterr().out
    assert not (tmp_path / "target").exists()
    assert main(["copy", *places]) == 0
    assert f"head {source.audit(verify=True).head}" in capsys.readouterr().out
    assert main(["copy", *places, "--json"]) == 0
    assert '"n_blobs":0' in capsys.readouterr().out
    shutil.rmtree(tmp_path / "source")
    assert main(["copy", *places]) == 4
