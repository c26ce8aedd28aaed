"""Tokens: made, listed and revoked. Only the digest of a secret is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from detent.domain.digest import digest_of
from detent.domain.events import EventType
from detent.domain.reference import check_model_name
from detent.domain.value import replace
from detent.errors import InvalidError, NotFoundError
from detent.registry.stores import Stores, change

if TYPE_CHECKING:
    from detent.domain.access import NewToken, Token

PREFIX = "detent_"  # so that a secret left in a file is recognised as one


def create_token(stores: Stores, name: str, *, role: str, models: Iterable[str]) -> NewToken:
    """Make a token; its secret is in the answer and nowhere else.

    Raises
    ------
    InvalidError
        If the role is unknown, or a name is malformed.
    """
    from detent.domain.access import NewToken, Role, Token

    if role not in list(Role):
        raise InvalidError(f"`{role[:80]}` is no role: {', '.join(Role)}")
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise InvalidError("a token's name has 1 to 200 printable characters; none was made")
    secret = PREFIX + secrets.token_urlsafe(32)
    with change(stores) as step:
        token = Token(
            id=step.tables.next_token(),
            name=name,
            role=Role(role),
            models=tuple(check_model_name(model) for model in models),
            created_at=step.at,
            created_by=step.actor,
        )
        digest = digest_of(secret.encode())
        step.tables.insert_token(token, digest=digest, at_us=step.at_us)
        step.record(
            EventType.TOKEN_CREATED,
            {
                "token": token.id,
                "name": name,
                "role": str(token.role),
                "models": list(token.models),
                "digest": digest,
            },
        )
    return NewToken(token=token, secret=secret)


def revoke_token(stores: Stores, id: int) -> Token:
    """Accept a token no more.

    Raises
    ------
    NotFoundError
        If there is no such token.
    """
    with change(stores) as step:
        token = step.tables.find_token(id)
        if token is None:
            raise NotFoundError(f"there is no token {id}", hint="list them: `detent token list`")
        if token.revoked_at is None:
            step.tables.set_revoked(id, at_us=step.at_us)
            step.record(EventType.TOKEN_REVOKED, {"token": id, "name": token.name})
            token = replace(token, revoked_at=step.at)
    return token
