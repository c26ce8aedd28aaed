"""A report says the verdict first, shows all evidence, and keeps text of users as text."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from tests.unit.conftest import HOSTILE

import detent
from detent.comparison.words import headline, ranking_headline
from detent.reports.markdown import escape
from detent.reports.markup import element


class Page(HTMLParser):
    """The elements of a page, and their text by the element it stands in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts.setdefault(tag, []).append(data)

    def text(self, tag: str) -> str:
        return "".join(self.texts.get(tag, []))


def test_the_verdict_comes_first_and_the_evidence_after_it(
    registry_of_task: detent.Registry,
) -> None:
    comparison = registry_of_task.compare("m/1", "m/2")
    report = registry_of_task.report(comparison)
    page = Page(report.to_html())
    assert page.text("h1").endswith(headline(comparison))
    assert [title for title in page.texts["h2"] if title.startswith(("Diff", "What", "How"))] == [
        "Differences",
        "What they answer",
        "What went in differently, from v1 to v2",
        "How it was compared",
    ]
    assert page.tags.count("svg") >= 3
    assert page.tags.count("details") == page.tags.count("summary") >= 2
    for difference in comparison.differences:
        assert difference.metric in page.texts["th"]
    assert comparison.dataset_digest in page.text("code")
    assert report.to_html() == report.to_html()
    assert repr(report).startswith("<Report of <Comparison m/1")


def test_a_page_runs_nothing_and_fetches_nothing(registry_of_task: detent.Registry) -> None:
    report = registry_of_task.report(registry_of_task.compare("m/1", "m/2"))
    page = Page(report.to_html())
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href")}
    assert not re.search(r"@import|url\(", page.text("style"))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_text_of_users_stays_text(two_classes: detent.Registry) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    page = Page(two_classes.report(comparison).to_html())
    assert HOSTILE in page.text("h1")
    assert f"part={HOSTILE}" in page.texts["th"]
    assert comparison.newly_wrong_rows[0] in page.text("p")
    shown = comparison._repr_html_() + two_classes.version("m/1")._repr_html_()
    assert "script" not in Page(shown).tags
    assert HOSTILE in Page(shown).text("td")


def test_without_vl_convert_tables_stand_in_place_of_charts(
    two_classes: detent.Registry, without: Callable[[str], None]
) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    without("vl_convert")
    page = Page(two_classes.report(comparison).to_html())
    assert "svg" not in page.tags
    assert "detent[charts]" in page.text("p")
    assert page.attributes.count(("open", "")) == page.tags.count("details") >= 4
    assert "false positive rate" in page.texts["th"]
    assert "svg" not in Page(comparison._repr_html_()).tags


def test_a_ranking_is_a_page_and_markdown_too(two_classes: detent.Registry) -> None:
    ranking = two_classes.rank("m/1", ["m/2", "m/1"])
    report = two_classes.report(ranking)
    page = Page(report.to_html())
    assert page.text("h1").endswith(ranking_headline(ranking))
    assert {"v1", "v2"} <= set(page.texts["th"])
    assert "| v2 | accuracy |" in report.to_markdown()


def test_markdown_says_the_verdict_and_escapes_names(two_classes: detent.Registry) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    markdown = two_classes.report(comparison).to_markdown()
    assert markdown.startswith("### ")
    assert escape(headline(comparison)) in markdown.splitlines()[0]
    assert "<script" not in markdown
    assert "@ana" not in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert cells <= {3, 5, 7}  # of changes, slices, differences: no name adds one


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\tb"])
def test_markdown_of_a_name_is_one_line(text: str) -> None:
    assert escape(text) == "a b"


def test_attributes_are_escaped() -> None:
    assert Page(element("p", "x", title=HOSTILE)).attributes == [("title", HOSTILE)]


def test_a_report_needs_the_registry_it_came_from(two_classes: detent.Registry) -> None:
    comparison = two_classes.compare("m/1", "m/2")
    with pytest.raises(detent.NotFoundError):
        detent.connect("memory:").report(comparison)
