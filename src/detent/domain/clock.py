"""Times: aware datetimes in UTC for people, whole microseconds since 1970 for rows and digests."""

import re
from datetime import UTC, datetime, timedelta

from detent.errors import InvalidError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


def to_us(at: datetime) -> int:
    """Return an aware time as microseconds since 1970-01-01 UTC.

    Examples
    --------
    >>> to_us(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (at - EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Return microseconds since 1970-01-01 UTC as an aware time.

    Examples
    --------
    >>> from_us(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return EPOCH + timedelta(microseconds=us)


def lasting(duration: timedelta) -> str:
    """Return a duration as people say it: its largest unit, or two of them.

    Examples
    --------
    >>> lasting(timedelta(days=3, hours=2)), lasting(timedelta(days=1, hours=21))
    ('3 days', '1 day 21 h')
    >>> lasting(timedelta(seconds=5))
    '5 s'
    """
    seconds = max(0, int(duration.total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days >= 2:
        return f"{days} days"
    if days:
        return "1 day" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


_AGO = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)")
_UNIT_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_time(text: str | datetime, *, now: datetime) -> datetime:
    """Return the time that a person means.

    Parameters
    ----------
    text : str or datetime
        ``2026-03-02``, ``2026-03-02 14:00``, RFC 3339 with a zone, ``3d`` (s, m, h, d, w ago),
        ``now``, ``today`` or ``yesterday`` (their midnights). Without a zone it is UTC.
    now : datetime
        The present time, aware.

    Raises
    ------
    InvalidError
        If the text is none of these.

    Examples
    --------
    >>> now = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
    >>> parse_time("3d", now=now).isoformat()
    '2026-03-02T12:00:00+00:00'
    >>> parse_time("2026-03-02 14:00", now=now).isoformat()
    '2026-03-02T14:00:00+00:00'
    """
    try:
        return _parse(text, now)
    except (ValueError, OverflowError):
        raise InvalidError(
            f"{ascii(text)[:80]} is not a time",
            hint='write it as "2026-03-02 14:00" (UTC), with a zone, or as `3d`, `2h`, `yesterday`',
        ) from None


def _parse(text: str | datetime, now: datetime) -> datetime:
    if isinstance(text, datetime):
        return text.astimezone(UTC) if text.tzinfo else text.replace(tzinfo=UTC)
    wanted = text.strip().lower()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if wanted in named:
        return named[wanted]
    if match := _AGO.fullmatch(wanted):
        return now - timedelta(seconds=int(match[1]) * _UNIT_S[match[2]])
    at = datetime.fromisoformat(text.strip())
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def format_time(at: datetime) -> str:
    """Return a time as people read it, to the second, in UTC.

    Examples
    --------
    >>> format_time(from_us(0))
    '1970-01-01 00:00:00'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
