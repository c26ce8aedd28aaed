"""The audit page: events as the address asks for them, the same as files, and the chain."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response, StreamingResponse

from detent.domain.clock import parse_time
from detent.domain.events import Event, EventType
from detent.errors import InvalidError
from detent.registry.stores import Stores
from detent.web.chain import ChainCheck
from detent.web.site import HEADERS, Answer, Page, Visit
from detent.web.told import alert
from detent.web.words import reason

SHOWN = 200  # events of one page
_AT_ONCE = 1000  # events that a download reads in one go
_COLUMNS = (
    *("seq", "at", "by", "type", "model", "alias", "previous", "version", "reason", "decision"),
    *("body", "digest"),
)
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which events an address asks for. Texts are as in the address, times as they were meant."""

    by: str | None
    type: str | None
    since: datetime | None
    until: datetime | None
    below: int | None
    texts: dict[str, str]


class Log:
    """The pages of the journal, which share what is known of its chain."""

    def __init__(self, stores: Stores) -> None:
        self._chain = ChainCheck(stores)

    def audit(self, visit: Visit) -> Answer:
        """Show the events of the journal, newest first."""
        texts = _texts(visit)
        values: dict[str, Any] = {"texts": texts, "types": list(EventType), "events": []}
        values |= {"query": urlencode(texts), "older": None, "chain": self._chain.look()}
        try:
            asked = _filter(visit)
        except InvalidError as error:
            return alert(Page(template="audit", values=values), error)
        events = _events(visit, asked, limit=SHOWN + 1)
        if len(events) > SHOWN:
            values["older"] = urlencode(asked.texts | {"below": str(events[SHOWN - 1].seq)})
        values |= {"events": events[:SHOWN]}
        return Page(template="audit", values=values)

    def download_csv(self, visit: Visit) -> Answer:
        """Answer with all events that the page's filters let pass, as CSV."""
        return _file(_csv(visit, _filter(visit)), "text/csv; charset=utf-8", "csv")

    def download_json(self, visit: Visit) -> Answer:
        """Answer with all events that the page's filters let pass, as JSON."""
        return _file(_json(visit, _filter(visit)), "application/json", "json")


def _texts(visit: Visit) -> dict[str, str]:
    names = ("by", "type", "since", "until")
    return {name: text for name in names if (text := visit.asked(name))}


def _filter(visit: Visit) -> Filter:
    """Return what the address asks for.

    Raises
    ------
    InvalidError
        If a time, a type or a place is none.
    """
    texts, now = _texts(visit), visit.stores.clock()
    type, below = texts.get("type"), visit.asked("below")
    if type is not None and type not in list(EventType):
        raise InvalidError(f"there are no events of the type {type[:40]!a}")
    if below is not None and not (below.isascii() and below.isdigit() and len(below) < 19):
        raise InvalidError(f"{below[:40]!a} is not the number of an event")
    since, until = (
        parse_time(texts[name], now=now) if name in texts else None for name in ("since", "until")
    )
    return Filter(
        by=texts.get("by"),
        type=type,
        since=since,
        until=until,
        below=int(below) if below else None,
        texts=texts,
    )


def _events(visit: Visit, asked: Filter, *, below: int | None = None, limit: int) -> list[Event]:
    return visit.registry._operations.events(
        since=asked.since,
        until=asked.until,
        by=asked.by,
        type=asked.type,
        below=below if below is not None else asked.below,
        limit=limit,
    )


def _walk(visit: Visit, asked: Filter) -> Iterator[list[Event]]:
    """Yield all events asked for, many at once: what comes meanwhile is newer than the first.

    Each step may run in another thread, and reads by itself.
    """
    below = None
    while events := _events(visit, asked, below=below, limit=_AT_ONCE):
        yield events
        below = events[-1].seq


def _file(content: Iterator[str], media_type: str, ending: str) -> Response:
    name = {"Content-Disposition": f'attachment; filename="detent-audit.{ending}"'}
    return StreamingResponse(content, media_type=media_type, headers=HEADERS | name)


def _json(visit: Visit, asked: Filter) -> Iterator[str]:
    before = "[\n"
    for events in _walk(visit, asked):
        yield before + ",\n".join(msgspec.json.encode(event).decode() for event in events)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def _csv(visit: Visit, asked: Filter) -> Iterator[str]:
    yield _lines([_COLUMNS])
    for events in _walk(visit, asked):
        yield _lines(_cells(event) for event in events)


def _cells(event: Event) -> tuple[Any, ...]:
    body = event.body
    return (
        event.seq,
        event.at.isoformat(),
        _cell(event.actor),
        event.type,
        *(_cell(body.get(name)) for name in ("model", "alias", "previous")),
        body.get("version") or body.get("candidate"),
        _cell(reason(event)),
        _cell(body.get("decision")),
        msgspec.json.encode(body).decode(),
        event.digest,
    )


def _cell(value: Any) -> Any:
    """Return a value as a cell: text that would be a formula gets an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value if isinstance(value, str | int) else None if value is None else str(value)


def _lines(rows: Iterable[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
