"""The parts of a page: charts with their tables, tables that scroll, lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detent.charts.chart import Chart
from detent.charts.draw import can_draw, draw
from detent.reports.markup import Cell, Markup, element, table

_MOST = 8  # facts of one name that are shown unfolded


def charts(found: Iterable[Chart]) -> Markup:
    """Return charts side by side, each with its table folded under it; open where none is drawn."""
    return element(
        "div",
        *(_figure(chart, _folded("Show as table", _table_of(chart))) for chart in found),
        class_="charts",
    )


def beside(chart: Chart | None, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """Return a table that says all that a chart shows, and the chart beside it if it is drawn."""
    is_shown = chart is not None and can_draw()
    return element(
        "div",
        _figure(chart, None) if chart is not None and is_shown else None,
        scrolling(table(header, rows), name=f"by {header[0]}"),
        class_="beside",
    )


def facts(found: Iterable[tuple[str, Cell]]) -> Markup:
    """Return a list of names and what is so; many of one name are folded."""
    by_name: dict[str, list[Cell]] = {}
    for name, text in found:
        by_name.setdefault(name, []).append(text)
    terms: list[Markup] = []
    for name, texts in by_name.items():
        terms.append(element("dt", name))
        lines = [element("div", text) for text in texts]
        if len(lines) > _MOST:
            lines = [_folded(f"{len(lines)} differences", *lines)]
        terms.append(element("dd", *lines))
    return element("dl", *terms)


def scrolling(content: Markup, *, name: str) -> Markup:
    """Return a frame that scrolls where its content is too wide, by keyboard too."""
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=name)


def _figure(chart: Chart, folded: Markup | None) -> Markup:
    return element(
        "figure",
        element("h3", chart.title),
        Markup(draw(chart)) if can_draw() else None,
        element("figcaption", chart.description if folded else chart.caption or chart.description),
        folded,
    )


def _table_of(chart: Chart) -> Markup:
    return scrolling(table(chart.header, chart.rows), name=chart.title)


def _folded(summary: str, *content: Markup) -> Markup:
    is_open = None if can_draw() else ""
    return element("details", element("summary", summary), *content, open=is_open)
