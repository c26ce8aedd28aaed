"""Making a registry's database."""

import errno
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from types import MappingProxyType

from detent.domain.events import GENESIS, EventType
from detent.errors import ConflictError
from detent.metadata.base import SCHEMA_VERSION
from detent.metadata.statements import Connection
from detent.metadata.tables import Tables


def _read(*names: str) -> str:
    folder = resources.files("detent.metadata")
    return "\n".join(folder.joinpath(name).read_text() for name in names)


def make_folder(path: str) -> None:
    """Make a folder that lasts, unless it is there."""
    if not os.path.isdir(path):
        make_folder(os.path.dirname(path))
        with suppress(FileExistsError):  # another process made it meanwhile
            os.mkdir(path)
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        _fsync_folder(os.path.dirname(path))  # its name is an entry of the folder above


def make_database(path: str, *, building: str, at_us: int, actor: str) -> None:
    """Make a database at `building`, then give it its name at once.

    Raises
    ------
    ConflictError
        If the log of a database that is gone lies there: SQLite would play it into the new one.
    """
    if os.path.exists(path + "-wal"):
        raise ConflictError(
            f"{path} is gone, but its log `{os.path.basename(path)}-wal` is there; nothing was"
            " made",
            hint="put the database back where it was, or move the log away",
        )
    for leftover in (building, *(building + end for end in ("-wal", "-shm", "-journal"))):
        if os.path.exists(leftover):
            os.unlink(leftover)
    raw = sqlite3.connect(building, isolation_level=None)
    try:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("BEGIN IMMEDIATE")
        build_tables(_Building(raw), at_us=at_us, actor=actor)
        raw.execute("COMMIT")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        raw.close()
    folder = os.path.dirname(path)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        with open(ignore, "w") as stream:
            stream.write("*\n")  # a registry inside a work tree is not its code
    os.replace(building, path)
    _fsync_folder(folder)


def build_tables(
    connection: Connection,
    *,
    at_us: int,
    actor: str,
    types: Mapping[str, str] = MappingProxyType({}),
    files: tuple[str, ...] = ("schema.sql",),
) -> Tables:
    """Make the tables of an empty database and write its first event, in an open transaction.

    `types` are the words of this database for those of the `files`.
    """
    schema = _read(*files)
    for word, own in types.items():
        schema = re.sub(rf"\b{word}\b", own, schema)
    for statement in schema.split(";\n"):
        if statement.strip():
            connection.execute(statement, {})
    tables = Tables(connection)
    tables.insert_registry(schema_version=SCHEMA_VERSION, at_us=at_us, genesis=GENESIS)
    tables.append_event(
        EventType.REGISTRY_CREATED,
        {"schema_version": SCHEMA_VERSION},
        at_us=at_us,
        actor=actor,
    )
    return tables


class _Building:
    concat = "group_concat(a.name, ' ')"

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, parameters: dict[str, object]) -> list[tuple[object, ...]]:
        return self._raw.execute(sql, parameters).fetchall()

    def execute_many(self, sql: str, parameters: list[dict[str, object]]) -> None:
        self._raw.executemany(sql, parameters)


def _fsync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
