"""Changing what is active, and going back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.facade.base import RegistryBase, alias_of, entry_of

if TYPE_CHECKING:
    from detent.domain.alias import Activation, AliasStatus, Hold
    from detent.domain.version import Version
    from detent.facade.base import Named


class Changing(RegistryBase):
    """Verbs of `Registry`: what changes what is active."""

    def activate(
        self,
        reference: Named,
        alias: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Make a version the active one of an alias, if the alias's gate lets it pass.

        Parameters
        ----------
        reference : str or Version
            Which version.
        alias : str
            The alias's name within the model: ``production``.
        reason : str, optional
            Why.
        override : str, optional
            Why a person goes past the gate; recorded. Nothing overrides a withdrawal.
        expected : int, Activation or AliasStatus, optional
            The entry taken to be the newest one (0 for none): when the alias has moved on,
            nothing is changed.
        wait_s : float, default=5
            Wait so many seconds for the servers of the alias to follow; 0 does not wait. Which have
            followed is in ``confirmation``.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Returns
        -------
        Activation
            The new entry of the history; the current one when this version was active already.

        Raises
        ------
        NotFoundError
            If there is no such version.
        RefusedError
            If a rule said no: ``decision`` is on record. Nothing was activated.
        InconclusiveError
            If the evidence decides neither way. Nothing was activated.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.activate(
            alias_of(reference, alias),
            str(reference),
            reason=reason,
            override=override,
            expected=entry_of(expected),
            dry_run=dry_run,
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def promote(
        self,
        source: str,
        alias: str,
        *,
        reason: str | None = None,
        override: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Activate on one alias the version that another one (``churn@staging``) holds.

        ``wait_s`` is that of `activate`.

        Raises
        ------
        InvalidError
            If `source` is not an alias.
        DetentError
            As `activate`.
        """
        from detent.registry.read import alias_reference

        return self.activate(
            str(alias_reference(source)),
            alias,
            reason=reason,
            override=override,
            expected=expected,
            wait_s=wait_s,
            dry_run=dry_run,
        )

    def deactivate(
        self,
        alias: str,
        *,
        reason: str | None = None,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Leave an alias without an active version; `rollback` puts the one before back.

        ``wait_s`` is that of `activate`.

        Raises
        ------
        NotFoundError
            If the alias holds no version.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.deactivate(
            alias, reason=reason, expected=entry_of(expected), dry_run=dry_run
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def rollback(
        self,
        alias: str,
        *,
        to: int | None = None,
        reason: str | None = None,
        hold: bool = False,
        expected: int | Activation | AliasStatus | None = None,
        wait_s: float = 5.0,
        dry_run: bool = False,
    ) -> Activation:
        """Put back the version that an alias held before. No gate is asked.

        A second rollback goes one further back, not forth. The version left is refused on this
        alias until someone activates it with an override.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        to : int, optional
            A version held earlier, to go back to in one step.
        reason : str, optional
            Why; `note` adds it later.
        hold : bool, default=False
            Also stop further activations until `release`.
        expected : int, Activation or AliasStatus, optional
            The entry taken to be the newest one.
        wait_s : float, default=5
            Wait so many seconds for the servers of the alias to follow; 0 does not wait. Which have
            followed is in ``confirmation``.
        dry_run : bool, default=False
            Do and check everything, then undo it.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        RefusedError
            If there is no earlier version to go back to.
        ConflictError
            If the alias moved on from `expected`.
        """
        entry = self._operations.rollback(
            alias,
            to=to,
            reason=reason,
            hold=hold,
            expected=entry_of(expected),
            dry_run=dry_run,
        )
        return entry if dry_run else self._confirmed(entry, wait_s)

    def hold(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """Stop further activations of an alias until `release`. Rollback still works.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        return self._operations.hold(alias, reason=reason, dry_run=dry_run)

    def release(self, alias: str, *, reason: str | None = None, dry_run: bool = False) -> Hold:
        """End a hold, and return what it was.

        Raises
        ------
        NotFoundError
            If the alias is not on hold.
        """
        return self._operations.release(alias, reason=reason, dry_run=dry_run)

    def withdraw(self, reference: Named, *, reason: str, dry_run: bool = False) -> Version:
        """Mark a version as never to be activated again, anywhere. Cannot be undone.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.withdraw(str(reference), reason=reason, dry_run=dry_run)

    def delete(
        self, reference: Named, *, reason: str | None = None, dry_run: bool = False
    ) -> Version:
        """Delete a version; its number is not given again. Cannot be undone.

        Raises
        ------
        NotFoundError
            If there is no such version.
        RefusedError
            If an alias holds it, or can be rolled back to it.
        """
        return self._operations.delete(str(reference), reason=reason, dry_run=dry_run)

    def note(self, name: Named, text: str, *, dry_run: bool = False) -> None:
        """Set the note of a version, or say afterwards why an alias was changed.

        Raises
        ------
        NotFoundError
            If there is no such version or alias.
        """
        self._operations.note(str(name), text, dry_run=dry_run)
