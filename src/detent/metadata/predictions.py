"""The store of predictions and their labels: a small SQLite file of its own.

Writing to it never makes an answer wait: records are put into a queue, and a thread writes them in
batches (`detent.rollout.recorder`). What does not fit is dropped, and counted.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from detent.errors import UnavailableError

_TIMEOUT_S = 5.0

Answer = tuple[str | None, float | None]  # JSON text, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request: who answered it and how, and what its shadow said.

    ``cells`` says where its first row lies among those of the reference, a byte for each input.
    """

    request_id: str
    rollout: int
    model: str
    alias: str
    version: int
    role: str
    at_us: int
    seconds: float
    error: str | None = None
    key: int | None = None
    weight: float | None = None
    answers: Sequence[Answer] = ()
    shadow_version: int | None = None
    shadow_seconds: float | None = None
    shadow_error: str | None = None
    shadow_answers: Sequence[Answer] = ()
    id: int = 0
    is_first: bool = True
    cells: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a request: what was answered, and the label if it is there."""

    request: int
    request_id: str
    row: int
    at_us: int
    version: int
    answer: str | None
    shadow_version: int | None
    shadow_answer: str | None
    label: str | None
    weight: float | None
    is_first: bool
    number: int = 0


class Predictions:
    """The store in a file, or in memory when `path` is None. May be shared between threads.

    The file is made by the first who writes. Raises `UnavailableError` when it cannot be used now.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._local = threading.local()
        self._shared: sqlite3.Connection | None = None
        self._mutex = threading.RLock()

    def place(self) -> str:
        """Return the name of this store: made once, and no other's."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO store VALUES (1, ?)", (secrets.token_hex(8),))
            return str(db.execute("SELECT place FROM store").fetchone()[0])

    def write(self, records: Iterable[Record]) -> None:
        """Add records, in one transaction."""
        with self._transaction() as db:
            for record in records:
                _insert(db, record)

    def requests_after(self, rollout: int, last: int, *, limit: int) -> list[Record]:
        """Return what was answered, in the order of writing, without the rows."""
        with self._open() as db:
            rows = db.execute(
                f"SELECT {_RECORD} FROM request WHERE rollout = ? AND id > ? ORDER BY id LIMIT ?",
                (rollout, last, limit),
            ).fetchall()
        return [_to_record(row) for row in rows]

    def newest_time(self, rollouts: Iterable[int]) -> int | None:
        """Return when the newest request of some rollouts came, in microseconds."""
        with self._open() as db:
            for rollout in sorted(rollouts, reverse=True):
                row = db.execute(
                    "SELECT at FROM request WHERE rollout = ? ORDER BY id DESC LIMIT 1", (rollout,)
                ).fetchone()
                if row is not None:
                    return int(row[0])
        return None

    def rows_of_cohorts(
        self, rollout: int, last: int, *, before_us: int, limit: int
    ) -> tuple[list[Row], int]:
        """Return the rows of requests whose time for labels is over, and the newest request.

        Up to the first request that has to wait still, so that none is passed over.
        """
        with self._open() as db:
            waiting = db.execute(
                """SELECT id FROM request WHERE rollout = ? AND id > ? AND at > ?
                ORDER BY id LIMIT 1""",
                (rollout, last, before_us),
            ).fetchone()
            ids = db.execute(
                """SELECT id FROM request WHERE rollout = ? AND id > ? AND id < ?
                ORDER BY id LIMIT ?""",
                (rollout, last, waiting[0] if waiting else 2**62, limit),
            ).fetchall()
            if not ids:
                return [], last
            newest = int(ids[-1][0])
            rows = db.execute(
                f"""SELECT {_ROW} FROM request r JOIN prediction p ON p.request = r.id
                WHERE r.rollout = ? AND r.id > ? AND r.id <= ? ORDER BY r.id, p.row""",
                (rollout, last, newest),
            ).fetchall()
        return [_to_row(row) for row in rows], newest

    def rows_as_labelled(self, rollout: int, last: int, *, limit: int) -> tuple[list[Row], int]:
        """Return rows in the order in which their labels came, and the number of the last.

        Of each request the row whose label came first: the others are not independent of it, and
        nobody knows how many of them will come.
        """
        with self._open() as db:
            rows = db.execute(
                f"""SELECT {_ROW} FROM prediction p JOIN request r ON r.id = p.request
                WHERE p.label_number > ? AND r.rollout = ? AND NOT EXISTS (
                    SELECT 1 FROM prediction q
                    WHERE q.request = p.request AND q.label_number < p.label_number)
                ORDER BY p.label_number LIMIT ?""",
                (last, rollout, limit),
            ).fetchall()
        found = [_to_row(row) for row in rows]
        return found, found[-1].number if found else last

    def list_disagreements(self, rollout: int, *, since_us: int, limit: int) -> list[Row]:
        """Return rows without a label that were answered differently, oldest first."""
        with self._open() as db:
            rows = db.execute(
                f"""SELECT {_ROW} FROM request r JOIN prediction p ON p.request = r.id
                WHERE r.rollout = ? AND r.at > ? AND p.label IS NULL
                AND p.shadow_answer <> p.answer ORDER BY r.id, p.row LIMIT ?""",
                (rollout, since_us, limit),
            ).fetchall()
        return [_to_row(row) for row in rows]

    def list_scores(self, rollout: int, *, limit: int) -> list[tuple[int, float, int, float]]:
        """Return the newest scores of rows that both scored: version, score, shadow, its score."""
        with self._open() as db:
            return db.execute(
                """SELECT r.version, p.score, r.shadow_version, p.shadow_score
                FROM request r JOIN prediction p ON p.request = r.id
                WHERE r.rollout = ? AND p.score IS NOT NULL AND p.shadow_score IS NOT NULL
                ORDER BY r.id DESC LIMIT ?""",
                (rollout, limit),
            ).fetchall()

    def find_row(
        self, model: str, request_id: str, row: int
    ) -> tuple[str | None, str | None] | None:
        """Return the newest answer of that name with its label; None when there is none."""
        with self._open() as db:
            found = _find(db, model, request_id, row)
        return None if found is None else (found[1], found[2])

    def put_label(self, model: str, request_id: str, row: int, label: str, *, at_us: int) -> bool:
        """Join a label to its row unless it has one; return whether it had none."""
        with self._transaction() as db:
            found = _find(db, model, request_id, row)
            if found is None or found[2] is not None:
                return False
            db.execute(
                # The clock is ahead: no number is given again when its row is gone.
                """UPDATE prediction SET label = ?, labelled_at = ?, label_number = MAX(?, (
                    SELECT COALESCE(MAX(label_number), 0) + 1 FROM prediction
                    WHERE label_number IS NOT NULL)) WHERE request = ? AND row = ?""",
                (label, at_us, at_us, found[0], row),
            )
            return True

    def forget(self, *, before_us: int, most: int) -> int:
        """Remove what is older than a time, and the oldest beyond a number; return how many."""
        with self._transaction() as db:
            return db.execute(
                """DELETE FROM request WHERE id <= (SELECT MAX(id) FROM request) - ?
                OR id IN (SELECT id FROM request WHERE at < ?)""",
                (most, before_us),
            ).rowcount

    def close(self) -> None:
        """Close this thread's connection."""
        found: tuple[sqlite3.Connection, int] | None = getattr(self._local, "connection", None)
        if found is not None:
            found[0].close()
            self._local.connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            if self.path is None:
                with self._mutex:
                    if self._shared is None:
                        self._shared = _connect(":memory:")
                    yield self._shared
                return
            found: tuple[sqlite3.Connection, int] | None = getattr(self._local, "connection", None)
            if found is None or found[1] != os.getpid():  # a fork must not use its parent's
                found = self._local.connection = (_connect(self.path), os.getpid())
            yield found[0]
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError(
                f"the store of predictions at {self.path or 'memory:'} cannot be used now: {error}",
                hint="what answers is not affected; a damaged `predictions.db` may be moved away",
            ) from error


_RECORD = """id, request_id, rollout, model, alias, version, role, at, seconds, error, key, weight,
    shadow_version, shadow_seconds, shadow_error, is_first, cells"""
_ROW = """r.id, r.request_id, p.row, r.at, r.version, p.answer, r.shadow_version, p.shadow_answer,
    p.label, r.weight, r.is_first, p.label_number"""


def _connect(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        os.makedirs(os.path.dirname(path), exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, timeout=_TIMEOUT_S, check_same_thread=False)
    try:
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(
            "PRAGMA synchronous=NORMAL"
        )  # a power cut may take the newest: they are a sample
        from importlib import resources  # takes longer than a whole status: only to make a file

        db.executescript(resources.files("detent.metadata").joinpath("predictions.sql").read_text())
        if not db.execute(
            "SELECT 1 FROM pragma_table_info('request') WHERE name = 'cells'"
        ).fetchone():
            db.execute("ALTER TABLE request ADD COLUMN cells BLOB")  # of a file of the first days
    except BaseException:
        db.close()
        raise
    return db


def _insert(db: sqlite3.Connection, record: Record) -> None:
    is_first = True
    if record.key is not None:
        is_first = not db.execute(
            "SELECT 1 FROM request WHERE rollout = ? AND key = ? LIMIT 1",
            (record.rollout, record.key),
        ).fetchall()
    request = db.execute(
        """INSERT INTO request (request_id, rollout, model, alias, version, role, at, seconds,
            error, key, is_first, weight, shadow_version, shadow_seconds, shadow_error, cells)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            record.request_id,
            record.rollout,
            record.model,
            record.alias,
            record.version,
            record.role,
            record.at_us,
            record.seconds,
            record.error,
            record.key,
            is_first,
            record.weight,
            record.shadow_version,
            record.shadow_seconds,
            record.shadow_error,
            record.cells,
        ),
    ).lastrowid
    none: Answer = (None, None)
    n_rows = max(len(record.answers), len(record.shadow_answers))
    db.executemany(
        """INSERT INTO prediction (request, row, answer, score, shadow_answer, shadow_score)
        VALUES (?, ?, ?, ?, ?, ?)""",
        [
            (
                request,
                i,
                *(record.answers[i] if i < len(record.answers) else none),
                *(record.shadow_answers[i] if i < len(record.shadow_answers) else none),
            )
            for i in range(n_rows)
        ],
    )


def _find(
    db: sqlite3.Connection, model: str, request_id: str, row: int
) -> tuple[int, str | None, str | None] | None:
    found = db.execute(
        """SELECT p.request, COALESCE(p.answer, p.shadow_answer), p.label
        FROM request r JOIN prediction p ON p.request = r.id
        WHERE r.model = ? AND r.request_id = ? AND p.row = ? ORDER BY r.id DESC LIMIT 1""",
        (model, request_id, row),
    ).fetchone()
    return None if found is None else (found[0], found[1], found[2])


def _to_record(row: tuple[object, ...]) -> Record:
    names = [name.strip() for name in _RECORD.split(",")]
    values = dict(zip(names, row, strict=True))
    values["at_us"] = values.pop("at")
    values["is_first"] = bool(values["is_first"])
    return Record(**values)  # type: ignore[arg-type]  # as the columns are


def _to_row(row: tuple[object, ...]) -> Row:
    names = ("request", "request_id", "row", "at_us", "version", "answer", "shadow_version")
    more = ("shadow_answer", "label", "weight", "is_first", "number")
    values = dict(zip(names + more, row, strict=True))
    values["is_first"] = bool(values["is_first"])
    values["number"] = values["number"] or 0
    return Row(**values)  # type: ignore[arg-type]  # as the columns are
