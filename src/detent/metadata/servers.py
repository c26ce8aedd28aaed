"""The table of servers: who answers with what, and until when that can be believed."""

from typing import Any

from detent.domain.clock import from_us, to_us
from detent.domain.server import Server
from detent.metadata.statements import Statements, converter


class ServerTables(Statements):
    """Typed access to the table, one method per statement."""

    def list_servers(self, model: str | None = None, alias: str | None = None) -> list[Server]:
        """Return the rows of all servers, of a model's, or of those that follow one alias."""
        conditions = [
            condition
            for condition, value in (("model = :model", model), ("alias = :alias", alias))
            if value is not None
        ]
        rows = self._all(
            f"""SELECT id, model, alias, host, pid, place, version, entry, heard_at,
                lease_until, problem, problem_entry FROM server
            {"WHERE " + " AND ".join(conditions) if conditions else ""}
            ORDER BY model, alias, host, pid, id""",
            model=model,
            alias=alias,
        )
        return [to_server(row) for row in rows]

    def put_server(self, server: Server) -> None:
        """Write what a server says of itself. What it has acknowledged never goes back."""
        self._all(
            """INSERT INTO server (id, model, alias, host, pid, place, version, entry,
                heard_at, lease_until, problem, problem_entry)
            VALUES (:id, :model, :alias, :host, :pid, :place, :version, :entry, :heard_at,
                :lease_until, :problem, :problem_entry)
            ON CONFLICT (id, model, alias) DO UPDATE SET version = excluded.version,
                entry = excluded.entry, heard_at = excluded.heard_at,
                lease_until = excluded.lease_until, problem = excluded.problem,
                problem_entry = excluded.problem_entry
            WHERE excluded.entry >= server.entry""",
            id=server.id,
            model=server.model,
            alias=server.alias,
            host=server.host,
            pid=server.pid,
            place=server.place,
            version=server.version,
            entry=server.entry,
            heard_at=to_us(server.heard_at),
            lease_until=to_us(server.lease_until),
            problem=server.problem,
            problem_entry=server.problem_entry,
        )

    def remove_servers(self, id: str) -> None:
        """Remove the rows of a process that answers no more."""
        self._all("DELETE FROM server WHERE id = :id", id=id)

    def remove_lapsed_servers(self, *, before_us: int) -> None:
        """Remove the rows whose lease ended before a time."""
        self._all("DELETE FROM server WHERE lease_until < :before", before=before_us)


@converter
def to_server(row: tuple[Any, ...]) -> Server:
    """Return the server that a row holds."""
    return Server(
        id=row[0],
        model=row[1],
        alias=row[2],
        host=row[3],
        pid=row[4],
        place=row[5],
        version=row[6],
        entry=row[7],
        heard_at=from_us(row[8]),
        lease_until=from_us(row[9]),
        problem=row[10],
        problem_entry=row[11],
    )
