"""The tables of tokens, and of answers to requests that carry a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.clock import from_us
from detent.metadata.statements import Statements, converter, names_from_json, names_to_json

if TYPE_CHECKING:
    from detent.domain.access import Token

_TOKEN = "id, name, role, models_json, created_at, created_by, revoked_at"


class AccessTables(Statements):
    """Who may ask a server, and what it answered."""

    def has_tokens(self) -> bool:
        """Say whether any token was ever made: a server asks for one from then on."""
        return bool(self._all("SELECT 1 FROM token LIMIT 1"))

    def next_token(self) -> int:
        """Return the number that the next token will have."""
        return self._next("token", "id")

    def insert_token(self, token: Token, *, digest: str, at_us: int) -> None:
        """Add a token, under the digest of its secret."""
        self._all(
            """INSERT INTO token (id, name, role, models_json, digest, created_at, created_by)
            VALUES (:id, :name, :role, :models, :digest, :at, :by)""",
            id=token.id,
            name=token.name,
            role=str(token.role),
            models=names_to_json(token.models),
            digest=digest,
            at=at_us,
            by=token.created_by,
        )

    def list_tokens(self) -> list[Token]:
        """Return all tokens, the oldest first."""
        return [_to_token(row) for row in self._all(f"SELECT {_TOKEN} FROM token ORDER BY id")]

    def find_token(self, id: int) -> Token | None:
        """Return the token of that number."""
        row = self._one(f"SELECT {_TOKEN} FROM token WHERE id = :id", id=id)
        return _to_token(row) if row else None

    def find_token_by_digest(self, digest: str) -> Token | None:
        """Return the token whose secret has this digest, unless it was revoked."""
        row = self._one(
            f"SELECT {_TOKEN} FROM token WHERE digest = :digest AND revoked_at IS NULL",
            digest=digest,
        )
        return _to_token(row) if row else None

    def set_revoked(self, id: int, *, at_us: int) -> None:
        """Mark a token as one that is not accepted any more."""
        self._all("UPDATE token SET revoked_at = :at WHERE id = :id", id=id, at=at_us)

    def find_answer(self, actor: str, key: str) -> tuple[str, int, str] | None:
        """Return digest of the request, status and body of an answer given under a key."""
        return self._one(
            """SELECT request_digest, status, body FROM answered
            WHERE actor = :actor AND request_key = :key""",
            actor=actor,
            key=key,
        )

    def insert_answer(
        self, actor: str, key: str, digest: str, *, status: int, body: str, at_us: int
    ) -> None:
        """Keep an answer, and drop those of more than a day before."""
        self._all("DELETE FROM answered WHERE created_at < :old", old=at_us - 86_400_000_000)
        self._all(
            """INSERT INTO answered (actor, request_key, request_digest, status, body, created_at)
            VALUES (:actor, :key, :digest, :status, :body, :at)""",
            actor=actor,
            key=key,
            digest=digest,
            status=status,
            body=body,
            at=at_us,
        )


@converter
def _to_token(row: tuple[Any, ...]) -> Token:
    from detent.domain.access import Role, Token

    return Token(
        id=row[0],
        name=row[1],
        role=Role(row[2]),
        models=names_from_json(row[3]),
        created_at=from_us(row[4]),
        created_by=row[5],
        revoked_at=None if row[6] is None else from_us(row[6]),
    )
