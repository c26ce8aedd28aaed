"""Changing what is active: activate, promote, deactivate, roll back.

Each is one transaction on the expected current entry. Rollback asks no gate, needs no
healthy new version and no file of the one it leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.alias import Activation, ActivationKind, rollback_target
from detent.domain.events import EventType
from detent.domain.reference import Reference, check_alias_name
from detent.domain.version import Version
from detent.errors import DetentError, NotFoundError
from detent.registry.annotate import check_text
from detent.registry.decide import decide, prepare
from detent.registry.hold import put_on_hold
from detent.registry.read import alias_reference, check_expected, find_alias, resolve
from detent.registry.refusals import check_reason, decision_body, refusal
from detent.registry.rollout import end_with_alias, find_running, record_end
from detent.registry.stores import Change, Stores, change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detent.domain.evidence import Decision, RuleResult
    from detent.domain.rollout import Rollout, RolloutStatus

_EVENTS = {
    ActivationKind.ACTIVATE: EventType.ALIAS_ACTIVATED,
    ActivationKind.ROLLBACK: EventType.ALIAS_ROLLED_BACK,
    ActivationKind.DEACTIVATE: EventType.ALIAS_DEACTIVATED,
}


def activate(
    stores: Stores,
    reference: str | Reference | Version,
    alias: str,
    *,
    reason: str | None = None,
    override: str | None = None,
    expected: int | None = None,
    rollout: int | None = None,
    dry_run: bool = False,
) -> Activation:
    """Make a version the active one of an alias, if the gate lets it pass.

    A version that is active already stays so: nothing is changed and its entry is returned.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    reference : str, Reference or Version
        The version. An alias means the version it holds (that is `promote`).
    alias : str
        The alias's name, without the model. It is made when it does not exist.
    reason : str, optional
        Why.
    override : str, optional
        Why a person goes past the gate. Recorded; nothing overrides a withdrawal.
    expected : int, optional
        The entry that the caller took to be the newest one of this alias; 0 for none.
    rollout : int, optional
        The rollout that activates its candidate: it goes on. Any other of the alias ends.
    dry_run : bool, default=False
        Do and check everything, then undo it.

    Raises
    ------
    NotFoundError
        If the version does not exist.
    RefusedError
        If a rule said no (``decision`` is on record), or the version was withdrawn.
    InconclusiveError
        If the evidence decides neither way.
    ConflictError
        If the alias moved on from `expected`.
    """
    check_alias_name(alias)
    if override is not None:
        override = check_text(override, "the reason of an override")
    refused: DetentError | None = None
    prepared = prepare(stores, reference, alias)
    with change(stores, dry_run=dry_run) as step:
        tables = step.tables
        version = resolve(tables, reference)
        current = tables.newest_activation(version.model, alias)
        name = f"{version.model}@{alias}"
        check_expected(current, expected, name)
        if current is not None and current.version == version.number:
            return current
        policy = tables.find_policy(version.model, alias)
        check_reason(policy, reason or override, version)
        decision = decide(
            stores, step, version, alias, current, policy, prepared, override=override
        )
        if decision is not None:
            overridden = override is not None and version.withdrawn is None
            if not overridden:
                refused = refusal(decision, version, name, current, is_kept=not dry_run)
            tables.insert_decision(decision, at_us=step.at_us, is_refusal=refused is not None)
        if refused is not None:
            assert decision is not None
            step.record(EventType.ACTIVATION_REFUSED, decision_body(decision, reason))
        else:
            if current is None:
                tables.ensure_alias(version.model, alias)
            entry = Activation(
                entry=tables.next_entry(),
                model=version.model,
                alias=alias,
                kind=ActivationKind.ACTIVATE,
                version=version.number,
                previous=current.version if current else None,
                below=current.entry if current else None,
                at=step.at,
                by=step.actor,
                reason=reason or override,
                decision=decision.id if decision else None,
                override=override is not None,
            )
            _insert(step, entry, decision, rollout=rollout)
    if refused is not None:
        raise refused
    return entry


def deactivate(
    stores: Stores,
    name: str,
    *,
    reason: str | None = None,
    expected: int | None = None,
    dry_run: bool = False,
) -> Activation:
    """Leave an alias without an active version. A rollback puts the one before back.

    Raises
    ------
    NotFoundError
        If the alias has never held a version, or holds none now.
    ConflictError
        If the alias moved on from `expected`.
    """
    reference = alias_reference(name)
    with change(stores, dry_run=dry_run) as step:
        current = find_alias(step.tables, reference)
        check_expected(current, expected, name)
        if current.version is None:
            raise NotFoundError(f"`{name}` holds no version already; nothing was changed")
        entry = Activation(
            entry=step.tables.next_entry(),
            model=current.model,
            alias=current.alias,
            kind=ActivationKind.DEACTIVATE,
            version=None,
            previous=current.version,
            below=current.entry,
            at=step.at,
            by=step.actor,
            reason=reason,
        )
        _insert(step, entry)
    return entry


def rollback(
    stores: Stores,
    name: str,
    *,
    to: int | None = None,
    reason: str | None = None,
    hold: bool = False,
    expected: int | None = None,
    dry_run: bool = False,
) -> Activation:
    """Put back the version that an alias held before the current one.

    A second rollback goes one further back, not forth. No gate is asked. The version left is
    withdrawn from this alias until someone activates it again with an override.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    name : str
        The alias with its model: ``fraud@production``.
    to : int, optional
        A version held earlier, to go back to in one step.
    reason : str, optional
        Why; may be added later as a note.
    hold : bool, default=False
        Also stop further activations until `release`.
    expected : int, optional
        The entry that the caller took to be the newest one of this alias.
    dry_run : bool, default=False
        Do and check everything, then undo it.

    Raises
    ------
    NotFoundError
        If the alias has never held a version.
    RefusedError
        If no earlier version (or not `to`) is there to go back to.
    ConflictError
        If the alias moved on from `expected`.
    """
    reference = alias_reference(name)
    with change(stores, dry_run=dry_run) as step:
        tables = step.tables
        current = find_alias(tables, reference)
        check_expected(current, expected, name)
        target, passed = rollback_target(
            current,
            tables.activations_beneath(current),
            name=str(reference),
            to=to,
            is_usable=lambda number: tables.is_usable(reference.model, number),
        )
        entry = Activation(
            entry=tables.next_entry(),
            model=current.model,
            alias=current.alias,
            kind=ActivationKind.ROLLBACK,
            version=target.version,
            previous=current.version,
            below=target.below,
            at=step.at,
            by=step.actor,
            reason=reason,
        )
        _insert(step, entry, passed=passed)
        if hold:
            put_on_hold(step, current.model, current.alias, reason)
    return entry


def take_back(
    stores: Stores,
    rollout: int,
    *,
    reason: str | None,
    results: Sequence[RuleResult] = (),
    status: RolloutStatus,
    expected: Rollout | None = None,
) -> tuple[Rollout, Activation | None]:
    """End a rollout, so that no request is answered by its candidate any more.

    An active candidate is rolled back. One that answered a share of the requests, or was found to
    be harmful in the shadow, gets an entry of the same kind: the alias goes back from the candidate
    to what it holds. So the servers acknowledge it, and the candidate is refused there from then
    on. One that a person stops in the shadow leaves no entry.

    Parameters
    ----------
    stores : Stores
        The registry, and who acts.
    rollout : int
        Its number.
    reason : str or None
        Why.
    results : sequence of RuleResult, optional
        The evidence: kept as a decision.
    status : RolloutStatus
        How it ended: rolled back, or stopped.
    expected : Rollout, optional
        Where the caller took it to be.

    Returns
    -------
    rollout : Rollout
        As it ended.
    entry : Activation or None
        The new entry of the history.

    Raises
    ------
    NotFoundError
        If there is no such rollout.
    ConflictError
        If it has ended, or is not where `expected` was any more.
    RefusedError
        If the version before cannot be put back.
    """
    from detent.domain.rollout import Phase, RolloutStatus

    with change(stores) as step:
        tables = step.tables
        found = find_running(step, rollout, expected)
        current = find_alias(tables, Reference(model=found.model, alias=found.alias))
        decision = _verdict(step, found, results) if results else None
        if decision is not None:
            tables.insert_decision(decision, at_us=step.at_us, is_refusal=False)
        kept = decision.id if decision else None
        if found.phase is Phase.SHADOW and status is RolloutStatus.STOPPED:
            return record_end(step, found, status=status, why=reason, decision=kept), None
        below = current.below
        version = current.version
        if found.phase is Phase.FULL:
            target, _ = rollback_target(
                current,
                tables.activations_beneath(current),
                name=current.name,
                is_usable=lambda number: tables.is_usable(found.model, number),
            )
            version, below = target.version, target.below
        entry = Activation(
            entry=tables.next_entry(),
            model=current.model,
            alias=current.alias,
            kind=ActivationKind.ROLLBACK,
            version=version,
            previous=found.candidate,
            below=below,
            at=step.at,
            by=step.actor,
            reason=reason,
            decision=kept,
        )
        # Ended before the entry is there: it is not the alias that ends it.
        ended = record_end(step, found, status=status, why=reason, decision=kept)
        _insert(step, entry, decision)
    return ended, entry


def _verdict(step: Change, rollout: Rollout, results: Sequence[RuleResult]) -> Decision:
    from detent.domain.evidence import Decision, Outcome

    return Decision(
        id=step.tables.next_decision(),
        model=rollout.model,
        alias=rollout.alias,
        candidate=rollout.candidate,
        baseline=rollout.baseline,
        outcome=Outcome.FAIL,
        results=tuple(results),
        policy_digest=None,
        at=step.at,
        by=step.actor,
        override=None,
    )


def _insert(
    step: Change,
    entry: Activation,
    decision: Decision | None = None,
    passed: list[int] | None = None,
    rollout: int | None = None,
) -> None:
    step.tables.insert_activation(entry, at_us=step.at_us)
    body: dict[str, Any] = {
        "entry": entry.entry,
        "model": entry.model,
        "alias": entry.alias,
        "version": entry.version,
        "previous": entry.previous,
        "below": entry.below,
        "reason": entry.reason,
        "decision": entry.decision,
        "override": entry.override,
    }
    if decision is not None:
        body["answer"] = decision_body(decision, entry.reason)
    if passed:
        body["passed_over"] = passed
    step.record(_EVENTS[entry.kind], body)
    end_with_alias(step, entry, rollout)
