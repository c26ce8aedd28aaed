"""Answers of both versions: which labels they confuse, and how far off their numbers are."""

from __future__ import annotations

from typing import Any

import numpy as np

from detent.charts.chart import (
    BETTER,
    INK,
    WIDTH,
    WORSE,
    Chart,
    Spec,
    names_of,
    specification,
    two_series,
    value_mark,
    values_on_lines,
)
from detent.comparison.outcomes import Array, Pair
from detent.stats.arrays import Floats

MOST_LABELS = 8  # of a matrix that is drawn
_TINT = 0.35  # of the darkest cell: the number on it stays readable
_MOST_BINS = 30
_DECILES = 10


def confusion(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return where the confusion matrices of two versions differ, candidate minus baseline.

    Parameters
    ----------
    pair : Pair
        What both answered.
    baseline, candidate : int
        The numbers of the versions.

    Returns
    -------
    Chart or None
        None in regression.
    """
    if _is_regression(pair):
        return None
    y_true, old, new = pair.candidate.y_true, pair.baseline.y_pred, pair.candidate.y_pred
    labels, n_each = np.unique(np.concatenate([y_true, old, new]), return_counts=True)
    is_cut = len(labels) > MOST_LABELS
    if is_cut:
        labels = labels[np.sort(np.argsort(-n_each, kind="stable")[:MOST_LABELS])]

    def counts(answers: Array) -> Array:
        kept = np.isin(y_true, labels) & np.isin(answers, labels)
        cells = np.searchsorted(labels, y_true[kept]) * len(labels)
        cells += np.searchsorted(labels, answers[kept])
        return np.bincount(cells, minlength=len(labels) ** 2).reshape(len(labels), -1)

    before, after = counts(old), counts(new)
    change = after - before
    names = [str(label) for label in labels.tolist()]
    largest = max(int(np.abs(change).max()), 1)
    cells = [
        _cell(names, i, j, (int(before[i, j]), int(after[i, j])), largest)
        for i in range(len(names))
        for j in range(len(names))
    ]
    title = f"Confusion matrix: v{candidate} minus v{baseline}"
    if is_cut:
        title += f", the {MOST_LABELS} most frequent labels"
    description = (
        "Rows more or fewer in each cell. On the diagonal, right answers: more is better. Off it,"
        " mistakes: more is worse."
    )
    size = min(60, WIDTH // len(names))
    place: Spec = {
        "x": _labels("predicted", names, "top"),
        "y": _labels("true", names, "left"),
    }
    data = {"values": cells}
    tiles = value_mark(type="rect", stroke=INK, strokeOpacity=0.15)
    tiles["encoding"] |= {
        **place,
        "color": {"field": "colour", "type": "nominal", "scale": None},
        "fillOpacity": {"field": "tint", "type": "quantitative", "scale": None},
    }
    body: Spec = {
        "width": {"step": size},
        "height": {"step": min(size, 34)},
        "data": data,
        "layer": [
            tiles,
            {
                "mark": {"type": "text", "color": INK, "fontSize": 11},
                "encoding": {**place, "text": {"field": "text", "type": "nominal"}},
            },
        ],
    }
    return Chart(
        title=title,
        description=description,
        spec=specification(body, title=title, description=description),
        header=("true", "predicted", f"v{baseline}", f"v{candidate}", "change"),
        rows=tuple(
            (names[i], names[j], f"{before[i, j]:,}", f"{after[i, j]:,}", _signed(change[i, j]))
            for i in range(len(names))
            for j in range(len(names))
        ),
    )


def _cell(
    names: list[str], i: int, j: int, counts: tuple[int, int], largest: int
) -> dict[str, Any]:
    before, after = counts
    change = after - before
    is_better = (change > 0) == (i == j)
    told = f"true {names[i]}, predicted {names[j]}: {before:,} → {after:,} rows"
    return {
        "true": names[i],
        "predicted": names[j],
        "text": _signed(change),
        "told": f"{told} ({_signed(change)})",
        "colour": INK if not change else BETTER if is_better else WORSE,
        "tint": _TINT * abs(change) / largest,
    }


def _signed(change: int) -> str:
    return f"{change:+,}".replace("-", "−") if change else "0"


def _labels(field: str, names: list[str], side: str) -> Spec:
    angle = {"labelAngle": 0} if max(map(len, names)) <= 6 else {"labelAngle": -40}
    return {
        "field": field,
        "type": "nominal",
        "sort": names,
        "axis": {
            "title": field,
            "orient": side,
            "ticks": False,
            "domain": False,
            "labelLimit": 70,
            **(angle if side == "top" else {}),
        },
    }


def residuals(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return how the errors of two versions spread, predicted minus true.

    Parameters as for `confusion`.

    Returns
    -------
    Chart or None
        None in classification, and where an answer is no number.
    """
    if not _is_regression(pair) or not _are_finite(pair):
        return None
    errors = _errors(pair)
    edges = np.histogram_bin_edges(np.concatenate(errors), bins="auto")
    if len(edges) > _MOST_BINS + 1:
        edges = np.linspace(edges[0], edges[-1], _MOST_BINS + 1)
    names = names_of(baseline, candidate)
    values, rows, told = [], [], []
    for name, error in zip(names, errors, strict=True):
        shares = np.histogram(error, bins=edges)[0] / len(error)
        values += [
            {"x": float(x), "y": float(y), "version": name}
            for x, y in zip(edges, [*shares, shares[-1]], strict=True)
        ]
        for low, high, share in zip(edges[:-1], edges[1:], shares, strict=True):
            row = (name, f"{low:.4g} to {high:.4g}", f"{share:.3f}")
            text = f"{name}: {row[1]} in {row[2]} of the rows"
            place = {"x": float((low + high) / 2), "y": float(share)}
            told.append({**place, "version": name, "told": text})
            rows.append(row)
    title = "Residuals: predicted minus true"
    description = "Narrower and closer to 0 is better: " + ", ".join(
        f"{name} is off by {np.median(np.abs(error)):.3g} in the median"
        for name, error in zip(names, errors, strict=True)
    )
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "axis": {"title": "predicted minus true", "tickCount": 5},
    }
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "axis": {"title": "share of rows", "tickCount": 4},
    }
    layers: list[Spec] = [
        {
            "data": {"values": [{"x": 0}]},
            "mark": {"type": "rule", "color": INK, "opacity": 0.35},
            "encoding": {"x": {"field": "x", "type": "quantitative"}},
        },
        {
            "data": {"values": values},
            "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
            "encoding": {"x": x, "y": y, **two_series(*names)},
        },
        values_on_lines({"values": told}, x, y, names),
    ]
    return Chart(
        title=title,
        description=description + ".",
        spec=specification(
            {"width": WIDTH, "height": 180, "layer": layers}, title=title, description=description
        ),
        header=("version", "predicted minus true", "share of rows"),
        rows=tuple(rows),
    )


def error_by_decile(pair: Pair, *, baseline: int, candidate: int) -> Chart | None:
    """Return the mean absolute error of two versions in each tenth of the true values.

    Parameters as for `confusion`.

    Returns
    -------
    Chart or None
        None in classification, and where an answer is no number.
    """
    if not _is_regression(pair) or not _are_finite(pair):
        return None
    y_true = np.asarray(pair.candidate.y_true, dtype=np.float64)
    edges = np.unique(np.quantile(y_true, np.linspace(0, 1, _DECILES + 1)))
    place = np.searchsorted(edges[1:-1], y_true, side="right")
    names = names_of(baseline, candidate)
    values, rows = [], []
    for name, error in zip(names, _errors(pair), strict=True):
        for part in np.unique(place).tolist():
            inside = place == part
            ends = y_true[inside].min(), y_true[inside].max()
            off = float(np.abs(error[inside]).mean())
            row = (name, f"{ends[0]:.4g} to {ends[1]:.4g}", f"{off:.4g}")
            text = f"{name}: off by {row[2]} where the true value is {row[1]}"
            values.append({"part": part + 1, "error": off, "version": name, "told": text})
            rows.append(row)
    title = "Error by tenths of the true value"
    description = "From the lowest true values to the highest. Lower is better."
    x: Spec = {
        "field": "part",
        "type": "ordinal",
        "axis": {"title": "tenth of the true values", "labelAngle": 0},
    }
    y: Spec = {
        "field": "error",
        "type": "quantitative",
        "axis": {"title": "mean absolute error", "tickCount": 4},
    }
    data: Spec = {"values": values}
    body: Spec = {
        "width": WIDTH,
        "height": 180,
        "layer": [
            {
                "data": data,
                "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 40}},
                "encoding": {"x": x, "y": y, **two_series(*names)},
            },
            values_on_lines(data, x, y, names),
        ],
    }
    return Chart(
        title=title,
        description=description,
        spec=specification(body, title=title, description=description),
        header=("version", "true value", "mean absolute error"),
        rows=tuple(rows),
    )


def _is_regression(pair: Pair) -> bool:
    return pair.candidate.y_true.dtype.kind == "f"


def _are_finite(pair: Pair) -> bool:
    return all(bool(np.isfinite(error).all()) for error in _errors(pair))


def _errors(pair: Pair) -> tuple[Floats, Floats]:
    y_true = np.asarray(pair.candidate.y_true, dtype=np.float64)
    old, new = (
        np.asarray(side.y_pred, dtype=np.float64) for side in (pair.baseline, pair.candidate)
    )
    return old - y_true, new - y_true
