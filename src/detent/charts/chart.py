"""A chart as a value, and what all charts have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from detent.domain.evidence import Difference, Verdict

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
INK = "#24292f"  # drawn in the colour of the text around
CANDIDATE = "#2f7dd1"
BETTER = "#2a9461"
WORSE = "#d5504b"
DASHES = [5, 3]
WIDTH = 232  # with its labels a chart stays within a page 320 px wide
WIDE = 560  # of what goes on over time: a narrow page scrolls it in its frame

_CONFIG: Spec = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    # Only marks that are values have a text each, and they say so: see `value_mark`.
    "mark": {"aria": False},
    "axis": {
        "aria": False,
        "domainColor": INK,
        "domainOpacity": 0.4,
        "gridColor": INK,
        "gridOpacity": 0.12,
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 104,
        "tickColor": INK,
        "tickOpacity": 0.4,
        "titleColor": INK,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titleLimit": 260,
    },
    "legend": {
        "aria": False,
        "labelColor": INK,
        "labelFontSize": 11,
        "orient": "top",
        "symbolSize": 260,
        "symbolStrokeWidth": 2,
        "title": None,
    },
    "title": {
        "aria": False,
        "anchor": "start",
        "color": INK,
        "fontSize": 12,
        "frame": "group",
        "limit": 280,
        "subtitleColor": INK,
        "subtitleFontSize": 11,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A Vega-Lite specification, and what it shows in words and as a table.

    Parameters
    ----------
    title : str
        What to see.
    description : str
        The same in a sentence or two, with the numbers that matter.
    spec : dict
        The specification, data included: JSON types only.
    header : tuple of str
        The columns of the table.
    rows : tuple of tuple of str
        Its rows.
    caption : str, optional
        What stands under it where its table is beside it; by default the description.
    """

    title: str
    description: str
    spec: Spec
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str | None = None

    @property
    def name(self) -> str:
        """The title in letters that fit into an address and the name of a file.

        Examples
        --------
        >>> Chart(title="ROC: <hits>", description="", spec={}, header=(), rows=()).name
        'roc-hits'
        """
        return "-".join(re.findall("[a-z0-9]+", self.title.lower()))[:80] or "chart"


def specification(body: Spec, *, title: str, description: str) -> Spec:
    """Return a whole specification: the body with its schema, its words and the common style."""
    return {
        "$schema": SCHEMA,
        "description": f"{title}. {description}",
        "config": _CONFIG,
        **body,
    }


def mark_of(difference: Difference) -> tuple[str, str]:
    """Return the shape and the colour of a difference: up and down as better and worse."""
    match difference.verdict:
        case Verdict.BETTER:
            return "triangle-up", BETTER
        case Verdict.WORSE | Verdict.WORSE_WITHIN_MARGIN:
            return "triangle-down", WORSE
    return "circle", INK


def value_mark(**mark: Any) -> Spec:
    """Return a mark, each of which tells its value in the field ``told`` of its data."""
    return {"mark": {"aria": True, **mark}, "encoding": {"description": {"field": "told"}}}


def values_on_lines(data: Spec, x: Spec, y: Spec, names: tuple[str, str]) -> Spec:
    """Return the places of two lines where their values are told; they show when pointed at."""
    layer = value_mark(type="point", filled=True, size=70, opacity=0)
    colour = {"color": two_series(*names)["color"]}
    layer["encoding"] |= {"x": x, "y": y, **colour}
    return {"data": data, **layer}


def two_series(baseline: str, candidate: str) -> Spec:
    """Return the encodings that tell two versions apart, by colour and by dashes."""
    names = [baseline, candidate]
    return {
        "color": {
            "field": "version",
            "type": "nominal",
            "scale": {"domain": names, "range": [INK, CANDIDATE]},
            "legend": {"symbolType": "stroke"},
        },
        "strokeDash": {
            "field": "version",
            "type": "nominal",
            "scale": {"domain": names, "range": [DASHES, [1, 0]]},
            "legend": {"symbolType": "stroke"},
        },
    }


def names_of(baseline: int, candidate: int) -> tuple[str, str]:
    """Return the two versions as the legends call them."""
    return f"v{baseline} (baseline)", f"v{candidate} (candidate)"
