"""Looking: what there is, what is active, and what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from detent.facade.base import RegistryBase

if TYPE_CHECKING:
    from detent.domain.alias import AliasStatus, History
    from detent.domain.events import Event
    from detent.domain.evidence import (
        Decision,
        Evaluation,
    )
    from detent.domain.report import (
        Change,
        JournalReport,
        VersionCard,
    )
    from detent.domain.version import Model, Version
    from detent.facade.base import Named, When


class Looking(RegistryBase):
    """Verbs of `Registry`: what only looks."""

    def models(self) -> list[Model]:
        """Return all models by name."""
        return self._operations.models()

    def versions(
        self,
        model: str,
        *,
        search: str | None = None,
        since: When | None = None,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Version]:
        """Return a model's versions, newest first.

        Parameters
        ----------
        model : str
            The model's name.
        search : str, optional
            Keep the versions that have all these words in note, format, code, data or creator
            (whole words, in any case).
        since : str or datetime, optional
            Keep what was registered then or later: ``"3d"``, ``"2026-03-02"``.
        below : int, optional
            Keep numbers below this one: the next page.
        limit : int, optional
            At most so many.

        Raises
        ------
        NotFoundError
            If there is no such model.
        """
        return self._operations.versions(
            model,
            search=search,
            since=self._time(since),
            below=below,
            limit=limit,
        )

    def version(self, reference: Named) -> Version:
        """Return the version that a reference names: ``churn/7``, ``churn@production``.

        Raises
        ------
        NotFoundError
            If there is no such version.
        InvalidError
            If the reference is malformed.
        """
        return self._operations.version(str(reference))

    def status(self, alias: str, *, at: When | None = None) -> AliasStatus:
        """Return what an alias holds: version, since when, by whom, why.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        at : str or datetime, optional
            What it held then: ``"2026-02-20 08:00"`` (UTC), ``"3d"``.

        Raises
        ------
        NotFoundError
            If there is no such alias, or it held nothing yet.
        """
        from detent.registry.read import alias_reference

        name = str(alias_reference(alias))
        return self._operations.status(name=name, at=self._time(at))[0]

    def list_status(self, name: str | None = None, *, at: When | None = None) -> list[AliasStatus]:
        """Return what every alias holds: of all models, of one, or of one alias.

        Raises
        ------
        NotFoundError
            If there is no such model or alias.
        """
        return self._operations.status(name=name, at=self._time(at))

    def history(self, alias: str, *, limit: int | None = None) -> History:
        """Return an alias's activations and the tries that were refused, newest first.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.domain.alias import History

        return History(move.item for move in self._operations.history(alias, limit=limit))

    def show(self, reference: Named) -> VersionCard:
        """Return all that is known of a version.

        Raises
        ------
        NotFoundError
            If there is no such version.
        CorruptError
            If its manifest is not what was registered.
        """
        return self._operations.card(str(reference))

    def diff(self, before: Named, after: Named) -> list[Change]:
        """Return what went into two versions differently; `compare` says what came out.

        Raises
        ------
        NotFoundError
            If one of them does not exist.
        """
        from detent.registry.describe import diff

        return diff(self.show(before), self.show(after))

    def evaluations(self, name: Named) -> list[Evaluation]:
        """Return the evaluations of a model or of one version, newest first.

        Raises
        ------
        NotFoundError
            If there is no such model or version.
        """
        return self._operations.evaluations(str(name))

    def decision(self, id: int) -> Decision:
        """Return a recorded decision, with its rules and evidence.

        Raises
        ------
        NotFoundError
            If there is no such decision.
        """
        return self._operations.decision(id)

    @overload
    def audit(
        self,
        *,
        verify: Literal[False] = False,
        since: When | None = None,
        until: When | None = None,
        by: str | None = None,
        type: str | None = None,
        limit: int | None = None,
    ) -> list[Event]: ...

    @overload
    def audit(self, *, verify: Literal[True]) -> JournalReport: ...

    def audit(
        self,
        *,
        verify: bool = False,
        since: When | None = None,
        until: When | None = None,
        by: str | None = None,
        type: str | None = None,
        limit: int | None = None,
    ) -> list[Event] | JournalReport:
        """Return the journal's events, newest first; or check that none was tampered with.

        Parameters
        ----------
        verify : bool, default=False
            Check the chain of the whole journal, and the rows it tells of, instead.
        since, until : str or datetime, optional
            Keep the events of this time.
        by : str, optional
            Keep the events of this actor.
        type : str, optional
            Keep the events of this type: ``AliasRolledBack``.
        limit : int, optional
            At most so many.

        Returns
        -------
        list of Event or JournalReport
            The report's ``problems`` names each event that was altered, removed, inserted or
            reordered.
        """
        if verify:
            return self._operations.verify_journal()
        return self._operations.events(
            since=self._time(since), until=self._time(until), by=by, type=type, limit=limit
        )
