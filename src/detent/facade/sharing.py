"""Sharing a registry: who may ask a server, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from detent.facade.base import RegistryBase

if TYPE_CHECKING:
    from detent.domain.access import NewToken, Token
    from detent.domain.webhook import Delivery, NewWebhook, Webhook


class Sharing(RegistryBase):
    """Verbs of `Registry`: what is about tokens and webhooks."""

    def create_token(self, name: str, *, role: str, models: Sequence[str] = ()) -> NewToken:
        """Make a token, with which `name` may ask a server.

        Parameters
        ----------
        name : str
            Who it is for: the actor in the journal.
        role : str
            ``reader``, ``contributor``, ``maintainer`` or ``admin``.
        models : sequence of str, optional
            The models it may change; by default all of them.

        Returns
        -------
        NewToken
            With the secret, which is kept nowhere and not shown again.

        Raises
        ------
        InvalidError
            If the role is unknown, or a name is malformed.
        """
        return self._operations.create_token(name, role=role, models=tuple(models))

    def tokens(self) -> list[Token]:
        """Return all tokens, also those that were revoked, the oldest first."""
        return self._operations.tokens()

    def revoke_token(self, id: int) -> Token:
        """Accept a token no more.

        Raises
        ------
        NotFoundError
            If there is no such token.
        """
        return self._operations.revoke_token(id)

    def create_webhook(
        self, url: str, *, types: Sequence[str] = (), models: Sequence[str] = ()
    ) -> NewWebhook:
        """Tell an address of the events to come.

        A running ``detent web`` sends them, in their order and each until it is accepted.

        Parameters
        ----------
        url : str
            Where to: an ``https:`` URL of the public network, unless the setting
            ``private_webhooks`` allows others.
        types : sequence of str, optional
            Types of events, such as ``detent.alias.rolled_back``, or beginnings of them, such as
            ``detent.alias.*``; by default all about aliases, versions and rollouts.
        models : sequence of str, optional
            The models it is told of; by default all of them.

        Returns
        -------
        NewWebhook
            With the secret that signs what is sent. It is not shown again.

        Raises
        ------
        InvalidError
            If the URL, a type or a name is malformed.
        RefusedError
            If the URL names an address that is not public, and those are not allowed.
        """
        return self._operations.create_webhook(url, types=tuple(types), models=tuple(models))

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks, the oldest first."""
        return self._operations.webhooks()

    def delete_webhook(self, id: int) -> Webhook:
        """Tell an address nothing more; what it was not told yet is not told.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.delete_webhook(id)

    def test_webhook(self, id: int) -> Delivery:
        """Send a webhook an event that means nothing, once and at once, and return how it went.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.test_webhook(id)

    def deliveries(self, id: int, *, limit: int | None = None) -> list[Delivery]:
        """Return how the newest tries to tell a webhook went, newest first.

        Raises
        ------
        NotFoundError
            If there is no such webhook.
        """
        return self._operations.deliveries(id, limit=limit)
