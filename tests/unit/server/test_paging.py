"""Lists come in pages: together they are the whole, here and from afar, whatever happens."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

import detent
from detent import remote
from detent.api import PREFIX, ROUTES
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.server.app import make_app
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving

# Lists that grow as long as a registry is used, and where each is found.
PATHS = {
    "models": "/models",
    "versions": "/models/fraud/versions",
    "status": "/status",
    "history": "/aliases/fraud@production/history",
    "evaluations": "/evaluations/fraud",
    "events": "/journal",
    "rollouts": "/rollouts",
}


@pytest.fixture(scope="module")
def stores() -> Stores:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    live_through_everything(stores)
    return stores


@pytest.fixture(scope="module")
def url(stores: Stores) -> Iterator[str]:
    with serving(make_app(stores)) as url:
        yield url


def ask(url: str, path: str) -> Any:
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("GET", url + PREFIX + path)
        assert answer.status == 200, answer.data
        return answer.json()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_together_are_the_whole(url: str, name: str, limit: int) -> None:
    cursor, path = ROUTES[name].cursor, PATHS[name]
    whole = ask(url, path)
    assert whole["next"] is None
    assert len(whole["items"]) >= 2
    found, page = [], ask(url, f"{path}?limit={limit}")
    while True:
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            break
        page = ask(url, f"{path}?limit={limit}&{cursor}={quote(str(page['next']))}")
    assert found == whole["items"]


def test_a_client_reads_all_pages(
    stores: Stores, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = detent.Registry(stores), detent.connect(url, user="ana")
    monkeypatch.setattr(remote, "LARGEST_PAGE", 2)
    at = here.audit()[3].at
    questions: list[Callable[[detent.Registry], Any]] = [
        lambda r: r.models(),
        lambda r: r.versions("fraud"),
        lambda r: r.list_status(),
        lambda r: r.list_status(at=at),
        lambda r: r.history("fraud@production"),
        lambda r: r.history("fraud@production", limit=3),
        lambda r: r.evaluations("fraud"),
        lambda r: r.audit(),
        lambda r: r.rollouts(),
        lambda r: r.rollouts(limit=1),
    ]
    for ask_for in questions:
        assert ask_for(there) == ask_for(here)
    there.close()


def test_what_happens_between_two_pages_moves_nothing() -> None:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    registry = detent.Registry(stores)
    for i in range(4):
        register_bytes(stores, "fraud", b"%d" % i)
        registry.activate(f"fraud/{i + 1}", "production")
    whole = registry.history("fraud@production")
    with serving(make_app(stores)) as url:
        path = "/aliases/fraud@production/history?limit=2"
        first = ask(url, path)
        registry.rollback("fraud@production")
        second = ask(url, f"{path}&before={quote(first['next'])}")
    entries = [move["activation"]["entry"] for move in first["items"] + second["items"]]
    assert entries == [one.entry for one in whole if isinstance(one, detent.Activation)]
    assert second["next"] is None


def test_an_alias_that_is_not_there_has_no_last_page(url: str) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        address = f"{url}{PREFIX}/aliases/fraud@none/history?before=2001-01-01T00:00:00Z"
        assert pool.request("GET", address).status == 404
    path = "/aliases/fraud@production/history?before=2001-01-01T00:00:00Z"
    assert ask(url, path) == {"items": [], "next": None}
