"""A server that drops a line, or dies: nothing acknowledged is lost, and what is said is true."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.fault.conftest import Check, Starter
from tests.servers.postgres import PostgresServer
from tests.servers.processes import NoServerError
from tests.servers.proxy import Proxy, proxy_to

from detent import Activation, Registry, UnavailableError, connect
from detent.blobs.memory import MemoryBlobs
from detent.metadata.postgres import PostgresMetadata
from detent.testing.registries import register_bytes, stores_on

COMMIT = b"COMMIT\0"  # the whole statement, not a word in another one

pytestmark = pytest.mark.integration


@pytest.fixture
def proxy(postgres_server: str) -> Iterator[Proxy]:
    with proxy_to(postgres_server) as made:
        yield made


@pytest.fixture
def registry(postgres_url: str, proxy: Proxy) -> Iterator[Registry]:
    """Return a registry behind the line; version 1 of `fraud` is in production."""
    schema = postgres_url.partition("schema=")[2]
    metadata = PostgresMetadata(f"{proxy.url}&schema={schema}", timeout_s=2.0, patience_s=1.0)
    stores = stores_on(metadata, MemoryBlobs())
    for content in (b"first version", b"second version"):
        register_bytes(stores, "fraud", content)
    made = Registry(stores)
    made.activate("fraud/1", "production")
    yield made
    made.close()


def active(url: str) -> tuple[int | None, int]:
    """Return what is active and the newest entry, as seen on a line of its own."""
    metadata = PostgresMetadata(url)
    entry = metadata.current.newest_activation("fraud", "production")
    metadata.close()
    assert entry is not None
    return entry.version, entry.entry


class TestLostAnswer:
    """When the answer to a commit is lost, what is said afterwards is what happened."""

    def test_the_commit_took_place(
        self, registry: Registry, proxy: Proxy, postgres_url: str
    ) -> None:
        proxy.cut_at(COMMIT, "after")
        assert registry.activate("fraud/2", "production").version == 2
        assert proxy.n_cut == 1
        assert active(postgres_url) == (2, 2)
        assert registry.audit(verify=True).problems == ()

    def test_the_commit_did_not_take_place(
        self, registry: Registry, proxy: Proxy, postgres_url: str
    ) -> None:
        proxy.cut_at(COMMIT, "before")
        with pytest.raises(UnavailableError, match="nothing was changed"):
            registry.activate("fraud/2", "production")
        assert proxy.n_cut == 1
        assert active(postgres_url) == (1, 1)
        assert registry.activate("fraud/2", "production").entry == 2

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_nobody_can_be_asked(self, registry: Registry, proxy: Proxy, moment: str) -> None:
        proxy.cut_at(COMMIT, "after" if moment == "after" else "before", for_good=True)
        with pytest.raises(UnavailableError, match="whether the change was made is not known"):
            registry.activate("fraud/2", "production")

    def test_another_writer_came_in_between(
        self, registry: Registry, proxy: Proxy, postgres_url: str
    ) -> None:
        """An event of the same number that is another one's does not count."""
        other = Registry(stores_on(PostgresMetadata(postgres_url), MemoryBlobs(), actor="bo"))
        blocked = threading.Event()
        proxy.cut_at(COMMIT, "before")
        real = registry._stores.metadata._settle  # type: ignore[attr-defined]  # the moment between

        def settle(*arguments: object) -> None:
            other.activate("fraud/2", "staging")
            blocked.set()
            real(*arguments)

        registry._stores.metadata._settle = settle  # type: ignore[attr-defined]
        with pytest.raises(UnavailableError, match="nothing was changed"):
            registry.activate("fraud/2", "production")
        assert blocked.is_set()
        assert active(postgres_url) == (1, 1)
        other.close()


class TestDroppedLine:
    """A dropped connection is replaced where that is safe, and reported where it is not."""

    def test_idle_connections_are_replaced(self, registry: Registry, postgres_server: str) -> None:
        for change in (
            lambda: registry.activate("fraud/2", "production"),
            lambda: registry.version("fraud@production"),
            lambda: registry.history("fraud@production"),
            lambda: registry.rollback("fraud@production"),
        ):
            drop_all(postgres_server)
            change()
        assert registry.version("fraud@production").number == 1

    @pytest.mark.parametrize("word", [b"INSERT INTO activation", b"INSERT INTO journal"])
    def test_a_change_that_is_cut_off_is_undone(
        self, registry: Registry, proxy: Proxy, postgres_url: str, word: bytes
    ) -> None:
        proxy.cut_at(word, "after")
        with pytest.raises(UnavailableError, match="nothing was changed"):
            registry.activate("fraud/2", "production")
        assert proxy.n_cut == 1
        assert active(postgres_url) == (1, 1)
        assert registry.activate("fraud/2", "production").version == 2

    def test_a_single_read_is_repeated(self, registry: Registry, proxy: Proxy) -> None:
        proxy.cut_at(b"FROM version v", "before")
        assert registry.version("fraud@production").number == 1
        assert proxy.n_cut == 1

    def test_a_writer_whose_line_is_cut_stops_nobody(
        self, registry: Registry, postgres_server: str, postgres_url: str
    ) -> None:
        other = PostgresMetadata(postgres_url)

        def write_half() -> None:
            with other.write() as tables:
                tables.insert_model("wine", at_us=1, actor="bo")
                drop_all(postgres_server)
                assert registry.activate("fraud/2", "production").version == 2
                tables.model_names()

        with pytest.raises(UnavailableError, match="nothing was changed"):
            write_half()
        assert [model.name for model in registry.models()] == ["fraud"]
        other.close()


def drop_all(url: str) -> None:
    """End all connections of registries to a server, and wait until they have ended."""
    with psycopg.connect(url) as connection:
        connection.execute(
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE application_name = 'detent'"""
        )


class TestUnreachable:
    """An error says which server did not answer, and why; never a password."""

    def test_no_server_is_there(self, tmp_path: Path) -> None:
        url = f"postgresql://ana:secret@/models?host={tmp_path}"
        metadata = PostgresMetadata(url, patience_s=0.1, timeout_s=0.1)
        with pytest.raises(UnavailableError, match="did not answer in") as caught:
            metadata.current  # noqa: B018  it connects
        assert str(tmp_path) in caught.value.message
        assert "secret" not in caught.value.message + metadata.location
        metadata.close()

    def test_the_database_is_missing(self, postgres_url: str) -> None:
        url = postgres_url.replace("/postgres?", "/missing?")
        if url == postgres_url:
            pytest.skip("NOT TESTED: the server named has its registry elsewhere")
        metadata = PostgresMetadata(url, patience_s=0.2, timeout_s=0.2)
        with pytest.raises(UnavailableError, match='"missing" does not exist'):
            metadata.current  # noqa: B018  it connects
        metadata.close()

    def test_a_writer_waits_for_its_turn_so_long(self, postgres_url: str) -> None:
        patient = PostgresMetadata(postgres_url)
        patient.create(at_us=1, actor="ana")
        hasty = PostgresMetadata(postgres_url, timeout_s=0.05)
        with (
            patient.write(),
            pytest.raises(UnavailableError, match="locked by another process"),
            hasty.write(),
        ):
            pass
        with hasty.write() as tables:
            assert tables.model_names() == []
        patient.close()
        hasty.close()


class TestManyWriters:
    """Numbers have no gap and come once, under any number of writers."""

    def test_32_writers_in_4_processes(
        self, postgres_url: str, tmp_path: Path, start: Starter, check: Check
    ) -> None:
        url = f"{postgres_url}&blobs={tmp_path}/blobs"
        registry = connect(url)
        prepare(registry)
        children = [start("crowd", url, 8, 2) for _ in range(4)]
        for child in children:
            child.go()
        said = [words for child in children for words in child.finish().said]
        assert not [words for words in said if words[0] == "error"]
        numbers = sorted(int(words[1]) for words in said if words[0] == "registered")
        assert numbers == list(range(5, 5 + 64))
        # Each compare-and-swap was on the entry that the writer had seen, and on no other.
        done = sorted([int(word) for word in words[1:]] for words in said if words[0] == "done")
        assert [entry for entry, _, _ in done] == list(range(2, 2 + 64))
        assert all(previous == seen for _, previous, seen in done)
        check(url).close()
        registry.close()


def prepare(registry: Registry) -> None:
    registry.create()
    for i in range(4):
        register_bytes(registry._stores, "fraud", b"version %d" % i)
    registry.activate("fraud/1", "production")


class TestKilledServer:
    """A server that is killed in the middle of writes loses nothing that was acknowledged."""

    @pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.slow)])
    def test_killed_while_writing(
        self, tmp_path: Path, start: Starter, check: Check, rng: random.Random, n_kills: int
    ) -> None:
        try:
            server = PostgresServer()
        except NoServerError as error:
            pytest.skip(f"NOT TESTED: no PostgreSQL that can be killed: {error}")
        url = f"{server.url}&blobs={tmp_path}/blobs"
        registry = connect(url)
        try:
            prepare(registry)
            registry.activate("fraud/2", "production")
            n_heard = 0
            for _ in range(n_kills):
                children = [start("activate", url, 400) for _ in range(3)]
                for child in children:
                    child.go()
                for _ in range(rng.randrange(1, 40)):
                    children[0].hear()
                server.kill()
                server.start()
                for child in children:
                    child.process.kill()
                told = [entry for child in children for entry in child.finish().done]
                assert told
                history = registry.history("fraud@production")
                entries = {i.entry: i.version for i in history if isinstance(i, Activation)}
                for entry, version in told:
                    assert entries[entry] == version
                assert sorted(entries) == list(range(1, len(entries) + 1))
                n_heard += len(told)
                check(url).close()
            assert n_heard >= n_kills
        finally:
            registry.close()
            server.stop()
