"""A report looks right in a real browser: light and dark, wide and narrow, without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from tests.integration.browser import NEEDS_BROWSER, browsing

import detent

pytestmark = NEEDS_BROWSER
HOSTILE = "</svg><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    registry = detent.connect("memory:", user="ana")
    X, y = make_classification(1000, 6, n_informative=3, flip_y=0.1, random_state=0)
    for model in (GaussianNB(), LogisticRegression()):
        version = registry.register("churn", model.fit(X[:500], y[:500]), code=folder)
        parts = [HOSTILE if i % 2 else "an unbroken name of a slice " * 3 for i in range(500)]
        registry.evaluate(version, X[500:], y[500:], dataset=HOSTILE, slices={"part": parts})
    path = folder / "report.html"
    path.write_text(registry.report(registry.compare("churn/1", "churn/2")).to_html(), "utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_is_quiet_and_can_be_read(
    browser: Browser, report: Path, scheme: str, width: int
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == [report.as_uri()]
    assert said == []
    assert page.title().endswith(HOSTILE)
    assert page.locator("script, img").count() == 0
    assert page.locator("svg").count() == page.locator("svg > title").count() >= 5
    assert contrast(page, "p") >= 4.5
    assert contrast(page, "figcaption") >= 4.5
    assert contrast(page, "svg text") >= 4.5
    page.close()


def test_tables_open_by_keyboard(browser: Browser, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    details = page.locator("details").first
    assert not details.locator("table").is_visible()
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.locator("table").is_visible()
    page.close()


def contrast(page: Page, selector: str) -> float:
    """Return the contrast of an element's text on the page, as WCAG 2 defines it."""
    ratio: float = page.evaluate(
        """selector => {
            const light = colour => {
                const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
                    .map(p => p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4)
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
            }
            const style = getComputedStyle(document.querySelector(selector))
            const text = light(selector.startsWith('svg') ? style.fill : style.color)
            const paper = light(getComputedStyle(document.body).backgroundColor)
            return (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05)
        }""",
        selector,
    )
    return ratio
