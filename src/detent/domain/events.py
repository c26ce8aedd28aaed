"""The journal's events, and the chain of hashes that shows when one was tampered with.

Each event holds the digest of the one before. Altering, removing, inserting or reordering an
event therefore breaks the chain at that place. Whoever can rewrite the whole journal can also
rewrite the whole chain: keep the newest digest (``detent audit --verify`` prints it) elsewhere
when that matters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from detent.domain.digest import canonical_json, digest_of

GENESIS = "sha256:" + "0" * 64  # what the first event names as the one before


class EventType(StrEnum):
    """What can happen, in the past tense."""

    REGISTRY_CREATED = "RegistryCreated"
    VERSION_REGISTERED = "VersionRegistered"
    VERSION_WITHDRAWN = "VersionWithdrawn"
    VERSION_DELETED = "VersionDeleted"
    NOTE_CHANGED = "NoteChanged"
    ALIAS_ACTIVATED = "AliasActivated"
    ALIAS_ROLLED_BACK = "AliasRolledBack"
    ALIAS_DEACTIVATED = "AliasDeactivated"
    ACTIVATION_REFUSED = "ActivationRefused"
    ALIAS_HELD = "AliasHeld"
    ALIAS_RELEASED = "AliasReleased"
    POLICY_SET = "PolicySet"
    VERSION_EVALUATED = "VersionEvaluated"
    BLOBS_PRUNED = "BlobsPruned"
    BLOBS_REPAIRED = "BlobsRepaired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An immutable fact: when, who, what (``type`` and ``body``), and its place in the chain."""

    seq: int
    at: datetime
    actor: str
    type: str
    body: dict[str, Any]
    previous: str
    digest: str


def event_digest(
    *, seq: int, at_us: int, actor: str, type: str, body: dict[str, Any], previous: str
) -> str:
    """Return the digest of an event: of the canonical JSON of all its other fields.

    ``at_us`` is the time in microseconds since 1970-01-01 UTC.
    """
    return digest_of(
        canonical_json(
            {
                "seq": seq,
                "at_us": at_us,
                "actor": actor,
                "type": type,
                "body": body,
                "previous": previous,
            }
        )
    )


def check_chain(events: Iterable[tuple[Event, int]], *, head: tuple[int, str]) -> Iterator[str]:
    """Yield a sentence for each place where the chain of a journal is broken.

    Parameters
    ----------
    events : iterable of (Event, int)
        All events in their order, each with its time in microseconds.
    head : (int, str)
        Sequence number and digest of the newest event, as kept beside the journal.
    """
    expected_seq, previous = 1, GENESIS
    for event, at_us in events:
        if event.seq != expected_seq:
            missing = (
                f"{expected_seq}"
                if event.seq == expected_seq + 1
                else f"{expected_seq} to {event.seq - 1}"
            )
            yield f"event {missing} was removed: event {event.seq} follows event {expected_seq - 1}"
        own = event_digest(
            seq=event.seq,
            at_us=at_us,
            actor=event.actor,
            type=event.type,
            body=event.body,
            previous=event.previous,
        )
        if own != event.digest:
            yield f"event {event.seq} ({event.type}) was altered: its content does not match its digest"
        if event.seq == expected_seq and event.previous != previous:
            yield f"event {event.seq} ({event.type}) does not follow event {event.seq - 1}: one of them was inserted, reordered or replaced"
        expected_seq, previous = event.seq + 1, event.digest
    if (expected_seq - 1, previous) != head:
        seq, _ = head
        if seq >= expected_seq:
            yield f"the journal ends at event {expected_seq - 1}, but event {seq} was its newest: the end was removed"
        else:
            yield f"the journal ends at event {expected_seq - 1} in a way that its head (event {seq}) does not know"
