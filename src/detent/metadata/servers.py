"""The table of servers: who answers with what, and until when that can be believed."""

from typing import Any

from detent.domain.clock import from_us, to_us, utc_now
from detent.domain.server import Server
from detent.metadata.statements import Connection, Statements, converter

_COLUMNS = """id, model, alias, host, pid, place, version, entry, heard_at, lease_until,
    problem, problem_entry, is_strict"""


class ServerTables(Statements):
    """Typed access to the table, one method per statement.

    Parameters
    ----------
    connection : Connection
        Runs the statements.
    clock : str, optional
        What the database calls the present time, in microseconds. Then all times in the table are
        by that clock, whoever writes them, and those read are the same distance from the reader's
        present time. Without it everybody has the same clock.
    """

    def __init__(self, connection: Connection, *, clock: str | None = None) -> None:
        super().__init__(connection)
        self._clock = clock or ":now"

    def list_servers(self, model: str | None = None, alias: str | None = None) -> list[Server]:
        """Return the rows of all servers, of a model's, or of those that follow one alias."""
        conditions = [
            condition
            for condition, value in (("model = :model", model), ("alias = :alias", alias))
            if value is not None
        ]
        rows = self._all(
            f"""SELECT {_COLUMNS}, CAST(:now AS BIGINT) - {self._clock} FROM server
            {"WHERE " + " AND ".join(conditions) if conditions else ""}
            ORDER BY model, alias, host, pid, id""",
            model=model,
            alias=alias,
            now=to_us(utc_now()),
        )
        return [to_server(row) for row in rows]

    def put_server(self, server: Server) -> None:
        """Write what a server says of itself. What it has acknowledged never goes back."""
        self._all(
            f"""INSERT INTO server ({_COLUMNS})
            VALUES (:id, :model, :alias, :host, :pid, :place, :version, :entry,
                {self._clock}, {self._clock} + :lease, :problem, :problem_entry, :is_strict)
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
            now=to_us(server.heard_at),
            lease=to_us(server.lease_until) - to_us(server.heard_at),
            problem=server.problem,
            problem_entry=server.problem_entry,
            is_strict=int(server.is_strict),
        )

    def remove_servers(self, id: str) -> None:
        """Remove the rows of a process that answers no more."""
        self._all("DELETE FROM server WHERE id = :id", id=id)

    def remove_lapsed_servers(self, *, for_s: float) -> None:
        """Remove the rows whose lease ended so many seconds ago."""
        self._all(
            f"DELETE FROM server WHERE lease_until < {self._clock} - :past",
            past=round(for_s * 1e6),
            now=to_us(utc_now()),
        )


@converter
def to_server(row: tuple[Any, ...]) -> Server:
    """Return the server that a row holds, with its distance from the reader's clock behind it."""
    return Server(
        id=row[0],
        model=row[1],
        alias=row[2],
        host=row[3],
        pid=row[4],
        place=row[5],
        version=row[6],
        entry=row[7],
        heard_at=from_us(row[8] + row[13]),
        lease_until=from_us(row[9] + row[13]),
        problem=row[10],
        problem_entry=row[11],
        is_strict=bool(row[12]),
    )
