"""Rolling out: a version tried on real requests, in phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from detent.facade.base import alias_of
from detent.facade.looking import Looking

if TYPE_CHECKING:
    from pathlib import Path

    from detent.domain.alias import Activation
    from detent.domain.rollout import Joined, LabelWanted, Reading, Rollout
    from detent.facade.base import Named

_WAIT_S = 5.0  # for servers: these verbs have no parameter that says how long


class RollingOut(Looking):
    """Verbs of `Registry`: what is about rollouts."""

    def start_rollout(
        self,
        reference: Named,
        alias: str,
        *,
        expected: int | None = None,
        dry_run: bool = False,
        **plan: Any,
    ) -> Rollout:
        """Begin to roll a version out into an alias: in the shadow, to a share, to all.

        The servers of the alias take part and decide by themselves: harm rolls it back, and what
        the plan demands has to be shown before it goes on.

        Parameters
        ----------
        reference : str or Version
            The candidate.
        alias : str
            The alias's name within the model: ``production``.
        expected : int, optional
            The entry of the history that the caller took to be the newest one of the alias.
        dry_run : bool, default=False
            Do and check everything, then undo it.
        **plan
            The parts of a `Plan` that are to be otherwise than its defaults. Durations may be
            seconds or text (``shadow="1h"``), shares numbers or text (``canary="1%,10%,50%"``).

        Returns
        -------
        Rollout
            As it begins.

        Raises
        ------
        NotFoundError
            If there is no such version, or the alias holds none to compare it with.
        InvalidError
            If the plan cannot be followed, or the version is active already.
        ConflictError
            If another rollout is running there, or the alias moved on from `expected`.
        RefusedError
            If the alias is on hold, or the version was withdrawn or rolled back from it.
        """
        from detent.rollout.plan import make_plan

        return self._operations.start_rollout(
            alias_of(reference, alias),
            str(reference),
            plan=make_plan(**plan),
            expected=expected,
            dry_run=dry_run,
        )

    def rollout(self, name: str | int) -> Rollout:
        """Return a rollout by its number, or the newest one of an alias.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return self._operations.rollout(name=str(name))

    def rollouts(
        self, name: str | None = None, *, running: bool = False, limit: int | None = None
    ) -> list[Rollout]:
        """Return rollouts, newest first: all, those of a model or an alias, those that go on.

        At most `limit`.

        Raises
        ------
        InvalidError
            If the name is malformed.
        """
        return self._operations.rollouts(name=name, running=running, limit=limit)

    def rollout_course(self, name: str | int) -> list[Reading]:
        """Return how what a rollout watches has come about, signal by signal.

        Each signal is read when its outcomes have grown by two fifths, so there are few readings,
        closer together at the beginning, where the bounds narrow quickly.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        """
        return self._operations.rollout_course(name=str(name))

    def advance_rollout(self, name: str | int, *, expected: int | None = None) -> Rollout:
        """Go on to the next phase or step now. Before the last one the gate is asked all the same.

        Parameters
        ----------
        name : str or int
            The rollout's number, or its alias.
        expected : int, optional
            The rollout's `phase_us` as the caller saw it.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, is in its last phase, or moved on from `expected`.
        RefusedError
            If the gate said no.
        InconclusiveError
            If its evidence decides neither way.
        """
        rollout = self._operations.advance_rollout(str(name), expected=expected)
        if rollout.phase == "full":
            self._confirmed(self.status(rollout.name).activation, _WAIT_S)
        return rollout

    def pause_rollout(
        self, name: str | int, *, reason: str | None = None, expected: int | None = None
    ) -> Rollout:
        """Keep a rollout where it is until it is resumed. Harm rolls it back all the same.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, or moved on from `expected` (see `advance_rollout`).
        """
        return self._operations.pause_rollout(str(name), reason=reason, expected=expected)

    def resume_rollout(self, name: str | int, *, expected: int | None = None) -> Rollout:
        """Go on with a paused rollout.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended, is not paused, or moved on from `expected` (see `advance_rollout`).
        """
        return self._operations.resume_rollout(str(name), expected=expected)

    def stop_rollout(
        self,
        name: str | int,
        *,
        reason: str | None = None,
        expected: int | None = None,
        wait_s: float = 5.0,
    ) -> tuple[Rollout, Activation | None]:
        """End a rollout; the version before answers every request again.

        A candidate that answered requests is refused on this alias from then on, until somebody
        activates it with an override.

        Returns
        -------
        rollout : Rollout
            As it ended.
        entry : Activation or None
            The entry of the history, with the servers that have followed; None when the candidate
            had answered nobody.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        ConflictError
            If it has ended already, or moved on from `expected` (see `advance_rollout`).
        """
        stopped = self._operations.stop_rollout(str(name), reason=reason, expected=expected)
        entry = stopped.entry
        return stopped.rollout, None if entry is None else self._confirmed(entry, wait_s)

    def drive_rollout(self, name: str | int) -> Rollout:
        """Count, decide and act once, unless another process does; return how far the rollout is.

        Servers do this by themselves. Call it again and again where none is running.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        UnavailableError
            If a store does not answer.
        """
        return self._operations.drive_rollout(str(name))

    def labels_wanted(self, name: str | int, *, limit: int = 100) -> list[LabelWanted]:
        """Return rows that the two versions of a rollout answer differently, without a label.

        Where answers are right or wrong, no others need one.

        Raises
        ------
        NotFoundError
            If there is no such rollout.
        """
        return self._operations.labels_wanted(str(name), most=limit)

    def feedback(
        self, labels: Path | str | Iterable[Mapping[str, Any]], *, model: str | None = None
    ) -> Joined:
        """Join true answers to what was predicted, also days later. Twice is safe.

        Parameters
        ----------
        labels : path or iterable of mapping
            A CSV file or one of JSON lines, or mappings: ``id`` of the request, ``label``, and
            where there are several, ``row`` and ``model``.
        model : str, optional
            The model of labels that name none.

        Returns
        -------
        Joined
            How many were joined, and why others were not.

        Raises
        ------
        NotFoundError
            If there is no such file, or no registry.
        InvalidError
            If the file is neither.
        """
        from detent.domain.rollout import Joined
        from detent.rollout.feedback import read_source

        joined = Joined()
        for named, some in read_source(labels, model=model):
            joined.add(self._operations.feedback(named, some))
        return joined
