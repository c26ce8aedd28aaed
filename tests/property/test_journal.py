"""The history is the truth: whatever row is altered, removed, inserted or moved is named."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import DetentError, connect
from detent.blobs.local import LocalBlobs
from detent.domain.events import GENESIS, Link, check_chain, event_digest
from detent.metadata.copying import TOLD
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.replay import replay
from detent.testing.registries import live_through_everything, stores_on

BODIES = st.lists(st.dictionaries(st.text(max_size=3), st.integers()), min_size=1, max_size=8)
DB = "detent.db"
FIELDS = ["seq", "at_us", "actor", "type", "body_json", "previous", "digest"]


def chain(bodies: list[dict[str, int]]) -> list[Link]:
    links: list[Link] = []
    for seq, body in enumerate(bodies, start=1):
        previous = links[-1].digest if links else GENESIS
        told: dict[str, Any] = {
            "seq": seq,
            "at_us": seq * 10,
            "actor": "ana",
            "type": "Tried",
            "body_json": str(body),
            "previous": previous,
        }
        links.append(Link(**told, digest=event_digest(**told)))
    return links


def head_of(links: list[Link]) -> tuple[int, str]:
    return links[-1].seq, links[-1].digest


def changed(link: Link, **fields: Any) -> Link:
    return Link(**{name: getattr(link, name) for name in FIELDS} | fields)


class TestChain:
    """Each event holds the digest of the one before: a change anywhere breaks the chain there."""

    @given(BODIES)
    def test_an_untouched_chain_is_whole(self, bodies: list[dict[str, int]]) -> None:
        links = chain(bodies)
        assert list(check_chain(links, head=head_of(links))) == []

    @given(BODIES, st.data(), st.sampled_from(FIELDS))
    def test_an_altered_field_is_named(
        self, bodies: list[dict[str, int]], data: st.DataObject, name: str
    ) -> None:
        links = chain(bodies)
        i = data.draw(st.integers(0, len(links) - 1))
        old = getattr(links[i], name)
        new = data.draw(
            st.one_of(st.integers(-(2**63), 2**63), st.text(max_size=80), st.none(), st.binary())
        )
        if type(new) is type(old) and new == old:
            return
        altered = [*links[:i], changed(links[i], **{name: new}), *links[i + 1 :]]
        if name == "seq" and not isinstance(new, int):
            return  # the database's key is a number
        altered.sort(key=lambda link: link.seq)
        problems = list(check_chain(altered, head=head_of(links)))
        assert any(f"event {i + 1}" in text or f"event {new!r}" in text for text in problems)

    @given(BODIES, st.data())
    def test_a_removed_event_is_named(
        self, bodies: list[dict[str, int]], data: st.DataObject
    ) -> None:
        links = chain(bodies)
        first = data.draw(st.integers(0, len(links) - 1))
        last = data.draw(st.integers(first, len(links) - 1))
        left = [*links[:first], *links[last + 1 :]]
        problems = list(check_chain(left, head=head_of(links)))
        gone = f"event {first + 1}" + (f" to {last + 1}" if last > first else "")
        if last == len(links) - 1:
            assert f"event {last + 1} was its newest: the end was removed" in problems[-1]
        else:
            assert problems[0].startswith(f"{gone} was removed")

    @given(BODIES, st.data())
    def test_a_repeated_event_is_noticed(
        self, bodies: list[dict[str, int]], data: st.DataObject
    ) -> None:
        """An event put in anew, with a digest of its own, does not fit between its neighbours."""
        links = chain(bodies)
        i = data.draw(st.integers(0, len(links) - 1))
        told = {name: getattr(links[i], name) for name in FIELDS if name != "digest"}
        told["body_json"] = '{"forged":1}'
        forged = Link(**told, digest=event_digest(**told))
        assert list(check_chain([*links[:i], forged, *links[i + 1 :]], head=head_of(links)))

    @given(BODIES, st.data())
    def test_exchanged_events_are_named(
        self, bodies: list[dict[str, int]], data: st.DataObject
    ) -> None:
        links = chain([*bodies, {"one more": 1}])
        i = data.draw(st.integers(0, len(links) - 2))
        j = data.draw(st.integers(i + 1, len(links) - 1))
        exchanged = list(links)
        exchanged[i], exchanged[j] = changed(links[j], seq=i + 1), changed(links[i], seq=j + 1)
        problems = list(check_chain(exchanged, head=head_of(links)))
        for seq in (i + 1, j + 1):
            assert any(f"event {seq} " in text for text in problems)

    @given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none())))
    def test_an_altered_body_does_not_stop_the_check(self, body: dict[str, Any]) -> None:
        links = [changed(chain([{}])[0], type=type) for type in TYPES]
        assert set(replay((link, body) for link in links)) == set(TOLD)


TYPES = ["VersionRegistered", "VersionDeleted", "NoteChanged", "AliasActivated", "AliasHeld"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a registry that has lived through everything."""
    folder = tmp_path_factory.mktemp("lived")
    stores = stores_on(SqliteMetadata(folder / DB), LocalBlobs(folder / "blobs"))
    registry = live_through_everything(stores)
    registry.revoke_token(registry.create_token("bo", role="maintainer", models=["fraud"]).token.id)
    registry.create_token("ci", role="contributor")
    assert registry.audit(verify=True).is_unbroken
    registry.close()
    assert not (folder / f"{DB}-wal").exists()
    return folder


@pytest.mark.folder
class TestRows:
    """The journal tells of every row: one that is not as it tells is named, whatever the table."""

    @pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("table", ["journal", *TOLD])
    def test_an_altered_row_is_named(
        self, lived: Path, tmp_path: Path, table: str, every: int
    ) -> None:
        n_taken, unseen = 0, []
        for row, column, value in islice(alterations(lived / DB, table), 0, None, every):
            sql = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
            with suppress(sqlite3.IntegrityError):  # the database itself does not take it
                problems = audit_after(lived, tmp_path, sql, value, row["rowid"])
                n_taken += 1
                if not any(name_of(table, row) in text for text in problems):
                    unseen.append((name_of(table, row), column, value, problems))
        assert n_taken
        assert unseen == []

    @pytest.mark.parametrize("table", ["journal", *TOLD])
    def test_a_removed_row_is_named(self, lived: Path, tmp_path: Path, table: str) -> None:
        for row in rows_of(lived / DB, table):
            sql = f"DELETE FROM {table} WHERE rowid = ?"
            problems = audit_after(lived, tmp_path, sql, row["rowid"])
            assert any(name_of(table, row) in text for text in problems)

    @pytest.mark.parametrize("table", [table for table in TOLD if table != "registry"])
    def test_an_inserted_row_is_named(self, lived: Path, tmp_path: Path, table: str) -> None:
        row = rows_of(lived / DB, table)[-1]
        key = TOLD[table][1].split()[TOLD[table][0] - 1]
        row[key] = "forged" if isinstance(row[key], str) else row[key] + 1
        if table in ("version", "token"):
            row["digest"] = "sha256:" + "0" * 64
        problems = audit_after(lived, tmp_path, *inserting(table, row))
        assert any(name_of(table, row) in text and "was inserted" in text for text in problems)

    @pytest.mark.parametrize("seq", [-5, 0, 1000])
    def test_an_inserted_event_is_named(self, lived: Path, tmp_path: Path, seq: int) -> None:
        row = rows_of(lived / DB, "journal")[-1] | {"seq": seq}
        problems = audit_after(lived, tmp_path, *inserting("journal", row))
        assert any(f"event {seq} " in text for text in problems)

    def test_exchanged_events_are_named(self, lived: Path, tmp_path: Path) -> None:
        n = len(rows_of(lived / DB, "journal"))
        for i, j in ((1, 2), (2, n), (n - 1, n)):
            problems = audit_after(
                lived,
                tmp_path,
                f"""UPDATE journal SET seq = -1 WHERE seq = {i};
                UPDATE journal SET seq = {i} WHERE seq = {j};
                UPDATE journal SET seq = {j} WHERE seq = -1""",
            )
            for seq in (i, j):
                assert any(f"event {seq} " in text for text in problems)

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE version_word SET word = 'forged' WHERE word = 'holiday'",
            "UPDATE version_word SET number = 2 WHERE word = 'holiday'",
            "DELETE FROM version_word WHERE word = 'holiday'",
            "INSERT INTO version_word (model, word, number) VALUES ('fraud', 'forged', 3)",
        ],
    )
    def test_altered_search_words_are_named(self, lived: Path, tmp_path: Path, sql: str) -> None:
        problems = audit_after(lived, tmp_path, sql)
        assert any("the search words of version fraud/3" in text for text in problems)

    def test_words_of_no_version_are_noticed(self, lived: Path, tmp_path: Path) -> None:
        sql = "INSERT INTO version_word (model, word, number) VALUES ('fraud', 'forged', 77)"
        problems = audit_after(lived, tmp_path, sql)
        assert any("of versions that the journal does not tell of" in text for text in problems)

    def test_an_index_that_lies_is_noticed(self, lived: Path, tmp_path: Path) -> None:
        """A damaged index would answer wrongly though every row is right."""
        problems = audit_after(
            lived,
            tmp_path,
            """PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = replace(sql, 'entry)', 'entry) WHERE entry < 3')
            WHERE name = 'activation_newest'""",
        )
        assert any("the database is damaged" in text for text in problems)


def rows_of(path: Path, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(f"SELECT rowid AS rowid, * FROM {table}")]


def alterations(path: Path, table: str) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield a row, one of its columns, and a value that it does not have."""
    told = TOLD[table][1].split() if table in TOLD else None
    for row in rows_of(path, table):
        for column, old in row.items():
            if column == "rowid" or (told is not None and column not in told):
                continue
            if isinstance(old, int):
                news: list[Any] = [old + 1, old + 0.5, str(old) + "x", None, b"\xff"]
            elif isinstance(old, float):
                news = [old * 2, "x", None]
            elif isinstance(old, str):
                news = [old + " ", old.swapcase(), "", None, b"\xff", 7]
            else:
                news = ["forged", 0, 1]
            for new in news:
                if new != old:
                    yield row, column, new


def name_of(table: str, row: dict[str, Any]) -> str:
    """Return the words by which a report names a row."""
    match table:
        case "journal":
            return f"event {row['seq']} "
        case "version":
            return f"version {row['model']}/{row['number']} "
        case "alias":
            return f"alias {row['model']}@{row['name']} "
        case "model":
            return f"model {row['name']} "
        case "registry":
            return "registry"
        case "activation":
            return f"activation {row['entry']} "
    return f"{table.replace('_', ' ')} {row['id']} "


def inserting(table: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the statement that inserts a row, and its parameters."""
    told = {column: value for column, value in row.items() if column != "rowid"}
    marks = ", ".join("?" * len(told))
    return f"INSERT INTO {table} ({', '.join(told)}) VALUES ({marks})", *told.values()


def audit_after(lived: Path, folder: Path, sql: str, *parameters: Any) -> tuple[str, ...]:
    """Return what an audit says after a change that was made behind the registry's back."""
    shutil.copy(lived / DB, folder / DB)
    with closing(sqlite3.connect(folder / DB)) as db:
        if parameters:
            db.execute(sql, parameters)
        else:
            db.executescript(sql)
        db.commit()
    registry = connect(folder)
    try:
        return registry.audit(verify=True).problems
    except DetentError as error:
        return (error.message,)
    finally:
        registry.close()
