"""Servers: the processes that answer with what an alias holds, and what a change waits for."""

from datetime import datetime

from detent.domain.value import value


@value
class Server:
    """One process and one alias that it follows, as the process last said of itself.

    ``version`` is what it answers with. ``entry`` is the newest entry of the alias's history that
    it has acknowledged: it answers as that entry says, and every answer that it began before is
    finished; 0 while it starts. ``problem`` says why it does not follow ``problem_entry``.
    ``place`` tells machines, and the spaces of process numbers on them, apart: where it is the
    reader's own, ``pid`` can be looked up.
    """

    id: str
    model: str
    alias: str
    host: str
    pid: int
    place: str
    version: int | None
    entry: int
    heard_at: datetime
    lease_until: datetime
    problem: str | None = None
    problem_entry: int = 0

    @property
    def name(self) -> str:
        """How people tell it from others: ``host:pid``."""
        return f"{self.host}:{self.pid}"

    def __repr__(self) -> str:
        """Return one line."""
        version = f"v{self.version}" if self.version else "nothing"
        return f"<Server {self.name} {self.model}@{self.alias} {version}>"


@value
class Confirmation:
    """Which servers answer as a change demands, when it returned.

    ``servers`` counts those whose lease was alive, ``confirmed`` those that had acknowledged after
    ``seconds``; ``behind`` holds the others. Without servers there is nothing to wait for.
    """

    servers: int
    confirmed: int
    seconds: float
    behind: tuple[Server, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every server had acknowledged."""
        return not self.behind


def sort_servers(
    servers: tuple[Server, ...], entry: int
) -> tuple[tuple[Server, ...], tuple[Server, ...], tuple[Server, ...]]:
    """Return which servers have confirmed an entry, which may still do so, and which cannot.

    Parameters
    ----------
    servers : tuple of Server
        Those of one alias that are alive.
    entry : int
        The entry that is waited for.

    Returns
    -------
    confirmed, waiting, failed : tuple of Server
        A server that only starts is in none of them.
    """
    started = [server for server in servers if server.entry or server.problem_entry]
    confirmed = tuple(server for server in started if server.entry >= entry)
    late = [server for server in started if server.entry < entry]
    failed = tuple(server for server in late if server.problem_entry >= entry)
    return confirmed, tuple(server for server in late if server.problem_entry < entry), failed
