"""Numbers of a rollout in words."""

from __future__ import annotations


def points(share: float) -> str:
    """Return a difference of shares in points.

    Examples
    --------
    >>> points(0.019), points(-0.0004), points(0)
    ('+1.9 pt', '−0.04 pt', '0 pt')
    """
    text = f"{share * 100:+.3g} pt" if share else "0 pt"
    return text.replace("-", "−")


def band_text(difference: float | None, low: float | None, high: float | None) -> str:
    """Return a difference with its bounds.

    Examples
    --------
    >>> band_text(0.019, 0.011, 0.027)
    '+1.9 pt [+1.1, +2.7]'
    """
    if difference is None:
        return "not known yet"
    if low is None or high is None:
        return points(difference)
    return f"{points(difference)} [{points(low)[:-3]}, {points(high)[:-3]}]"


def percent(share: float) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> percent(0.1), percent(0.005)
    ('10%', '0.5%')
    """
    return f"{share * 100:.3g}%"
