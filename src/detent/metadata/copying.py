"""Writing rows and events as another registry has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from detent.metadata.statements import Statements
from detent.metadata.versions import version_words

if TYPE_CHECKING:
    from detent.domain.events import Link

# The tables that the journal tells of, in an order in which each refers to those before it only:
# how many columns are the key, and all that are told.
TOLD: Mapping[str, tuple[int, str]] = {
    "registry": (0, "schema_version created_at"),
    "model": (1, "name last_number created_at created_by"),
    "version": (
        2,
        "model number digest format size_bytes created_at created_by duration_s code data note"
        " withdrawn deleted_at",
    ),
    "alias": (2, "model name held_at held_by held_reason"),
    "activation": (
        1,
        "entry model alias kind version previous below created_at created_by reason decision"
        " override",
    ),
    "activation_note": (1, "id entry note"),
    "evaluation": (
        1,
        "id model version dataset dataset_digest n_rows metrics_json outcomes inputs one_row_s"
        " computed_on created_at created_by",
    ),
    "policy": (
        1,
        "id model alias rules_json reason_required approvals digest created_at created_by",
    ),
    "approval": (1, "id model alias version created_at created_by reason"),
    "decision": (
        1,
        "id model alias candidate baseline outcome is_refusal results_json policy_digest override"
        " created_at created_by",
    ),
    "token": (1, "id name role models_json digest created_at created_by revoked_at"),
    "rollout": (
        1,
        "id model alias candidate baseline entry plan_json status phase step created_at created_by"
        " phase_at ended_at why decision",
    ),
}

Key = tuple[Any, ...]
Row = dict[str, Any]  # column → value


class CopyTables(Statements):
    """Rows as they stand, read and written without a word of their own in the journal."""

    appended: tuple[int, str] | None  # as in `JournalTables`

    def told_rows(self, table: str) -> dict[Key, Row]:
        """Return the rows of a table in `TOLD` as they stand, by their keys."""
        n_key, columns = TOLD[table][0], TOLD[table][1].split()
        rows = self._all(f"SELECT {', '.join(columns)} FROM {table}")
        return {row[:n_key]: dict(zip(columns[n_key:], row[n_key:], strict=True)) for row in rows}

    def put_rows(self, table: str, rows: Mapping[Key, Row]) -> None:
        """Write rows of a table in `TOLD`, also over those of the same keys."""
        n_key, columns = TOLD[table][0], TOLD[table][1].split()
        key, others = columns[:n_key], columns[n_key:]
        self._connection.execute_many(
            f"""INSERT INTO {table} ({", ".join(columns)})
            VALUES ({", ".join(f":{column}" for column in columns)})
            ON CONFLICT ({", ".join(key)}) DO UPDATE SET
            {", ".join(f"{column} = excluded.{column}" for column in others)}""",
            [dict(zip(key, values, strict=True)) | row for values, row in rows.items()],
        )
        if table == "version":
            self._put_words(rows)

    def put_events(self, links: Iterable[Link]) -> None:
        """Write events of a journal as they are, behind those that are there."""
        links = list(links)
        if links:
            self.appended = links[-1].seq, links[-1].digest
        self._connection.execute_many(
            """INSERT INTO journal (seq, created_at, actor, type, body_json, previous, digest)
            VALUES (:seq, :at, :actor, :type, :body, :previous, :digest)""",
            [
                {
                    "seq": link.seq,
                    "at": link.at_us,
                    "actor": link.actor,
                    "type": link.type,
                    "body": link.body_json,
                    "previous": link.previous,
                    "digest": link.digest,
                }
                for link in links
            ],
        )

    def put_registry(self, row: Row, *, head: tuple[int, str]) -> None:
        """Replace the one row of the registry; `head` is place and digest of the newest event."""
        self._all(
            """UPDATE registry SET schema_version = :schema_version, created_at = :created_at,
            journal_seq = :seq, journal_digest = :digest""",
            seq=head[0],
            digest=head[1],
            **row,
        )

    def clear_journal(self) -> None:
        """Remove all events: of a registry that holds nothing yet, to make it a copy."""
        self._all("DELETE FROM journal")

    def _put_words(self, rows: Mapping[Key, Row]) -> None:
        versions = [{"model": model, "number": number} for model, number in rows]
        self._connection.execute_many(
            "DELETE FROM version_word WHERE model = :model AND number = :number", versions
        )
        texts = ("note", "format", "code", "data", "created_by")
        self._connection.execute_many(
            "INSERT INTO version_word (model, word, number) VALUES (:model, :word, :number)",
            [
                {"model": model, "word": word, "number": number}
                for (model, number), row in rows.items()
                if row["deleted_at"] is None
                for word in version_words(*(row[name] for name in texts))
            ],
        )
