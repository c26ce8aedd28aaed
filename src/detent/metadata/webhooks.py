"""The tables of webhooks: who is told, how far, and how each try went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.clock import from_us, to_us
from detent.metadata.statements import Statements, converter, names_from_json, names_to_json

if TYPE_CHECKING:
    from detent.domain.webhook import Delivery, Webhook

KEPT_DELIVERIES = 1000  # of each webhook
_WEBHOOK = "id, url, types_json, models_json, created_at, created_by, told, failures, next_at"
_DELIVERY = "id, webhook, seq, type, attempt, created_at, seconds, status, problem"


class WebhookTables(Statements):
    """Webhooks and their deliveries. The journal is the queue: a webhook is a place in it."""

    def insert_webhook(self, webhook: Webhook, *, secret: str) -> None:
        """Add a webhook; its number is given by `next_webhook`."""
        self._all(
            """INSERT INTO webhook (id, url, types_json, models_json, secret, told, failures,
            created_at, created_by)
            VALUES (:id, :url, :types, :models, :secret, :told, 0, :at, :by)""",
            id=webhook.id,
            url=webhook.url,
            types=names_to_json(webhook.types),
            models=names_to_json(webhook.models),
            secret=secret,
            told=webhook.told,
            at=to_us(webhook.created_at),
            by=webhook.created_by,
        )

    def next_webhook(self) -> int:
        """Return the number that the next webhook will have; one is not given twice."""
        return self._next("webhook", "id")

    def list_webhooks(self) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        rows = self._all(f"SELECT {_WEBHOOK} FROM webhook WHERE deleted_at IS NULL ORDER BY id")
        return [_to_webhook(row) for row in rows]

    def find_webhook(self, id: int) -> Webhook | None:
        """Return the webhook of that number, unless it was deleted."""
        row = self._one(
            f"SELECT {_WEBHOOK} FROM webhook WHERE id = :id AND deleted_at IS NULL", id=id
        )
        return _to_webhook(row) if row else None

    def webhook_secret(self, id: int) -> str:
        """Return what signs that which a webhook is told."""
        row = self._one("SELECT secret FROM webhook WHERE id = :id", id=id)
        return str(row[0]) if row else ""

    def delete_webhook(self, id: int, *, at_us: int) -> None:
        """Tell a webhook nothing more: its secret is forgotten, and how its tries went."""
        self._all(
            "UPDATE webhook SET deleted_at = :at, secret = '' WHERE id = :id", id=id, at=at_us
        )
        self._all("DELETE FROM delivery WHERE webhook = :id", id=id)

    def move_webhook(
        self, id: int, *, since: int, told: int, failures: int, next_us: int | None
    ) -> bool:
        """Note how far a webhook was told; return False if somebody else has moved it."""
        rows = self._all(
            """UPDATE webhook SET told = :told, failures = :failures, next_at = :next
            WHERE id = :id AND told = :since AND deleted_at IS NULL RETURNING id""",
            id=id,
            since=since,
            told=told,
            failures=failures,
            next=next_us,
        )
        return bool(rows)

    def insert_delivery(self, delivery: Delivery) -> int:
        """Keep how a try went, and drop the oldest of too many; return its number."""
        id = self._next("delivery", "id")
        self._all(
            f"""INSERT INTO delivery ({_DELIVERY}) VALUES (:id, :webhook, :seq, :type, :attempt,
            :at, :seconds, :status, :problem)""",
            id=id,
            webhook=delivery.webhook,
            seq=delivery.seq,
            type=delivery.type,
            attempt=delivery.attempt,
            at=to_us(delivery.at),
            seconds=delivery.seconds,
            status=delivery.status,
            problem=delivery.problem,
        )
        self._all(
            """DELETE FROM delivery WHERE webhook = :webhook AND id <= (SELECT id FROM delivery
            WHERE webhook = :webhook ORDER BY id DESC LIMIT 1 OFFSET :kept)""",
            webhook=delivery.webhook,
            kept=KEPT_DELIVERIES,
        )
        return id

    def list_deliveries(
        self, webhook: int, *, below: int | None = None, limit: int | None = None
    ) -> list[Delivery]:
        """Return how the tries to tell a webhook went, newest first."""
        rows = self._all(
            f"""SELECT {_DELIVERY} FROM delivery WHERE webhook = :webhook AND id < :below
            ORDER BY id DESC LIMIT :limit""",
            webhook=webhook,
            below=2**62 if below is None else below,
            limit=KEPT_DELIVERIES if limit is None else limit,
        )
        return [_to_delivery(row) for row in rows]


@converter
def _to_webhook(row: tuple[Any, ...]) -> Webhook:
    from detent.domain.webhook import Webhook

    return Webhook(
        id=row[0],
        url=row[1],
        types=names_from_json(row[2]),
        models=names_from_json(row[3]),
        created_at=from_us(row[4]),
        created_by=row[5],
        told=row[6],
        failures=row[7],
        next_at=None if row[8] is None else from_us(row[8]),
    )


@converter
def _to_delivery(row: tuple[Any, ...]) -> Delivery:
    from detent.domain.webhook import Delivery

    return Delivery(
        id=row[0],
        webhook=row[1],
        seq=row[2],
        type=row[3],
        attempt=row[4],
        at=from_us(row[5]),
        seconds=row[6],
        status=row[7],
        problem=row[8],
    )
