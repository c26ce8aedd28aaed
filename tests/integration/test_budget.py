"""What the pages cost on their way: counted in a real browser, at the most that they show."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.integration.browser import NEEDS_BROWSER, browsing

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.testing.registries import stores_on
from detent.testing.rows import add_evaluation_rows, add_version_rows
from detent.testing.servers import serving
from detent.web.pages import SHOWN_MODELS, SHOWN_POINTS, SHOWN_VERSIONS, make_site

pytestmark = NEEDS_BROWSER

MOST_BYTES = 60_000
MOST_REQUESTS = 4


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    registry = Registry(stores)
    for i in range(SHOWN_MODELS + 1):  # more than a page shows
        name = f"model-{i:04}"
        add_version_rows(stores, name, SHOWN_POINTS)
        add_evaluation_rows(stores, name, SHOWN_POINTS)
        registry.activate(f"{name}/1", "production", reason="weekly retrain")
    add_version_rows(stores, "churn", SHOWN_VERSIONS + 1)
    registry.activate("churn/1", "production", reason="weekly retrain")
    with serving(make_site(stores)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize(("path", "n"), [("/", SHOWN_MODELS), ("/models/churn", SHOWN_VERSIONS)])
def test_a_page_is_few_requests_and_few_bytes(
    browser: Browser, url: str, path: str, n: int
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        tools = context.new_cdp_session(page)
        asked: list[str] = []
        sent: list[float] = []
        tools.on("Network.requestWillBeSent", lambda told: asked.append(told["request"]["url"]))
        tools.on("Network.loadingFinished", lambda told: sent.append(told["encodedDataLength"]))
        tools.send("Network.enable")
        page.goto(url + path, wait_until="networkidle")
        rows: Any = page.locator("tbody tr").count()
    assert rows >= n
    assert len(set(asked)) <= MOST_REQUESTS, asked  # what is asked every 2 s counts once
    assert 0 < sum(sent) <= MOST_BYTES, dict(zip(asked, sent, strict=False))
