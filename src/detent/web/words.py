"""Values as people read them on a page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from detent.domain.alias import Activation
from detent.domain.clock import utc_now
from detent.domain.version import format_size
from detent.errors import DetentError

_WIDTH = 1000.0


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


def timeline(entries: Sequence[Activation], now: datetime) -> list[dict[str, Any]]:
    """Return one bar for each activation, newest first: where it begins and how wide it is."""
    if not entries:
        return []
    first = entries[-1].at
    whole = max((now - first).total_seconds(), 1e-6)
    bars: list[dict[str, Any]] = []
    ended = now
    for entry in entries:
        start = (entry.at - first).total_seconds() / whole * _WIDTH
        width = max((ended - entry.at).total_seconds() / whole * _WIDTH, 2.0)
        lasted = lasting((ended - entry.at).total_seconds())
        bars.append({"x": round(start, 1), "width": round(width, 1), "of": entry, "for": lasted})
        ended = entry.at
    return bars


def verdict(difference: Any) -> str:
    """Return in a word what a difference on the same rows says."""
    if difference.value == 0:
        return "● the same number"
    if difference.greater_is_better is None:
        return "higher" if difference.value > 0 else "lower"
    is_better = (difference.value > 0) == difference.greater_is_better
    if difference.low is not None and difference.low <= 0 <= difference.high:
        return "● no clear difference"
    return "▲ better" if is_better else "▼ worse"


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
    "verdict": verdict,
}
