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
from detent.errors import InvalidError

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
    VERSION_APPROVED = "VersionApproved"
    VERSION_EVALUATED = "VersionEvaluated"
    ROLLOUT_STARTED = "RolloutStarted"
    ROLLOUT_PHASE_CHANGED = "RolloutPhaseChanged"
    ROLLOUT_ENDED = "RolloutEnded"
    BLOBS_PRUNED = "BlobsPruned"
    BLOBS_REPAIRED = "BlobsRepaired"
    TOKEN_CREATED = "TokenCreated"
    TOKEN_REVOKED = "TokenRevoked"
    WEBHOOK_CREATED = "WebhookCreated"
    WEBHOOK_DELETED = "WebhookDeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An event as the chain sees it: its row, unparsed."""

    seq: int
    at_us: int
    actor: str
    type: str
    body_json: str
    previous: str
    digest: str


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
    *, seq: int, at_us: int, actor: str, type: str, body_json: str, previous: str
) -> str:
    """Return the digest of an event: of the canonical JSON of all its other fields.

    ``at_us`` is the time in microseconds since 1970-01-01 UTC; ``body_json`` is the body's
    canonical JSON, as text, so that not even a space in it can change unseen.
    """
    return digest_of(
        canonical_json(
            {
                "seq": seq,
                "at_us": at_us,
                "actor": actor,
                "type": type,
                "body": body_json,
                "previous": previous,
            }
        )
    )


def check_chain(links: Iterable[Link], *, head: tuple[int, str]) -> Iterator[str]:
    """Yield a sentence for each place where the chain of a journal is broken.

    Parameters
    ----------
    links : iterable of Link
        All rows of the journal in their order.
    head : (int, str)
        Sequence number and digest of the newest event, as kept beside the journal.
    """
    expected, previous = 1, GENESIS
    for link in links:
        name = f"event {link.seq} ({link.type})"
        if link.seq < expected:
            yield f"{name} was inserted: no journal has an event of this number"
        elif link.seq > expected:
            gone = f"{expected}" if link.seq == expected + 1 else f"{expected} to {link.seq - 1}"
            yield f"event {gone} was removed: event {link.seq} follows event {expected - 1}"
        if not _is_whole(link):
            yield f"{name} was altered: its content does not match its digest"
        if link.seq == expected and link.previous != previous:
            yield (
                f"{name} does not follow event {link.seq - 1}: one of them was inserted,"
                " reordered or replaced"
            )
        expected, previous = link.seq + 1, link.digest
    seq, digest = head
    if seq >= expected:
        yield (
            f"the journal ends at event {expected - 1}, but event {seq} was its newest: the end"
            " was removed"
        )
    elif (expected - 1, previous) != (seq, digest):
        yield (
            f"the journal ends at event {expected - 1} in a way that its head (event {seq}) does"
            " not know: its end was inserted or replaced"
        )


def _is_whole(link: Link) -> bool:
    try:
        own = event_digest(
            seq=link.seq,
            at_us=link.at_us,
            actor=link.actor,
            type=link.type,
            body_json=link.body_json,
            previous=link.previous,
        )
    except InvalidError:  # a value that no event ever has
        return False
    return own == link.digest
