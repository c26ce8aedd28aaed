"""All tables of a registry, for one transaction or for single statements.

Every SQL statement of detent is in this package: ``versions``, ``aliases``, ``evidence``,
``journal``, and ``schema.sql``. They are in the dialect that SQLite and PostgreSQL share, with
``:name`` parameters. A `Tables` never begins or ends a transaction.
"""

from collections.abc import Mapping
from typing import Any

from detent.metadata.aliases import AliasTables
from detent.metadata.evidence import EvidenceTables
from detent.metadata.journal import JournalTables
from detent.metadata.versions import VersionTables

# The tables that the journal tells of: how many columns are the key, and all that are told.
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
        "id model version dataset dataset_digest n_rows metrics_json outcomes one_row_s created_at"
        " created_by",
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
}


class Tables(VersionTables, AliasTables, EvidenceTables, JournalTables):
    """Typed access to the tables, one method per statement."""

    def schema_version(self) -> int:
        """Return the version of the schema that the registry was written with."""
        return int(self._registry("schema_version")[0])

    def told_rows(self, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Return the rows of a table in `TOLD` as they stand, by their keys."""
        n_key, columns = TOLD[table][0], TOLD[table][1].split()
        rows = self._all(f"SELECT {', '.join(columns)} FROM {table}")
        return {row[:n_key]: dict(zip(columns[n_key:], row[n_key:], strict=True)) for row in rows}

    def insert_registry(self, *, schema_version: int, at_us: int, genesis: str) -> None:
        """Write the one row of the registry."""
        self._all(
            """INSERT INTO registry (schema_version, created_at, journal_seq, journal_digest)
            VALUES (:schema_version, :at, 0, :genesis)""",
            schema_version=schema_version,
            at=at_us,
            genesis=genesis,
        )
