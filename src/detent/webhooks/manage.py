"""Webhooks: made, listed, tried and deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from detent.domain.events import EventType
from detent.domain.reference import check_model_name
from detent.errors import InvalidError, NotFoundError
from detent.registry.stores import Stores, change
from detent.webhooks.message import DEFAULT_TYPES, is_type, new_secret
from detent.webhooks.target import check_url

if TYPE_CHECKING:
    from detent.domain.webhook import Delivery, NewWebhook, Webhook

MOST = 100  # webhooks of a registry


def create_webhook(
    stores: Stores, url: str, *, types: Iterable[str], models: Iterable[str]
) -> NewWebhook:
    """Tell an address of the events to come. Its secret is in the answer, and not shown again.

    Raises
    ------
    InvalidError
        If the URL, a type or a name is malformed, or there are too many.
    RefusedError
        If the URL names an address that is not public, and those are not allowed.
    """
    from detent.domain.webhook import NewWebhook, Webhook

    check_url(url, allows_private=stores.allows_private_webhooks)
    wanted = tuple(types) or DEFAULT_TYPES
    unknown = [type for type in wanted if not is_type(type)]
    if unknown:
        raise InvalidError(
            f"{unknown[0][:80]!a} is no type of event; nothing was changed",
            hint=f"such as `detent.alias.activated`, or `{DEFAULT_TYPES[0]}` for all about aliases",
        )
    secret = new_secret()
    with change(stores) as step:
        if len(step.tables.list_webhooks()) >= MOST:
            raise InvalidError(f"a registry has at most {MOST} webhooks; none was made")
        webhook = Webhook(
            id=step.tables.next_webhook(),
            url=url,
            types=wanted,
            models=tuple(check_model_name(model) for model in models),
            created_at=step.at,
            created_by=step.actor,
            told=step.tables.journal_head()[0],
        )
        step.tables.insert_webhook(webhook, secret=secret)
        step.record(
            EventType.WEBHOOK_CREATED,
            {
                "webhook": webhook.id,
                "place": webhook.place,
                "types": list(webhook.types),
                "models": list(webhook.models),
            },
        )
    return NewWebhook(webhook=webhook, secret=secret)


def get_webhook(stores: Stores, id: int) -> Webhook:
    """Return a webhook.

    Raises
    ------
    NotFoundError
        If there is no such webhook.
    """
    found = stores.metadata.current.find_webhook(id)
    if found is None:
        raise _missing(id)
    return found


def delete_webhook(stores: Stores, id: int) -> Webhook:
    """Tell an address nothing more; what it was not told yet is not told.

    Raises
    ------
    NotFoundError
        If there is no such webhook.
    """
    with change(stores) as step:
        webhook = step.tables.find_webhook(id)
        if webhook is None:
            raise _missing(id)
        step.tables.delete_webhook(id, at_us=step.at_us)
        step.record(EventType.WEBHOOK_DELETED, {"webhook": id, "place": webhook.place})
    return webhook


def deliveries(
    stores: Stores, id: int, *, below: int | None = None, limit: int | None = None
) -> list[Delivery]:
    """Return how the tries to tell a webhook went, newest first.

    Raises
    ------
    NotFoundError
        If there is no such webhook.
    """
    get_webhook(stores, id)
    return stores.metadata.current.list_deliveries(id, below=below, limit=limit)


def _missing(id: int) -> NotFoundError:
    return NotFoundError(f"there is no webhook {id}", hint="list them: `detent webhook list`")
