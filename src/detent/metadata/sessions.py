"""Connections to PostgreSQL: where to, how they are set up, and what their errors mean.

A pool keeps connections open and lends them to one thread at a time. Whoever borrows one may find
that the server dropped it meanwhile; `Sessions.begin` then takes another, as long as nothing was
done on the first.
"""

import logging
import os
import re
import threading
import time
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from detent.errors import (
    ConflictError,
    CorruptError,
    DetentError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from detent.settings import take_parameter

Raw = psycopg.Connection[tuple[Any, ...]]

MAX_CONNECTIONS = 10  # of one process; its other threads wait for one to come back
SCHEMA = "detent"
_SCHEMA_PATTERN = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# A host that is cut off says no goodbye: without these, its lock would be held for two hours, and a
# client would wait as long for an answer. Both ends notice within a lease of 10 s: what was sent
# has to be acknowledged by the other machine (not by the program there) in 5 s, and a line on which
# nothing is said is tried after 3 s, up to three times.
_PATIENCE_MS = "5000"
_KEEPALIVE = {
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": _PATIENCE_MS,
}
CONNECTION: dict[str, Any] = {
    "fallback_application_name": "detent",
    "connect_timeout": "5",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": _PATIENCE_MS,
}
# The pool logs each try that fails; where nobody set logging up, that would stand beside our error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
_abandoned: list[Any] = []  # pools of the parent process: nothing of them may be closed here


class Sessions:
    """The connections of one process to one registry. May be shared between threads.

    Parameters
    ----------
    url : str
        As libpq reads it, and ``schema=NAME`` among its parameters.
    lock_timeout_s : float
        How long a statement waits for a lock.
    patience_s : float
        How long to wait for a server that does not answer.
    """

    def __init__(self, url: str, *, lock_timeout_s: float, patience_s: float) -> None:
        self.conninfo, self.schema = split_url(url)
        self.location = _location(self.conninfo, self.schema)
        self.patience_s = patience_s
        self._lock_timeout_s = lock_timeout_s
        self._mutex = threading.Lock()
        self._pool: ConnectionPool[Raw] | None = None
        self._pid = 0

    def begin(self, sql: str, *, patience_s: float | None = None) -> tuple[Raw, list[Any]]:
        """Take a connection and run the first statements on it; return it with their last rows.

        A connection that turns out to be dropped is replaced: nothing was done on it yet.

        Raises
        ------
        DetentError
            If the server does not answer in time, or refuses the statements.
        """
        patience_s = self.patience_s if patience_s is None else patience_s
        ends_at = time.monotonic() + patience_s
        while True:
            raw = self.take(patience_s)
            try:
                return raw, run(raw, sql)
            except psycopg.Error as error:
                is_dropped = raw.broken
                self.give_back(raw)
                if not is_dropped or time.monotonic() > ends_at:
                    raise translate(error, self.location) from error
                self._open_pool().check()  # the others may be gone with it

    def take(self, patience_s: float | None = None) -> Raw:
        """Borrow a connection.

        Raises
        ------
        UnavailableError
            If none can be had in time.
        """
        patience_s = self.patience_s if patience_s is None else patience_s
        ends_at = time.monotonic() + max(patience_s, self._lock_timeout_s)
        while True:
            try:
                return self._open_pool().getconn(timeout=patience_s)
            except PoolClosed:  # by another thread, a moment ago
                continue
            except PoolTimeout:
                self._check_server(patience_s)
                if time.monotonic() > ends_at:
                    raise UnavailableError(
                        f"all {MAX_CONNECTIONS} connections of this process to {self.location}"
                        " are in use; nothing was changed",
                        hint="run the same command again when others have ended",
                    ) from None

    def give_back(self, raw: Raw) -> None:
        """Give a connection back; what is open on it is undone."""
        pool = self._pool
        if pool is not None and raw._pool is pool:
            pool.putconn(raw)
        else:  # the pool that it is from was closed meanwhile
            raw.close()

    def close(self) -> None:
        """Close the connections that nobody uses; those in use when they come back."""
        with self._mutex:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.close()

    def _open_pool(self) -> ConnectionPool[Raw]:
        with self._mutex:
            if self._pool is not None and self._pid != os.getpid():
                _abandoned.append(self._pool)  # a fork copied it, and not its threads
                self._pool = None
            if self._pool is None:
                self._pid = os.getpid()
                self._pool = ConnectionPool(
                    self.conninfo,
                    kwargs={"autocommit": True, **CONNECTION},
                    min_size=0,
                    max_size=MAX_CONNECTIONS,
                    num_workers=1,
                    configure=self._configure,
                    reconnect_timeout=self.patience_s,
                    open=True,
                )
            return self._pool

    def _configure(self, raw: Raw) -> None:
        # All whole numbers travel as 64 bits: otherwise each size is a statement of its own.
        raw.adapters.register_dumper(int, Int8Dumper)
        settings = {
            "search_path": self.schema,
            "lock_timeout": f"{self._lock_timeout_s * 1000:.0f}",
            **_KEEPALIVE,
        }
        calls = [f"set_config('{name}', '{text}', false)" for name, text in settings.items()]
        # What is acknowledged is durable, also where the administrator chose speed for others.
        calls.append(
            """CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', false) END"""
        )
        raw.execute(f"SELECT {', '.join(calls)}")

    def _check_server(self, waited_s: float) -> None:
        """Say why no connection could be had, when the server is the reason."""
        try:
            psycopg.connect(self.conninfo, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise UnavailableError(
                f"{self.location} did not answer in {waited_s:.1f} s"
                f" ({_first_line(error)}); nothing was changed",
                hint="run the same command again when the server can be reached",
            ) from error


def run(raw: Raw, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows; of several statements those of the last one."""
    cursor = raw.execute(sql.encode(), parameters)
    while cursor.nextset():
        pass
    # Not `description`, which is put together anew for each statement.
    return cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


def split_url(url: str) -> tuple[str, str]:
    """Return the URL that libpq reads, and the schema that holds the registry.

    Raises
    ------
    InvalidError
        If it is malformed.

    Examples
    --------
    >>> split_url("postgresql://ana@db.example/models?schema=churn&sslmode=require")
    ('postgresql://ana@db.example/models?sslmode=require', 'churn')
    """
    conninfo, schema = take_parameter(url, "schema")
    schema = schema or SCHEMA
    if not _SCHEMA_PATTERN.fullmatch(schema):
        raise InvalidError(
            f"`{schema}` cannot be a schema: a lower-case letter first, then at most 62 letters,"
            " digits and underscores are expected"
        )
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise InvalidError(f"the URL of the PostgreSQL server is malformed: {error}") from error
    return conninfo, schema


def _location(conninfo: str, schema: str) -> str:
    """Return where the registry is, for messages: without the password."""
    parts = conninfo_to_dict(conninfo)
    user = f"{parts['user']}@" if parts.get("user") else ""
    host = str(parts.get("host") or "")
    port = f":{parts['port']}" if parts.get("port") else ""
    socket = f"&host={host}" if host.startswith("/") else ""
    authority = f"{user}{'' if socket else host}{port}"
    return f"postgresql://{authority}/{parts.get('dbname') or ''}?schema={schema}{socket}"


def translate(error: psycopg.Error, location: str) -> DetentError:
    """Return the error a user can act on for one of PostgreSQL's."""
    text = _first_line(error)
    match error:
        case errors.UndefinedTable() | errors.InvalidSchemaName():
            return NotFoundError(
                f"there is no registry at {location}",
                hint="make one by registering a first version, or with `detent init`",
            )
        case errors.UndefinedColumn() | errors.DataCorrupted() | errors.IndexCorrupted():
            return CorruptError(
                f"the database at {location} is damaged, or is no registry ({text}); nothing was"
                " changed",
                hint="restore it from a backup, or `detent copy` a good registry to a new schema",
            )
        case errors.LockNotAvailable():
            return UnavailableError(
                f"the registry at {location} has been locked by another process for too long;"
                " nothing was changed",
                hint="run the same command again when the other one has ended",
            )
        case errors.ReadOnlySqlTransaction():
            return UnavailableError(
                f"the registry at {location} is read-only ({text}); nothing was changed",
                hint="name the primary server with `--url`",
            )
        case errors.InsufficientPrivilege():
            return RefusedError(
                f"the registry at {location} refused it ({text}); nothing was changed",
                hint="the owner of the schema can GRANT what is missing",
            )
        case errors.DiskFull():
            return UnavailableError(
                f"the disk of {location} is full ({text}); nothing was changed",
                hint="make room on the server, then run it again",
            )
        case psycopg.IntegrityError() | errors.SerializationFailure() | errors.DeadlockDetected():
            return ConflictError(
                f"the registry at {location} changed while this was done ({text}); nothing was"
                " changed",
                hint="run the same command again",
            )
        case psycopg.DataError():
            return InvalidError(f"this value fits in no row: {text}; nothing was changed")
    return UnavailableError(
        f"{location} failed: {text}; nothing was changed",
        hint="run the same command again when the server can be reached",
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
