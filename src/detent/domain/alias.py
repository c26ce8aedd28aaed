"""Aliases: what is active, and the pure rule of what a rollback returns to."""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum

from detent.domain.server import Confirmation
from detent.domain.shown import Charted
from detent.domain.value import value
from detent.domain.version import Version
from detent.errors import RefusedError


class ActivationKind(StrEnum):
    """How an entry of the activation history came about."""

    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    DEACTIVATE = "deactivate"


@value
class Activation:
    """One entry in the history of an alias. Entries are added, never changed.

    ``entry`` counts up over the whole registry. ``below`` is the entry that a rollback
    uncovers: it makes the history a stack that is never rewritten. ``version`` is the number
    active from then on (None after a deactivation), ``previous`` the number active before.
    ``confirmation`` says which servers had followed when the change that made it returned; it is no
    part of the history.
    """

    entry: int
    model: str
    alias: str
    kind: ActivationKind
    version: int | None
    previous: int | None
    below: int | None
    at: datetime
    by: str
    reason: str | None = None
    decision: int | None = None
    override: bool = False
    confirmation: Confirmation | None = None

    _not_compared = ("confirmation",)

    @property
    def name(self) -> str:
        """The alias with its model: ``fraud@production``."""
        return f"{self.model}@{self.alias}"

    def __repr__(self) -> str:
        """Return one line."""
        version = f"v{self.version}" if self.version else "nothing"
        return f"<Activation {self.entry} {self.name} {version} ({self.kind}) by {self.by}>"


@value
class Refusal:
    """A try to activate that a rule refused: part of the history, though nothing changed."""

    model: str
    alias: str
    version: int
    at: datetime
    by: str
    decision: int
    outcome: str
    why: str


class History(list[Activation | Refusal], Charted):
    """What an alias has held, and the tries that were refused, newest first."""

    __slots__ = ()


@value
class Hold:
    """Who stopped further activations of an alias, when and why."""

    at: datetime
    by: str
    reason: str | None


@value
class Move:
    """One line of an alias's history: either an activation, or a try that was refused."""

    activation: Activation | None = None
    refusal: Refusal | None = None

    @property
    def item(self) -> Activation | Refusal:
        """Whichever it is."""
        found = self.activation or self.refusal
        assert found is not None
        return found

    @property
    def at(self) -> datetime:
        """When it was: no two changes of a registry have one time."""
        return self.item.at


@value
class AliasStatus:
    """What an alias holds, now or at a time asked for.

    ``version`` is None before the first activation and after a deactivation. ``until`` is
    when the next entry ended this one; None while it is the newest.
    """

    model: str
    alias: str
    version: Version | None
    activation: Activation
    until: datetime | None = None
    hold: Hold | None = None

    @property
    def name(self) -> str:
        """The alias with its model: ``fraud@production``."""
        return f"{self.model}@{self.alias}"

    def __repr__(self) -> str:
        """Return one line."""
        held = ", on hold" if self.hold else ""
        version = f"v{self.version.number}" if self.version else "nothing"
        return (
            f"<AliasStatus {self.name} {version} since {self.activation.at:%Y-%m-%d %H:%M}{held}>"
        )


def rollback_target(
    current: Activation,
    beneath: Iterable[Activation],
    *,
    name: str,
    to: int | None = None,
    is_usable: Callable[[int], bool],
) -> tuple[Activation, list[int]]:
    """Return the entry that a rollback uncovers, and the versions passed over on the way.

    Parameters
    ----------
    current : Activation
        The newest entry of the alias.
    beneath : iterable of Activation
        The entries under it, nearest first, following ``below``.
    name : str
        The alias, for messages.
    to : int, optional
        The version wanted; by default the one held before the current one.
    is_usable : callable
        Says of a version number whether it may still be activated (not withdrawn or deleted).

    Raises
    ------
    RefusedError
        If no such entry lies under the current one.
    """
    active = f"version {current.version}" if current.version else "no version"
    passed: list[int] = []
    for entry in beneath:
        if entry.version is None or entry.version == current.version:
            continue
        if to is not None and entry.version != to:
            continue
        if is_usable(entry.version):
            return entry, passed
        passed.append(entry.version)
    gone = f" (versions withdrawn: {', '.join(map(str, passed))})" if passed else ""
    if to is not None:
        raise RefusedError(
            f"`{name}` cannot roll back to version {to}: it is not among the versions held before"
            f" the current one{gone}; {active} is still active",
            hint=f"see them with `detent history {name}`",
        )
    raise RefusedError(
        f"`{name}` cannot roll back: {active} is the first it has held{gone}; it is still active",
        hint=f"to stop serving it, run `detent deactivate {name}`",
    )
