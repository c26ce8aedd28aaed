"""The ten things that people come for, with the clicks that they take from the first page.

Two of them no page does: registering (lineage needs the code that trained) and serving (servers
follow the alias by themselves). There the page says what does.
"""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page
from tests.integration.browser import NEEDS_BROWSER, Clicks

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site

pytestmark = NEEDS_BROWSER


@pytest.fixture
def registry(stores: Stores) -> Registry:
    """Return a registry with `fraud`, which has a policy, evaluations and a past."""
    return live_through_everything(stores)


@pytest.fixture
def click(page: Page, url: str, registry: Registry) -> Clicks:
    page.goto(url)
    return Clicks(page)


def test_1_registering_is_told_where_nothing_is_registered(page: Page) -> None:
    empty = stores_on(SqliteMetadata(None), MemoryBlobs())
    with serving(make_site(empty)) as url:
        page.goto(url)
        assert '.register("wine", model)' in page.inner_text("main pre")


def test_2_what_is_active_takes_no_click(click: Clicks) -> None:
    row = click.page.locator("tr", has_text="churn").inner_text()
    for word in ("production", "v2", "ana", "weekly retrain", "UTC"):
        assert word in row
    assert click.n == 0


def test_3_comparing_with_the_active_version_takes_two(click: Clicks) -> None:
    click("link", "fraud")
    click("link", "Compare v6 with active")
    click.page.wait_for_url("**/compare?baseline=3&candidate=6")
    assert "v6" in click.page.inner_text("main")
    assert click.n == 2


def test_4_activating_takes_three(click: Clicks, registry: Registry) -> None:
    click("link", "churn")
    click("link", "Activate v1…")
    dialog = click.page.get_by_role("dialog")
    click("button", "Activate", within=dialog)
    click.page.get_by_text("Done: v1 is active").wait_for()
    assert registry.version("churn@production").number == 1
    assert click.n == 3


def test_5_rolling_back_takes_three(click: Clicks, registry: Registry) -> None:
    click("link", "churn")
    click("link", "Roll back to v1")
    dialog = click.page.get_by_role("dialog")
    assert "v2 → v1" in dialog.inner_text()
    assert "v1 was active for" in dialog.inner_text()
    click("button", "Roll back", within=dialog)
    click.page.get_by_text("Done: v1 is active").wait_for()
    assert registry.version("churn@production").number == 1
    assert click.n == 3


def test_6_what_was_active_takes_one_and_a_time(click: Clicks, registry: Registry) -> None:
    click("link", "churn")
    first = [entry for entry in registry.history("churn@production") if hasattr(entry, "kind")][-1]
    field = click.page.get_by_label("Active at")
    field.fill(f"{first.at + timedelta(microseconds=1):%Y-%m-%d %H:%M:%S.%f}")
    field.press("Enter")
    click.page.get_by_text("It was v1 at").wait_for()
    assert click.n == 1


def test_7_who_changed_it_and_why_takes_one(click: Clicks) -> None:
    click("link", "churn")
    told = click.page.get_by_role("region", name="History of churn@production").inner_text()
    assert re.search(r"v2\tana\tactivate\tweekly retrain", told)
    assert click.n == 1


def test_8_trying_a_version_takes_four(click: Clicks, registry: Registry) -> None:
    click("link", "churn")
    click("link", "Roll out…")
    dialog = click.page.get_by_role("dialog")
    dialog.get_by_role("radio", name=re.compile("^v1")).click()
    click.n += 1
    click("button", "Start", within=dialog)
    click.page.get_by_role("heading", name="shadow").wait_for()
    assert registry.rollout("churn@production").candidate == 1
    assert click.n == 4


def test_9_servers_follow_by_themselves(click: Clicks) -> None:
    click("link", "churn")
    click("link", "v2")
    assert "detent serve churn@production" in click.page.inner_text("main")


def test_10_rebuilding_is_a_line_to_copy(click: Clicks) -> None:
    click("link", "churn")
    click("link", "v1")
    lines = click.page.locator("main pre").all_inner_texts()
    assert "detent reproduce churn/1" in lines
    assert not any("detent serve" in line for line in lines)  # it is active nowhere
