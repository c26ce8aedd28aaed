"""The audit page: whether the chain is whole, events as the address asks, and the same as files."""

import csv
import io
import re
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.integration.browser import NEEDS_BROWSER, violations
from tests.serving.conftest import wait_until

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import utc_now
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving
from detent.web import chain
from detent.web.chain import ChainCheck
from detent.web.pages import make_site

pytestmark = NEEDS_BROWSER


def test_events_say_who_what_and_why(page: Page, url: str, registry: Registry) -> None:
    registry.rollback("churn@production", reason="error rate doubled")
    page.goto(f"{url}/audit")
    row = page.get_by_role("row").nth(1)
    told = row.inner_text().split("\t")
    assert told[2:] == [
        "ana",
        "alias rolled back",
        "churn@production",
        "v2 → v1",
        "error rate doubled",
        "–",
    ]
    n = len(registry.audit())
    page.get_by_text(
        re.compile(rf"^{n} events, chain unbroken since .* checked \d+ s ago")
    ).wait_for()
    assert page.title() != "owned"


def test_filters_stand_in_the_address(page: Page, url: str, registry: Registry) -> None:
    Registry(registry._stores.acting_as("bo")).hold("churn@production", reason="a holiday")
    page.goto(f"{url}/audit")
    page.get_by_label("By").fill("bo")
    page.get_by_role("button", name="Filter").click()
    assert "by=bo" in page.url
    rows = page.get_by_role("region", name="Events").get_by_role("row")
    assert rows.count() == 2
    page.get_by_label("What").select_option("AliasActivated")
    page.get_by_role("button", name="Filter").click()
    assert page.get_by_text("Nothing has happened in this range.").count() == 1
    page.get_by_role("link", name="Show all").click()
    assert rows.count() == len(registry.audit()) + 1
    page.goto(f"{url}/audit?since=2001-01-01&until=2001-01-02")
    page.get_by_text("Nothing has happened in this range.").wait_for()
    page.goto(f"{url}/audit?since=whenever")
    assert "whenever" in page.get_by_role("alert").inner_text()
    assert page.request.get(f"{url}/audit/events.csv?below=soon").status == 422
    assert page.request.get(f"{url}/audit?type=Nothing").status == 422


def test_files_hold_exactly_what_was_asked_for(page: Page, url: str, stores: Stores) -> None:
    registry = live_through_everything(stores)
    evil = Registry(stores.acting_as("=HYPERLINK(1)"))
    evil.note("fraud/1", '@SUM(1+1)\n"quoted", and more')
    for query in ("", "by=ana&type=AliasActivated", "since=2001-01-01", "until=2001-01-01"):
        asked: Any = dict(part.split("=") for part in query.split("&") if part)
        seqs = [event.seq for event in registry.audit(**asked)]
        as_json = page.request.get(f"{url}/audit/events.json?{query}")
        assert [event["seq"] for event in as_json.json()] == seqs
        as_csv = page.request.get(f"{url}/audit/events.csv?{query}")
        rows = list(csv.DictReader(io.StringIO(as_csv.text())))
        assert [int(row["seq"]) for row in rows] == seqs
        assert [row["digest"] for row in rows] == [e["digest"] for e in as_json.json()]
        for answered in (as_json, as_csv):
            assert "attachment" in answered.headers["content-disposition"]
            assert answered.headers["x-content-type-options"] == "nosniff"
    # Nothing that a spreadsheet would run.
    rows = list(csv.DictReader(io.StringIO(page.request.get(f"{url}/audit/events.csv").text())))
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert rows[0]["by"] == "'=HYPERLINK(1)"


def test_a_long_journal_is_read_page_by_page(page: Page, url: str, stores: Stores) -> None:
    registry = Registry(stores)
    for number in range(1150):
        registry.note("churn/1", f"note {number}")
    newest = len(registry.audit())
    page.goto(f"{url}/audit")
    cells = page.get_by_role("region", name="Events").locator("tbody tr td:first-child")
    assert cells.all_inner_texts() == [str(newest - i) for i in range(200)]
    page.get_by_role("link", name="Older").click()
    assert cells.first.inner_text() == str(newest - 200)
    assert f"below={newest - 199}" in page.url
    told = page.request.get(f"{url}/audit/events.json?by=ana").json()
    # The registry was made by whoever opened it, before ana came.
    assert [event["seq"] for event in told] == list(range(newest, 1, -1))


def test_a_broken_chain_is_told(page: Page, tmp_path: Path) -> None:
    stores = stores_on(SqliteMetadata(tmp_path / "detent.db"), MemoryBlobs())
    register_bytes(stores, "churn", b"1")
    with sqlite3.connect(tmp_path / "detent.db") as db:
        db.execute("UPDATE journal SET actor = 'somebody' WHERE seq = 2")
    db.close()
    with serving(make_site(stores)) as url:
        page.goto(f"{url}/audit")
        told = page.get_by_role("alert").inner_text()
    assert "The chain is broken" in told
    assert "event 2 (VersionRegistered) was altered" in told
    stores.metadata.close()


def test_the_chain_is_not_checked_at_every_look(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = ChainCheck(stores)
    first = check.look(wait_s=60)
    assert first is not None
    assert first.report.is_unbroken
    Registry(stores).note("churn/1", "another event")
    assert check.look(wait_s=60) is first
    monkeypatch.setattr(chain, "LEAST_S", 0.0)
    monkeypatch.setattr(chain, "_SHARE", 0)
    other = ChainCheck(stores)
    before = other.look(wait_s=60)
    wait_until(lambda: other.look(wait_s=60) is not before)  # meanwhile the last one is told
    newest = other.look(wait_s=60)
    assert newest is not None
    assert before is not None
    assert newest.at - before.at > timedelta(0)
    assert newest.at <= utc_now()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_by_all(browser: Browser, url: str, axe: str, scheme: Any) -> None:
    with browser.new_context(color_scheme=scheme, bypass_csp=True) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 320, "height": 640})
        for query in ("", "?since=2001&until=2002", "?by=nobody"):
            page.goto(f"{url}/audit{query}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
            assert violations(page, axe) == []
