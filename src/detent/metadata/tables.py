"""All tables of a registry, for one transaction or for single statements.

Every SQL statement of detent is in this package: ``versions``, ``aliases``, ``evidence``,
``rollouts``, ``journal``, and ``schema.sql``. They are in the dialect that SQLite and PostgreSQL
share, with ``:name`` parameters. A `Tables` never begins or ends a transaction.
"""

from detent.metadata.access import AccessTables
from detent.metadata.aliases import AliasTables
from detent.metadata.copying import CopyTables
from detent.metadata.evidence import EvidenceTables
from detent.metadata.journal import JournalTables
from detent.metadata.rollouts import RolloutTables
from detent.metadata.versions import VersionTables
from detent.metadata.webhooks import WebhookTables


class Tables(
    VersionTables,
    AliasTables,
    EvidenceTables,
    RolloutTables,
    JournalTables,
    CopyTables,
    AccessTables,
    WebhookTables,
):
    """Typed access to the tables, one method per statement."""

    def schema_version(self) -> int:
        """Return the version of the schema that the registry was written with."""
        return int(self._registry("schema_version")[0])

    def insert_registry(self, *, schema_version: int, at_us: int, genesis: str) -> None:
        """Write the one row of the registry."""
        self._all(
            """INSERT INTO registry (schema_version, created_at, journal_seq, journal_digest)
            VALUES (:schema_version, :at, 0, :genesis)""",
            schema_version=schema_version,
            at=at_us,
            genesis=genesis,
        )
