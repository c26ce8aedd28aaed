"""Values as people read them on a page."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from detent.charts.chart import Chart
from detent.charts.draw import draw
from detent.comparison.words import (
    allowed_text,
    changed_text,
    headline,
    interval_text,
    mark,
    unmatched_text,
    verdict_text,
)
from detent.domain.alias import Activation, Refusal
from detent.domain.clock import lasting, utc_now
from detent.domain.events import Event
from detent.domain.rollout import Phase, Signal
from detent.domain.server import Server
from detent.domain.version import format_size
from detent.errors import DetentError
from detent.facade import Registry
from detent.rollout.words import percent, points


def ago(at: datetime) -> str:
    """Return how long ago a time was, in its largest unit."""
    return lasting(utc_now() - at)


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
        "damage": next((s.problem for s in behind if _is_damage(s, entry)), None),
        "behind": [_behind(server, entry, now) for server in behind],
    }


def _is_damage(server: Server, entry: Activation) -> bool:
    is_of_entry = server.problem_entry >= entry.entry
    return is_of_entry and "not what was registered" in (server.problem or "")


def _behind(server: Server, entry: Activation, now: datetime) -> dict[str, str]:
    heard = lasting(now - server.heard_at)
    why = server.problem if server.problem and server.problem_entry >= entry.entry else None
    text = f"{server.answers(now)} ({why or f'last heard {heard} ago'})"
    return {"name": server.name, "text": text}


def drawing(chart: Chart) -> Markup:
    """Return a chart drawn for a page; its text is escaped by what draws it."""
    return Markup(draw(chart))


def last_held(history: Sequence[Activation | Refusal], version: int | None) -> str | None:
    """Return for how long a version was active the last time, and until when."""
    entries = [entry for entry in history if isinstance(entry, Activation)]
    for later, entry in pairwise(entries):
        if version is not None and entry.version == version:
            held = lasting(later.at - entry.at)
            return f"for {held} until {minute(later.at)} UTC"
    return None


def warm_up() -> None:
    """Draw something, so that what draws is ready."""
    empty: dict[str, Any] = {"mark": "point", "data": {"values": []}}
    draw(Chart(title="", description="", spec=empty, header=(), rows=()))


def verdict(difference: Any) -> str:
    """Return what the rows say of a difference, with its sign."""
    return f"{mark(difference)} {verdict_text(difference)}"


def count_servers(registry: Registry, alias: str) -> int:
    """Return how many servers follow an alias; 0 where that cannot be known now."""
    servers, _ = trying(lambda: registry.servers(alias))
    return len(servers or ())


def trying(ask: Any) -> tuple[Any, DetentError | None]:
    """Return what `ask` answers, or the error that it raises."""
    try:
        return ask(), None
    except DetentError as error:
        return None, error


def signal_name(name: str) -> str:
    """Return the name of something that a rollout watches, in words."""
    return name.replace("_", " ")


def found(signal: Signal) -> str:
    """Return what is known of something that a rollout watches, with its sign."""
    if signal.verdict == "open" and signal.name == "split":
        return "● as meant"
    if signal.verdict == "open" and signal.phase is Phase.FULL:
        return "● has not become worse"
    return {
        "harm": "✗ beyond the limit",
        "broken": "✗ cannot be believed",
        "safe": "✓ within the limit",
        "drift": "! moved",
    }.get(signal.verdict, "● not decided yet")


def spaced(type: str) -> str:
    """Return the type of an event in words.

    Examples
    --------
    >>> spaced("AliasRolledBack")
    'alias rolled back'
    """
    return re.sub(r"(?<!^)([A-Z])", r" \1", type).lower()


def moved(event: Event) -> str:
    """Return what an event says of versions: the one before, and the one from then on."""
    body = event.body
    new = body.get("version") or body.get("candidate")
    old = body.get("previous") if "previous" in body else body.get("baseline")
    texts = [f"v{number}" for number in (old, new) if number]
    if "previous" in body and not new and old:
        texts.append("no version")
    return " → ".join(texts) or "–"


def reason(event: Event) -> str | None:
    """Return why something was done, as whoever did it said."""
    said = (event.body.get(name) for name in ("reason", "why", "note", "override"))
    return next((text for text in said if isinstance(text, str) and text), None)


FILTERS = {
    "moved": moved,
    "reason": reason,
    "spaced": spaced,
    "found": found,
    "percent": percent,
    "points": points,
    "signal": signal_name,
    "ago": ago,
    "drawing": drawing,
    "minute": minute,
    "number": number,
    "signed": signed,
    "size": format_size,
    "allowed": allowed_text,
    "changed": changed_text,
    "headline": headline,
    "interval": interval_text,
    "unmatched": unmatched_text,
    "verdict": verdict,
}
