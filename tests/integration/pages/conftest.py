"""A registry in memory with three versions of `churn`, its pages, and a browser to look at them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from tests.integration.browser import EVIL, axe_script, browsing

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_script()


@pytest.fixture
def stores() -> Stores:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    for number in (1, 2, 3):
        register_bytes(stores, "churn", b"weights" * number, note=EVIL if number == 3 else None)
    registry = Registry(stores)
    registry.activate("churn/1", "production", reason="the first")
    registry.activate("churn/2", "production", reason="weekly retrain")
    return stores


@pytest.fixture
def registry(stores: Stores) -> Registry:
    """Return a registry whose `churn@production` has held version 1, and holds version 2."""
    return Registry(stores)


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    with serving(make_site(stores)) as url:
        yield url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    # Closed before the server, which else waits for it.
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
        yield page
