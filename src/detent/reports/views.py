"""What a notebook shows of values, and how they become data frames, specifications and JSON.

Nothing here styles the page it stands in: colours and fonts are those of the notebook, and a saved
notebook needs neither scripts nor a network to show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

from detent.charts import differences, over_time
from detent.charts.chart import Chart
from detent.charts.draw import can_draw, draw
from detent.comparison.words import (
    headline,
    interval_text,
    mark,
    number_text,
    ranking_headline,
    verdict_text,
)
from detent.domain.alias import Activation, History
from detent.domain.clock import format_time
from detent.domain.evidence import Comparison, Decision, Evaluation, Metric, Ranking
from detent.domain.version import Version, format_size
from detent.errors import InvalidError
from detent.reports.markup import Markup, element, table

_CELL = "text-align:left;vertical-align:top;padding:.2em 1em .2em 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A value as it is shown: a heading, a table and perhaps a chart; and as it is: records."""

    heading: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    records: list[dict[str, Any]]
    chart: Chart | None = field(default=None)


def to_html(value: Any) -> str:
    """Return a heading, the chart if it can be drawn, and a table."""
    view = view_of(value)
    chart = (
        element("div", Markup(draw(view.chart)), style="margin:.5em 0;max-width:100%")
        if view.chart is not None and can_draw()
        else None
    )
    return element(
        "div",
        element("div", view.heading, style="font-weight:600"),
        chart,
        element("div", table(view.header, view.rows, style=_CELL), style="overflow-x:auto"),
        class_="detent",
    )


def to_chart(value: Any) -> dict[str, Any]:
    """Return the specification of a value's chart.

    Raises
    ------
    InvalidError
        If there is nothing to draw.
    """
    chart = view_of(value).chart
    if chart is None:
        raise InvalidError(f"there is nothing to draw in {value!r}: it has no interval or entry")
    return chart.spec


def to_frame(value: Any) -> Any:
    """Return a pandas data frame of a value's records.

    Raises
    ------
    InvalidError
        If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise InvalidError(
            "a data frame needs pandas, which is not installed", hint="pip install 'detent[data]'"
        ) from None
    return pd.DataFrame.from_records(view_of(value).records)


def to_json(value: Any) -> str:
    """Return JSON with sorted names, times in UTC."""
    import msgspec

    return msgspec.json.encode(value, order="deterministic").decode()


@singledispatch
def view_of(value: Any) -> View:
    """Return how a value is shown.

    Raises
    ------
    TypeError
        If it is none of those that are.
    """
    raise TypeError(f"{type(value).__name__} is not shown as a table")


@view_of.register
def _version(value: Version) -> View:
    facts = {
        "format": value.format,
        "size": format_size(value.size_bytes),
        "registered": f"{format_time(value.created_at)} UTC by {value.created_by}",
        "code": value.code,
        "data": value.data,
        "active in": ", ".join(value.active_in),
        "withdrawn": value.withdrawn,
        "note": value.note,
    }
    return View(
        heading=value.name,
        header=("", ""),
        rows=[(name, text) for name, text in facts.items() if text],
        records=[_record(value)],
    )


@view_of.register
def _history(value: History) -> View:
    name = f"{value[0].model}@{value[0].alias}" if value else "an alias"
    rows = []
    for one in value:
        if isinstance(one, Activation):
            version = f"v{one.version}" if one.version else "nothing"
            how, why = str(one.kind), one.reason or "(no reason given)"
        else:
            version, how, why = f"v{one.version}", "refused", f"{one.outcome}: {one.why}"
        rows.append((format_time(one.at), version, how, one.by, why))
    return View(
        heading=f"{name}: {len(value)} entries, newest first" if value else "nothing yet",
        header=("when (UTC)", "version", "how", "by", "why"),
        rows=rows,
        records=[_record(one) for one in value],
        chart=over_time.timeline(value, now=datetime.now(UTC)),
    )


@view_of.register
def _evaluation(value: Evaluation) -> View:
    return View(
        heading=f"{value.model}/{value.version} on {value.dataset} ({value.n_rows:,} rows)",
        header=("metric", "value", "interval", "n"),
        rows=[(m.name, number_text(m.value), _interval(m), f"{m.n:,}") for m in value.metrics],
        records=[_record(metric) for metric in value.metrics],
    )


@view_of.register
def _comparison(value: Comparison) -> View:
    return View(
        heading=headline(value),
        header=("metric", f"v{value.baseline}", f"v{value.candidate}", "difference", "verdict"),
        rows=[
            (
                d.metric,
                number_text(d.baseline),
                number_text(d.candidate),
                interval_text(d),
                f"{mark(d)} {verdict_text(d)}",
            )
            for d in value.differences
        ],
        records=[_record(d) | {"difference": d.value} for d in value.differences],
        chart=differences.forest(value),
    )


@view_of.register
def _ranking(value: Ranking) -> View:
    mains = [(one.candidate, one.differences[0]) for one in value.comparisons if one.differences]
    return View(
        heading=ranking_headline(value),
        header=("candidate", "metric", "difference", "verdict"),
        rows=[
            (f"v{number}", d.metric, interval_text(d), f"{mark(d)} {verdict_text(d)}")
            for number, d in mains
        ],
        records=[{"version": number, **_record(d), "difference": d.value} for number, d in mains],
        chart=differences.candidates(value),
    )


@view_of.register
def _decision(value: Decision) -> View:
    passed = len(value.results) - len(value.failed)
    name = "a decision that was only asked for" if value.id is None else f"decision {value.id}"
    over = f"; overridden: {value.override}" if value.override else ""
    return View(
        heading=f"{value.outcome}: {passed} of {len(value.results)} rules hold for"
        f" {value.model}/{value.candidate} as {value.alias} ({name}){over}",
        header=("rule", "answer", "why"),
        rows=[(result.rule, str(result.outcome), result.text) for result in value.results],
        records=[_record(result) for result in value.results],
    )


def _record(value: Any) -> dict[str, Any]:
    import msgspec

    record: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return record


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return "-"
    return f"[{number_text(metric.low)}, {number_text(metric.high)}]"
