"""Scores of both versions, laid over each other: ROC, precision and recall, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detent.charts.chart import (
    INK,
    WIDTH,
    Chart,
    Spec,
    names_of,
    specification,
    two_series,
    values_on_lines,
)
from detent.comparison.outcomes import Outcomes, Pair
from detent.errors import InvalidError
from detent.stats.arrays import Floats

MOST_POINTS = 150  # of one curve: more cannot be told apart at this size
_TABLE = 11

Line = tuple[Floats, Floats]


def roc(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return the ROC curves of two versions.

    Parameters
    ----------
    pair : Pair
        What both answered.
    baseline, candidate : int
        The numbers of the versions.

    Returns
    -------
    Chart or None
        None where the rows are not of two classes, or a version gives no score.
    """
    if not _are_scored(pair):
        return None
    from sklearn.metrics import roc_curve

    def line(outcomes: Outcomes) -> Line:
        wrong, right, _ = roc_curve(
            outcomes.y_true == outcomes.positive_label,
            outcomes.positive_score,
            sample_weight=outcomes.sample_weight,
        )
        return wrong, right

    return _overlay(
        line(pair.baseline),
        line(pair.candidate),
        names_of(baseline, candidate),
        title="ROC: hits and false alarms",
        x="false positive rate",
        y="true positive rate",
        description=f"Positive is the class {pair.candidate.positive_label}. Higher is better;"
        " the diagonal is chance.",
        has_diagonal=True,
    )


def precision_recall(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return the precision of two versions at each recall; parameters and result as for `roc`."""
    if not _are_scored(pair):
        return None
    from sklearn.metrics import precision_recall_curve

    def line(outcomes: Outcomes) -> Line:
        precision, recall, _ = precision_recall_curve(
            outcomes.y_true == outcomes.positive_label,
            outcomes.positive_score,
            sample_weight=outcomes.sample_weight,
            drop_intermediate=True,
        )
        return recall[::-1], precision[::-1]

    return _overlay(
        line(pair.baseline),
        line(pair.candidate),
        names_of(baseline, candidate),
        title="Precision at each recall",
        x="recall",
        y="precision",
        description=f"Positive is the class {pair.candidate.positive_label}. Higher is better.",
    )


def calibration(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return how often what two versions call probable happens, by how probable they call it.

    Of two classes the probability of the second is looked at, of more that of the answer given.
    Parameters as for `roc`.

    Returns
    -------
    Chart or None
        None where a version gives no probabilities, or rows have weights.
    """
    if pair.candidate.sample_weight is not None:
        return None
    from detent.stats.calibration import reliability

    def line(outcomes: Outcomes) -> Line:
        if outcomes.proba is None:
            raise InvalidError("no probabilities were kept")
        if outcomes.proba.shape[1] == 2:
            taken, happened = outcomes.proba[:, 1], outcomes.y_true == outcomes.positive_label
        else:
            taken, happened = outcomes.proba.max(axis=1), outcomes.is_right
        bins = reliability(taken, happened, n_bins=10)
        return (
            np.array([one.mean_probability for one in bins]),
            np.array([one.share for one in bins]),
        )

    try:
        lines = line(pair.baseline), line(pair.candidate)
    except InvalidError:  # no probabilities, or numbers that are none
        return None
    return _overlay(
        *lines,
        names_of(baseline, candidate),
        title="Calibration: said and happened",
        x="predicted probability",
        y="share that happened",
        description="On the diagonal, probabilities mean what they say.",
        has_diagonal=True,
        has_points=True,
    )


def _are_scored(pair: Pair) -> bool:
    labels = np.unique(pair.candidate.y_true)
    return len(labels) == 2 and all(
        side.positive_score is not None
        and bool(np.isfinite(side.positive_score).all())
        and (side.classes is None or len(side.classes) == 2)
        and side.positive_label in labels.tolist()
        for side in (pair.baseline, pair.candidate)
    )


def _thinned(line: Line) -> Line:
    x, y = line
    if len(x) <= MOST_POINTS:
        return line
    # Evenly along the curve, not along its rows: steep parts keep their shape.
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    places = np.searchsorted(way, np.linspace(0, way[-1], MOST_POINTS))
    kept = np.unique(np.clip(places, 0, len(x) - 1))
    return x[kept], y[kept]


def _overlay(
    old: Line,
    new: Line,
    names: tuple[str, str],
    *,
    title: str,
    x: str,
    y: str,
    description: str,
    has_diagonal: bool = False,
    has_points: bool = False,
) -> Chart:
    values: list[dict[str, Any]] = [
        {"x": round(float(a), 4), "y": round(float(b), 4), "version": name, "order": i}
        for name, line in zip(names, (old, new), strict=True)
        for i, (a, b) in enumerate(zip(*_thinned(line), strict=True))
    ]
    across: Spec = {"field": "x", **_share(x)}
    up: Spec = {"field": "y", **_share(y)}
    lines: Spec = {
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": "linear", "strokeWidth": 2, "point": has_points},
        "encoding": {
            "x": across,
            "y": up,
            "order": {"field": "order", "type": "quantitative"},
            **two_series(*names),
        },
    }
    rows = (*_rows(names[0], old), *_rows(names[1], new))
    told: Spec = {
        "values": [
            {
                "x": float(a),
                "y": float(b),
                "version": name,
                "told": f"{name}: {x} {a}, {y} {b}",
            }
            for name, a, b in rows
        ]
    }
    layers = [
        *([_diagonal()] if has_diagonal else []),
        lines,
        values_on_lines(told, across, up, names),
    ]
    return Chart(
        title=title,
        description=description,
        spec=specification(
            {"width": WIDTH, "height": 200, "layer": layers}, title=title, description=description
        ),
        header=("version", x, y),
        rows=rows,
    )


def _rows(name: str, line: Line) -> Sequence[tuple[str, str, str]]:
    x, y = line
    places = np.unique(np.linspace(0, len(x) - 1, _TABLE).astype(int))
    return [(name, f"{x[i]:.3f}", f"{y[i]:.3f}") for i in places.tolist()]


def _share(title: str) -> Spec:
    return {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": title, "tickCount": 5},
    }


def _diagonal() -> Spec:
    return {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "color": INK, "opacity": 0.35, "strokeWidth": 1},
        "encoding": {
            "x": {"field": "x", "type": "quantitative"},
            "y": {"field": "y", "type": "quantitative"},
        },
    }
