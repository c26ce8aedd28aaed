"""Values as people read them on a page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from detent.charts.chart import Chart
from detent.charts.draw import draw
from detent.comparison.words import headline, mark, unmatched_text, verdict_text
from detent.domain.alias import Activation
from detent.domain.clock import utc_now
from detent.domain.server import Server
from detent.domain.version import format_size
from detent.errors import DetentError


def ago(at: datetime) -> str:
    """Return how long ago a time was, in its largest unit."""
    return lasting((utc_now() - at).total_seconds())


def lasting(seconds: float) -> str:
    """Return a duration in its largest unit.

    Examples
    --------
    >>> lasting(5), lasting(7200), lasting(86400), lasting(3 * 86400)
    ('5 s', '2 h', '1 day', '3 days')
    """
    for unit, size in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {unit}" + ("s" if unit == "day" and n > 1 else "")
    return f"{max(0, int(seconds))} s"


def number(value: float) -> str:
    """Return a number with three significant digits and a true minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def minute(at: datetime) -> str:
    """Return a time in UTC to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def following(
    servers: Sequence[Server] | None, entry: Activation, now: datetime
) -> dict[str, Any] | None:
    """Return how many servers answer as an entry says, and a sentence for each that does not.

    Returns
    -------
    dict or None
        ``count`` such as ``2 of 3``, or ``not known`` where they could not be asked for, and
        ``behind``; None where no server follows the alias.
    """
    if servers is None:
        return {"count": None, "is_one": False, "behind": []}
    alive = [
        server for server in servers if server.lease_until >= now or server.entry < entry.entry
    ]
    if not alive:
        return None
    behind = [server for server in alive if server.entry < entry.entry]
    return {
        "count": f"{len(alive) - len(behind)} of {len(alive)}",
        "is_one": len(alive) == 1,
        "behind": [_behind(server, entry, now) for server in behind],
    }


def _behind(server: Server, entry: Activation, now: datetime) -> dict[str, str]:
    heard = lasting((now - server.heard_at).total_seconds())
    why = server.problem if server.problem and server.problem_entry >= entry.entry else None
    text = f"{server.answers(now)} ({why or f'last heard {heard} ago'})"
    return {"name": server.name, "text": text}


def drawn(chart: Chart | None) -> dict[str, Any] | None:
    """Return a chart as a page shows it: the drawing, its title, and the table that says the same.

    The drawing is text that `detent.charts` has escaped.
    """
    if chart is None:
        return None
    return {
        "svg": draw(chart),
        "title": chart.title,
        "text": chart.description,
        "header": chart.header,
        "rows": chart.rows,
    }


def warm_up() -> None:
    """Draw something, so that what draws is ready."""
    empty: dict[str, Any] = {"mark": "point", "data": {"values": []}}
    draw(Chart(title="", description="", spec=empty, header=(), rows=()))


def verdict(difference: Any) -> str:
    """Return what the rows say of a difference, with its sign."""
    return f"{mark(difference)} {verdict_text(difference)}"


def trying(ask: Any) -> tuple[Any, DetentError | None]:
    """Return what `ask` answers, or the error that it raises."""
    try:
        return ask(), None
    except DetentError as error:
        return None, error


FILTERS = {
    "ago": ago,
    "minute": minute,
    "number": number,
    "signed": signed,
    "size": format_size,
    "headline": headline,
    "unmatched": unmatched_text,
    "verdict": verdict,
}
