"""Telling webhooks: which is due, one try, and when the next one is made.

Any number of servers may do this for one registry: a webhook is claimed for the time of a try. A
server that is killed leaves a claim that lapses, and another tells the event again.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from detent.domain.clock import to_us
from detent.domain.value import replace
from detent.domain.webhook import Delivery, Webhook
from detent.errors import DetentError
from detent.registry.stores import Stores
from detent.webhooks.manage import get_webhook
from detent.webhooks.message import MEDIA_TYPE, cloud_event, sign, source_of, type_of
from detent.webhooks.target import post

if TYPE_CHECKING:
    from detent.domain.events import Event

WAITS_S = (5, 30, 120, 600, 1800, 7200, 21600, 43200)  # between tries; then the event is given up
CLAIM_S = 60  # longer than a try takes
LOOK_S = 0.5  # between two looks for new events
PAGE = 500
TEST_TYPE = "detent.webhook.tested"


def wait_after(failures: int) -> int | None:
    """Return the seconds until an event is told again; None when it is given up.

    Examples
    --------
    >>> wait_after(1), wait_after(3), wait_after(100)
    (5, 120, None)
    """
    return WAITS_S[failures - 1] if failures <= len(WAITS_S) else None


def deliver_due(stores: Stores) -> int:
    """Tell every webhook that is due of what it was not told yet; return the number of tries."""
    due = [hook for hook in stores.metadata.current.list_webhooks() if _is_due(stores, hook)]
    if not due:
        return 0
    # Side by side: a receiver that does not answer must not keep others waiting.
    with ThreadPoolExecutor(min(len(due), 8)) as pool:
        return sum(pool.map(lambda hook: _tell_all(stores, hook.id), due))


def test_webhook(stores: Stores, id: int) -> Delivery:
    """Tell a webhook of nothing, once and at once, and return how it went.

    Raises
    ------
    NotFoundError
        If there is no such webhook.
    """
    from detent.domain.events import GENESIS, Event

    event = Event(
        seq=0,
        at=stores.clock(),
        actor=stores.actor,
        type="WebhookTested",
        body={"webhook": id},
        previous=GENESIS,
        digest=GENESIS,
    )
    delivery = _try(stores, get_webhook(stores, id), event)
    with stores.metadata.write() as tables:
        return replace(delivery, id=tables.insert_delivery(delivery))


def _is_due(stores: Stores, webhook: Webhook) -> bool:
    is_late = webhook.next_at is None or webhook.next_at <= stores.clock()
    return is_late and bool(stores.metadata.current.events_after(webhook.told, limit=1))


def _tell_all(stores: Stores, id: int) -> int:
    n_tries = 0
    try:
        while (claimed := _claim(stores, id)) is not None:
            webhook, event = claimed
            delivery = _try(stores, webhook, event)
            _settle(stores, webhook, delivery)
            n_tries += 1
    finally:
        stores.metadata.release()
    return n_tries


def _claim(stores: Stores, id: int) -> tuple[Webhook, Event] | None:
    """Return a webhook with the event that it is told next, if it is due, for us alone."""
    webhook = stores.metadata.current.find_webhook(id)
    if webhook is None or not _is_due(stores, webhook):
        return None
    with stores.metadata.write() as tables:
        webhook = tables.find_webhook(id)
        now = stores.clock()
        if webhook is None or (webhook.next_at is not None and webhook.next_at > now):
            return None
        told = webhook.told
        while page := tables.events_after(told, limit=PAGE):
            for event in page:
                if webhook.wants(type_of(event.type), event.body.get("model")):
                    until = to_us(now + timedelta(seconds=CLAIM_S))
                    tables.move_webhook(
                        id,
                        since=webhook.told,
                        told=event.seq - 1,
                        failures=webhook.failures,
                        next_us=until,
                    )
                    return replace(webhook, told=event.seq - 1), event
            told = page[-1].seq
        tables.move_webhook(id, since=webhook.told, told=told, failures=0, next_us=None)
    return None


def _try(stores: Stores, webhook: Webhook, event: Event) -> Delivery:
    tables = stores.metadata.current
    [first] = tables.events_after(0, limit=1)
    body = cloud_event(event, source=source_of(first.digest))
    at = stores.clock()
    id = f"{first.digest[7:23]}-{event.seq or to_us(at)}"
    headers = sign(tables.webhook_secret(webhook.id), id, int(at.timestamp()), body)
    headers |= {"Content-Type": MEDIA_TYPE, "User-Agent": "detent"}
    started, status, problem = time.perf_counter(), None, None
    try:
        allows = stores.allows_private_webhooks
        status = post(webhook.url, body, headers, allows_private=allows)
        if not 200 <= status < 300:
            problem = f"answered with status {status}"
    except DetentError as error:
        problem = error.message
    return Delivery(
        id=0,
        webhook=webhook.id,
        seq=event.seq,
        type=type_of(event.type),
        attempt=webhook.failures + 1,
        at=at,
        seconds=round(time.perf_counter() - started, 4),
        status=status,
        problem=problem,
    )


def _settle(stores: Stores, webhook: Webhook, delivery: Delivery) -> None:
    failures = 0 if delivery.is_told else delivery.attempt
    wait = wait_after(failures) if failures else None
    next_us = None if wait is None else to_us(stores.clock() + timedelta(seconds=wait))
    is_done = wait is None  # told, or given up
    with stores.metadata.write() as tables:
        is_ours = tables.move_webhook(
            webhook.id,
            since=webhook.told,
            told=delivery.seq if is_done else webhook.told,
            failures=0 if is_done else failures,
            next_us=next_us,
        )
        if is_ours:
            tables.insert_delivery(delivery)


class Teller:
    """A thread that tells the webhooks of a registry, for as long as its server runs."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="detent-webhooks", daemon=True)

    def start(self) -> None:
        """Begin; what was not told before the last end is told now."""
        self._thread.start()

    def stop(self) -> None:
        """End after the tries that are being made."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(LOOK_S):
            with suppress(DetentError):  # a store that does not answer now may do so later
                deliver_due(self._stores)
        self._stores.metadata.release()
