"""The tables of aliases and their activation history."""

from collections.abc import Iterator
from typing import Any

from detent.domain.alias import Activation, AliasStatus, Hold
from detent.domain.version import Version
from detent.errors import CorruptError
from detent.metadata.statements import (
    ACTIVATION,
    END_OF_TIME,
    N_ACTIVATION,
    Statements,
    to_activation,
    to_hold,
    to_version,
)


class AliasTables(Statements):
    """Aliases and what they have held."""

    def resolve_alias(self, model: str, alias: str) -> Version | None:
        """Return the version that is active now."""
        row = self._one(
            f"""SELECT {self._version} FROM version v
            WHERE v.model = :model AND v.number = (
                SELECT y.version FROM activation y WHERE y.model = :model AND y.alias = :alias
                ORDER BY y.entry DESC LIMIT 1)""",
            model=model,
            alias=alias,
        )
        return to_version(row) if row else None

    def ensure_alias(self, model: str, alias: str) -> None:
        """Add an alias, unless it is there."""
        self._all(
            """INSERT INTO alias (model, name) VALUES (:model, :alias)
            ON CONFLICT DO NOTHING""",
            model=model,
            alias=alias,
        )

    def alias_names(self, model: str) -> list[str]:
        """Return the names of a model's aliases."""
        rows = self._all("SELECT name FROM alias WHERE model = :model ORDER BY name", model=model)
        return [name for (name,) in rows]

    def find_hold(self, model: str, alias: str) -> Hold | None:
        """Return who put an alias on hold, if somebody did."""
        row = self._one(
            """SELECT held_at, held_by, held_reason FROM alias
            WHERE model = :model AND name = :alias""",
            model=model,
            alias=alias,
        )
        return to_hold(row) if row else None

    def set_hold(self, model: str, alias: str, hold: Hold | None, *, at_us: int) -> None:
        """Put an alias on hold, or release it."""
        self._all(
            """UPDATE alias SET held_at = :at, held_by = :by, held_reason = :reason
            WHERE model = :model AND name = :alias""",
            model=model,
            alias=alias,
            at=at_us if hold else None,
            by=hold.by if hold else None,
            reason=hold.reason if hold else None,
        )

    def list_status(
        self,
        model: str | None = None,
        alias: str | None = None,
        *,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[AliasStatus]:
        """Return what each alias holds now: of all models, of one, or of one alias.

        By model and name, those behind the pair `after`.
        """
        behind = after or (None, None)
        given = {"model": model, "alias": alias, "after_model": behind[0], "after_name": behind[1]}
        used: dict[str, Any] = {name: text for name, text in given.items() if text is not None}
        conditions = [
            condition
            for condition, name in (
                ("al.model = :model", "model"),
                ("al.name = :alias", "alias"),
                ("(al.model, al.name) > (:after_model, :after_name)", "after_model"),
            )
            if name in used
        ]
        if limit is not None:
            used["limit"] = limit
        rows = self._all(
            f"""SELECT {ACTIVATION}, al.held_at, al.held_by, al.held_reason, {self._version}
            FROM alias al
            JOIN activation x ON x.entry = (
                SELECT y.entry FROM activation y WHERE y.model = al.model AND y.alias = al.name
                ORDER BY y.entry DESC LIMIT 1)
            LEFT JOIN version v ON v.model = x.model AND v.number = x.version
            {"WHERE " + " AND ".join(conditions) if conditions else ""}
            ORDER BY al.model, al.name {"LIMIT :limit" if limit is not None else ""}""",
            **used,
        )
        return [
            AliasStatus(
                model=row[1],
                alias=row[2],
                activation=to_activation(row[:N_ACTIVATION]),
                hold=to_hold(row[N_ACTIVATION : N_ACTIVATION + 3]),
                version=to_version(row[N_ACTIVATION + 3 :]) if row[4] is not None else None,
            )
            for row in rows
        ]

    def newest_activation(self, model: str, alias: str) -> Activation | None:
        """Return the entry that says what is active now."""
        return self._activation(
            "x.model = :model AND x.alias = :alias ORDER BY x.entry DESC LIMIT 1",
            model=model,
            alias=alias,
        )

    def activation_at(self, model: str, alias: str, at_us: int) -> Activation | None:
        """Return the entry that was the newest at a time."""
        return self._activation(
            """x.model = :model AND x.alias = :alias AND x.created_at <= :at
            ORDER BY x.entry DESC LIMIT 1""",
            model=model,
            alias=alias,
            at=at_us,
        )

    def activation_after(self, activation: Activation) -> Activation | None:
        """Return the next entry of the same alias."""
        return self._activation(
            """x.model = :model AND x.alias = :alias AND x.entry > :entry
            ORDER BY x.entry LIMIT 1""",
            model=activation.model,
            alias=activation.alias,
            entry=activation.entry,
        )

    def activations_beneath(self, activation: Activation) -> Iterator[Activation]:
        """Yield the entries under one, nearest first."""
        below = activation.below
        while below is not None:
            entry = self._activation("x.entry = :entry", entry=below)
            if entry is None or entry.entry >= activation.entry:
                raise CorruptError(
                    f"activation {activation.entry} of `{activation.name}` lies on entry {below},"
                    " which is not below it; nothing was changed",
                    hint="see what is damaged with `detent audit --verify`",
                )
            yield entry
            activation, below = entry, entry.below

    def list_activations(
        self, model: str, alias: str, *, before_us: int | None = None, limit: int | None = None
    ) -> list[Activation]:
        """Return the history of an alias, newest first: what was before a time."""
        rows = self._all(
            f"""SELECT {ACTIVATION} FROM activation x
            WHERE x.model = :model AND x.alias = :alias AND x.created_at < :before
            ORDER BY x.entry DESC {"LIMIT :limit" if limit is not None else ""}""",
            model=model,
            alias=alias,
            before=END_OF_TIME if before_us is None else before_us,
            **({"limit": limit} if limit is not None else {}),
        )
        return [to_activation(row) for row in rows]

    def activations_since(self, model: str, alias: str, entry: int) -> list[Activation]:
        """Return the entries of an alias after one, newest first."""
        rows = self._all(
            f"""SELECT {ACTIVATION} FROM activation x
            WHERE x.model = :model AND x.alias = :alias AND x.entry > :entry
            ORDER BY x.entry DESC""",
            model=model,
            alias=alias,
            entry=entry,
        )
        return [to_activation(row) for row in rows]

    def activations_of_version(self, model: str, number: int) -> list[Activation]:
        """Return the entries that made a version active, newest first."""
        rows = self._all(
            f"""SELECT {ACTIVATION} FROM activation x JOIN alias a
            ON a.model = :model AND x.model = a.model AND x.alias = a.name
            WHERE x.version = :number ORDER BY x.entry DESC""",
            model=model,
            number=number,
        )
        return [to_activation(row) for row in rows]

    def find_rollback_from(self, model: str, alias: str, number: int) -> Activation | None:
        """Return the rollback that withdrew a version from an alias, if none activated it since."""
        rollback = self._activation(
            """x.model = :model AND x.alias = :alias AND x.previous = :number
            AND x.kind = 'rollback' ORDER BY x.entry DESC LIMIT 1""",
            model=model,
            alias=alias,
            number=number,
        )
        if rollback is None:
            return None
        since = self._activation(
            """x.model = :model AND x.alias = :alias AND x.version = :number
            AND x.entry > :entry AND x.kind = 'activate' ORDER BY x.entry LIMIT 1""",
            model=model,
            alias=alias,
            number=number,
            entry=rollback.entry,
        )
        return rollback if since is None else None

    def next_entry(self) -> int:
        """Return the number that the next activation will have."""
        return self._next("activation", "entry")

    def insert_activation(self, activation: Activation, *, at_us: int) -> None:
        """Add an entry to the history of its alias."""
        self._all(
            """INSERT INTO activation (entry, model, alias, kind, version, previous, below,
                created_at, created_by, reason, decision, override)
            VALUES (:entry, :model, :alias, :kind, :version, :previous, :below, :at, :by, :reason,
                :decision, :override)""",
            entry=activation.entry,
            model=activation.model,
            alias=activation.alias,
            kind=str(activation.kind),
            version=activation.version,
            previous=activation.previous,
            below=activation.below,
            at=at_us,
            by=activation.by,
            reason=activation.reason,
            decision=activation.decision,
            override=int(activation.override),
        )

    def _activation(self, where: str, **parameters: Any) -> Activation | None:
        row = self._one(f"SELECT {ACTIVATION} FROM activation x WHERE {where}", **parameters)
        return to_activation(row) if row else None

    def insert_activation_note(self, entry: int, note: str) -> None:
        """Say something about an activation afterwards: it is shown instead of its reason."""
        self._all(
            "INSERT INTO activation_note (id, entry, note) VALUES (:id, :entry, :note)",
            id=self._next("activation_note", "id"),
            entry=entry,
            note=note,
        )
