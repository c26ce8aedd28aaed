"""Rollouts in the registry: start one, move it on, end it; each with its event in the journal.

What is counted and what follows from it is decided elsewhere (``rollout``). Here a rollout is a row
that stands on an entry of its alias's history: whoever moves the alias ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.clock import format_time
from detent.domain.events import EventType
from detent.domain.reference import Reference, check_alias_name
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from detent.registry.read import alias_reference, check_expected, find_alias, resolve
from detent.registry.stores import Change, Stores, change

if TYPE_CHECKING:
    from detent.domain.alias import Activation
    from detent.domain.rollout import Phase, Plan, Rollout, RolloutStatus


def start_rollout(
    stores: Stores,
    reference: str | Reference | Version,
    alias: str,
    plan: Plan,
    *,
    expected: int | None = None,
    dry_run: bool = False,
) -> Rollout:
    """Begin to roll a version out into an alias.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    reference : str, Reference or Version
        The candidate.
    alias : str
        The alias's name, without the model.
    plan : Plan
        How it goes.
    expected : int, optional
        The entry that the caller took to be the newest one of this alias.
    dry_run : bool, default=False
        Do and check everything, then undo it.

    Raises
    ------
    NotFoundError
        If the version does not exist, or the alias holds none to compare it with.
    ConflictError
        If another rollout is running there, or the alias moved on from `expected`.
    RefusedError
        If the alias is on hold, or the version was withdrawn or rolled back from it.
    InvalidError
        If the version is active already.
    """
    from detent.domain.rollout import Rollout, RolloutStatus
    from detent.metadata.rollouts import plan_to_json

    check_alias_name(alias)
    with change(stores, dry_run=dry_run) as step:
        tables = step.tables
        version = resolve(tables, reference)
        current = find_alias(tables, Reference(model=version.model, alias=alias))
        check_expected(current, expected, current.name)
        _check_start(step, version, current)
        assert current.version is not None
        rollout = Rollout(
            id=tables.next_rollout(),
            model=version.model,
            alias=alias,
            candidate=version.number,
            baseline=current.version,
            entry=current.entry,
            plan=plan,
            status=RolloutStatus.RUNNING,
            phase=plan.first,
            step=0,
            at=step.at,
            by=step.actor,
            phase_at=step.at,
        )
        tables.insert_rollout(rollout)
        step.record(
            EventType.ROLLOUT_STARTED,
            {
                "rollout": rollout.id,
                "model": rollout.model,
                "alias": alias,
                "candidate": rollout.candidate,
                "baseline": rollout.baseline,
                "entry": rollout.entry,
                "phase": str(rollout.phase),
                "step": rollout.step,
                "plan": plan_to_json(plan),
            },
        )
    return rollout


def get_rollout(stores: Stores, name: str | int) -> Rollout:
    """Return a rollout by its number, or the newest one of an alias.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    tables = stores.metadata.current
    if isinstance(name, int) or name.isdigit():
        found = tables.find_rollout(int(name))
        if found is None:
            raise NotFoundError(f"there is no rollout {name}")
        return found
    reference = alias_reference(name)
    rollouts = tables.list_rollouts(reference.model, reference.alias, limit=1)
    if not rollouts:
        raise NotFoundError(
            f"nothing was ever rolled out into `{name}`",
            hint=f"start with `detent rollout start {reference.model}/NUMBER {reference.alias}`",
        )
    return rollouts[0]


def move_rollout(
    stores: Stores, id: int, *, phase: Phase, step: int, expected: Rollout | None = None
) -> Rollout:
    """Enter the next phase, or the next step of the canary; a paused one goes on.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or is not where `expected` was any more.
    """
    from detent.domain.rollout import RolloutStatus

    with change(stores) as now:
        rollout = find_running(now, id, expected)
        return record_move(
            now, rollout, phase=phase, step=step, status=RolloutStatus.RUNNING, why=None
        )


def pause_rollout(
    stores: Stores, id: int, why: str | None, *, expected: Rollout | None = None
) -> Rollout:
    """Stay where it is: the shares stay, nothing is decided but a rollback.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or is not where `expected` was any more.
    """
    from detent.domain.rollout import RolloutStatus

    with change(stores) as now:
        rollout = find_running(now, id, expected)
        return record_move(
            now,
            rollout,
            phase=rollout.phase,
            step=rollout.step,
            status=RolloutStatus.PAUSED,
            why=why,
        )


def complete_rollout(stores: Stores, id: int, *, expected: Rollout | None = None) -> Rollout:
    """End a rollout whose candidate stays.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or is not where `expected` was any more.
    """
    from detent.domain.rollout import RolloutStatus

    with change(stores) as now:
        rollout = find_running(now, id, expected)
        why = f"v{rollout.candidate} is active"
        return record_end(now, rollout, status=RolloutStatus.COMPLETED, why=why)


def end_with_alias(step: Change, entry: Activation, rollout: int | None = None) -> None:
    """End the rollout of an alias that moves on, in the transaction that moves it.

    Parameters
    ----------
    step : Change
        The transaction.
    entry : Activation
        The new entry of the alias's history.
    rollout : int, optional
        The rollout that moves the alias itself: it goes on, on the new entry.
    """
    if not step.tables.has_running_rollout(entry.model, entry.alias):
        return
    from dataclasses import replace

    from detent.domain.rollout import Phase, RolloutStatus

    found = step.tables.find_running_rollout(entry.model, entry.alias)
    assert found is not None
    if found.id == rollout:
        record_move(
            step,
            replace(found, entry=entry.entry),
            phase=Phase.FULL,
            step=found.step,
            status=RolloutStatus.RUNNING,
            why=None,
        )
        return
    holds = f"version {entry.version}" if entry.version else "no version"
    why = f"`{entry.name}` was moved to {holds} (entry {entry.entry}) by {entry.by}"
    was_taken_back = entry.previous == found.candidate and entry.version == found.baseline
    status = RolloutStatus.ROLLED_BACK if was_taken_back else RolloutStatus.STOPPED
    record_end(step, found, status=status, why=why)


def record_move(
    now: Change,
    rollout: Rollout,
    *,
    phase: Phase,
    step: int,
    status: RolloutStatus,
    why: str | None,
) -> Rollout:
    """Write how far a rollout is, and its event, in a transaction."""
    from dataclasses import replace

    moved = replace(rollout, phase=phase, step=step, status=status, why=why, phase_at=now.at)
    now.tables.update_rollout(moved)
    now.record(EventType.ROLLOUT_PHASE_CHANGED, _body(moved))
    return moved


def record_end(
    now: Change,
    rollout: Rollout,
    *,
    status: RolloutStatus,
    why: str | None,
    decision: int | None = None,
) -> Rollout:
    """Write how a rollout ended, and its event, in a transaction."""
    from dataclasses import replace

    ended = replace(
        rollout, status=status, why=why, decision=decision, phase_at=now.at, ended_at=now.at
    )
    now.tables.update_rollout(ended)
    now.record(EventType.ROLLOUT_ENDED, _body(ended))
    return ended


def find_running(now: Change, id: int, expected: Rollout | None = None) -> Rollout:
    """Return a rollout that goes on, for a change of it.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or is not where `expected` was any more.
    """
    found = now.tables.find_rollout(id)
    if found is None:
        raise NotFoundError(f"there is no rollout {id}; nothing was changed")
    if found.ended_at is not None:
        raise ConflictError(
            f"rollout {id} of {found.model}/{found.candidate} into `{found.name}` ended at"
            f" {format_time(found.ended_at)} UTC ({found.where}: {found.why}); nothing was changed",
            hint=f"start another: `detent rollout start {found.model}/NUMBER {found.alias}`",
        )
    if expected is not None and _place(found) != _place(expected):
        raise ConflictError(
            f"rollout {id} moved from {expected.where} to {found.where} meanwhile; nothing was"
            " changed",
            hint=f"look at `detent rollout status {found.name}`, then repeat the command",
        )
    return found


def _place(rollout: Rollout) -> tuple[Any, ...]:
    return rollout.status, rollout.phase, rollout.step, rollout.entry


def _body(rollout: Rollout) -> dict[str, Any]:
    return {
        "rollout": rollout.id,
        "model": rollout.model,
        "alias": rollout.alias,
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "entry": rollout.entry,
        "status": str(rollout.status),
        "phase": str(rollout.phase),
        "step": rollout.step,
        "why": rollout.why,
        "decision": rollout.decision,
    }


def _check_start(step: Change, version: Version, current: Activation) -> None:
    tables, name = step.tables, current.name
    nothing = "; nothing was started"
    if current.version is None:
        raise NotFoundError(
            f"`{name}` holds no version to compare {version} with{nothing}",
            hint=f"activate one: `detent activate {version} {current.alias}`",
        )
    if current.version == version.number:
        raise InvalidError(f"{version} is active as `{name}` already{nothing}")
    if version.withdrawn is not None:
        raise RefusedError(f"{version} was withdrawn: {version.withdrawn}{nothing}")
    hold = tables.find_hold(current.model, current.alias)
    if hold is not None:
        raise RefusedError(
            f"`{name}` is on hold (by {hold.by}: {hold.reason or 'no reason given'}){nothing}",
            hint=f"end the hold with `detent release {name}`",
        )
    left = tables.find_rollback_from(version.model, current.alias, version.number)
    if left is not None:
        raise RefusedError(
            f"{version} was rolled back from `{name}` at {format_time(left.at)} UTC by {left.by}:"
            f" {left.reason or 'no reason given'}{nothing}",
            hint="register a better version; or go past it: "
            f"`detent activate {version} {current.alias} --override REASON`",
        )
    running = tables.find_running_rollout(current.model, current.alias)
    if running is not None:
        raise ConflictError(
            f"rollout {running.id} of {running.model}/{running.candidate} into `{name}` is running"
            f" ({running.where}){nothing}",
            hint=f"end it first: `detent rollout stop {name}`",
        )
