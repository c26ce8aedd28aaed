"""Whatever users name: pages, charts and downloads show it as text, and run none of it."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import pytest
import urllib3
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from tests.unit.conftest import HOSTILE

import detent
from detent import OwnMetric, RefusedError, Registry
from detent.testing.servers import serving
from detent.web.pages import make_site

PAGES = [
    "/",
    f"/?search={quote(HOSTILE)}",
    "/models/m",
    f"/models/m?search={quote(HOSTILE)}&at={quote(HOSTILE)}",
    "/models/m/1",
    "/models/m/compare?baseline=1&candidate=2",
    f"/models/m/compare?baseline=1&candidate=2&dataset={quote(HOSTILE)}",
    f"/models/m/compare?baseline=1&candidate=2&dataset={quote(HOSTILE + '?')}",
    f"/models/m/compare?baseline={quote(HOSTILE)}&candidate=2",
    f"/models/m/compare?baseline=1&candidate=2&chart={quote(HOSTILE)}",
    "/models/m/2/activate",
    f"/models/m/2/activate?alias={quote(HOSTILE)}",
    "/models/m/aliases/production/rollback",
    "/audit",
    f"/audit?by={quote(HOSTILE)}",
    f"/models/{quote(HOSTILE, safe='')}",
    f"/sign-in?next={quote('//evil.example')}",
]
OURS = {"/static/page.js"}


class Tags(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    code = tmp_path_factory.mktemp("code")
    registry = detent.connect("memory:", user=HOSTILE)
    X, y = make_classification(400, 6, n_informative=3, flip_y=0.1, random_state=0)
    labels = np.where(y == 1, HOSTILE, "ham")
    own = OwnMetric(name=HOSTILE, function=lambda t, p: 1.0 * (t == p), greater_is_better=True)
    for model in (GaussianNB(), LogisticRegression()):
        model.fit(X[:200], labels[:200])
        version = registry.register("m", model, note=HOSTILE, code=code)
        registry.evaluate(
            version,
            X[200:],
            labels[200:],
            dataset=HOSTILE,
            metrics=[own, "roc_auc"],
            slices={HOSTILE: np.where(X[200:, 0] > 0, HOSTILE, "rest")},
            ids=[f"{HOSTILE} {i}" for i in range(200)],
        )
    registry.activate("m/1", "production", reason=HOSTILE)
    registry.activate("m/2", "production", reason=HOSTILE)
    registry.rollback("m@production", reason=HOSTILE, hold=True)
    registry.set_policy("m@production", {"rule": [{"name": "not_worse", "metric": HOSTILE}]})
    with pytest.raises(RefusedError):
        registry.activate("m/2", "production", reason=HOSTILE)
    registry.withdraw(registry.register("m", GaussianNB().fit(X, y), code=code), reason=HOSTILE)
    return registry


@pytest.fixture(scope="module")
def url(registry: Registry) -> Iterator[str]:
    with serving(make_site(registry._stores)) as url:
        yield url


def get(url: str, path: str) -> Any:
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("GET", url + path, redirect=False)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_holds_no_element_and_no_attribute_of_a_user(url: str, path: str) -> None:
    answer = get(url, path)
    assert answer.status < 500
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if answer.headers["Content-Type"] == "application/problem+json":
        return  # no such page: browsers show it as the text it is
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = Tags(answer.data.decode())
    for tag, attributes in page.found:
        assert tag not in ("img", "iframe", "object", "embed", "foreignobject", "base"), tag
        assert not any(name.startswith("on") for name in attributes), attributes
        if tag == "script":
            assert attributes.get("src") in OURS
        for name in ("href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "?", "#", "data:image/svg+xml,"))
    assert "alert(1)" not in "".join(str(dict(a)) for t, a in page.found if t == "script")


@pytest.mark.parametrize(
    "path", ["/models/m", "/models/m/1", "/models/m/compare?version=2&version=1"]
)
def test_the_text_is_shown_as_it_is(url: str, path: str) -> None:
    assert HOSTILE in Tags(get(url, path).data.decode()).text


def test_charts_that_are_downloaded_hold_text_only(url: str) -> None:
    page = Tags(get(url, "/models/m/compare?baseline=1&candidate=2").data.decode())
    links = [a["href"] or "" for t, a in page.found if t == "a" and "download" in a]
    assert len(links) >= 5
    texts = ""
    for link in links:
        answer = get(url, f"/models/m/compare{link}")
        assert answer.status == 200, link
        assert answer.headers["Content-Type"].startswith("image/svg+xml")
        name = answer.headers["Content-Disposition"]
        assert name.startswith('attachment; filename="m-')
        assert not {"<", ">", "\n"} & set(name)
        root = ElementTree.fromstring(answer.data)
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not {"script", "image", "a", "foreignObject"} & tags
        assert not any(key.startswith("on") for one in root.iter() for key in one.attrib)
        texts += "".join(root.itertext())
    assert HOSTILE in texts


def test_files_of_versions_are_sent_as_attachments(url: str, registry: Registry) -> None:
    for file in registry.show("m/1").manifest.files:
        answer = get(url, f"/api/v1/blobs/{file.digest}")
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_reports_hold_text_only(registry: Registry, tmp_path: Path) -> None:
    report = registry.report(registry.compare("m/1", "m/2"))
    page = Tags(report.to_html())
    assert not {"script", "img", "iframe"} & {tag for tag, _ in page.found}
    assert HOSTILE in page.text
    assert "<script" not in report.to_markdown()
