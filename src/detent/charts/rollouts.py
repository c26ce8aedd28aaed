"""How a rollout goes: the difference of what it watches, with its bounds, as outcomes come in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from detent.charts.chart import CANDIDATE, DASHES, INK, WIDTH, WORSE, Chart, Spec, specification
from detent.domain.rollout import Reading, Rollout, Signal

_ROOM = 0.25  # of what has to be seen, left free above and below


def course(rollout: Rollout, signal: Signal, readings: Sequence[Reading]) -> Chart | None:
    """Return how much more often the candidate's outcomes are bad, from the first outcome on.

    The scale holds what is known now, zero and the limit. What was possible at the beginning is
    cut off where it goes beyond.

    Parameters
    ----------
    rollout : Rollout
        The rollout.
    signal : Signal
        What is known now.
    readings : sequence of Reading
        As `Registry.rollout_course` returns them; those of other signals are left out.

    Returns
    -------
    Chart or None
        None where nothing is known of the difference.
    """
    if signal.difference is None or signal.n < 1:
        return None
    kept = [r for r in readings if (r.phase, r.name) == (signal.phase, signal.name)]
    now = Reading(
        name=signal.name,
        phase=signal.phase,
        n=signal.n,
        difference=signal.difference,
        low=signal.low,
        high=signal.high,
    )
    points = [r for r in kept if 0 < r.n < now.n and r.difference is not None] + [now]
    values = [
        {
            "n": r.n,
            "difference": _points(r.difference),
            "low": _points(r.low),
            "high": _points(r.high),
        }
        for r in points
    ]
    what = signal.name.replace("_", " ")
    title = f"{what}: v{rollout.candidate} minus v{rollout.baseline}"
    band = _band_words(signal)
    limit = "" if signal.limit is None else f", the limit is {_signed(signal.limit)} pt"
    description = f"After {signal.n:,} outcomes {_signed(signal.difference)} pt{band}{limit}."
    body: Spec = {"width": WIDTH, "height": 130, "layer": _layers(values, signal)}
    return Chart(
        title=title,
        description=description,
        spec=specification(body, title=title, description=description),
        header=("outcomes", "difference", "band"),
        rows=tuple((f"{r.n:,}", f"{_signed(r.difference)} pt", _band(r)) for r in points),
    )


def _layers(values: list[dict[str, float | int | None]], signal: Signal) -> list[Spec]:
    x: Spec = {
        "field": "n",
        "type": "quantitative",
        "scale": {"type": "log", "domain": _span(values)},
        "axis": {
            "title": "outcomes so far",
            "grid": False,
            "format": "~s",
            "tickCount": 4,
            "labelOverlap": True,
        },
    }
    y: Spec = {
        "field": "difference",
        "type": "quantitative",
        "scale": {"domain": _scale(signal), "nice": False, "zero": False},
        "axis": {"title": "difference in points", "tickCount": 5},
    }
    low: Spec = {"field": "low", "type": "quantitative"}
    data, last = {"values": values}, {"values": values[-1:]}
    layers: list[Spec] = []
    if signal.low is not None:
        layers += [
            {
                "data": data,
                "mark": {"type": "area", "color": CANDIDATE, "opacity": 0.2, "clip": True},
                "encoding": {"x": x, "y": {**y, **low}, "y2": {"field": "high"}},
            },
            {
                "data": last,
                "mark": {"type": "rule", "color": CANDIDATE, "strokeWidth": 2, "clip": True},
                "encoding": {"x": x, "y": {**y, **low}, "y2": {"field": "high"}},
            },
        ]
    layers += [
        _line(0.0, y, {"color": INK, "opacity": 0.6}),
        {
            "data": data,
            "mark": {"type": "line", "color": CANDIDATE, "strokeWidth": 1.5, "clip": True},
            "encoding": {"x": x, "y": y},
        },
        {
            "data": last,
            "mark": {"type": "point", "color": CANDIDATE, "filled": True, "size": 50, "opacity": 1},
            "encoding": {"x": x, "y": y},
        },
    ]
    if signal.limit is not None:
        layers.append(_line(100 * signal.limit, y, {"color": WORSE, "strokeDash": DASHES}))
    return layers


def _line(at: float, y: Spec, look: Spec) -> Spec:
    return {
        "data": {"values": [{"difference": at}]},
        "mark": {"type": "rule", **look},
        "encoding": {"y": y},
    }


def _span(values: list[dict[str, float | int | None]]) -> list[float]:
    """Return the outcomes from the first reading to the last, and never a single number."""
    first, last = float(values[0]["n"] or 1), float(values[-1]["n"] or 1)
    return [first, last] if last > first else [last / 10, last]


def _scale(signal: Signal) -> list[float]:
    ends = [0.0, signal.difference, signal.low, signal.high, signal.limit]
    seen = [100 * end for end in ends if end is not None and math.isfinite(end)]
    low, high = min(seen), max(seen)
    room = _ROOM * (high - low) or 1.0
    return [max(-100.0, low - room), min(100.0, high + room)]


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _signed(share: float | None) -> str:
    return f"{100 * (share or 0):+.3g}".replace("-", "−") if share else "0"


def _band(reading: Reading) -> str:
    if reading.low is None or reading.high is None:
        return "-"
    return f"[{_signed(reading.low)}, {_signed(reading.high)}]"


def _band_words(signal: Signal) -> str:
    if signal.low is None or signal.high is None:
        return ""
    return f", between {_signed(signal.low)} and {_signed(signal.high)} however often one looks"
