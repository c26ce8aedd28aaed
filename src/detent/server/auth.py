"""Who asks: the token of a request, or whoever it is where no token was ever made."""

from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from detent.domain.access import Role, Token
from detent.domain.clock import EPOCH
from detent.domain.digest import digest_of
from detent.errors import RefusedError
from detent.registry.stores import Stores

COOKIE = "detent_session"


def identify(stores: Stores, request: Request) -> Token:
    """Return the token that a request carries.

    While no token was ever made, everybody may do everything, under the name that the request
    gives: as in a folder that everybody may write to.

    Raises
    ------
    HTTPException
        401 if tokens are asked for and the request carries none that is accepted.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    tables = stores.metadata.current
    if secret:
        token = tables.find_token_by_digest(digest_of(secret.encode()))
        if token is not None:
            return token
    if secret or tables.has_tokens():
        raise HTTPException(
            401, "the token is not accepted" if secret else "this server asks for a token"
        )
    name = unquote(request.headers.get("detent-user", ""))[:200]
    return Token(
        id=0,
        name=name if name.strip() and name.isprintable() else stores.actor,
        role=Role.ADMIN,
        models=(),
        created_at=EPOCH,
        created_by="",
    )


def check(token: Token, role: Role, model: str | None) -> None:
    """Raise `RefusedError` unless a token allows what needs a role, on a model."""
    if not token.may(role, model):
        on = f" on `{model}`" if model and role is not Role.READER else ""
        raise RefusedError(
            f"this needs the role {role}{on}, and {token.name} has the role {token.role}"
            + (f" on {', '.join(token.models)}" if token.models else "")
            + "; nothing was changed"
        )
