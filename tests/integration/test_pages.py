"""The pages in a real browser: tasks with counted clicks, scripts off, a narrow screen, signing in.

Without a browser everything here is skipped, and says so.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page
from tests.integration.browser import EVIL, NEEDS_BROWSER, axe_script, browsing, violations

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import utc_now
from detent.domain.server import Server
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


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


def test_the_first_screen_draws_what_was_measured(page: Page, url: str, stores: Stores) -> None:
    newest = Registry(stores).evaluations("fraud")[0]
    page.goto(url)
    row = page.locator("tr", has_text="fraud").first
    assert row.get_by_text(f"accuracy of v{newest.version}").is_visible()
    line = row.get_by_role("img", name=f"accuracy from v2 to v{newest.version}, between 0.0000 and")
    assert line.locator("path").bounding_box()
    assert row.inner_text().count(f"{newest['accuracy'].value:.3g}") >= 1
    churn = page.locator("tr", has_text="churn").first
    assert churn.get_by_role("img").count() == 0, "never evaluated"
    told = page.request.get(f"{url}/index.json").json()["metrics"]
    assert told["fraud"]["value"] == newest["accuracy"].value
    assert "churn" not in told


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
    viewport = {"width": 320, "height": 640}
    with browser.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for path in pages:
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            answer = page.goto(f"{url}/{path}")
            assert answer is not None
            assert answer.status == (404 if path == "models/none" else 200), path
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], path
            assert page.title() != "owned"


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


@pytest.fixture(scope="session")
def axe() -> str:
    return axe_script()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, url: str, axe: str, scheme: str, stores: Stores
) -> None:
    follow(stores, "churn@production", behind=1)
    pages = [(path, "") for path in ("", "audit", "sign-in", "models/none", "models/fraud/2")]
    pages += [("models/fraud/compare?baseline=2&candidate=3", "")]
    pages += [("models/churn", "Roll back to v1"), ("models/fraud", "Activate v6…")]
    with browser.new_context(color_scheme=scheme, bypass_csp=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for path, opens in pages:
            page.goto(f"{url}/{path}")
            if opens:
                page.get_by_role("link", name=opens).first.click()
                page.get_by_role("dialog").wait_for()
            assert violations(page, axe) == [], f"{path} in {scheme}"


def follow(stores: Stores, alias: str, *, behind: int = 0, n: int = 3) -> None:
    """Write rows of servers that follow an alias, `behind` of them not yet its newest entry."""
    status = Registry(stores).status(alias)
    for i in range(n):
        late = i < behind
        stores.metadata.servers.put_server(
            Server(
                id=f"server {i}",
                model=status.model,
                alias=status.alias,
                host=f"web-{i}",
                pid=800 + i,
                place="elsewhere",
                version=1 if late else status.activation.version,
                entry=status.activation.entry - late,
                heard_at=utc_now() - timedelta(seconds=40 if late else 0),
                lease_until=utc_now() + timedelta(hours=1),
            )
        )


def test_servers_are_counted_and_the_one_behind_is_named(
    page: Page, url: str, stores: Stores
) -> None:
    follow(stores, "churn@production")
    page.goto(url)
    assert "3 of 3" in page.locator("tr", has_text="churn").inner_text()
    page.goto(f"{url}/models/churn")
    page.get_by_text("3 of 3 servers answer with v2.").wait_for()
    assert page.get_by_role("alert").count() == 0
    Registry(stores).activate("churn/1", "production", override="a test", wait_s=0)
    Registry(stores).activate("churn/2", "production", override="a test", wait_s=0)
    follow(stores, "churn@production", behind=1)
    page.goto(f"{url}/models/churn")
    told = page.get_by_role("alert").inner_text()
    assert "2 of 3 servers answer with v2" in told
    assert "web-0:800 still answers with v1" in told
    page.goto(url)
    assert page.locator(".behind").inner_text() == "2 of 3"


def test_afterwards_the_page_says_what_the_registry_holds(
    page: Page, url: str, stores: Stores
) -> None:
    page.goto(f"{url}/models/churn")
    page.get_by_role("link", name="Roll back to v1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    page.get_by_text("Done: v1 is active.").wait_for()
    page.get_by_role("link", name="Undo").click()
    page.get_by_role("dialog").wait_for()
    there = page.url
    Registry(stores).activate("churn/2", "production", override="somebody else")
    page.goto(there)  # it is not true any more, and not said
    assert page.get_by_text("Done:").count() == 0
    assert "v2 is active" in page.inner_text("main")


def test_the_tasks_of_a_page_take_few_clicks(page: Page, url: str, stores: Stores) -> None:
    clicks: list[str] = []

    def click(role: str, name: str) -> None:
        page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]
        clicks.append(name)

    page.goto(url)  # what is active, by whom and why: no click
    assert "weekly retrain" in page.locator("tr", has_text="churn").inner_text()
    click("link", "fraud")  # who changed it, and why: one click
    assert "slower than before" in page.inner_text("main")
    page.get_by_label("Active at").fill("2001-01-01")  # at a time: the field, and Enter
    page.keyboard.press("Enter")
    page.get_by_text("It held nothing at 2001-01-01").first.wait_for()
    page.goto(url)
    clicks.clear()
    click("link", "fraud")
    click("link", "Compare v6 with active")  # two
    page.get_by_text("On the same rows of four rows").wait_for()
    assert len(clicks) == 2
    page.goto(url)
    clicks.clear()
    click("link", "churn")
    click("link", "Activate v1…")
    page.get_by_role("dialog").get_by_label("Reason").fill("better after all")
    click("button", "Activate")  # three
    page.get_by_text("Done: v1 is active").wait_for()
    assert len(clicks) == 3


def test_twelve_tabs_all_answer(browser: Browser, url: str) -> None:
    with browser.new_context() as context:
        tabs = [context.new_page() for _ in range(12)]
        for tab in tabs:
            tab.goto(f"{url}/models/churn")
        for tab in tabs:
            tab.reload()
            assert "v2 is active" in tab.inner_text("main")
