"""What every operation needs: the two stores, the clock, and who is acting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from detent.blobs.base import Blobs
from detent.domain.clock import from_us, to_us, utc_now
from detent.metadata.base import Metadata
from detent.metadata.tables import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The stores of one registry, seen by one actor."""

    metadata: Metadata
    blobs: Blobs
    actor: str
    clock: Callable[[], datetime] = utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change being made: the tables to write to, its time and its actor."""

    tables: Tables
    at_us: int
    actor: str

    @property
    def at(self) -> datetime:
        """The time of the change."""
        return from_us(self.at_us)

    def record(self, type: str, body: dict[str, Any]) -> None:
        """Write the event that tells of the change, in its transaction."""
        self.tables.append_event(type, body, at_us=self.at_us, actor=self.actor)


class _DryRunError(Exception):
    """Ends a transaction that was only tried."""


@contextmanager
def change(stores: Stores, *, dry_run: bool = False) -> Iterator[Change]:
    """Open a change: durable with its events when the block ends, or as if it had never been.

    With `dry_run` everything is done and checked, and then undone.
    """
    try:
        with stores.metadata.write() as tables:
            # A clock that was set back must not put an event before the one it follows.
            at_us = max(to_us(stores.clock()), tables.newest_time())
            yield Change(tables=tables, at_us=at_us, actor=stores.actor)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
