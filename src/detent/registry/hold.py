"""Holding an alias, so that only a rollback changes it, and releasing it."""

from __future__ import annotations

from detent.domain.alias import Hold
from detent.domain.events import EventType
from detent.errors import NotFoundError
from detent.registry.read import alias_reference, find_alias
from detent.registry.stores import Change, Stores, change


def hold(stores: Stores, name: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
    """Stop further activations of an alias until `release`. Rollback still works.

    Holding what is on hold replaces who and why.

    Raises
    ------
    NotFoundError
        If the alias has never held a version.
    """
    reference = alias_reference(name)
    with change(stores, dry_run=dry_run) as step:
        current = find_alias(step.tables, reference)
        return put_on_hold(step, current.model, current.alias, reason)


def release(stores: Stores, name: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
    """End a hold and return what it was.

    Raises
    ------
    NotFoundError
        If the alias is not on hold.
    """
    reference = alias_reference(name)
    with change(stores, dry_run=dry_run) as step:
        current = find_alias(step.tables, reference)
        held = step.tables.find_hold(current.model, current.alias)
        if held is None:
            raise NotFoundError(f"`{name}` is not on hold; nothing was changed")
        step.tables.set_hold(current.model, current.alias, None, at_us=step.at_us)
        step.record(
            EventType.ALIAS_RELEASED,
            {"model": current.model, "alias": current.alias, "reason": reason},
        )
    return held


def put_on_hold(step: Change, model: str, alias: str, reason: str | None) -> Hold:
    """Put an alias on hold in a transaction that does something else, too."""
    held = Hold(at=step.at, by=step.actor, reason=reason)
    step.tables.set_hold(model, alias, held, at_us=step.at_us)
    step.record(EventType.ALIAS_HELD, {"model": model, "alias": alias, "reason": reason})
    return held
