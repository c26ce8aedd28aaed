"""Serving what an alias holds, and who does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from detent.facade.base import RegistryBase

if TYPE_CHECKING:
    from detent.domain.server import Server
    from detent.rollout.trial import Trials
    from detent.runtime.follower import Follower
    from detent.runtime.live import Live


class Serving(RegistryBase):
    """Verbs of `Registry`: what is about servers."""

    def follow(
        self, alias: str, *, trusted: bool | Sequence[str] = False, rollouts: bool = False
    ) -> Live:
        """Return a model that answers with what an alias holds, and changes when the alias does.

        A change of the alias waits for this process, as for a server, until it answers with the
        new version. For reproducible work load a version: ``load("churn/7")``.

        Parameters
        ----------
        alias : str
            With its model: ``churn@production``.
        trusted : bool or sequence of str, default=False
            As for `load`, for each version that the alias comes to hold.
        rollouts : bool, default=False
            Take part in rollouts, as a server does: load candidates, ask them in the shadow, answer
            some calls with them, keep what was answered, and drive what nobody else drives. It
            takes memory, time of the processors and some threads of this process. Calls of more
            than 1,000 rows take no part.

        Raises
        ------
        NotFoundError
            If there is no such alias.
        """
        from detent.registry.read import alias_reference
        from detent.runtime.live import Live

        def take_part(follower: Follower) -> Trials:
            from detent.rollout.trial import Trials

            return Trials(self._stores, follower, trusted=trusted)

        return Live(
            self._stores,
            alias_reference(alias),
            trusted=trusted,
            take_part=take_part if rollouts else None,
        )

    def servers(self, name: str | None = None) -> list[Server]:
        """Return the processes that follow aliases: all of them, a model's, or an alias's.

        Those that ended are left out. One whose lease has ended may still answer, with what it last
        said; a change does not wait for it.

        Raises
        ------
        InvalidError
            If the name is malformed.
        UnavailableError
            If their rows cannot be read now.
        """
        return self._operations.servers(name=name)
