"""What all parts of the facade share: whom they ask, and how they read their arguments."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from detent.domain.clock import parse_time
from detent.operations import Operations

if TYPE_CHECKING:
    from detent.domain.alias import Activation, AliasStatus
    from detent.domain.version import Version
    from detent.registry.stores import Stores

    Named = str | Version
    Several = list[str] | list[Version] | list[Named] | tuple[Named, ...]
    When = str | datetime


class DetentWarning(UserWarning):
    """Something worth knowing that did not stop the work."""


class RegistryBase:
    """Who is asked: `Operations`, here or at a server."""

    def __init__(self, operations: Operations | Stores) -> None:
        self._operations = (
            operations if isinstance(operations, Operations) else Operations(operations)
        )

    @property
    def _stores(self) -> Stores:
        return self._operations.stores

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Registry {self.location} as {self.user}>"

    @property
    def location(self) -> str:
        """Where the registry lies."""
        return self._operations.location

    @property
    def user(self) -> str:
        """Who acts."""
        return self._operations.user

    def create(self) -> bool:
        """Make the registry on disk if there is none; return whether it was made."""
        return self._operations.create()

    def close(self) -> None:
        """Release this thread's connection. The registry can be used again afterwards."""
        self._operations.close()

    def _confirmed(self, entry: Activation, wait_s: float) -> Activation:
        from detent.domain.value import replace

        return replace(entry, confirmation=self._operations.confirm(entry, wait_s=wait_s))

    def _time(self, text: When | None) -> datetime | None:
        return None if text is None else parse_time(text, now=self._operations.clock())


def alias_of(reference: Named, alias: str) -> str:
    """Return an alias with its model: ``production`` means that of the version's own model."""
    if "@" in alias:
        return alias
    from detent.domain.reference import check_alias_name, parse_reference

    return f"{parse_reference(str(reference)).model}@{check_alias_name(alias)}"


def entry_of(expected: int | Activation | AliasStatus | None) -> int | None:
    """Return the number of the entry that a caller took to be the newest."""
    if expected is None or isinstance(expected, int):
        return expected
    return expected.activation.entry if hasattr(expected, "activation") else expected.entry
