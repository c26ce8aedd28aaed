"""The rows of servers in a small SQLite file of their own, beside the registry's.

They change with every acknowledgement, and a rollback waits for all of them. In the registry's
file each would be one more durable commit, in turn with all writers. Here a commit waits for no
disk (``synchronous=OFF``): a killed process loses nothing of what it wrote, and after a power
cut there is no server left that the rows could tell of, so a damaged file is made anew.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from detent.domain.server import Server
from detent.errors import UnavailableError
from detent.metadata.servers import ServerTables

T = TypeVar("T")

# The longest that a server stops answering to write; it tries again later. All servers of an alias
# write at the same moment, each for a few dozen microseconds: SQLite's own wait, which begins with
# a millisecond, would make a rollback several times slower.
_BUSY_TIMEOUT_S = 0.005
_READ_TIMEOUT_S = 1.0  # whoever asks who answers is no server, and rather waits than does not know
_BUSY_POLL_S = 0.00005
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class _Rows:
    concat = "group_concat(a.name, ' ')"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw

    def execute(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return self.raw.execute(sql, parameters).fetchall()

    def execute_many(self, sql: str, parameters: list[dict[str, Any]]) -> None:
        self.raw.executemany(sql, parameters)


class _Connection:
    def __init__(self, raw: sqlite3.Connection, inode: int) -> None:
        self.raw = raw
        self.tables = ServerTables(_Rows(raw))
        self.pid = os.getpid()
        self.inode = inode


class SqliteServers:
    """The rows in a file, or in memory when `path` is None.

    Threads and forks as `SqliteMetadata`. The file is made by the first server; as long as there
    is none, reading finds nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._local = threading.local()
        self._shared: _Connection | None = None
        self._mutex = threading.RLock()

    @property
    def doors(self) -> str | None:
        """The folder beside the file, made by the first server."""
        return None if self._path is None else os.path.join(os.path.dirname(self._path), "serving")

    def list_servers(self, model: str | None = None, alias: str | None = None) -> list[Server]:
        """Return what servers last said."""
        if self._path is not None and not os.path.exists(self._path):
            return []
        return self._run(
            lambda tables: tables.list_servers(model, alias), timeout_s=_READ_TIMEOUT_S
        )

    def put_server(self, server: Server) -> None:
        """Write what a server says of itself."""
        self._check_file()
        self._run(lambda tables: tables.put_server(server))

    def remove_servers(self, id: str) -> None:
        """Remove the rows of a process that answers no more."""
        self._check_file()
        self._run(lambda tables: tables.remove_servers(id))

    def remove_lapsed_servers(self, *, for_s: float) -> None:
        """Remove the rows whose lease ended so many seconds ago."""
        self._check_file()
        self._run(lambda tables: tables.remove_lapsed_servers(for_s=for_s))

    def change_counter(self) -> int:
        """Return a number that is another one after any write, of this or another process."""
        if self._path is not None and not os.path.exists(self._path):
            return 0
        return self._run(
            lambda tables: int(
                self._connection().raw.execute("PRAGMA data_version").fetchone()[0] << 40
                | self._connection().raw.total_changes
            )
        )

    def release(self) -> None:
        """Close this thread's connection."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.raw.close()
            self._local.connection = None

    def _run(self, work: Callable[[ServerTables], T], *, timeout_s: float = _BUSY_TIMEOUT_S) -> T:
        try:
            try:
                return self._locked(work, timeout_s)
            except sqlite3.DatabaseError as error:
                if self._path is None or not _names(error, _DAMAGED):
                    raise
            self._remove_file()
            return self._locked(work, timeout_s)
        except sqlite3.Error as error:
            raise UnavailableError(
                f"the rows of servers at {self._path or 'memory:'} cannot be used now: {error}",
                hint="a server tries again by itself; `serving.db` may be removed, it is made anew",
            ) from error

    def _locked(self, work: Callable[[ServerTables], T], timeout_s: float) -> T:
        if self._path is None:
            with self._mutex:
                return work(self._connection().tables)
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return work(self._connection().tables)
            except sqlite3.OperationalError as error:
                if not _names(error, _BUSY) or time.monotonic() > deadline:
                    raise
            time.sleep(_BUSY_POLL_S)

    def _connection(self) -> _Connection:
        if self._path is None:
            if self._shared is None:
                self._shared = _open(":memory:")
            return self._shared
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.pid != os.getpid():
            connection = _open(self._path)
            self._local.connection = connection
        return connection

    def _check_file(self) -> None:
        """Let go of a file that somebody has replaced: nobody reads what is written there."""
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._path is not None:
            with suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == connection.inode:
                    return
            self.release()

    def _remove_file(self) -> None:
        assert self._path is not None
        self.release()
        for name in (self._path, self._path + "-wal", self._path + "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(name)


def _open(path: str) -> _Connection:
    raw = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        if path != ":memory:":
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA synchronous=OFF")
        from importlib import resources  # takes longer than a whole status: only to make a file

        raw.execute(resources.files("detent.metadata").joinpath("serving.sql").read_text())
        return _Connection(raw, 0 if path == ":memory:" else os.stat(path).st_ino)
    except BaseException:
        raw.close()
        raise


def _names(error: sqlite3.Error, codes: tuple[str, ...]) -> bool:
    return (getattr(error, "sqlite_errorname", "") or "").startswith(codes)
