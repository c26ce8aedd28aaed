"""Running statements, and the columns that several tables share."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from detent.domain.alias import Activation, ActivationKind, Hold
from detent.domain.clock import from_us
from detent.domain.version import Version
from detent.errors import CorruptError

T = TypeVar("T")

_VERSION = """v.model, v.number, v.digest, v.format, v.size_bytes, v.created_at, v.created_by,
    v.code, v.data, v.note, v.withdrawn,
    (SELECT {concat} FROM alias a WHERE a.model = v.model AND v.number = (
        SELECT x.version FROM activation x WHERE x.model = a.model AND x.alias = a.name
        ORDER BY x.entry DESC LIMIT 1))"""
ACTIVATION = """x.entry, x.model, x.alias, x.kind, x.version, x.previous, x.below,
    x.created_at, x.created_by, COALESCE((SELECT n.note FROM activation_note n
        WHERE n.entry = x.entry ORDER BY n.id DESC LIMIT 1), x.reason), x.decision, x.override"""
N_ACTIVATION = 12
END_OF_TIME = 2**62  # later than any time in microseconds, and higher than any number of a row


class Connection(Protocol):
    """What a database adapter gives: run one statement, return all its rows."""

    concat: str  # joins the aliases' names with a space

    def execute(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        ...

    def execute_many(self, sql: str, parameters: list[dict[str, Any]]) -> None:
        """Run a statement once for each of many sets of parameters."""
        ...


class Statements:
    """Base of the table classes: statements on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._version = _VERSION.format(concat=connection.concat)

    def _all(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters)

    def _one(self, sql: str, **parameters: Any) -> tuple[Any, ...] | None:
        rows = self._connection.execute(sql, parameters)
        return rows[0] if rows else None

    def _number(self, sql: str, **parameters: Any) -> int | None:
        row = self._one(sql, **parameters)
        return None if row is None or row[0] is None else to_whole_number(row)

    def _registry(self, columns: str) -> tuple[Any, ...]:
        row = self._one(f"SELECT {columns} FROM registry")
        if row is None or not isinstance(row[0], int):
            raise CorruptError(
                "the row of the database that describes the registry is damaged; nothing was"
                " changed",
                hint="restore `detent.db` from a backup",
            )
        return row

    def _next(self, table: str, column: str) -> int:
        # Safe without a sequence: there is one writer at a time, and a gap would be a lie.
        return (self._number(f"SELECT MAX({column}) FROM {table}") or 0) + 1


def names_to_json(names: tuple[str, ...]) -> str:
    """Return names as the text of a column."""
    import json  # a quick command meets no such column

    return json.dumps(list(names), separators=(",", ":"))


def names_from_json(text: str) -> tuple[str, ...]:
    """Return the names that a column holds."""
    import json

    return tuple(json.loads(text))


def converter(convert: Callable[[tuple[Any, ...]], T]) -> Callable[[tuple[Any, ...]], T]:
    """Make a function that turns a row into a value say so when no row can have these values."""

    def checked(row: tuple[Any, ...]) -> T:
        try:
            return convert(row)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise CorruptError(
                f"a row of the database is damaged ({type(error).__name__}: {error})",
                hint="`detent audit --verify` names it; restore `detent.db` from a backup",
            ) from error

    return checked


@converter
def to_whole_number(row: tuple[Any, ...]) -> int:
    """Return the number that is all of a row."""
    if not isinstance(row[0], int):
        raise TypeError(f"{row[0]!r} is not a whole number")
    return row[0]


@converter
def to_version(row: tuple[Any, ...]) -> Version:
    """Return the version that a row holds."""
    return Version(
        model=row[0],
        number=row[1],
        digest=row[2],
        format=row[3],
        size_bytes=row[4],
        created_at=from_us(row[5]),
        created_by=row[6],
        code=row[7],
        data=row[8],
        note=row[9],
        withdrawn=row[10],
        active_in=tuple(sorted(row[11].split(" "))) if row[11] else (),
    )


@converter
def to_activation(row: tuple[Any, ...]) -> Activation:
    """Return the entry of an alias's history that a row holds."""
    return Activation(
        entry=row[0],
        model=row[1],
        alias=row[2],
        kind=ActivationKind(row[3]),
        version=row[4],
        previous=row[5],
        below=row[6],
        at=from_us(row[7]),
        by=row[8],
        reason=row[9],
        decision=row[10],
        override=bool(row[11]),
    )


@converter
def to_hold(row: tuple[Any, ...]) -> Hold | None:
    """Return the hold that a row holds, if any."""
    return None if row[0] is None else Hold(at=from_us(row[0]), by=row[1], reason=row[2])
