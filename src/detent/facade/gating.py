"""What an alias demands, and what its gate says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from detent.facade.base import RegistryBase, alias_of

if TYPE_CHECKING:
    from detent.domain.evidence import (
        Approval,
        Decision,
        Policy,
        Trial,
    )
    from detent.facade.base import Named


class Gating(RegistryBase):
    """Verbs of `Registry`: what is about gates."""

    def gate(self, reference: Named, alias: str) -> Decision:
        """Ask what the gate would say to an activation. Changes and records nothing.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.gate(alias_of(reference, alias), str(reference))

    def policy(self, alias: str) -> Policy | None:
        """Return what an alias demands; None when it demands nothing."""
        return self._operations.policy(alias)

    def set_policy(
        self, alias: str, policy: Mapping[str, Any] | None = None, *, dry_run: bool = False
    ) -> Policy:
        """Set what an alias demands of each activation from now on.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        policy : mapping, optional
            ``{"rule": [{"name": "not_worse", "metric": "roc_auc", "margin": 0.005}]}``, as a TOML
            file would give it; ``{}`` demands nothing. By default the rule ``not_worse`` with a
            margin of one point.
        dry_run : bool, default=False
            Check it, and change nothing.

        Raises
        ------
        NotFoundError
            If there is no such model.
        InvalidError
            If a rule or a parameter is unknown, or out of its range.
        """
        from detent.policy.parse import DEFAULT

        content = DEFAULT if policy is None else policy
        return self._operations.set_policy(alias, content, dry_run=dry_run)

    def try_policy(
        self, alias: str, policy: Mapping[str, Any], *, limit: int = 20
    ) -> tuple[Trial, ...]:
        """Return what a policy would have said to past changes of an alias, newest first.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        policy : mapping
            As for `set_policy`.
        limit : int, default=20
            At most so many changes.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        InvalidError
            If it is not a policy.
        """
        return tuple(self._operations.try_policy(alias, policy, limit=limit))

    def approve(
        self, reference: Named, alias: str, *, reason: str | None = None, dry_run: bool = False
    ) -> Approval:
        """Record that you are for activating a version on an alias. Twice is safe.

        A policy may demand approvals of people other than the one who activates.

        Raises
        ------
        NotFoundError
            If there is no such version.
        """
        return self._operations.approve(
            alias_of(reference, alias), str(reference), reason=reason, dry_run=dry_run
        )
