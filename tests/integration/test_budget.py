"""What the pages cost on their way: counted in a real browser, at the most that they show."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from tests.integration.browser import NEEDS_BROWSER, browsing

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.domain.version import Version
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import change
from detent.testing.registries import register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import SHOWN_VERSIONS, make_site

pytestmark = NEEDS_BROWSER

MOST_BYTES = 60_000
MOST_REQUESTS = 4
N = SHOWN_VERSIONS + 100  # more than a page shows


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    register_bytes(stores, "churn", b"1")
    Registry(stores).activate("churn/1", "production", reason="weekly retrain")
    with change(stores) as step:
        for i in range(N):
            step.tables.insert_model(f"model-{i:04}", at_us=step.at_us, actor="ana")
            number = step.tables.take_number("churn")
            version = Version(
                model="churn",
                number=number,
                digest=f"sha256:{number:064x}",
                format="skops",
                size_bytes=4_100_000 + number,
                created_at=step.at,
                created_by="ci",
                code=f"{number:07x}",
                data=f"2026-{number % 12 + 1:02d}",
                note=f"weekly retrain {number}, {number % 1000} trees",
            )
            step.tables.insert_version(version, at_us=step.at_us, duration_s=1.0)
    with serving(make_site(stores)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("path", ["/", "/models/churn"])
def test_a_page_is_few_requests_and_few_bytes(browser: Browser, url: str, path: str) -> None:
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
    assert rows >= SHOWN_VERSIONS
    assert len(set(asked)) <= MOST_REQUESTS, asked  # what is asked every 2 s counts once
    assert 0 < sum(sent) <= MOST_BYTES, dict(zip(asked, sent, strict=False))
