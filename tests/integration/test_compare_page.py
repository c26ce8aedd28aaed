"""The page of a comparison and its charts in a real browser: what is said, in which order."""

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page
from sklearn.datasets import load_diabetes, make_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeRegressor
from tests.integration.browser import NEEDS_BROWSER, browsing
from tests.unit.conftest import HOSTILE

import detent
from detent import Registry
from detent.charts.chart import Chart
from detent.comparison.words import headline
from detent.testing.servers import serving
from detent.web.pages import make_site

pytestmark = NEEDS_BROWSER

OVERLAYS = {
    "classes": [
        "ROC: hits and false alarms",
        "Precision at each recall",
        "Calibration: said and happened",
        "Confusion matrix: v2 minus v1",
    ],
    "numbers": ["Residuals: predicted minus true", "Error by tenths of the true value"],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Return a registry of two tasks whose names, of whatever users name, are hostile."""
    code = tmp_path_factory.mktemp("code")
    registry = detent.connect("memory:", user="ana")
    X, y = make_classification(800, 6, n_informative=3, flip_y=0.1, random_state=0)
    labels = np.where(y == 1, HOSTILE, "ham")
    part = np.where(X[:, 0] > 0, HOSTILE, "rest")
    for model in (GaussianNB(), LogisticRegression()):
        model.fit(X[:400], labels[:400])
        version = registry.register("classes", model, note=HOSTILE, code=code)
        slices = {"part": part[400:]}
        for dataset in ("first rows", HOSTILE):
            registry.evaluate(version, X[400:], labels[400:], dataset=dataset, slices=slices)
    other = LogisticRegression(C=0.1).fit(X[:400], labels[:400])
    registry.register("classes", other, note="never evaluated", code=code)
    registry.activate("classes/1", "production", reason=HOSTILE)
    registry.set_policy(
        "classes@production", {"rule": [{"name": "not_worse"}, {"name": "at_least_as_good"}]}
    )
    X, y = load_diabetes(return_X_y=True)
    for model in (Ridge(10.0), DecisionTreeRegressor(max_depth=2, random_state=0)):
        version = registry.register("numbers", model.fit(X[:200], y[:200]), code=code)
        registry.evaluate(version, X[200:], y[200:], dataset="the rest")
    return registry


@pytest.fixture(scope="module")
def url(registry: Registry) -> Iterator[str]:
    with serving(make_site(registry._stores)) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
        page.on("console", lambda said: pytest.fail(said.text) if said.type == "error" else None)
        yield page


def test_the_gate_is_asked_first_and_nothing_is_changed(
    page: Page, url: str, registry: Registry
) -> None:
    before, use = registry.audit(), registry.compare("classes/1", "classes/2").use
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2")
    decision = registry.gate("classes/2", "production")
    held = len(decision.results) - len(decision.failed)
    told = page.get_by_role("region", name="Gate of production").inner_text()
    assert f"production says {decision.outcome}" in told
    assert f"{held} of {len(decision.results)} rules hold" in told
    for result in decision.results:
        assert result.text in told
    assert registry.audit() == before
    assert registry.compare("classes/1", "classes/2").use == use


@pytest.mark.parametrize("model", ["classes", "numbers"])
def test_all_evidence_is_there_in_its_order(
    page: Page, url: str, registry: Registry, model: str
) -> None:
    page.goto(f"{url}/models/{model}/compare?baseline=1&candidate=2")
    comparison = registry.compare(f"{model}/1", f"{model}/2")
    assert headline(comparison) in page.inner_text("main")
    parts = ["Differences", "What they answer", "What went in differently", "How it was compared"]
    if comparison.slices:
        parts.insert(1, "Slices, worst first")
    assert page.get_by_role("heading", level=2).all_inner_texts() == parts
    titles = page.locator("figcaption").all_inner_texts()
    assert titles[-len(OVERLAYS[model]) :] == OVERLAYS[model]
    method = page.get_by_role("region", name="How it was compared").inner_text()
    assert comparison.dataset_digest in method
    assert f"{comparison.n_rows:,}" in method
    named = page.get_by_role("region", name="by slice", exact=False).locator("tbody th")
    shown = [text for text in named.all_inner_texts() if text.startswith("part=")]
    assert shown == [one.slice for one in comparison.slices]
    assert page.locator("main script, main img").count() == 0


def test_names_are_shown_as_they_are(page: Page, url: str) -> None:
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2")
    assert HOSTILE in page.inner_text("main")
    assert page.locator("svg text", has_text=HOSTILE[:8]).count() > 0
    page.get_by_role("link", name="first rows").click()
    page.get_by_text("On the same rows of first rows").wait_for()


def test_a_version_that_was_not_evaluated_is_named(page: Page, url: str) -> None:
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=3")
    told = page.inner_text("main")
    assert f"v3 was not evaluated on {HOSTILE}." in told
    assert "detent evaluate classes/3" in page.locator("pre").inner_text()
    assert page.locator("figure").count() == 0
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2&dataset=other")
    assert "Neither v1 nor v2 was evaluated on other." in page.inner_text("main")


def drawing(page: Page, title: str) -> Locator:
    return page.locator("figure", has=page.get_by_text(title, exact=True))


def test_values_are_told_by_pointer_and_by_arrow_keys(
    page: Page, url: str, registry: Registry
) -> None:
    [chart] = [one for one in charts(registry, "classes") if one.title == OVERLAYS["classes"][0]]
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2")
    figure = drawing(page, chart.title)
    region, output = figure.get_by_role("region").first, figure.locator("output")
    region.focus()
    told = []
    for _ in chart.rows:
        page.keyboard.press("ArrowRight")
        told.append(output.inner_text())
    expected = [
        f"{name}: false positive rate {x}, true positive rate {y}" for name, x, y in chart.rows
    ]
    assert told == expected
    page.keyboard.press("ArrowRight")  # and from the beginning
    page.keyboard.press("ArrowLeft")
    assert output.inner_text() == expected[-1]
    page.keyboard.press("Tab")
    assert output.inner_text() == ""
    matrix = drawing(page, OVERLAYS["classes"][3])
    matrix.locator(".value").first.hover()
    assert matrix.locator("output").inner_text().startswith("true ")


def test_a_chart_is_a_table_and_a_file_too(page: Page, url: str, registry: Registry) -> None:
    page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2&dataset=first rows")
    figures = page.locator("figure")
    for i in range(figures.count()):
        figure = figures.nth(i)
        figure.get_by_text("Show as table").click()
        assert figure.locator("tbody tr").first.is_visible()
        with page.expect_download() as started:
            figure.get_by_role("link", name="Download SVG").click()
        name = started.value.suggested_filename
        assert name.startswith("classes-")
        assert name.endswith(".svg")
        root = ElementTree.parse(started.value.path()).getroot()
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not {"script", "image", "a", "foreignObject"} & tags
        assert root[0].text == figure.locator("figcaption").inner_text()


def test_a_file_has_headers_that_keep_it_harmless(page: Page, url: str) -> None:
    address = f"{url}/models/classes/compare?baseline=1&candidate=2&chart=roc-hits-and-false-alarms"
    answer = page.request.get(address)
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page.request.get(f"{url}/models/classes?chart=none").status == 404


def test_the_page_as_json_has_the_same(page: Page, url: str, registry: Registry) -> None:
    answer = page.request.get(f"{url}/models/classes/compare.json?baseline=1&candidate=2").json()
    comparison = registry.compare("classes/1", "classes/2")
    assert answer["comparison"] == json.loads(msgspec.json.encode(comparison))
    assert [one["title"] for one in answer["overlays"]] == OVERLAYS["classes"]
    assert all(one["spec"]["$schema"] for one in answer["overlays"])


def charts(registry: Registry, model: str) -> list[Chart]:
    report = registry.report(registry.compare(f"{model}/1", f"{model}/2"))
    return list(report.charts)


def test_a_client_of_a_server_gets_the_same_charts(url: str, registry: Registry) -> None:
    there = detent.connect(url, user="ana")
    for model in OVERLAYS:
        assert charts(there, model) == charts(registry, model)
    with pytest.raises(detent.NotFoundError):
        there._operations.charts("numbers", baseline=1, candidate=2)  # of the other model
    there.close()


@pytest.mark.parametrize("width", [320, 1080])
def test_charts_fit_the_page_or_scroll_in_their_frame(
    browser: Browser, url: str, width: int
) -> None:
    with browser.new_context(viewport={"width": width, "height": 700}) as context:
        page = context.new_page()
        for path in ("compare?baseline=1&candidate=2", ""):
            page.goto(f"{url}/models/classes/{path}".rstrip("/"))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            frames: list[Any] = page.locator(".drawing").evaluate_all(
                "all => all.map(one => [one.clientWidth, one.scrollWidth])"
            )
            assert frames != []
            assert all(frame[0] <= width for frame in frames)
            if width > 1000:
                assert all(inside <= frame for frame, inside in frames)


def test_without_scripts_the_charts_say_all(browser: Browser, url: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/models/classes/compare?baseline=1&candidate=2")
        titles = page.locator("svg .value > title").all_text_contents()
        assert any(title.startswith("v2 (candidate): recall") for title in titles)
        page.get_by_text("Show as table").first.click()
        assert page.locator("figure tbody tr").first.is_visible()
