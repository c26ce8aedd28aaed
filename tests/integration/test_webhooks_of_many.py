"""Webhooks of one PostgreSQL registry, told by two server processes: each event, normally once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3
from tests.servers import processes
from tests.servers.receiver import Receiver
from tests.serving.conftest import free_port, wait_until

import detent
from detent.domain.clock import to_us, utc_now
from detent.testing.registries import register_bytes

pytestmark = pytest.mark.integration

PATIENCE_S = 90.0
CHANGES = 12  # by each of the two


class Servers:
    """Processes of ``detent web`` on one registry, each with a port of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "DETENT_URL": url,
            "DETENT_BLOBS": str(folder / "blobs"),
            "DETENT_USER": "server",
            "DETENT_PRIVATE_WEBHOOKS": "1",
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> str:
        """Start one more, and return its URL once it answers."""
        port = free_port()
        command = [sys.executable, "-m", "detent", "web", "--port", str(port)]
        with (self._folder / f"{port}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url) or process.poll() is not None, seconds=PATIENCE_S)
        assert process.poll() is None, (self._folder / f"{port}.log").read_text()
        return url


def _answers(url: str) -> bool:
    try:
        with urllib3.PoolManager(retries=False, timeout=5) as pool:
            return pool.request("GET", f"{url}/health").status == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def registry(postgres_url: str, tmp_path: Path) -> Iterator[detent.Registry]:
    from detent.opening import open_stores
    from detent.settings import read_settings

    environment = {"DETENT_PRIVATE_WEBHOOKS": "1", "DETENT_BLOBS": str(tmp_path / "blobs")}
    settings = read_settings(url=postgres_url, user="ana", environment=environment)
    made = detent.Registry(open_stores(settings))
    made.create()
    yield made
    made.close()


@pytest.fixture
def servers(postgres_url: str, tmp_path: Path) -> Iterator[Servers]:
    made = Servers(postgres_url, tmp_path)
    yield made
    for process in made.processes:
        processes.kill(process)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def seqs(receiver: Receiver) -> list[int]:
    return [int(event["id"]) for event in receiver.told]


def test_two_servers_tell_each_event_once_and_in_order(
    registry: detent.Registry, servers: Servers, receiver: Receiver
) -> None:
    urls = [servers.start(), servers.start()]
    register_bytes(registry._stores, "churn", b"1")
    register_bytes(registry._stores, "churn", b"2")
    registry.create_webhook(receiver.url)
    since = registry.audit(limit=1)[0].seq

    def change(url: str) -> None:
        there = detent.connect(url, user="ana")
        alias = f"of-{url.rpartition(':')[2]}"
        for i in range(CHANGES):
            there.activate(f"churn/{i % 2 + 1}", alias, override="to and fro")
        there.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(change, urls))
    wanted = sorted(event.seq for event in registry.audit() if event.seq > since)
    assert len(wanted) >= 2 * CHANGES
    wait_until(lambda: len(receiver.got) >= len(wanted), seconds=PATIENCE_S)
    assert seqs(receiver) == wanted
    processes.kill(servers.processes[0])
    registry.rollback(f"churn@of-{urls[1].rpartition(':')[2]}", wait_s=0)
    wait_until(lambda: len(receiver.got) > len(wanted), seconds=PATIENCE_S)
    assert seqs(receiver)[-1] == registry.audit(limit=1)[0].seq


def test_what_a_killed_server_was_telling_is_told_by_another(
    registry: detent.Registry, servers: Servers, receiver: Receiver
) -> None:
    hook = registry.create_webhook(receiver.url).webhook
    receiver.may_answer.clear()
    servers.start()
    register_bytes(registry._stores, "churn", b"1")
    register_bytes(registry._stores, "churn", b"2")
    assert receiver.has_got.wait(PATIENCE_S)
    processes.kill(servers.processes[0])  # it never learns that it was heard
    receiver.may_answer.set()
    with registry._stores.metadata.write() as tables:  # a minute passes
        claimed = tables.find_webhook(hook.id)
        assert claimed is not None
        assert claimed.next_at is not None
        assert claimed.next_at > utc_now()
        lapsed = to_us(utc_now() - timedelta(seconds=1))
        tables.move_webhook(
            hook.id, since=claimed.told, told=claimed.told, failures=0, next_us=lapsed
        )
    servers.start()
    wait_until(lambda: len(receiver.got) == 3, seconds=PATIENCE_S)
    first, *_ = told = seqs(receiver)
    assert told == [first, first, first + 1]
    same = [headers["webhook-id"] for headers, _ in receiver.got[:2]]
    assert same[0] == same[1]
    # What was told is written down after the receiver has got it.
    wait_until(lambda: len(registry.deliveries(hook.id)) == 2, seconds=PATIENCE_S)
    assert [one.is_told for one in registry.deliveries(hook.id)] == [True, True]
