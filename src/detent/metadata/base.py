"""The seam between detent and a database."""

from contextlib import AbstractContextManager
from typing import Protocol

from detent.metadata.tables import Tables

SCHEMA_VERSION = 1


class Metadata(Protocol):
    """A database that holds one registry. Instances may be shared between threads."""

    @property
    def location(self) -> str:
        """Where the registry lies, for messages."""
        ...

    @property
    def current(self) -> Tables:
        """The tables for single statements: each sees the newest commit.

        Raises
        ------
        NotFoundError
            If there is no registry at this place.
        """
        ...

    def read(self) -> AbstractContextManager[Tables]:
        """Open a snapshot: all statements in it see the same commit.

        Raises
        ------
        NotFoundError
            If there is no registry at this place.
        """
        ...

    def write(self) -> AbstractContextManager[Tables]:
        """Open the one write transaction that can run at a time; commit at its end.

        When the block ends without an exception, all it wrote is durable; after an exception
        nothing of it is there. Writers wait for each other in turn.

        Raises
        ------
        NotFoundError
            If there is no registry at this place.
        UnavailableError
            If the database is locked by somebody else for too long, or has no room.
        """
        ...

    def create(self, *, at_us: int, actor: str) -> bool:
        """Make the registry if there is none; return whether it was made. Twice is safe."""
        ...

    def change_counter(self) -> int:
        """Return a number that is another one after any commit, of this or another process."""
        ...

    def find_damage(self) -> list[str]:
        """Return what the database finds wrong with itself, one sentence each."""
        ...

    def close(self) -> None:
        """Release this thread's connection."""
        ...
