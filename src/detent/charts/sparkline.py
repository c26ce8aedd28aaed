"""A metric from version to version as a line in a row of a table: drawn at once, by the hundred."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from detent.comparison.words import number_text
from detent.domain.evidence import Measured
from detent.domain.version import newest_of_each

EDGE = 3  # px, around the line


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """The line of one metric, and its newest value.

    Parameters
    ----------
    metric : str
        Its name.
    version : int
        The newest version that was evaluated.
    value : float
        Of that version.
    dataset : str
        Where that was measured.
    description : str
        What the line shows, in words.
    path : str
        The line, as SVG has paths, in a box of `WIDTH` by `HEIGHT`. It is broken where the rows
        change: values on different rows are never joined. A value beside none on its rows is a
        line of no length, which a round end makes a point.
    end : tuple of int
        Where the newest value is in that box.
    """

    metric: str
    version: int
    value: float
    dataset: str
    description: str
    path: str
    end: tuple[int, int]
    WIDTH: ClassVar[int] = 72  # px
    HEIGHT: ClassVar[int] = 18


def sparkline(measured: Sequence[Measured]) -> Sparkline | None:
    """Return the line of one model's metric: of each version the newest value.

    Parameters
    ----------
    measured : sequence of Measured
        Of one model and one metric, newest first.

    Returns
    -------
    Sparkline or None
        None where nothing was measured.

    Examples
    --------
    >>> old, new = (Measured("churn", n, "holdout", "d", "f1", 0.8 + n / 100) for n in (1, 2))
    >>> sparkline([new, old]).description
    'f1 from v1 to v2, between 0.8100 and 0.8200'
    """
    newest = newest_of_each(measured)
    if not newest:
        return None
    points = [newest[version] for version in sorted(newest)]
    values = [point.value for point in points]
    low, high = min(values), max(values)
    xs = _spread(len(points))
    places = [
        (x, _height((value - low) / (high - low) if high > low else 0.5))
        for x, value in zip(xs, values, strict=True)
    ]
    lines = [
        _line([place for _, place in same])
        for _, same in groupby(
            zip(points, places, strict=True), key=lambda pair: pair[0].dataset_digest
        )
    ]
    return Sparkline(
        metric=points[-1].metric,
        version=points[-1].version,
        value=points[-1].value,
        dataset=points[-1].dataset,
        description=_description(points, low, high, is_broken=len(lines) > 1),
        path="".join(lines),
        end=places[-1],
    )


def _spread(n: int) -> list[int]:
    """Return where values are, from left to right; the newest always at the right."""
    step = (Sparkline.WIDTH - 2 * EDGE) / max(n - 1, 1)
    return [round(Sparkline.WIDTH - EDGE - step * (n - 1 - i)) for i in range(n)]


def _height(share: float) -> int:
    return round(Sparkline.HEIGHT - EDGE - share * (Sparkline.HEIGHT - 2 * EDGE))


def _line(places: list[tuple[int, int]]) -> str:
    if len(places) == 1:
        return "M{} {}h0".format(*places[0])
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _description(points: list[Measured], low: float, high: float, *, is_broken: bool) -> str:
    first, last = points[0], points[-1]
    if len(points) == 1:
        return f"{last.metric} of v{last.version}, {number_text(last.value)}"
    return (
        f"{last.metric} from v{first.version} to v{last.version},"
        f" between {number_text(low)} and {number_text(high)}"
        + ("; the rows change where the line is broken" if is_broken else "")
    )
