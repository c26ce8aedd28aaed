"""Drawing: the one place that turns specifications into SVG, by vl-convert."""

from __future__ import annotations

import html
import json
import re
from functools import lru_cache
from importlib.util import find_spec

from detent.charts.chart import BETTER, CANDIDATE, INK, WORSE, Chart
from detent.errors import InvalidError

# A page may set these variables, for a dark theme say; where it does not, the colours stand.
_THEMED = {
    INK: "currentColor",
    CANDIDATE: f"var(--detent-candidate, {CANDIDATE})",
    BETTER: f"var(--detent-better, {BETTER})",
    WORSE: f"var(--detent-worse, {WORSE})",
}
# A mark that tells its value: browsers show the title of what is pointed at, without a script.
_VALUE = re.compile(r'<(path|line) aria-label="([^"]*)"([^>]*)/>')
# What else Vega says of parts: the whole is one image, with a title and a description.
_PART = re.compile(r' (?:role="graphics-[a-z]+"|aria-(?:label|roledescription)="[^"]*")')
_COLOUR = re.compile(f'="({"|".join(_THEMED)})"')


def can_draw() -> bool:
    """Whether vl-convert is installed."""
    return find_spec("vl_convert") is not None


def draw(chart: Chart, *, is_themed: bool = True) -> str:
    """Return a chart as SVG, with its title and description for those who cannot see it.

    Marks that tell a value have the class ``value`` and a title of their own. With `is_themed`
    colours are those of the page around; without it they are plain, for a file of its own.

    The same chart gives the same bytes. Nothing is fetched: what is not in the specification is
    not drawn. May be called from several threads.

    Raises
    ------
    InvalidError
        If vl-convert is not installed.
    """
    if not can_draw():
        raise InvalidError(
            "charts are drawn by vl-convert, which is not installed",
            hint="pip install 'detent[charts]'",
        )
    svg = _draw(json.dumps(chart.spec, sort_keys=True))
    if is_themed:
        svg = _COLOUR.sub(lambda found: f'="{_THEMED[found[1]]}"', svg)
    words = (
        f"<title>{html.escape(chart.title)}</title><desc>{html.escape(chart.description)}</desc>"
    )
    return re.sub(r"^<svg ([^>]*)>", lambda m: f'<svg role="img" {m[1]}>{words}', svg, count=1)


@lru_cache(maxsize=256)
def _draw(spec: str) -> str:
    """Draw a specification given as canonical JSON: a page shows the same few again and again."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    # Pointing at the text on a mark is pointing at the mark.
    svg = svg.replace('<g class="mark-text role-mark', '<g pointer-events="none" class="mark-text')
    svg = _VALUE.sub(r'<\1 class="value"\3><title>\2</title></\1>', svg)
    return _PART.sub("", svg)
