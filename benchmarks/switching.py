"""What it costs to say what is active, and to change it."""

import itertools
import sqlite3
from pathlib import Path

from benchmarks.measure import Row, interleave
from benchmarks.registries import add_versions, make_registry


def measure(folder: Path, *, repeats: int = 301) -> list[Row]:
    registry = make_registry(folder / "switching")
    add_versions(registry, "churn", 3)
    registry.activate("churn/1", "production")
    return [
        _resolve(registry, folder / "switching" / "detent.db", repeats),
        *_change(registry, folder, repeats),
    ]


def _resolve(registry, path: Path, repeats: int) -> Row:  # type: ignore[no-untyped-def]
    plain = sqlite3.connect(path, isolation_level=None)
    statement = """SELECT model, number, digest, format, size_bytes, created_at, created_by, code,
        data, note FROM version WHERE model = ? AND number = ?"""
    ours, theirs = interleave(
        lambda: registry.version("churn@production"),
        lambda: plain.execute(statement, ("churn", 1)).fetchone(),
        repeats=31,
        inner=1000,
    )
    return Row(
        what="resolve an alias",
        peer="a prepared read of one row",
        ours=ours,
        theirs=theirs,
        limit=3,
    )


def _change(registry, folder: Path, repeats: int) -> list[Row]:  # type: ignore[no-untyped-def]
    commit = _plain_commit(folder / "plain.db")
    numbers = itertools.cycle((2, 3))
    ours, theirs = interleave(
        lambda: registry.activate(f"churn/{next(numbers)}", "production", reason="weekly"),
        commit,
        repeats=repeats,
    )
    peer = "one durable commit with two rows"
    rows = [Row(what="activate", peer=peer, ours=ours, theirs=theirs, limit=2)]
    ours, theirs = interleave(
        # Each of the activations above can be rolled back once.
        lambda: registry.rollback("churn@production", reason="worse"),
        commit,
        repeats=repeats - 2,
    )
    return [*rows, Row(what="rollback", peer=peer, ours=ours, theirs=theirs, limit=2)]


def _plain_commit(path: Path):  # type: ignore[no-untyped-def]
    """Return a function that commits a row of history and one of a journal, durably."""
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=FULL")
    plain.execute("CREATE TABLE activation (entry INTEGER PRIMARY KEY, version INTEGER, why TEXT)")
    plain.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, body TEXT, digest TEXT)")
    body, digest = "x" * 180, "sha256:" + "0" * 64

    def commit() -> None:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("INSERT INTO activation (version, why) VALUES (?, ?)", (2, "weekly"))
        plain.execute("INSERT INTO journal (body, digest) VALUES (?, ?)", (body, digest))
        plain.execute("COMMIT")

    return commit
