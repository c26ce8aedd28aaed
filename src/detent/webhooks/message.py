"""What a webhook is told: an event of the journal as a CloudEvent, and its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from detent.domain.events import EventType

if TYPE_CHECKING:
    from detent.domain.events import Event

MEDIA_TYPE = "application/cloudevents+json"
SECRET_PREFIX = "whsec_"
DEFAULT_TYPES = ("detent.alias.*", "detent.version.*", "detent.rollout.*")
_OWN_TYPES = {EventType.ACTIVATION_REFUSED: "detent.alias.refused"}
_TYPE = re.compile(r"detent(\.[a-z_]+)*(\.[a-z_]+|\.\*)")


def type_of(event_type: str) -> str:
    """Return the type of CloudEvent that tells of an event.

    Examples
    --------
    >>> type_of("AliasRolledBack"), type_of("ActivationRefused"), type_of("VersionRegistered")
    ('detent.alias.rolled_back', 'detent.alias.refused', 'detent.version.registered')
    """
    for known, own in _OWN_TYPES.items():
        if event_type == known:
            return own
    about, *what = re.findall(r"[A-Z][a-z]*", event_type)
    return f"detent.{about}.{'_'.join(what)}".lower()


def is_type(text: str) -> bool:
    """Say whether a text can be a type of CloudEvent of ours, or the beginning of some."""
    return _TYPE.fullmatch(text) is not None


def cloud_event(event: Event, *, source: str) -> bytes:
    """Return an event as a CloudEvent 1.0, in JSON.

    Its ``id`` is the event's number, its ``data`` the event as ``GET /events`` gives it: with its
    place in the chain of the journal, so that a receiver can check that none is missing.

    Parameters
    ----------
    event : Event
        What happened.
    source : str
        The registry, as `source_of` names it.

    References
    ----------
    .. [1] Cloud Native Computing Foundation (2019). CloudEvents, version 1.0, and JSON Event
       Format for CloudEvents. https://github.com/cloudevents/spec
    """
    body: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.seq),
        "source": source,
        "type": type_of(event.type),
        "time": event.at,
        "datacontenttype": "application/json",
        "data": event,
    }
    subject = _subject(event.body)
    if subject:
        body["subject"] = subject
    return msgspec.json.encode(body)


def source_of(first_digest: str) -> str:
    """Return the name of a registry: its first event is like no other's."""
    return f"urn:detent:registry:{first_digest.removeprefix('sha256:')[:32]}"


def _subject(body: dict[str, Any]) -> str:
    model, alias = body.get("model"), body.get("alias")
    if model and alias:
        return f"{model}@{alias}"
    return f"{model}/{body['version']}" if model and body.get("version") else str(model or "")


def new_secret() -> str:
    """Return a secret of 256 random bits, in the form of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message, as Standard Webhooks has them.

    A receiver checks them with one of that standard's libraries: HMAC-SHA256 over
    ``id.time.body``, with the bytes behind ``whsec_`` as the key.

    Parameters
    ----------
    secret : str
        The webhook's.
    id : str
        The same in each try to tell of one event.
    at_s : int
        The time of this try, in seconds since 1970-01-01 UTC: an old message is no new one.
    body : bytes
        What is sent.

    References
    ----------
    .. [1] Standard Webhooks (2023). https://www.standardwebhooks.com

    Examples
    --------
    >>> sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
    ...      b'{"test": 2432232314}')["webhook-signature"]
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
