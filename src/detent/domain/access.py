"""Who may do what at a server: tokens, and the roles that they carry."""

from datetime import datetime
from enum import StrEnum

from detent.domain.value import value


class Role(StrEnum):
    """What a token allows, each role all that the one before it does.

    A reader looks. A contributor registers, evaluates and says something. A maintainer changes
    what is active, and the policies. An admin deletes, prunes, and gives out tokens.
    """

    READER = "reader"
    CONTRIBUTOR = "contributor"
    MAINTAINER = "maintainer"
    ADMIN = "admin"

    def allows(self, other: "Role") -> bool:
        """Say whether this role may do what `other` may.

        Examples
        --------
        >>> Role.MAINTAINER.allows(Role.READER), Role.READER.allows(Role.ADMIN)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(other)


@value
class Token:
    """Somebody who may ask a server. ``models`` names those it may change; () stands for all.

    ``name`` is the actor in the journal. The secret itself is kept nowhere.
    """

    id: int
    name: str
    role: Role
    models: tuple[str, ...]
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None

    def may(self, role: Role, model: str | None = None) -> bool:
        """Say whether the token allows what needs `role`, on a model where it is about one."""
        if not self.role.allows(role):
            return False
        return role is Role.READER or not self.models or model in self.models

    def __repr__(self) -> str:
        """Return one line."""
        gone = ", revoked" if self.revoked_at else ""
        return f"<Token {self.id} {self.name} {self.role}{gone}>"


@value
class NewToken:
    """A token that was just made, with its secret: it is not shown again."""

    token: Token
    secret: str
