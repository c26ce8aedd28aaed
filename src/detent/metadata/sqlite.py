"""Metadata in one SQLite file: for one machine, without a server.

Durability: WAL with ``synchronous=FULL``. With ``NORMAL``, commits that were acknowledged are
lost in a power cut. Fairness: writers take an advisory lock on a file beside the database before
``BEGIN IMMEDIATE``; SQLite's busy handler alone lets some writers starve.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from detent.errors import (
    ConflictError,
    CorruptError,
    DetentError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from detent.metadata.base import SCHEMA_VERSION
from detent.metadata.lock import FileLock
from detent.metadata.sqlite_servers import SqliteServers
from detent.metadata.tables import Tables

LOCK_TIMEOUT_S = 30.0


class _Rows:
    """Runs statements for `Tables`. Rows come back as lists of tuples."""

    concat = "group_concat(a.name, ' ')"

    def __init__(self, raw: sqlite3.Connection, location: str, mutex: Any) -> None:
        self._raw = raw
        self._location = location
        self._mutex = mutex

    def execute(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            with self._mutex:
                return self._raw.execute(sql, parameters).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise _translate(error, self._location) from error

    def execute_many(self, sql: str, parameters: list[dict[str, Any]]) -> None:
        try:
            with self._mutex:
                self._raw.executemany(sql, parameters)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise _translate(error, self._location) from error


class _Connection:
    """One thread's connection. Nothing in it refers back to it: it ends with its thread."""

    def __init__(self, raw: sqlite3.Connection, rows: _Rows, *, is_frozen: bool = False) -> None:
        self.raw = raw
        self.rows = rows
        self.tables = Tables(rows)
        self.pid = os.getpid()
        self.depth = 0
        self.is_frozen = is_frozen


class _NoMutex:
    """Stands in for the mutex where each thread has its own connection."""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class SqliteMetadata:
    """A registry's rows in one SQLite file, or in memory when `path` is None.

    Instances may be shared between threads and survive a fork: each thread of each process has
    its own connection. In memory all threads share one connection and take turns.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, *, timeout_s: float = LOCK_TIMEOUT_S
    ) -> None:
        self._path = None if path is None else os.path.abspath(path)
        self._timeout_s = timeout_s
        self._local = threading.local()
        self._shared: _Connection | None = None
        self._mutex: Any = threading.RLock() if path is None else _NoMutex()
        self._lock = None if self._path is None else FileLock(self._beside("detent.lock"))
        self.servers = SqliteServers(None if self._path is None else self._beside("serving.db"))
        _instances.add(self)

    @property
    def location(self) -> str:
        """The folder of the registry, or ``memory:``."""
        return "memory:" if self._path is None else os.path.dirname(self._path)

    @property
    def current(self) -> Tables:
        """The tables for single statements: each sees the newest commit."""
        return self._connection().tables

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """Open a snapshot (nested calls share the outer one)."""
        connection = self._connection()
        with self._mutex, self._transaction(connection, "BEGIN"):
            yield connection.tables

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """Open the one write transaction; durable when it ends, or as if it had never been."""
        connection = self._connection()
        if connection.depth and self._path is not None:
            raise AssertionError("a write inside another transaction")
        if self._path is not None and not os.access(self._path, os.W_OK):
            raise UnavailableError(
                f"the registry at {self.location} is read-only; nothing was changed",
                hint="make the folder writable, or name another with `--url`",
            )
        with self._mutex, self._turn(), self._transaction(connection, "BEGIN IMMEDIATE"):
            yield connection.tables

    def create(self, *, at_us: int, actor: str) -> bool:
        """Make the registry if there is none; return whether it was made."""
        if self._path is None or os.path.exists(self._path):
            return False  # in memory it is made with its connection
        from detent.metadata.creation import make_database, make_folder

        try:
            make_folder(self.location)
            with self._turn():
                if os.path.exists(self._path):
                    return False
                # Under another name until it is whole: nobody meets half a registry.
                make_database(
                    self._path, building=self._beside("detent.new"), at_us=at_us, actor=actor
                )
        except OSError as error:
            raise UnavailableError(
                f"no registry could be made at {self.location}: {error.strerror or error};"
                " nothing was registered",
                hint="name a folder that you may write to with `--url`",
            ) from error
        except sqlite3.Error as error:
            raise _translate(error, self.location) from error
        return True

    def change_counter(self) -> int:
        """Return a number that is another one after any commit, of this or another process."""
        connection = self._connection()
        with self._mutex:
            raw = connection.raw
            (version,) = raw.execute("PRAGMA data_version").fetchone()
            # data_version counts what other connections commit; total_changes what this one did.
            return int(version) << 40 | raw.total_changes

    def listen(self, on_news: Callable[[], None], *, every_s: float) -> None:
        """Return None: nobody tells, and asking `change_counter` takes microseconds."""

    def find_damage(self) -> list[str]:
        """Return what SQLite finds wrong with its pages, indexes and constraints."""
        found = self._connection().rows.execute("PRAGMA integrity_check", {})
        return [f"the database is damaged: {text}" for (text,) in found if text != "ok"]

    def release(self) -> None:
        """Close this thread's connection, unless a transaction is open on it."""
        self.servers.release()
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is not None and not connection.depth:
            connection.raw.close()
            self._local.connection = None

    def close(self) -> None:
        """Close what can be closed from here: this thread's connection."""
        self.release()

    def _connection(self) -> _Connection:
        if self._path is None:
            return self._memory()
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None or connection.pid != os.getpid() or _is_stale(connection):
            connection = self._connect(self._path)
            self._local.connection = connection
        return connection

    def _memory(self) -> _Connection:
        with self._mutex:
            if self._shared is None:
                from detent.domain.clock import to_us, utc_now
                from detent.metadata.creation import build_tables

                raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                raw.execute("PRAGMA foreign_keys=ON")
                rows = _Rows(raw, self.location, self._mutex)
                rows.execute("BEGIN", {})
                build_tables(rows, at_us=to_us(utc_now()), actor="memory")
                rows.execute("COMMIT", {})
                self._shared = _Connection(raw, rows)
            return self._shared

    def _connect(self, path: str) -> _Connection:
        if not os.path.exists(path):
            raise NotFoundError(
                f"there is no registry at {self.location}",
                hint="make one by registering a first version, or with `detent init`",
            )
        try:
            raw, is_frozen = self._open(path)
        except sqlite3.Error as error:
            raise _translate(error, self.location) from error
        connection = _Connection(raw, _Rows(raw, self.location, self._mutex), is_frozen=is_frozen)
        try:
            self._check_schema(connection.tables)
        except BaseException:
            raw.close()
            raise
        return connection

    def _open(self, path: str) -> tuple[sqlite3.Connection, bool]:
        """Open the database; say whether it can be read only as it lies there now."""
        if os.access(path, os.W_OK) and os.access(self.location, os.W_OK):
            return _open(f"file:{_quote(path)}?mode=rw", self._timeout_s), False
        # SQLite cannot read beside a writer where it may not write. Without a log there is none.
        is_frozen = not _size(path + "-wal")
        immutable = "&immutable=1" if is_frozen else ""
        uri = f"file:{_quote(path)}?mode=ro{immutable}"
        return _open(uri, self._timeout_s, ro=True), is_frozen

    def _check_schema(self, tables: Tables) -> None:
        found = tables.schema_version()
        if found > SCHEMA_VERSION:
            raise InvalidError(
                f"the registry at {self.location} was written by a newer release of detent"
                f" (schema {found}, this one knows {SCHEMA_VERSION}); nothing was read",
                hint="upgrade: `pip install --upgrade detent`",
            )

    def _beside(self, name: str) -> str:
        return os.path.join(self.location, name)

    @contextmanager
    def _transaction(self, connection: _Connection, begin: str) -> Iterator[None]:
        if connection.depth:
            if begin != "BEGIN":
                raise AssertionError("a write inside another transaction")
            yield
            return
        connection.rows.execute(begin, {})
        connection.depth = 1
        try:
            yield
            connection.rows.execute("COMMIT", {})
        except BaseException:
            with suppress(sqlite3.Error):  # what went wrong before is the error to tell
                if connection.raw.in_transaction:
                    connection.raw.execute("ROLLBACK")
            raise
        finally:
            connection.depth = 0

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        try:
            is_ours = self._lock.acquire(self._timeout_s)
        except OSError as error:
            raise UnavailableError(
                f"the lock of the registry at {self.location} cannot be taken"
                f" ({error.strerror or error}); nothing was changed",
                hint="make the folder and `detent.lock` in it writable",
            ) from error
        if not is_ours:
            raise UnavailableError(
                f"the registry at {self.location} has been locked by another process for"
                f" {self._timeout_s:.0f} s; nothing was changed",
                hint="run the same command again when the other one has ended",
            )
        try:
            yield
        finally:
            self._lock.release()


def _open(uri: str, timeout_s: float, *, ro: bool = False) -> sqlite3.Connection:
    raw = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,  # transactions begin and end where we say
        timeout=timeout_s,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        raw.execute("PRAGMA foreign_keys=ON")
        if not ro:
            raw.execute("PRAGMA journal_mode=WAL")
            raw.execute("PRAGMA synchronous=FULL")
    except BaseException:
        raw.close()
        raise
    return raw


def _is_stale(connection: _Connection) -> bool:
    # A frozen connection never sees what is written after it was opened.
    return connection.is_frozen and not connection.depth


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def _translate(error: Exception, location: str) -> DetentError:
    """Return the error a user can act on for one of SQLite's."""
    if isinstance(error, OverflowError | UnicodeEncodeError):
        return InvalidError(f"this value fits in no row: {error}; nothing was changed")
    code = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return UnavailableError(
            f"the disk of the registry at {location} is full or failing ({text}); nothing was"
            " changed",
            hint="make room (`detent prune` removes what nothing uses), then run it again",
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return UnavailableError(
            f"the registry at {location} is locked by another program; nothing was changed",
            hint="run the same command again when the other one has ended",
        )
    if code.startswith("SQLITE_READONLY"):
        return UnavailableError(
            f"the registry at {location} is read-only; nothing was changed",
            hint="make the folder writable, or name another with `--url`",
        )
    damaged = ("no such table", "no such column", "Could not decode")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or any(d in text for d in damaged):
        return CorruptError(
            f"the database at {location} is damaged, or is no registry ({text}); nothing was"
            " changed",
            hint="restore `detent.db` from a backup; the files under `blobs/` are not affected",
        )
    if code.startswith("SQLITE_CANTOPEN"):
        return UnavailableError(f"the database at {location} cannot be opened: {text}")
    if code.startswith("SQLITE_CONSTRAINT"):
        return ConflictError(
            f"the registry at {location} changed while this was done ({text}); nothing was changed",
            hint="run the same command again",
        )
    return UnavailableError(f"the database at {location} failed: {text}; nothing was changed")


def _quote(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


_instances: WeakSet[SqliteMetadata] = WeakSet()


def _close_before_fork() -> None:
    # SQLite keeps the locks of a process in memory that a fork copies: the child would believe to
    # hold locks that are its parent's. When the parent ends, another process could then remove the
    # log that the child writes to, and with it commits that were acknowledged.
    for metadata in list(_instances):
        metadata.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_before_fork)
