"""The rows of servers in PostgreSQL: a table beside the others."""

from __future__ import annotations

from detent.domain.server import Server
from detent.metadata.servers import ServerTables
from detent.metadata.statements import Connection

# The clocks of many machines need not agree: leases are measured by the database's.
_CLOCK = "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)"


class PostgresServers:
    """The table, on connections borrowed for one statement each.

    Every statement may be repeated when its connection was lost: it then finds what it wrote.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tables = ServerTables(connection, clock=_CLOCK)

    @property
    def doors(self) -> None:
        """There are none: those who wait may be on other machines, and the server tells them."""
        return None

    def list_servers(self, model: str | None = None, alias: str | None = None) -> list[Server]:
        """Return what servers last said."""
        return self._tables.list_servers(model, alias)

    def put_server(self, server: Server) -> None:
        """Write what a server says of itself."""
        self._tables.put_server(server)

    def remove_servers(self, id: str) -> None:
        """Remove the rows of a process that answers no more."""
        self._tables.remove_servers(id)

    def remove_lapsed_servers(self, *, for_s: float) -> None:
        """Remove the rows whose lease ended so many seconds ago."""
        self._tables.remove_lapsed_servers(for_s=for_s)

    def change_counter(self) -> int:
        """Return a number made of what servers last said: few rows, and no clock to agree on."""
        rows = self._connection.execute(
            "SELECT id, model, alias, entry, problem_entry, heard_at FROM server", {}
        )
        return hash(frozenset(rows))

    def release(self) -> None:
        """Do nothing: connections belong to no thread."""
