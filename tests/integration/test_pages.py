"""The pages in a real browser: tasks with counted clicks, scripts off, a narrow screen, signing in.

Debian's `chromium` (or the one that CHROMIUM names) is driven with playwright. Without a
browser everything here is skipped, and says so.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
EVIL = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install chromium to test the pages"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def stores() -> Stores:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    registry = live_through_everything(stores)
    register_bytes(stores, "churn", b"1", note=EVIL)
    register_bytes(stores, "churn", b"2")
    registry.activate("churn/1", "production", reason=EVIL)
    registry.activate("churn/2", "production", reason="weekly retrain")
    return stores


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    with serving(make_site(stores)) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
        yield page


def test_the_first_screen_says_what_is_active(page: Page, url: str) -> None:
    page.goto(url)
    row = page.locator("tr", has_text="churn").inner_text()
    assert "production" in row
    assert "v2" in row
    assert "weekly retrain" in row
    assert "ana" in row


def test_rolling_back_takes_three_clicks(page: Page, url: str, stores: Stores) -> None:
    page.goto(url)
    page.get_by_role("link", name="churn", exact=True).click()
    page.get_by_role("link", name="Roll back to v1").click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    dialog.get_by_role("button", name="Roll back").click()
    page.get_by_text("rolled back to by ana").wait_for()
    assert Registry(stores).version("churn@production").number == 1


def test_escape_leaves_everything_and_returns_the_focus(
    page: Page, url: str, stores: Stores
) -> None:
    page.goto(f"{url}/models/churn")
    page.get_by_role("link", name="Roll back to v1").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Roll back to v1"
    assert Registry(stores).version("churn@production").number == 2


def test_a_failing_gate_asks_for_a_reason_and_the_alias(
    page: Page, url: str, stores: Stores
) -> None:
    page.goto(f"{url}/models/fraud/6/activate")
    assert "fail" in page.inner_text("main")
    page.get_by_label("Reason").fill("it was not its fault")
    page.get_by_label("type production").fill("production")
    page.get_by_role("button", name="Override").click()
    page.get_by_role("heading", name="fraud", exact=True).wait_for()
    assert Registry(stores).version("fraud@production").number == 6


def test_a_change_made_meanwhile_is_a_conflict(page: Page, url: str, stores: Stores) -> None:
    page.goto(f"{url}/models/churn/aliases/production/rollback")
    Registry(stores).deactivate("churn@production")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text("nothing was changed").wait_for()


def test_forms_work_without_scripts(browser: Browser, url: str, stores: Stores) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/models/churn")
        page.get_by_role("link", name="Roll back to v1").click()
        page.get_by_label("Reason").fill("slower")
        page.get_by_role("button", name="Roll back").click()
        assert "slower" in page.inner_text("main")
    assert Registry(stores).version("churn@production").number == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(browser: Browser, url: str, scheme: str) -> None:
    pages = ["", "models/churn", "models/fraud/2", "audit", "models/fraud/2/activate", "sign-in"]
    pages += ["models/fraud/compare?baseline=2&candidate=3", "models/none"]
    kept = os.environ.get("SCREENSHOTS")
    viewport, wide = {"width": 320, "height": 640}, {"width": 1200, "height": 800}
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for path in pages:
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            page.goto(f"{url}/{path}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], path
            assert page.title() != "owned"
            if kept:
                name = path.split("?")[0].replace("/", "-") or "models"
                page.screenshot(path=Path(kept) / f"{name}-{scheme}-narrow.png")
                page.set_viewport_size(wide)  # type: ignore[arg-type]
                page.screenshot(path=Path(kept) / f"{name}-{scheme}.png")


def test_signing_in_keeps_the_token_from_scripts(page: Page, url: str, stores: Stores) -> None:
    secret = Registry(stores).create_token("rea", role="reader").secret
    page.goto(f"{url}/models/churn")
    page.get_by_label("Token").fill("detent_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("not accepted").wait_for()
    page.get_by_label("Token").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("needs the role maintainer on churn").wait_for()
    assert page.evaluate("document.cookie") == ""
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_a_server_that_is_gone_is_told_and_buttons_are_off(page: Page, stores: Stores) -> None:
    with serving(make_site(stores)) as url, page.expect_response("**/changes.json"):
        page.goto(f"{url}/models/churn/aliases/production/rollback")
    page.get_by_text("Not updating").wait_for()
    assert page.get_by_role("button", name="Roll back").is_disabled()


def test_the_first_page_is_light(page: Page, url: str) -> None:
    sent: list[int] = []

    def count(response: object) -> None:
        sent.append(len(response.body()))  # type: ignore[attr-defined]

    page.goto(url)
    page.goto("about:blank")
    page.on("response", count)
    page.goto(url, wait_until="load")
    assert sum(sent) <= 60_000
