"""A real browser for tests: Debian's `chromium`, or the one that CHROMIUM names."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
NEEDS_BROWSER = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install chromium to test the pages"),
]
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
_AXE = "4.14.1"
# What somebody may write as a note, a reason or a name: it is shown as text.
EVIL = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>"


@contextmanager
def browsing() -> Iterator[Browser]:
    """Give a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


class Clicks:
    """A page on which clicks are counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.n = 0

    def __call__(self, role: Any, name: str, *, within: Any = None) -> None:
        """Click what has a role and a name, once it is there."""
        place = self.page if within is None else within
        place.get_by_role(role, name=name, exact=True).first.click()
        self.n += 1


def axe_script() -> str:
    """Return the script of axe-core, fetched once into the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "detent-tests"
    script = folder / f"axe-{_AXE}.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("NOT TESTED: axe needs npm to fetch axe-core")
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "pack", "--silent", f"axe-core@{_AXE}"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"NOT TESTED: axe-core could not be fetched: {error}")
        with tarfile.open(folder / f"axe-core-{_AXE}.tgz") as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            script.write_bytes(member.read())
    return script.read_text(encoding="utf-8")


def violations(page: Page, axe: str) -> list[tuple[str, list[str]]]:
    """Return what axe finds on a page: each rule with the elements that break it."""
    page.evaluate(axe)
    found = page.evaluate("axe.run().then(r => r.violations)")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
