"""The seams between detent and a database."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from detent.domain.server import Server
from detent.metadata.tables import Tables

SCHEMA_VERSION = 1


class Servers(Protocol):
    """Which processes answer with what. Instances may be shared between threads.

    These rows are about the living: they need not survive the machine, only the process that wrote
    them. Each method is a transaction of its own that waits for no disk, and for another writer
    a few milliseconds at most: a server writes between two answers.
    """

    @property
    def doors(self) -> str | None:
        """A folder in which processes of one machine share memory; None where there is none."""
        ...

    def list_servers(self, model: str | None = None, alias: str | None = None) -> list[Server]:
        """Return what servers last said: all of them, those of a model, or of one alias.

        Raises
        ------
        UnavailableError
            If they cannot be read now.
        """
        ...

    def put_server(self, server: Server) -> None:
        """Write what a server says of itself. What it has acknowledged never goes back.

        Raises
        ------
        UnavailableError
            If it cannot be written now: trying again may help.
        """
        ...

    def remove_servers(self, id: str) -> None:
        """Remove the rows of a process that answers no more.

        Raises
        ------
        UnavailableError
            If they cannot be removed now.
        """
        ...

    def remove_lapsed_servers(self, *, for_s: float) -> None:
        """Remove the rows whose lease ended so many seconds ago.

        Raises
        ------
        UnavailableError
            If they cannot be removed now.
        """
        ...

    def change_counter(self) -> int:
        """Return a number that is another one after any of the writes above, by anybody."""
        ...

    def release(self) -> None:
        """Keep nothing for this thread, which has ended its work: others go on."""
        ...


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

    def listen(self, on_news: Callable[[], None], *, every_s: float) -> Callable[[], None] | None:
        """Call a function after each commit by anybody, in a thread; return what ends that.

        It is also called every `every_s` seconds. Returns None where nobody tells of commits: there
        `change_counter` takes microseconds, and is asked before each answer.
        """
        ...

    @property
    def servers(self) -> Servers:
        """The processes that answer. Writing there moves no counter and no journal here."""
        ...

    def find_damage(self) -> list[str]:
        """Return what the database finds wrong with itself, one sentence each."""
        ...

    def release(self) -> None:
        """Keep nothing for this thread, which has ended its work: others go on."""
        ...

    def close(self) -> None:
        """Close the connections that nobody uses; what is asked next opens one again."""
        ...
