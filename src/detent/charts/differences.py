"""Differences with their intervals: of metrics, and of slices, worst first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detent.charts.chart import (
    DASHES,
    INK,
    WIDTH,
    WORSE,
    Chart,
    Spec,
    mark_of,
    specification,
    value_mark,
)
from detent.comparison.words import allowed_text, interval_text, mark, verdict_text
from detent.domain.evidence import Comparison, Difference, Ranking

MOST_SLICES = 15  # drawn; the table has all
_STRIP = 26  # height of one metric, in pixels
_CAPTION = "The line marks no difference, the dashed one the loss that is allowed."


def forest(comparison: Comparison) -> Chart | None:
    """Return the differences of all metrics, each on a scale of its own, with what is allowed.

    Right is better, also where less is better: the scale of a loss runs from right to left. A
    metric without an interval is in the table only.

    Returns
    -------
    Chart or None
        None where no metric has an interval.
    """
    drawn = [(d.metric, d) for d in comparison.differences if _has_interval(d)]
    rows = [(d.metric, d) for d in comparison.differences]
    new, old = f"v{comparison.candidate}", f"v{comparison.baseline}"
    title = f"{new} minus {old}, right is better"
    return _strips(drawn, rows, "metric", title, f"{new} minus {old}, in the metric's own unit")


def candidates(ranking: Ranking) -> Chart | None:
    """Return the differences of several candidates in the main metric, on one scale.

    Returns
    -------
    Chart or None
        None where no candidate has an interval.
    """
    mains = [(f"v{c.candidate}", c.differences[0]) for c in ranking.comparisons if c.differences]
    drawn = [(name, d) for name, d in mains if _has_interval(d)]
    if not drawn:
        return None
    metric, baseline = drawn[0][1].metric, ranking.comparisons[0].baseline
    title = f"{metric} of each candidate minus v{baseline}"
    return _rows(drawn, mains, "candidate", title)


def slices(comparison: Comparison) -> Chart | None:
    """Return the differences of the main metric by slice, the worst first.

    Returns
    -------
    Chart or None
        None where no slice has an interval.
    """
    every = [(one.slice, one.difference) for one in comparison.slices if one.difference is not None]
    drawn = [(name, d) for name, d in every if _has_interval(d)]
    if not drawn:
        return None
    title = f"{drawn[0][1].metric} by slice: v{comparison.candidate} minus v{comparison.baseline}"
    if len(drawn) > MOST_SLICES:
        title += f", the {MOST_SLICES} worst of {len(drawn)}"
    return _rows(drawn[:MOST_SLICES], every, "slice", title)


def _has_interval(difference: Difference) -> bool:
    ends = (difference.low, difference.high, difference.value)
    return all(end is not None and math.isfinite(end) for end in ends)


def _table(rows: Sequence[tuple[str, Difference]]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (name, interval_text(d), allowed_text(d), f"{mark(d)} {verdict_text(d)}")
        for name, d in rows
    )


def _allowed(difference: Difference) -> float | None:
    """Return the difference that is just allowed."""
    if difference.margin is None or difference.greater_is_better is None:
        return None
    return -difference.margin if difference.greater_is_better else difference.margin


def _scale(differences: Sequence[Difference]) -> Spec:
    """Return a scale that holds intervals, zero and what is allowed, better to the right."""
    ends = [
        end for d in differences for end in (d.low, d.high, d.value, _allowed(d)) if end is not None
    ]
    low, high = min(0.0, *ends), max(0.0, *ends)
    room = 0.06 * (high - low) or 1.0
    reverse = differences[0].greater_is_better is False
    return {"domain": [low - room, high + room], "reverse": reverse, "nice": False}


def _lines(difference: Difference, names: Sequence[str] | None = None) -> list[Spec]:
    """Return the lines at zero and at what is allowed."""
    layers: list[Spec] = [
        {
            "data": {"values": [{"x": 0}]},
            "mark": {"type": "rule", "color": INK, "opacity": 0.6},
            "encoding": {"x": {"field": "x", "type": "quantitative"}},
        }
    ]
    allowed = _allowed(difference)
    if allowed is not None:
        layers.append(
            {
                "data": {"values": [{"x": allowed}]},
                "mark": {"type": "rule", "color": WORSE, "strokeDash": DASHES},
                "encoding": {"x": {"field": "x", "type": "quantitative"}},
            }
        )
    return layers


def _datum(name: str, difference: Difference) -> Spec:
    shape, colour = mark_of(difference)
    return {
        "name": name,
        "told": f"{name} {interval_text(difference)}: {verdict_text(difference)}",
        "low": difference.low,
        "high": difference.high,
        "value": difference.value,
        "shape": shape,
        "colour": colour,
    }


def _marks(values: Sequence[Spec], x: Spec, y: Spec | None) -> list[Spec]:
    """Return intervals as bars with their value as a mark."""
    data = {"values": list(values)}
    colour = {"field": "colour", "type": "nominal", "scale": None}
    place = {"y": y} if y else {}
    points = value_mark(type="point", filled=True, size=90, opacity=1)
    points["encoding"] |= {
        "x": {"field": "value", "type": "quantitative", **x},
        "color": colour,
        "shape": {"field": "shape", "type": "nominal", "scale": None},
        **place,
    }
    return [
        {
            "data": data,
            "mark": {"type": "rule", "strokeWidth": 2.5, "strokeCap": "round"},
            "encoding": {
                "x": {"field": "low", "type": "quantitative", **x},
                "x2": {"field": "high"},
                "color": colour,
                **place,
            },
        },
        {"data": data, **points},
    ]


def _axis(title: str | None) -> Spec:
    return {
        "title": title,
        "labelExpr": "datum.value == 0 ? '0' : format(datum.value, '+.3~g')",
        "tickCount": 4,
        "labelFlush": True,
        "labelOverlap": True,
        "labelSeparation": 8,
    }


def _strips(
    drawn: Sequence[tuple[str, Difference]],
    rows: Sequence[tuple[str, Difference]],
    what: str,
    title: str,
    unit: str,
) -> Chart | None:
    if not drawn:
        return None
    strips: list[Spec] = []
    for name, difference in drawn:
        is_last = len(strips) == len(drawn) - 1
        x = {"scale": _scale([difference]), "axis": _axis(unit if is_last else None)}
        heading = {
            "text": f"{mark(difference)} {name}",
            "subtitle": interval_text(difference),
            "fontWeight": "normal",
            "offset": 4,
        }
        strips.append(
            {
                "title": heading,
                "width": WIDTH + 40,
                "height": _STRIP,
                "layer": [
                    *_lines(difference),
                    *_marks([_datum(name, difference)], x, None),
                ],
            }
        )
    description = _describe(drawn)
    return Chart(
        title=title,
        description=description,
        caption=_CAPTION,
        spec=specification(
            {"vconcat": strips, "spacing": 14}, title=title, description=description
        ),
        header=(what, f"difference [{_confidence(drawn)} interval]", "allowed", "verdict"),
        rows=_table(rows),
    )


def _rows(
    drawn: Sequence[tuple[str, Difference]],
    rows: Sequence[tuple[str, Difference]],
    what: str,
    title: str,
) -> Chart:
    names = [name for name, _ in drawn]
    first = drawn[0][1]
    x = {
        "scale": _scale([d for _, d in drawn]),
        "axis": _axis("difference, right is better"),
    }
    y = {
        "field": "name",
        "type": "nominal",
        "sort": names,
        "axis": {"title": None, "ticks": False, "domain": False},
    }
    body = {
        "padding": {"left": 16, "top": 5, "right": 5, "bottom": 5},  # fonts are not all as narrow
        "width": WIDTH - 60,
        "height": {"step": 22},
        "layer": [*_lines(first), *_marks([_datum(name, d) for name, d in drawn], x, y)],
    }
    description = _describe(drawn)
    return Chart(
        title=title,
        description=description,
        caption=_CAPTION,
        spec=specification(body, title=title, description=description),
        header=(what, f"difference [{_confidence(drawn)} interval]", "allowed", "verdict"),
        rows=_table(rows),
    )


def _confidence(drawn: Sequence[tuple[str, Difference]]) -> str:
    return f"{drawn[0][1].confidence or 0.95:.0%}".replace("%", " %")


def _describe(drawn: Sequence[tuple[str, Difference]]) -> str:
    shown = "; ".join(f"{name} {interval_text(d)}, {verdict_text(d)}" for name, d in drawn[:6])
    return f"{shown}. {_CAPTION}"
