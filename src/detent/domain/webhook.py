"""Webhooks: addresses that are told of events, and how each telling went."""

from datetime import datetime

from detent.domain.value import value


@value
class Webhook:
    """An address that is told of a registry's events, in their order.

    ``types`` are types of events, or beginnings of them that end in ``*``; ``models`` those it is
    told of, () for all. ``told`` is the newest event that it was told of or had no interest in;
    after ``failures`` in a row it is told again at ``next_at``. The secret is not part of it.
    """

    id: int
    url: str
    types: tuple[str, ...]
    models: tuple[str, ...]
    created_at: datetime
    created_by: str
    told: int = 0
    failures: int = 0
    next_at: datetime | None = None

    def wants(self, type: str, model: str | None) -> bool:
        """Say whether it is told of an event of a type, on a model where it is about one.

        Examples
        --------
        >>> from detent.domain.clock import EPOCH
        >>> hook = Webhook(id=1, url="", types=("detent.alias.*",), models=("churn",),
        ...                created_at=EPOCH, created_by="ana")
        >>> hook.wants("detent.alias.activated", "churn"), hook.wants("detent.policy.set", "churn")
        (True, False)
        """
        if self.models and model not in self.models:
            return False
        return any(
            type.startswith(known[:-1]) if known.endswith("*") else type == known
            for known in self.types
        )

    @property
    def place(self) -> str:
        """Scheme and host: the rest of the URL may be a secret of the receiver's."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}"

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Webhook {self.id} {self.place}>"


@value
class NewWebhook:
    """A webhook that was just made, with the secret that signs what it is told: shown once."""

    webhook: Webhook
    secret: str


@value
class Delivery:
    """One try to tell a webhook of an event.

    ``seq`` is the event's number, 0 for a test; ``attempt`` counts from 1. ``status`` is what the
    receiver answered, ``problem`` what went wrong: None when it was told.
    """

    id: int
    webhook: int
    seq: int
    type: str
    attempt: int
    at: datetime
    seconds: float
    status: int | None = None
    problem: str | None = None

    @property
    def is_told(self) -> bool:
        """Whether the receiver accepted it."""
        return self.problem is None

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Delivery of event {self.seq} to webhook {self.webhook}: {self.problem or 'told'}>"
