"""The journal: one hash-chained row per fact, written in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from detent.domain.clock import from_us
from detent.metadata.statements import Statements, converter

if TYPE_CHECKING:
    from detent.domain.events import Event, Link

_EVENT = "seq, created_at, actor, type, body_json, previous, digest"


class JournalTables(Statements):
    """The journal and its head."""

    # Place and digest of the event that was added last through these tables: what to look for
    # when the answer to a commit is lost.
    appended: tuple[int, str] | None = None

    def journal_head(self) -> tuple[int, str]:
        """Return sequence number and digest of the newest event, as kept beside the journal."""
        seq, digest = self._registry("journal_seq, journal_digest")
        return seq, digest

    def journal_end(self) -> tuple[tuple[int, str], int]:
        """Return the head, and the time of the newest event in microseconds; 0 for none."""
        seq, digest, at_us = self._registry(
            """journal_seq, journal_digest,
            (SELECT j.created_at FROM journal j ORDER BY j.seq DESC LIMIT 1)"""
        )
        return (seq, digest), at_us or 0

    def append_event(
        self,
        type: str,
        body: dict[str, Any],
        *,
        at_us: int,
        actor: str,
        head: tuple[int, str] | None = None,
    ) -> int:
        """Add an event behind the newest one and return its sequence number.

        `head` is that of the journal, where it was read in the same transaction.
        """
        from detent.domain.digest import canonical_json
        from detent.domain.events import event_digest

        newest, previous = head or self.journal_head()
        seq, body_json = newest + 1, canonical_json(body).decode()
        digest = event_digest(
            seq=seq,
            at_us=at_us,
            actor=actor,
            type=type,
            body_json=body_json,
            previous=previous,
        )
        self._all(
            f"""INSERT INTO journal ({_EVENT})
            VALUES (:seq, :at, :actor, :type, :body, :previous, :digest)""",
            seq=seq,
            at=at_us,
            actor=actor,
            type=str(type),
            body=body_json,
            previous=previous,
            digest=digest,
        )
        self._all(
            "UPDATE registry SET journal_seq = :seq, journal_digest = :digest",
            seq=seq,
            digest=digest,
        )
        self.appended = seq, digest
        return seq

    def list_events(
        self,
        *,
        since_us: int = 0,
        until_us: int | None = None,
        actor: str | None = None,
        type: str | None = None,
        after: int = 0,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Return events, newest first."""
        conditions = ["created_at >= :since", "seq > :after"]
        parameters: dict[str, Any] = {"since": since_us, "after": after}
        for name, condition, value in (
            ("until", "created_at <= :until", until_us),
            ("actor", "actor = :actor", actor),
            ("type", "type = :type", type),
            ("below", "seq < :below", below),
        ):
            if value is not None:
                conditions.append(condition)
                parameters[name] = value
        if limit is not None:
            parameters["limit"] = limit
        rows = self._all(
            f"""SELECT {_EVENT} FROM journal WHERE {" AND ".join(conditions)}
            ORDER BY seq DESC {"LIMIT :limit" if limit is not None else ""}""",
            **parameters,
        )
        return [_to_event(row) for row in rows]

    def events_after(self, seq: int, *, limit: int) -> list[Event]:
        """Return the events behind a number, oldest first."""
        rows = self._all(
            f"SELECT {_EVENT} FROM journal WHERE seq > :seq ORDER BY seq LIMIT :limit",
            seq=seq,
            limit=limit,
        )
        return [_to_event(row) for row in rows]

    def walk_journal(self, *, after: int = -(2**62), page: int = 1000) -> Iterator[Link]:
        """Yield every row of the journal as it stands, oldest first; those behind a number."""
        from detent.domain.events import Link

        # By default all: an inserted row may carry any number.
        while True:
            rows = self._all(
                f"""SELECT {_EVENT} FROM journal WHERE seq > :after
                ORDER BY seq LIMIT :page""",
                after=after,
                page=page,
            )
            for seq, at_us, actor, type, body_json, previous, digest in rows:
                yield Link(
                    seq=seq,
                    at_us=at_us,
                    actor=actor,
                    type=type,
                    body_json=body_json,
                    previous=previous,
                    digest=digest,
                )
            if len(rows) < page:
                return
            after = rows[-1][0]


@converter
def _to_event(row: tuple[Any, ...]) -> Event:
    import json

    from detent.domain.events import Event

    return Event(
        seq=row[0],
        at=from_us(row[1]),
        actor=row[2],
        type=row[3],
        body=json.loads(row[4]),
        previous=row[5],
        digest=row[6],
    )
