"""Pages in a real browser on a slow link: 1.6 Mbit/s, 150 ms, a quarter of this machine's speed."""

import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

LINK = {
    "offline": False,
    "latency": 150,  # ms before an answer begins
    "downloadThroughput": 1_600_000 / 8,  # bytes a second
    "uploadThroughput": 750_000 / 8,
}
SLOWER = 4
_LARGEST = """() => new Promise(tell => new PerformanceObserver(
    list => tell(list.getEntries().at(-1).startTime)
).observe({ type: "largest-contentful-paint", buffered: true }))"""


def find_chromium() -> str | None:
    """Return the browser of the system."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            browser.close()


def content_after(browser: Browser, url: str, *, repeats: int) -> float:
    """Return after how many seconds the largest part of a page is painted, in the median.

    Nothing is in a cache: each visit is the first one.
    """
    found = []
    for _ in range(repeats):
        with browser.new_context() as context:
            page = context.new_page()
            tools = context.new_cdp_session(page)
            tools.send("Network.enable")
            tools.send("Network.emulateNetworkConditions", LINK)
            tools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            page.goto(url, wait_until="load")
            found.append(float(page.evaluate(_LARGEST)) / 1000)
    return statistics.median(found)
