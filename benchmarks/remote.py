"""PostgreSQL and S3: beside a folder, and beside psycopg and obstore doing the same work."""

import hashlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import obstore
import psycopg
from obstore.store import S3Store
from tests.servers import ceph, postgres
from tests.servers.processes import NoServerError

import detent
from benchmarks.measure import Row, interleave
from benchmarks.registries import add_versions, make_registry
from detent.blobs.base import CHUNK
from detent.blobs.remote import PART
from detent.metadata.sessions import split_url
from detent.testing.registries import register_bytes

SIZE = 100_000_000
LOCK = "BEGIN; SELECT pg_advisory_xact_lock(42)"


def measure(folder: Path, *, repeats: int = 101, size: int = SIZE) -> list[Row]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres.server_url(is_durable=True))
            s3 = stack.enter_context(ceph.s3_server())
        except NoServerError as error:
            print(f"NOT MEASURED: PostgreSQL and S3: {error}", file=sys.stderr)
            return []
        os.environ.update(s3.environment)
        url = stack.enter_context(postgres.new_schema(url))
        bucket = stack.enter_context(ceph.new_bucket(s3))
        registry = detent.connect(url, blobs=bucket.url, user="bench")
        stack.callback(registry.close)
        registry.create()
        near = make_registry(folder / "near")
        for each in (registry, near):
            add_versions(each, "churn", 3)
            each.activate("churn/1", "production")
        store = S3Store(
            bucket.name,
            prefix="bare",
            endpoint=s3.endpoint,
            region=s3.region,
            client_options={"allow_http": True},
        )
        with _bare(url) as bare:
            rows = _questions(registry, near, bare, repeats)
            rows += _changes(registry, near, bare, repeats)
            rows += _registering(registry, near, bare, store, repeats)
            rows += _large(folder, registry, near, store, size)
    return rows


@contextmanager
def _bare(url: str) -> Iterator["psycopg.Connection[Any]"]:
    """Give a connection with tables of the same shape, and nothing else."""
    conninfo, schema = split_url(url)
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(f"SET search_path = {schema}".encode())
        connection.execute("CREATE TABLE bare (LIKE activation INCLUDING ALL)")
        connection.execute("CREATE TABLE bare_version (LIKE version INCLUDING ALL)")
        connection.execute("CREATE TABLE bare_journal (LIKE journal INCLUDING ALL)")
        connection.execute("CREATE TABLE bare_head AS SELECT journal_seq AS seq FROM registry")
        connection.execute("INSERT INTO bare SELECT * FROM activation")
        yield connection


def _questions(
    registry: detent.Registry, near: detent.Registry, bare: Any, repeats: int
) -> list[Row]:
    query = """SELECT v.* FROM version v WHERE v.model = %s AND v.number = (
        SELECT y.version FROM activation y WHERE y.model = %s AND y.alias = %s
        ORDER BY y.entry DESC LIMIT 1)"""
    return _beside(
        "resolve an alias",
        lambda: registry.version("churn@production"),
        lambda: near.version("churn@production"),
        lambda: bare.execute(query, ("churn", "churn", "production")).fetchall(),
        "psycopg: the same question, prepared",
        repeats=repeats,
        inner=10,
        limit=3,
    ) + _beside(
        "ask whether anything changed",
        registry._stores.metadata.change_counter,
        near._stores.metadata.change_counter,
        lambda: bare.execute("SELECT journal_seq FROM registry").fetchall(),
        "psycopg: the number of the newest event",
        repeats=repeats,
        inner=10,
        limit=2,
    )


def _changes(
    registry: detent.Registry, near: detent.Registry, bare: Any, repeats: int
) -> list[Row]:
    entries = itertools.count(1_000_000)

    def write() -> None:
        """Insert a row and its event, and move the head: what any such change has to do."""
        entry = next(entries)
        bare.execute(LOCK, prepare=False)
        bare.execute("SELECT * FROM bare ORDER BY entry DESC LIMIT 1").fetchall()
        bare.execute(
            "INSERT INTO bare SELECT %s, model, alias, kind, version, previous, below, created_at,"
            " created_by, reason, decision, override FROM bare LIMIT 1",
            (entry,),
        )
        bare.execute(
            "INSERT INTO bare_journal VALUES (%s, 0, 'bench', 'Tried', '{}', '', '')", (entry,)
        )
        bare.execute("UPDATE bare_head SET seq = %s", (entry,))
        bare.execute("COMMIT")

    def switching(each: detent.Registry) -> Callable[[], object]:
        numbers = itertools.cycle((2, 1))
        return lambda: each.activate(f"churn/{next(numbers)}", "production")

    def going_back(each: detent.Registry) -> Callable[[], object]:
        for number in itertools.islice(itertools.cycle((3, 2)), 2 * repeats + 8):
            each.activate(f"churn/{number}", "staging")
        return lambda: each.rollback("churn@staging")

    peer = "psycopg: lock, read, two rows, head, commit"
    rows = _beside(
        "activate", switching(registry), switching(near), write, peer, repeats=repeats, limit=4
    )
    return rows + _beside(
        "roll back", going_back(registry), going_back(near), write, peer, repeats=repeats, limit=4
    )


def _registering(
    registry: detent.Registry, near: detent.Registry, bare: Any, store: Any, repeats: int
) -> list[Row]:
    numbers = itertools.count(1)

    def register(each: detent.Registry) -> object:
        return register_bytes(each._stores, "small", b"model %d" % next(numbers))

    def write() -> None:
        number = next(numbers)
        for name in ("file", "manifest"):
            data = f"{name} {number}".encode() * 100
            obstore.put(store, hashlib.sha256(data).hexdigest(), data, mode="create")
        bare.execute(LOCK, prepare=False)
        bare.execute(
            "INSERT INTO bare_version (model, number, digest, format, size_bytes, created_at,"
            " created_by) VALUES ('small', %s, %s, 'files', 7, 0, 'bench')",
            (number, str(number)),
        )
        bare.execute(
            "INSERT INTO bare_journal VALUES (%s, 0, 'bench', 'Tried', '{}', '', '')", (-number,)
        )
        bare.execute("UPDATE bare_head SET seq = %s", (number,))
        bare.execute("COMMIT")

    return _beside(
        "register a small model",
        lambda: register(registry),
        lambda: register(near),
        write,
        "obstore: two objects; psycopg: lock, two rows, head, commit",
        repeats=repeats,
        limit=4,
    )


def _large(
    folder: Path, registry: detent.Registry, near: detent.Registry, store: Any, size: int
) -> list[Row]:
    path = folder / "large.bin"
    path.write_bytes(os.urandom(size))
    numbers = itertools.count(1)
    what = f"a file of {size // 1_000_000} MB"

    def register(each: detent.Registry) -> None:
        version = each.register(f"large-{next(numbers)}", path, format="files", code="/")
        # The next one is stored anew.
        each._stores.blobs.delete(each.show(version).manifest.files[0].digest)

    def send() -> None:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
        obstore.put(store, "large", path, use_multipart=True, chunk_size=PART)
        obstore.delete(store, "large")

    rows = _beside(
        f"register {what}",
        lambda: register(registry),
        lambda: register(near),
        send,
        "hashing, and obstore: one multipart upload",
        repeats=7,
        limit=2,
    )
    versions = [
        each.register("loaded", path, format="files", code="/") for each in (registry, near)
    ]
    digest = registry.show(versions[0]).manifest.files[0].digest
    obstore.put(store, "loaded", path)

    def read(each: detent.Registry) -> None:
        from detent.blobs.base import open_verified

        open_verified(each._stores.blobs, digest, what="it").close()

    def fetch() -> None:
        hasher = hashlib.sha256()
        for part in obstore.get(store, "loaded").stream(min_chunk_size=CHUNK):
            hasher.update(part)

    def read_cold() -> None:
        from detent.blobs.base import open_verified, past_cache

        open_verified(past_cache(registry._stores.blobs), digest, what="it").close()

    rows += _beside(
        f"open {what}, verified, not cached",
        read_cold,
        lambda: read(near),
        fetch,
        "obstore: fetching and hashing",
        repeats=7,
        limit=3,
    )
    rows += _beside(
        f"open {what}, verified, cached",
        lambda: read(registry),
        lambda: read(near),
        fetch,
        "obstore: fetching and hashing",
        repeats=7,
        limit=None,
    )
    return rows


def _beside(
    what: str,
    ours: Callable[[], object],
    near: Callable[[], object],
    bare: Callable[[], object],
    peer: str,
    *,
    repeats: int,
    limit: float | None,
    inner: int = 1,
) -> list[Row]:
    """Measure an operation beside the same in a folder, and beside the bare work."""
    mine, theirs = interleave(ours, bare, repeats=repeats, inner=inner)
    again, folder = interleave(ours, near, repeats=repeats, inner=inner)
    return [
        Row(what=f"{what}, scaled", peer=peer, ours=mine, theirs=theirs, limit=limit),
        Row(what=f"{what}, scaled", peer="in a folder", ours=again, theirs=folder, limit=None),
    ]
