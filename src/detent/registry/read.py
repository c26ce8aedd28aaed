"""Reading: what a reference means, what is active, what was, and what a version is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from detent.domain.alias import Activation, AliasStatus, History, Refusal
from detent.domain.clock import format_time, to_us
from detent.domain.reference import Reference, parse_reference
from detent.domain.value import replace
from detent.domain.version import Version
from detent.errors import ConflictError, InvalidError, NotFoundError
from detent.metadata.tables import Tables
from detent.registry.stores import Stores

if TYPE_CHECKING:
    from detent.domain.evidence import Evaluation


def resolve(tables: Tables, reference: str | Reference | Version) -> Version:
    """Return the version that a reference names.

    Raises
    ------
    NotFoundError
        If there is no such model, version or alias, or the alias holds nothing.
    InvalidError
        If the reference is malformed, or names a model only.
    """
    if isinstance(reference, Version):
        reference = Reference(model=reference.model, number=reference.number)
    elif isinstance(reference, str):
        reference = parse_reference(reference)
    if reference.alias is not None:
        version = tables.resolve_alias(reference.model, reference.alias)
    elif reference.number is not None:
        version = tables.find_version(reference.model, reference.number)
    elif reference.digest is not None:
        version = _by_digest(tables, reference)
    else:
        raise InvalidError(
            f"`{reference}` names a model, not a version",
            hint=f"name a version (`{reference}/1`) or an alias (`{reference}@production`)",
        )
    if version is None:
        raise _not_found(tables, reference)
    return version


def check_model(tables: Tables, name: str) -> None:
    """Raise `NotFoundError` when there is no model of that name, with the nearest one."""
    if tables.find_model(name) is None:
        names = tables.model_names()
        near = nearest(name, names)
        raise NotFoundError(
            f"there is no model `{name}`" + (f"; did you mean `{near}`?" if near else ""),
            hint="list them with `detent models`"
            if names
            else f"register a first version: `detent register {name} FILE`",
        )


def find_alias(tables: Tables, reference: Reference) -> Activation:
    """Return the newest entry of an alias.

    Raises
    ------
    NotFoundError
        If there is no such model, or the alias has never held a version.
    """
    assert reference.alias is not None
    newest = tables.newest_activation(reference.model, reference.alias)
    if newest is None:
        raise _not_found(tables, reference)
    return newest


def check_expected(current: Activation | None, expected: int | None, name: str) -> None:
    """Raise `ConflictError` when an alias is not where the caller took it to be.

    Parameters
    ----------
    current : Activation or None
        Its newest entry; None when it has never held a version.
    expected : int or None
        The entry that the caller saw, 0 for none; None accepts any.
    name : str
        The alias with its model, for the message.

    Raises
    ------
    ConflictError
        If it is another entry.
    """
    newest = current.entry if current else 0
    if expected is None or expected == newest:
        return
    if current is None:
        raise ConflictError(
            f"`{name}` has never held a version, but entry {expected} was expected; nothing was"
            " changed"
        )
    version = f"version {current.version}" if current.version else "no version"
    raise ConflictError(
        f"`{name}` moved to {version} at {format_time(current.at)} UTC (by {current.by}, entry"
        f" {current.entry}), after this change was prepared on entry {expected}; nothing was"
        " changed",
        hint=f"look at `detent history {name}`, then repeat the command",
        details={"expected": expected, "entry": current.entry, "version": current.version},
    )


def alias_reference(name: str) -> Reference:
    """Parse a reference that has to name an alias.

    Raises
    ------
    InvalidError
        If it names something else.
    """
    reference = parse_reference(name)
    if reference.alias is None:
        raise InvalidError(
            f"`{name}` is not an alias",
            hint=f"write it with an at sign: `{reference.model}@production`",
        )
    return reference


def status(
    stores: Stores,
    name: str | None = None,
    *,
    at: datetime | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[AliasStatus]:
    """Return what aliases hold: all of them, a model's, or one; now, or at a time.

    By name, those behind the alias `after`.

    Raises
    ------
    NotFoundError
        If the model or alias does not exist, or the alias held nothing yet at that time.
    """
    reference = parse_reference(name) if name is not None else None
    behind = alias_reference(after) if after is not None else None
    with stores.metadata.read() as tables:
        found = tables.list_status(
            reference.model if reference else None,
            reference.alias if reference else None,
            after=(behind.model, behind.alias or "") if behind else None,
            limit=limit if at is None else None,  # some had nothing then
        )
        if reference is not None and not found and behind is None and limit != 0:
            if reference.alias is not None:
                raise _not_found(tables, reference)
            check_model(tables, reference.model)
        if at is None:
            return found
        past = [_status_at(tables, now, at) for now in found]
        if reference is not None and reference.alias is not None and past == [None]:
            first = tables.list_activations(reference.model, reference.alias)[-1]
            raise NotFoundError(
                f"`{reference}` held nothing at {at:%Y-%m-%d %H:%M:%S} UTC: its first activation"
                f" was at {first.at:%Y-%m-%d %H:%M:%S} UTC",
                hint=f"see them with `detent history {reference}`",
            )
        return [status for status in past if status is not None][:limit]


def _status_at(tables: Tables, now: AliasStatus, at: datetime) -> AliasStatus | None:
    entry = tables.activation_at(now.model, now.alias, to_us(at))
    if entry is None:
        return None
    after = tables.activation_after(entry)
    version = None
    if entry.version is not None:
        version = tables.find_version(now.model, entry.version)
    return replace(
        now, activation=entry, version=version, until=after.at if after else None, hold=None
    )


def history(
    stores: Stores, name: str, *, before: datetime | None = None, limit: int | None = None
) -> History:
    """Return the entries of an alias and the tries that were refused, newest first.

    Those before a time.

    Raises
    ------
    NotFoundError
        If there is no such alias.
    """
    reference = alias_reference(name)
    assert reference.alias is not None
    with stores.metadata.read() as tables:
        named = reference.model, reference.alias
        until = to_us(before) if before is not None else None
        entries = tables.list_activations(*named, before_us=until, limit=limit)
        refusals = tables.list_refusals(*named, before_us=until, limit=limit)
        if not entries and not refusals:
            ever = tables.list_activations(*named, limit=1) or tables.list_refusals(*named, limit=1)
            if not ever:
                raise _not_found(tables, reference)
    return History(merge_history(entries, refusals)[:limit])


def merge_history(entries: Iterable[Activation], refusals: Iterable[Refusal]) -> History:
    """Return activations and refused tries, each newest first, as one history."""
    merged: list[Activation | Refusal] = [*entries, *refusals]
    # sorted() keeps the order of equals: entries of one time stay newest first.
    merged.sort(key=lambda item: item.at, reverse=True)
    return History(merged)


def versions(
    stores: Stores,
    model: str,
    *,
    search: str | None = None,
    since: datetime | None = None,
    below: int | None = None,
    limit: int | None = None,
) -> list[Version]:
    """Return a model's versions, newest first.

    `search` keeps those that have all its words in note, format, code, data or creator.
    """
    from detent.metadata.versions import search_words

    reference = parse_reference(model)
    with stores.metadata.read() as tables:
        found = tables.list_versions(
            reference.model,
            words=search_words(search or ""),
            since_us=to_us(since) if since else 0,
            below=below,
            limit=limit,
        )
        if not found:
            check_model(tables, reference.model)
        return found


def evaluations(
    stores: Stores, name: str, *, below: int | None = None, limit: int | None = None
) -> list[Evaluation]:
    """Return the evaluations of a model or of one version, newest first.

    Those with a number below `below`.

    Raises
    ------
    NotFoundError
        If there is no such model or version.
    """
    reference = parse_reference(name)
    with stores.metadata.read() as tables:
        if str(reference) == reference.model:
            check_model(tables, reference.model)
            return tables.list_evaluations(reference.model, below=below, limit=limit)
        version = resolve(tables, reference)
        return tables.list_evaluations(version.model, version.number, below=below, limit=limit)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that a mistyped one most likely means."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)), None)


def _by_digest(tables: Tables, reference: Reference) -> Version | None:
    assert reference.digest is not None
    found = tables.find_versions_by_digest(reference.model, reference.digest)
    if len(found) > 1:
        raise InvalidError(
            f"`{reference}` fits {len(found)} versions: "
            + ", ".join(version.name for version in found[:5]),
            hint="give more digits, or the number",
        )
    return found[0] if found else None


def _not_found(tables: Tables, reference: Reference) -> NotFoundError:
    check_model(tables, reference.model)
    model = reference.model
    if reference.alias is not None:
        if tables.newest_activation(model, reference.alias) is not None:
            return NotFoundError(
                f"`{reference}` holds no version: it was deactivated",
                hint=f"put the one before back: `detent rollback {reference}`",
            )
        names = tables.alias_names(model)
        if reference.alias in names:  # it has a policy, and nothing more
            return NotFoundError(
                f"`{reference}` has never held a version",
                hint=f"activate one: `detent activate {model}/1 {reference.alias}`",
            )
        near = nearest(reference.alias, names)
        known = f"; it has {', '.join(f'`{name}`' for name in names)}" if names else ""
        return NotFoundError(
            f"model `{model}` has no alias `{reference.alias}`"
            + (f"; did you mean `{near}`?" if near else known),
            hint=f"give it one by activating a version: `detent activate {model}/1"
            f" {reference.alias}`",
        )
    newest = tables.newest_number(model)
    if reference.number is not None and tables.is_deleted(model, reference.number):
        message = f"version {reference.number} of model `{model}` was deleted"
    else:
        named = reference.number or reference.digest
        message = f"model `{model}` has no version {named}" + (
            f": the newest is {newest}" if newest else ": it has none yet"
        )
    return NotFoundError(message, hint=f"list them with `detent versions {model}`")
