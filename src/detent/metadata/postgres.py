"""Metadata in PostgreSQL: for more than one machine.

Writers take turns by an advisory lock of the registry, taken first in each write transaction: the
server hands it out in the order in which it was asked for, and gives it back when the connection
ends, however it ends. So no write ever fails because of another one, and every statement after the
lock sees all that was committed before it. Readers take no lock.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, NoReturn

import psycopg

from detent.errors import ConflictError, DetentError, InvalidError, UnavailableError
from detent.metadata.base import SCHEMA_VERSION
from detent.metadata.postgres_listener import CHANNEL, Listener
from detent.metadata.postgres_servers import PostgresServers
from detent.metadata.sessions import Raw, Sessions, run, translate
from detent.metadata.tables import Tables

LOCK_TIMEOUT_S = 30.0
PATIENCE_S = 5.0
# Texts compare by their bytes, as in SQLite: the order of names, and the range of a digest's
# beginning, must not depend on the language that the server was set up with.
# What tells of the living waits for no disk: a commit to an unlogged table alone does not.
_TYPES = {
    "INTEGER": "BIGINT",
    "TEXT": 'TEXT COLLATE "C"',
    "TABLE IF NOT EXISTS server": "UNLOGGED TABLE IF NOT EXISTS server",
}
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class _Rows:
    """Runs statements for `Tables` on one connection."""

    concat = "string_agg(a.name, ' ')"

    def __init__(self, raw: Raw, location: str) -> None:
        self.raw = raw
        self._location = location

    def execute(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._errors():
            return run(self.raw, _in_own_style(sql), parameters)

    def execute_many(self, sql: str, parameters: list[dict[str, Any]]) -> None:
        with self._errors(), self.raw.cursor() as cursor:
            cursor.executemany(_in_own_style(sql).encode(), parameters)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise translate(error, self._location) from error
        except UnicodeEncodeError as error:
            raise InvalidError(f"this value fits in no row: {error}; nothing was changed") from None


class _SingleRows:
    """Runs single statements that read, each on a connection borrowed for it."""

    concat = _Rows.concat

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def execute(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        for may_repeat in (True, False):
            raw = self._sessions.take()
            try:
                return _Rows(raw, self._sessions.location).execute(sql, parameters)
            except UnavailableError:
                if not (may_repeat and raw.broken):
                    raise
            finally:
                self._sessions.give_back(raw)
            raw, _ = self._sessions.begin("SELECT 1")  # drops the dead ones, waits for the server
            self._sessions.give_back(raw)
        raise AssertionError("unreachable")

    def execute_many(self, sql: str, parameters: list[dict[str, Any]]) -> NoReturn:
        raise AssertionError("a write outside a transaction")


class PostgresMetadata:
    """A registry's rows in one schema of a PostgreSQL database.

    Instances may be shared between threads and survive a fork. A connection that was dropped is
    replaced when that is safe: before a transaction has done anything, and for single reads. A
    transaction that loses its connection raises; nothing of it is there. When the answer to a
    commit is lost, the journal is asked whether it took place.

    Parameters
    ----------
    url : str
        ``postgresql://user@host:5432/database?schema=detent``, with any parameter that libpq knows.
    timeout_s : float, default=30
        How long a writer waits for its turn.
    patience_s : float, default=5
        How long to wait for a server that does not answer.
    """

    def __init__(
        self, url: str, *, timeout_s: float = LOCK_TIMEOUT_S, patience_s: float = PATIENCE_S
    ) -> None:
        self._sessions = Sessions(url, lock_timeout_s=timeout_s, patience_s=patience_s)
        self._timeout_s = timeout_s
        self._local = threading.local()
        self._single = Tables(_SingleRows(self._sessions))
        self.servers = PostgresServers(_SingleRows(self._sessions))
        self._is_checked = False
        lock = f"pg_advisory_xact_lock(hashtextextended('detent {self._sessions.schema}', 0))"
        self._write = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT {lock}"
        # Sent when the transaction is committed, and only then: no round trip of its own.
        self._change = f"{self._write}; NOTIFY {CHANNEL}, '{self._sessions.schema}'"

    @property
    def location(self) -> str:
        """The server, database and schema, without the password."""
        return self._sessions.location

    @property
    def current(self) -> Tables:
        """The tables for single statements: each sees the newest commit."""
        inside: Tables | None = getattr(self._local, "tables", None)
        if inside is not None:
            return inside
        self._check()
        return self._single

    @contextmanager
    def read(self) -> Iterator[Tables]:
        """Open a snapshot (nested calls share the outer one)."""
        inside: Tables | None = getattr(self._local, "tables", None)
        if inside is not None:
            yield inside
            return
        self._check()
        with self._transaction(_READ):  # its end changes nothing: it may get lost
            yield self._local.tables

    @contextmanager
    def write(self) -> Iterator[Tables]:
        """Open the one write transaction; durable when it ends, or as if it had never been.

        Raises
        ------
        UnavailableError
            If the server does not answer. When its answer to the commit is lost, and it does not
            come back within the time a writer waits for its turn, the error says that it is not
            known whether the change was made; in all other cases nothing was changed.
        """
        if getattr(self._local, "tables", None) is not None:
            raise AssertionError("a write inside another transaction")
        self._check()
        with self._transaction(self._change) as rows:
            tables = self._local.tables
            yield tables
            self._commit(rows.raw, tables.appended)

    def create(self, *, at_us: int, actor: str) -> bool:
        """Make the registry if there is none; return whether it was made."""
        from detent.metadata.creation import build_tables

        with self._transaction(self._write) as rows:
            schema = self._sessions.schema
            if rows.execute("SELECT to_regclass(:name)", {"name": f"{schema}.registry"})[0][0]:
                return False
            ((encoding,),) = rows.execute("SHOW server_encoding", {})
            if encoding != "UTF8":
                raise InvalidError(
                    f"the database at {self.location} keeps texts as {encoding}; nothing was made",
                    hint="make a database with the encoding UTF8, and name that one",
                )
            # A user who may not make schemas can still fill one that was made for them.
            if not rows.execute("SELECT to_regnamespace(:schema)", {"schema": schema})[0][0]:
                rows.execute(f"CREATE SCHEMA {schema}", {})
            tables = build_tables(
                rows,
                at_us=at_us,
                actor=actor,
                types=_TYPES,
                files=("schema.sql", "serving.sql"),
            )
            self._commit(rows.raw, tables.appended)
        return True

    def change_counter(self) -> int:
        """Return the number of the newest event: one row, read by one prepared statement."""
        return self.current.journal_head()[0]

    def listen(self, on_news: Callable[[], None], *, every_s: float) -> Callable[[], None]:
        """Call a function in a thread of its own after each commit, and every so often."""
        return Listener(self._sessions, on_news, every_s).close

    def find_damage(self) -> list[str]:
        """Return what PostgreSQL finds wrong with its indexes.

        Where the extension ``amcheck`` is installed, every index is compared with its table;
        otherwise only those that the server itself marked as unusable are named.
        """
        with self.read() as tables:
            assert isinstance(tables._connection, _Rows)
            return list(_find_damage(tables._connection, self._sessions.schema))

    def release(self) -> None:
        """Do nothing: connections belong to no thread."""

    def close(self) -> None:
        """Close the connections that nobody uses."""
        if getattr(self._local, "tables", None) is None:
            self._sessions.close()

    def _check(self) -> None:
        if self._is_checked:
            return
        found = self._single.schema_version()
        if found > SCHEMA_VERSION:
            raise InvalidError(
                f"the registry at {self.location} was written by a newer release of detent"
                f" (schema {found}, this one knows {SCHEMA_VERSION}); nothing was read",
                hint="upgrade: `pip install --upgrade detent`",
            )
        self._is_checked = True

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[_Rows]:
        raw, _ = self._sessions.begin(begin)
        rows = _Rows(raw, self.location)
        self._local.tables = Tables(rows)
        try:
            yield rows
        finally:
            self._local.tables = None
            if not raw.closed and raw.info.transaction_status:
                with suppress(psycopg.Error):  # what went wrong before is the error to tell
                    raw.rollback()
            self._sessions.give_back(raw)

    def _commit(self, raw: Raw, appended: tuple[int, str] | None) -> None:
        try:
            ended = raw.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if not raw.broken:
                raise translate(error, self.location) from error
            self._settle(appended, error)
        else:
            if ended != "COMMIT":  # a statement had failed, and somebody went on all the same
                raise ConflictError(
                    f"the change at {self.location} was undone by the server; nothing was changed",
                    hint="run the same command again",
                )

    def _settle(self, appended: tuple[int, str] | None, error: psycopg.Error) -> None:
        """Find out whether a commit whose answer was lost took place; return if it did.

        The lock of the writers is asked for first: when it is ours, the lost transaction has ended.
        The event that it added is then in the journal, or never will be. (The server's own
        ``pg_xact_status`` would not do: after a crash the number of a lost transaction is given
        again.)
        """
        if appended is None:
            self._raise_unknown(error)
        try:
            raw, _ = self._sessions.begin(self._write, patience_s=self._timeout_s)
            try:
                found = run(raw, f"SELECT digest FROM journal WHERE seq = {appended[0]:d}")
            finally:
                self._sessions.give_back(raw)
        except (DetentError, psycopg.Error):
            self._raise_unknown(error)
        if found != [(appended[1],)]:
            raise UnavailableError(
                f"{self.location} dropped the connection before the change was committed; nothing"
                " was changed",
                hint="run the same command again",
            ) from error

    def _raise_unknown(self, error: psycopg.Error) -> NoReturn:
        raise UnavailableError(
            f"{self.location} stopped answering while it committed: whether the change was made is"
            " not known",
            hint="see whether it is there with `detent audit --limit 3` before you repeat it",
        ) from error


@lru_cache(maxsize=512)
def _in_own_style(sql: str) -> str:
    """Return a statement with psycopg's marks for its parameters."""
    return re.sub(r"(?<!:):([a-z]\w*)", r"%(\1)s", sql.replace("%", "%%"))


def _find_damage(rows: _Rows, schema: str) -> Iterator[str]:
    indexes = rows.execute(
        """SELECT c.relname, i.indisvalid AND i.indisready, c.oid::bigint FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = :schema ORDER BY 1""",
        {"schema": schema},
    )
    checker = rows.execute(
        """SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'amcheck'""",
        {},
    )
    for name, is_valid, oid in indexes:
        if not is_valid:
            yield f"the database is damaged: index {name} is marked as unusable"
        elif checker:
            try:
                with rows.raw.transaction():
                    run(rows.raw, f'SELECT "{checker[0][0]}".bt_index_check({oid}, true)')
            except psycopg.errors.InsufficientPrivilege:
                return  # only its owner may ask
            except psycopg.Error as error:
                yield f"the database is damaged: {error}"
