"""Serving on a PostgreSQL registry: told of commits, and never waiting for the network."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sklearn.linear_model import LogisticRegression
from tests.fault.test_postgres import drop_all
from tests.serving.conftest import Starter, rows, tensor, wait_until
from tests.serving.test_switching import late, load_on, switch

import detent
from detent.domain.clock import utc_now
from detent.domain.reference import parse_reference
from detent.metadata.postgres import PostgresMetadata
from detent.registry.stores import Stores
from detent.runtime.follower import LEASE_S
from detent.runtime.live import Live

pytestmark = pytest.mark.integration


@pytest.fixture
def shared(postgres_url: str, tmp_path: Path) -> Iterator[detent.Registry]:
    """Return a registry whose `churn@production` has held version 1, and holds version 2."""
    made = detent.connect(postgres_url, blobs=str(tmp_path / "blobs"), user="ana")
    made.create()
    X, y = rows()
    for strength in (1.0, 0.01):
        made.register("churn", LogisticRegression(C=strength).fit(X, y), sample=X[:20], code="/")
    made.activate("churn/1", "production")
    made.activate("churn/2", "production")
    yield made
    made.close()


def test_whoever_listens_is_told_of_commits_and_of_nothing_else(
    postgres_url: str, postgres_server: str
) -> None:
    metadata, other = PostgresMetadata(postgres_url), PostgresMetadata(f"{postgres_url}x")
    metadata.create(at_us=1, actor="ana")
    told = threading.Semaphore(0)
    end = metadata.listen(lambda: told.release(), every_s=3600)
    try:
        assert told.acquire(timeout=30)  # it is connected
        other.create(at_us=1, actor="bo")  # another registry of the same database
        with suppress(ZeroDivisionError), metadata.write() as tables:
            tables.insert_model("wine", at_us=1, actor="bo")
            raise ZeroDivisionError
        assert not told.acquire(timeout=0.2)
        for name in ("fraud", "churn"):
            with metadata.write() as tables:
                tables.insert_model(name, at_us=1, actor="bo")
            assert told.acquire(timeout=30)
        drop_all(postgres_server)
        for _ in range(2):  # the connection was lost; it was made anew
            assert told.acquire(timeout=30)
        with metadata.write() as tables:
            tables.insert_model("wine", at_us=1, actor="bo")
        assert told.acquire(timeout=30)
    finally:
        end()
        metadata.close()
        other.close()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            schema = postgres_url.partition("schema=")[2].partition("&")[0]
            connection.execute(f"DROP SCHEMA {schema}x CASCADE".encode())
            connection.execute("NOTIFY detent")  # so that the thread ends


def test_a_process_follows(shared: detent.Registry, postgres_server: str) -> None:
    with shared.follow("churn@production") as live:
        for expected in (1, 2, 1):
            if expected == 2:
                entry = shared.activate("churn/2", "production", override="again", wait_s=60)
            else:
                entry = shared.rollback("churn@production", wait_s=60)
            assert entry.confirmation is not None
            assert (entry.confirmation.confirmed, entry.confirmation.servers) == (1, 1)
            assert live.version.number == expected
        drop_all(postgres_server)
        assert live.version.number == 1  # it answers on with what it has
        entry = shared.activate("churn/2", "production", override="again", wait_s=60)
        assert entry.confirmation is not None
        assert entry.confirmation.is_complete
        assert live.version.number == 2
    assert shared.servers() == []


def test_machines_roll_out_together(
    shared: detent.Registry, start: Starter, tmp_path: Path
) -> None:
    env = {"DETENT_BLOBS": str(tmp_path / "blobs")}
    servers = [start(shared, "churn", XDG_STATE_HOME=str(tmp_path / name), **env) for name in "ab"]
    X, y = rows()
    candidate = shared.register("churn", LogisticRegression().fit(X, 1 - y), sample=X[:20])
    rollout = shared.start_rollout(candidate, "production", label_window=0, shadow="1h")
    asked: list[list[str]] = [[], []]

    def counted() -> bool:
        for server, ids in zip(servers, asked, strict=True):
            ids.append(server.infer(tensor(((2.0, 0.0, 0.0),))).json["id"])
        tallies = shared._stores.metadata.current.list_tallies(rollout.id)
        found = shared.rollout(rollout.id).counts
        return min([t.state["in_shadow"] for t in tallies], default=0) >= 12 and (
            found is not None and found["in_shadow"] >= 24
        )

    wait_until(counted, seconds=60)
    path = "/v2/models/churn/feedback"
    for server, ids in zip(servers, asked[::-1], strict=True):  # each is told what the other needs
        for id in ids[-5:]:  # the first were answered before a rollout was seen
            told = server.ask("POST", path, {"id": id, "label": 1})
            assert (told.status, told.json["joined"]) == (202, False)
    joined = shared.feedback([{"id": id, "label": 1} for id in asked[0][-12:-5]], model="churn")
    assert joined.waiting == 7
    wait_until(lambda: shared.rollout(rollout.id).has_ended, seconds=60)
    entry = shared.status("churn@production").activation
    assert (entry.version, entry.by) == (2, "auto (policy rule wrong_answers)")


@pytest.mark.parametrize("hours", [-24, 24])
def test_clocks_need_not_agree(shared: detent.Registry, hours: int) -> None:
    """A lease is as long for a server whose clock is a day off, and is not taken for ended."""
    stores = shared._stores
    wrong = Stores(
        metadata=stores.metadata,
        open_blobs=lambda: stores.blobs,
        actor="bo",
        clock=lambda: utc_now() + timedelta(hours=hours),
    )
    with Live(wrong, parse_reference("churn@production")) as live:
        (server,) = shared.servers()
        assert abs(server.heard_at - utc_now()) < timedelta(seconds=60)
        assert server.lease_until - server.heard_at == timedelta(seconds=LEASE_S)
        found = shared.rollback("churn@production", wait_s=60).confirmation
        assert found is not None
        assert (found.confirmed, found.servers) == (1, 1)
        assert live.version.number == 1


def test_switches_under_load(shared: detent.Registry, start: Starter, tmp_path: Path) -> None:
    server = start(shared, "churn", "--workers", "2", DETENT_BLOBS=str(tmp_path / "blobs"))
    wait_until(lambda: len(shared.servers("churn")) == 2)
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        moves = switch(shared, 5, 2)
    assert {record.status for record in load.records} == {200}
    assert {record.version for record in load.records} == {1, 2}
    assert late(load.records, moves) == []
