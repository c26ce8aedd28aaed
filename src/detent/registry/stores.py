"""What every operation needs: the two stores, the clock, and who is acting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from detent.domain.clock import from_us, to_us, utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from detent.blobs.base import Blobs
    from detent.metadata.base import Metadata
    from detent.metadata.predictions import Predictions
    from detent.metadata.tables import Tables


class Stores:
    """The stores of one registry, seen by one actor.

    Parameters
    ----------
    metadata : Metadata
        The rows.
    open_blobs : callable
        Gives the store of bytes. Called when it is first needed: `status` and `rollback` do
        without.
    actor : str
        Who acts.
    clock : callable
        Gives the present time, aware.
    predictions_path : str, optional
        The file of this machine that keeps what versions answered; by default it is in memory.
    is_spread : bool, default=False
        Whether other machines use this registry, and each keeps what it has answered itself.
    allows_private_webhooks : bool, default=False
        Whether webhooks may point to addresses that are not public.
    """

    def __init__(
        self,
        *,
        metadata: Metadata,
        open_blobs: Callable[[], Blobs],
        actor: str,
        clock: Callable[[], datetime] = utc_now,
        predictions_path: str | None = None,
        is_spread: bool = False,
        allows_private_webhooks: bool = False,
    ) -> None:
        self.metadata = metadata
        self.actor = actor
        self.clock = clock
        self.allows_private_webhooks = allows_private_webhooks
        self._open_blobs = open_blobs
        self.predictions_path = predictions_path
        self.is_spread = is_spread

    @cached_property
    def predictions(self) -> Predictions:
        """What versions answered while rollouts ran."""
        from detent.metadata.predictions import Predictions

        return Predictions(self.predictions_path)

    def acting_as(self, actor: str) -> Stores:
        """Return the same stores, seen by another actor."""
        return self._with(actor=actor)

    def inside(self, metadata: Metadata) -> Stores:
        """Return the same stores with other rows: those that an open transaction sees."""
        return self._with(metadata=metadata)

    def _with(self, *, metadata: Metadata | None = None, actor: str | None = None) -> Stores:
        other = Stores(
            metadata=metadata or self.metadata,
            open_blobs=lambda: self.blobs,
            actor=actor or self.actor,
            clock=self.clock,
            predictions_path=self.predictions_path,
            is_spread=self.is_spread,
            allows_private_webhooks=self.allows_private_webhooks,
        )
        other.predictions = self.predictions
        return other

    @cached_property
    def blobs(self) -> Blobs:
        """The bytes."""
        return self._open_blobs()


class Change:
    """One change being made: the tables to write to, its time and its actor."""

    def __init__(self, *, tables: Tables, head: tuple[int, str], at_us: int, actor: str) -> None:
        self.tables = tables
        self._head: tuple[int, str] | None = head
        self.at_us = at_us
        self.actor = actor

    @property
    def at(self) -> datetime:
        """The time of the change."""
        return from_us(self.at_us)

    def record(self, type: str, body: dict[str, Any]) -> None:
        """Write the event that tells of the change, in its transaction."""
        self.tables.append_event(type, body, at_us=self.at_us, actor=self.actor, head=self._head)
        self._head = self.tables.appended


class _DryRunError(Exception):
    """Ends a transaction that was only tried."""


@contextmanager
def change(stores: Stores, *, dry_run: bool = False) -> Iterator[Change]:
    """Open a change: durable with its events when the block ends, or as if it had never been.

    With `dry_run` everything is done and checked, and then undone.
    """
    try:
        with stores.metadata.write() as tables:
            # A clock that was set back must not put a change before, or beside, the one it follows:
            # `status(at=…)` and the order of a history go by the time.
            head, newest_us = tables.journal_end()
            at_us = max(to_us(stores.clock()), newest_us + 1)
            yield Change(tables=tables, head=head, at_us=at_us, actor=stores.actor)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
