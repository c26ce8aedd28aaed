"""What is PostgreSQL's own: schemas, damage, processes that fork, the order of texts."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.servers.ceph import Bucket

from detent import CorruptError, InvalidError, NotFoundError, Registry, connect
from detent.blobs.memory import MemoryBlobs
from detent.metadata.postgres import PostgresMetadata
from detent.metadata.sessions import split_url
from detent.testing.registries import live_through_everything, register_bytes, stores_on

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(postgres_url: str) -> Iterator[Registry]:
    """Return a registry that has lived through everything."""
    made = live_through_everything(stores_on(PostgresMetadata(postgres_url), MemoryBlobs()))
    yield made
    made.close()


def behind_its_back(url: str, sql: str) -> None:
    conninfo, schema = split_url(url)
    with psycopg.connect(conninfo) as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute(sql.encode())


def test_schemas_of_one_database_are_registries_of_their_own(postgres_url: str) -> None:
    first = Registry(stores_on(PostgresMetadata(postgres_url), MemoryBlobs()))
    register_bytes(first._stores, "fraud", b"weights")
    second = PostgresMetadata(f"{postgres_url}x")
    with pytest.raises(NotFoundError, match=r"there is no registry at .*schema=test_"):
        second.current  # noqa: B018  it connects
    assert second.create(at_us=1, actor="bo") is True
    assert second.current.model_names() == []
    with second.write(), first._stores.metadata.write():
        pass  # the lock of one is not the other's
    behind_its_back(f"{postgres_url}x", f"DROP SCHEMA {split_url(postgres_url)[1]}x CASCADE")
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE journal SET actor = 'nobody' WHERE seq = 3", "event 3 "),
        ("DELETE FROM journal WHERE seq = 3", "event 3 was removed"),
        ("UPDATE activation SET version = 3 WHERE entry = 2", "activation 2 was altered"),
        ("UPDATE version SET note = 'x' WHERE number = 3", "version fraud/3 was altered"),
        ("DELETE FROM version_word WHERE word = 'holiday'", "words of version fraud/3"),
    ],
)
def test_altered_rows_are_named(
    registry: Registry, postgres_url: str, sql: str, named: str
) -> None:
    assert registry.audit(verify=True).problems == ()
    behind_its_back(postgres_url, sql)
    assert any(named in text for text in registry.audit(verify=True).problems)


def test_a_thread_that_ends_leaves_the_others_their_connections(registry: Registry) -> None:
    metadata = registry._stores.metadata

    def session() -> int:
        with metadata.read() as tables:
            return int(tables._all("SELECT pg_backend_pid()")[0][0])

    def work() -> None:
        found.append(session())
        metadata.release()

    found = [session()]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert session() in found
    metadata.close()
    assert session() not in found


def test_an_index_that_cannot_be_used_is_named(registry: Registry, postgres_url: str) -> None:
    behind_its_back(
        postgres_url,
        """UPDATE pg_index SET indisvalid = false
        WHERE indexrelid = 'activation_newest'::regclass""",
    )
    problems = registry.audit(verify=True).problems
    assert problems == ("the database is damaged: index activation_newest is marked as unusable",)


def test_an_index_that_lies_is_named(registry: Registry, postgres_url: str) -> None:
    """A damaged index would answer wrongly though every row is right."""
    try:
        behind_its_back(postgres_url, "CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA public")
    except psycopg.Error as error:
        pytest.skip(f"NOT TESTED: the server has no amcheck: {error}")
    assert registry.audit(verify=True).problems == ()
    # The index is told to hold another column than it does.
    behind_its_back(
        postgres_url,
        """UPDATE pg_index SET indkey = '4' WHERE indexrelid = 'version_manifest'::regclass""",
    )
    assert "version_manifest" in registry.audit(verify=True).problems[0]


def test_a_table_that_is_missing_is_damage(registry: Registry, postgres_url: str) -> None:
    behind_its_back(postgres_url, "ALTER TABLE version DROP COLUMN note CASCADE")
    with pytest.raises(CorruptError, match="is damaged, or is no registry"):
        registry.version("fraud/1")


def test_a_newer_schema_is_refused(registry: Registry, postgres_url: str) -> None:
    behind_its_back(postgres_url, "UPDATE registry SET schema_version = 1000")
    with pytest.raises(InvalidError, match="written by a newer release"):
        PostgresMetadata(postgres_url).current  # noqa: B018  it connects


def test_texts_are_ordered_by_their_bytes(postgres_url: str) -> None:
    """As in a folder, whatever language the server was set up with."""
    metadata = PostgresMetadata(postgres_url)
    metadata.create(at_us=1, actor="ana")
    names = ["a", "B", "a-b", "ab", "a_b", "é", "Z", "z"]
    with metadata.write() as tables:
        for name in names:
            tables.insert_model(name, at_us=1, actor="ana")
    assert metadata.current.model_names() == sorted(names)
    metadata.close()


FORK = """
import os, sys
from detent import UnavailableError, connect

registry = connect(user="ana")
registry.create()
assert registry.models() == []
if "blobs" in sys.argv:
    list(registry._stores.blobs.list_all())
child = os.fork()
if not child:
    try:
        assert registry.models() == []
        with registry._stores.metadata.write() as tables:
            tables.insert_model("fraud", at_us=1, actor="child")
        list(registry._stores.blobs.list_all())
    except UnavailableError as error:
        os._exit(8)
    except BaseException:
        os._exit(1)
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert [model.name for model in registry.models()] == ["fraud"]
registry.close()
sys.exit(code)
"""


@pytest.mark.parametrize(("used", "code"), [("", 0), ("blobs", 8)])
def test_after_a_fork(postgres_url: str, bucket: Bucket, used: str, code: int) -> None:
    """A child has connections of its own; an object store its parent used, it refuses to use."""
    environment = os.environ | {"DETENT_URL": postgres_url, "DETENT_BLOBS": bucket.url}
    command = [sys.executable, "-W", "ignore", "-c", FORK, used]
    assert subprocess.run(command, env=environment, check=False).returncode == code


def test_the_commands(
    postgres_url: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell session as in a folder: only what is answered, and nothing beside it."""
    monkeypatch.setenv("DETENT_URL", postgres_url)
    monkeypatch.setenv("DETENT_BLOBS", bucket.url)
    monkeypatch.setenv("DETENT_USER", "ana")
    (tmp_path / "model.bin").write_bytes(b"weights")
    for line in (
        "init",
        "register churn model.bin",
        "activate churn/1 production",
        "status",
        "export churn@production out",
        "audit --verify",
        "verify",
        "doctor",
        "copy {url} backup",
    ):
        words = line.format(url=postgres_url).split()
        done = subprocess.run(
            [sys.executable, "-m", "detent", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "rror" not in done.stderr
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"weights"
    assert connect(tmp_path / "backup").version("churn@production").number == 1
