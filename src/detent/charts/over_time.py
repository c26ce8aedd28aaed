"""What became of versions: a metric from version to version, and what was active when."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from detent.charts.chart import (
    CANDIDATE,
    DASHES,
    INK,
    WIDE,
    WORSE,
    Chart,
    Spec,
    specification,
    value_mark,
)
from detent.comparison.words import number_text
from detent.domain.alias import Activation, ActivationKind, Refusal
from detent.domain.clock import format_time
from detent.domain.evidence import Evaluation, Metric
from detent.domain.version import newest_of_each

MOST_VERSIONS = 30  # the newest, of one chart
_TIMES = {
    "year": "%Y",
    "month": "%b %Y",
    "week": "%-d %b",
    "date": "%-d %b",
    "day": "%-d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": ":%S",
    "milliseconds": ".%L",
}
_SHORTEST = timedelta(minutes=1)  # of a timeline: its axis has no names for less


def metric_over_versions(
    evaluations: Sequence[Evaluation], metric: str, *, active: Collection[int] = ()
) -> Chart | None:
    """Return one metric from version to version, with its intervals.

    Where the rows change there is a gap and a label: values on different rows are never joined.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Of one model, newest first, as `Registry.evaluations` returns them: the newest of each
        version counts.
    metric : str
        Its name.
    active : collection of int, optional
        Versions that are active somewhere: their points are filled.

    Returns
    -------
    Chart or None
        None where no evaluation has that metric.
    """
    newest = newest_of_each(
        evaluation
        for evaluation in evaluations
        if any(one.name == metric and math.isfinite(one.value) for one in evaluation.metrics)
    )
    shown = [newest[version] for version in sorted(newest)[-MOST_VERSIONS:]]
    points = [(evaluation, evaluation[metric]) for evaluation in shown]
    if not points:
        return None
    values: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    previous, segment = None, 0
    for evaluation, one in points:
        name = f"v{evaluation.version}"
        if evaluation.dataset_digest != previous:
            segment += 1
            changes.append({"version": name, "label": evaluation.dataset})
            previous = evaluation.dataset_digest
        values.append(
            {
                "version": name,
                "told": f"{name}: {_measured(one)} on {evaluation.dataset}",
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "segment": segment,
                "fill": CANDIDATE if evaluation.version in active else "transparent",
            }
        )
    title = f"{metric} from version to version"
    last = points[-1]
    description = (
        f"The newest, v{last[0].version}, has {number_text(last[1].value)} on {last[0].dataset}."
        + (" The rows change where the line is broken." if segment > 1 else "")
    )
    x = {
        "field": "version",
        "type": "nominal",
        "sort": [value["version"] for value in values],
        "axis": {"title": "version", "labelAngle": 0, "labelOverlap": True},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"zero": False, "nice": True},
        "axis": {"title": metric, "tickCount": 5},
    }
    data = {"values": values}
    circles = value_mark(type="point", stroke=CANDIDATE, size=50, opacity=1)
    circles["encoding"] |= {
        "x": x,
        "y": y,
        "fill": {"field": "fill", "type": "nominal", "scale": None},
    }
    layers: list[Spec] = [
        {
            "data": data,
            "mark": {"type": "line", "color": CANDIDATE, "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "detail": {"field": "segment", "type": "nominal"}},
        },
        {
            "data": {"values": [value for value in values if value["low"] is not None]},
            "mark": {"type": "rule", "color": CANDIDATE, "strokeWidth": 2, "opacity": 0.6},
            "encoding": {
                "x": x,
                "y": {"field": "low", "type": "quantitative"},
                "y2": {"field": "high"},
            },
        },
        {"data": data, **circles},
        {
            "data": {"values": changes},
            "mark": {
                "type": "text",
                "align": "left",
                "angle": 0,
                "baseline": "bottom",
                "color": INK,
                "fontSize": 10,
                "limit": 90,
            },
            "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "label", "type": "nominal"}},
        },
    ]
    return Chart(
        title=title,
        description=description,
        spec=specification(
            {"width": WIDE, "height": 160, "layer": layers}, title=title, description=description
        ),
        header=("version", metric, "interval", "dataset", "rows"),
        rows=tuple(
            (
                f"v{e.version}",
                number_text(m.value),
                _interval(m) or "-",
                e.dataset,
                f"{e.n_rows:,}",
            )
            for e, m in points
        ),
    )


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return ""
    return f"[{number_text(metric.low)}, {number_text(metric.high)}]"


def _measured(metric: Metric) -> str:
    return f"{metric.name} {number_text(metric.value)} {_interval(metric)}".rstrip()


def timeline(history: Sequence[Activation | Refusal], *, now: datetime) -> Chart | None:
    """Return what an alias has held: one bar an activation; those made by a rollback marked ▲.

    Parameters
    ----------
    history : sequence of Activation or Refusal
        Newest first, as `Registry.history` returns it.
    now : datetime
        Where the bar of the active version ends.

    Returns
    -------
    Chart or None
        None where nothing was ever active.
    """
    entries = [one for one in history if isinstance(one, Activation)][::-1]
    ends = [*(entry.at for entry in entries[1:]), now][: len(entries)]
    bars = [
        (entry, end) for entry, end in zip(entries, ends, strict=True) if entry.version is not None
    ]
    if not bars:
        return None
    newest = entries[-1]
    values = [
        {
            "version": f"v{entry.version}",
            "told": f"v{entry.version} from {format_time(entry.at)}"
            f" {'on' if entry is newest else f'until {format_time(end)}'} (UTC),"
            f" {entry.kind} by {entry.by}",
            "from": _utc(entry.at),
            "to": _utc(end),
            "outline": WORSE if entry.kind is ActivationKind.ROLLBACK else CANDIDATE,
            "dashes": DASHES if entry.kind is ActivationKind.ROLLBACK else [1, 0],
        }
        for entry, end in bars
    ]
    returns = [
        {"version": f"v{entry.version}", "from": _utc(entry.at)}
        for entry, _ in bars
        if entry.kind is ActivationKind.ROLLBACK
    ]
    until = max(now, bars[0][0].at + _SHORTEST)
    title = f"What {newest.name} has held"
    held = f"v{newest.version}" if newest.version else "nothing"
    description = f"Since {format_time(newest.at)} UTC it holds {held}; ▲ marks a rollback."
    y = {
        "field": "version",
        "type": "nominal",
        "sort": [f"v{n}" for n in sorted({e.version or 0 for e, _ in bars}, reverse=True)],
        "axis": {"title": None, "ticks": False, "domain": False, "labelPadding": 8},
    }
    x = {
        "field": "from",
        "type": "temporal",
        "scale": {"type": "utc", "domain": [_utc(bars[0][0].at), _utc(until)]},
        "axis": {"title": "time (UTC)", "tickCount": 4, "labelOverlap": True, "format": _TIMES},
    }
    bar = value_mark(type="bar", color=CANDIDATE, fillOpacity=0.35, strokeWidth=1.5, height=14)
    bar["encoding"] |= {
        "x": x,
        "x2": {"field": "to"},
        "y": y,
        "stroke": {"field": "outline", "type": "nominal", "scale": None},
        "strokeDash": {"field": "dashes", "type": "nominal", "scale": None},
    }
    layers: list[Spec] = [{"data": {"values": values}, **bar}]
    if returns:
        layers.append(
            {
                "data": {"values": returns},
                "mark": {"type": "text", "text": "▲", "color": WORSE, "dx": 6, "fontSize": 11},
                "encoding": {"x": x, "y": y},
            }
        )
    return Chart(
        title=title,
        description=description,
        spec=specification(
            {"width": WIDE, "height": {"step": 24}, "layer": layers},
            title=title,
            description=description,
        ),
        header=("version", "from (UTC)", "until (UTC)", "how"),
        rows=tuple(
            (
                f"v{entry.version}",
                format_time(entry.at),
                "active" if entry is newest else format_time(end),
                str(entry.kind),
            )
            for entry, end in bars
        ),
    )


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
