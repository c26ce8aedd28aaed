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
    reader's own, ``pid`` can be looked up. One that ``is_strict`` answers nothing once its
    lease has ended.

    ``heard_at`` and ``lease_until`` are times of the reader's clock: however wrong it is, so much
    time has passed since then, or is left.
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
    is_strict: bool = False

    @property
    def name(self) -> str:
        """How people tell it from others: ``host:pid``."""
        return f"{self.host}:{self.pid}"

    def answers(self, now: datetime) -> str:
        """Return what is known at a time of what it answers with, in words."""
        if self.lease_until < now and self.is_strict:
            return "has stopped answering"
        version = f"v{self.version}" if self.version else "nothing"
        return f"{'may still answer' if self.lease_until < now else 'still answers'} with {version}"

    def __repr__(self) -> str:
        """Return one line."""
        version = f"v{self.version}" if self.version else "nothing"
        return f"<Server {self.name} {self.model}@{self.alias} {version}>"


@value
class Confirmation:
    """Which servers answer as a change demands, when it returned.

    ``servers`` counts those that may answer, ``confirmed`` those that had acknowledged after
    ``seconds``. The others are named: ``behind`` are those that were waited for; ``silent`` those
    that were not heard of until their lease ended, and may answer on with what they had.
    ``stopped`` were not heard of either, and answer nothing, because they are strict: they are not
    among ``servers``. Without servers there is nothing to wait for.
    """

    servers: int
    confirmed: int
    seconds: float
    behind: tuple[Server, ...] = ()
    silent: tuple[Server, ...] = ()
    stopped: tuple[Server, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether nobody can answer otherwise than the change demands."""
        return not self.behind and not self.silent


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
