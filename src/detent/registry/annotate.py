"""Changing what is said of a version or may be done: note, withdraw, delete, policy, approve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from detent.domain.events import EventType
from detent.domain.reference import check_alias_name, parse_reference
from detent.domain.version import Version
from detent.errors import InvalidError, RefusedError
from detent.registry.read import alias_reference, check_model, find_alias, resolve
from detent.registry.stores import Stores, change

if TYPE_CHECKING:
    from datetime import datetime

    from detent.domain.evidence import Approval, Policy

MAX_TEXT_LENGTH = 10_000  # characters of a note or a reason


def note(stores: Stores, name: str | Version, text: str, *, dry_run: bool = False) -> None:
    """Set the note of a version; of an alias: say why its newest activation was made.

    Raises
    ------
    NotFoundError
        If there is no such version or alias.
    InvalidError
        If the text is empty or longer than 10,000 characters.
    """
    text = check_text(text, "a note")
    reference = parse_reference(str(name))
    with change(stores, dry_run=dry_run) as step:
        body: dict[str, Any] = {"model": reference.model, "note": text}
        if reference.alias is not None:
            newest = find_alias(step.tables, reference)
            step.tables.insert_activation_note(newest.entry, text)
            body |= {"alias": reference.alias, "entry": newest.entry}
        else:
            version = resolve(step.tables, reference)
            step.tables.set_note(version, text)
            body["version"] = version.number
        step.record(EventType.NOTE_CHANGED, body)


def withdraw(stores: Stores, name: str | Version, *, reason: str, dry_run: bool = False) -> Version:
    """Mark a version as never to be activated again, by anyone, on any alias.

    Where it is active it stays so until a rollback. This cannot be undone.

    Raises
    ------
    NotFoundError
        If there is no such version.
    InvalidError
        If the reason is empty.
    """
    reason = check_text(reason, "a reason")
    with change(stores, dry_run=dry_run) as step:
        version = resolve(step.tables, name)
        if version.withdrawn is None:
            step.tables.set_withdrawn(version.model, version.number, reason)
            step.record(
                EventType.VERSION_WITHDRAWN,
                {"model": version.model, "version": version.number, "reason": reason},
            )
            version = resolve(step.tables, version)
    return version


def delete(
    stores: Stores, name: str | Version, *, reason: str | None = None, dry_run: bool = False
) -> Version:
    """Delete a version. Its number stays taken; `prune` removes its bytes. Cannot be undone.

    Raises
    ------
    NotFoundError
        If there is no such version.
    RefusedError
        If an alias holds it, or a rollback would return to it.
    """
    with change(stores, dry_run=dry_run) as step:
        tables = step.tables
        version = resolve(tables, name)
        for alias in tables.alias_names(version.model):
            newest = tables.newest_activation(version.model, alias)
            if newest is None:
                continue
            held = [newest, *tables.activations_beneath(newest)]
            if any(entry.version == version.number for entry in held):
                verb = (
                    "is active in"
                    if newest.version == version.number
                    else "can be rolled back to in"
                )
                raise RefusedError(
                    f"`{version}` was not deleted: it {verb} `{version.model}@{alias}`",
                    hint="versions that an alias has held stay, so that rollback always works",
                )
        tables.set_deleted(version.model, version.number, at_us=step.at_us)
        step.record(
            EventType.VERSION_DELETED,
            {
                "model": version.model,
                "version": version.number,
                "digest": version.digest,
                "reason": reason,
            },
        )
    return version


def set_policy(
    stores: Stores, name: str, content: Mapping[str, Any], *, dry_run: bool = False
) -> Policy:
    """Set what an alias demands of each activation from now on; `{}` demands nothing.

    Raises
    ------
    NotFoundError
        If there is no such model.
    InvalidError
        If the content is not a policy.
    """
    with change(stores, dry_run=dry_run) as step:
        reference = alias_reference(name)
        assert reference.alias is not None
        policy = read_policy(
            reference.model,
            reference.alias,
            content,
            id=step.tables.next_policy(),
            at=step.at,
            by=step.actor,
        )
        check_model(step.tables, reference.model)
        step.tables.ensure_alias(reference.model, reference.alias)
        step.tables.insert_policy(policy, at_us=step.at_us)
        step.record(
            EventType.POLICY_SET,
            {
                "model": policy.model,
                "alias": policy.alias,
                "policy": policy.id,
                "rules": [
                    {"name": rule.name, "parameters": rule.parameters} for rule in policy.rules
                ],
                "reason_required": policy.reason_required,
                "approvals": policy.approvals,
            },
        )
    return policy


def read_policy(
    model: str, alias: str, content: Mapping[str, Any], *, id: int, at: datetime, by: str
) -> Policy:
    """Return the policy that a file's content is.

    Raises
    ------
    InvalidError
        If the content is not a policy.
    """
    from detent.domain.digest import canonical_json, digest_of
    from detent.domain.evidence import Policy
    from detent.policy.parse import parse_policy

    text = parse_policy(content)
    return Policy(
        id=id,
        model=model,
        alias=alias,
        rules=text.rules,
        reason_required=text.reason_required,
        approvals=text.approvals,
        digest=digest_of(canonical_json(text.to_json())),
        at=at,
        by=by,
    )


def approve(
    stores: Stores,
    name: str | Version,
    alias: str,
    *,
    reason: str | None = None,
    dry_run: bool = False,
) -> Approval:
    """Record that the actor is for activating a version on an alias. Twice is safe.

    Raises
    ------
    NotFoundError
        If there is no such version.
    """
    from detent.domain.evidence import Approval

    check_alias_name(alias)
    with change(stores, dry_run=dry_run) as step:
        version = resolve(step.tables, name)
        for earlier in step.tables.list_approvals(version.model, alias, version.number):
            if earlier.by == step.actor:
                return earlier
        approval = Approval(
            model=version.model,
            alias=alias,
            version=version.number,
            at=step.at,
            by=step.actor,
            reason=reason,
        )
        id = step.tables.insert_approval(approval, at_us=step.at_us)
        step.record(
            EventType.VERSION_APPROVED,
            {
                "approval": id,
                "model": version.model,
                "alias": alias,
                "version": version.number,
                "reason": reason,
            },
        )
    return approval


def check_text(text: str, what: str) -> str:
    """Return a note or reason without space around it.

    Raises
    ------
    InvalidError
        If it is empty, longer than 10,000 characters, or holds a lone surrogate.
    """
    if not isinstance(text, str) or not text.strip():
        raise InvalidError(f"{what} is text that is not empty; nothing was changed")
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidError(
            f"{what} has at most {MAX_TEXT_LENGTH:,} characters, this one {len(text):,};"
            " nothing was changed"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidError(f"{what} is not valid Unicode; nothing was changed") from None
    return text.strip()
