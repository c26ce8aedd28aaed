"""The tables of models and versions, and the search in them."""

import re
from collections.abc import Sequence
from typing import Any

from detent.domain.clock import from_us
from detent.domain.version import Model, Version
from detent.metadata.statements import Statements, converter, to_version

MAX_WORDS = 200  # of one version in the search index


def search_words(text: str) -> list[str]:
    """Return the different words of a text as the search index keeps them.

    Examples
    --------
    >>> search_words("More rows, more_trees!")
    ['more', 'more_trees', 'rows']
    """
    return sorted(set(re.findall(r"\w+", text.casefold())))[:MAX_WORDS]


def version_words(*texts: str | None) -> list[str]:
    """Return the words by which a version is found: note, format, code, data and creator."""
    return search_words(" ".join(filter(None, texts)))


@converter
def _to_duration(row: tuple[Any, ...]) -> float:
    return float(row[0])


@converter
def _to_model(row: tuple[Any, ...]) -> Model:
    name, at_us, by, n_versions, newest = row
    return Model(
        name=name, created_at=from_us(at_us), created_by=by, n_versions=n_versions, newest=newest
    )


class VersionTables(Statements):
    """Models and versions."""

    def find_model(self, name: str) -> Model | None:
        """Return the model of that name."""
        return next(iter(self._models("WHERE m.name = :name", name=name)), None)

    def list_models(self, *, after: str | None = None, limit: int | None = None) -> list[Model]:
        """Return models by name, those behind the name `after`."""
        # A null matches no comparison, and an absent limit is written as none at all.
        behind = "" if after is None else "WHERE m.name > :after"
        most = "" if limit is None else "LIMIT :limit"
        given = {"after": after, "limit": limit}
        used = {name: value for name, value in given.items() if value is not None}
        return self._models(f"{behind} ORDER BY m.name {most}", **used)

    def _models(self, where: str, **parameters: Any) -> list[Model]:
        rows = self._all(
            f"""SELECT m.name, m.created_at, m.created_by,
                (SELECT COUNT(*) FROM version v WHERE v.model = m.name AND v.deleted_at IS NULL),
                (SELECT MAX(v.number) FROM version v
                 WHERE v.model = m.name AND v.deleted_at IS NULL)
            FROM model m {where}""",
            **parameters,
        )
        return [_to_model(row) for row in rows]

    def model_names(self) -> list[str]:
        """Return the names of all models."""
        return [name for (name,) in self._all("SELECT name FROM model ORDER BY name")]

    def insert_model(self, name: str, *, at_us: int, actor: str) -> None:
        """Add a model without versions, unless it is there."""
        self._all(
            """INSERT INTO model (name, last_number, created_at, created_by)
            VALUES (:name, 0, :at, :actor) ON CONFLICT DO NOTHING""",
            name=name,
            at=at_us,
            actor=actor,
        )

    def take_number(self, model: str) -> int:
        """Give out the next version number of a model."""
        number = self._number(
            """UPDATE model SET last_number = last_number + 1 WHERE name = :model
            RETURNING last_number""",
            model=model,
        )
        assert number is not None
        return number

    def find_version(self, model: str, number: int) -> Version | None:
        """Return a version by number, unless it was deleted."""
        row = self._one(
            f"""SELECT {self._version} FROM version v
            WHERE v.model = :model AND v.number = :number AND v.deleted_at IS NULL""",
            model=model,
            number=number,
        )
        return to_version(row) if row else None

    def find_versions_by_digest(self, model: str, prefix: str) -> list[Version]:
        """Return the versions whose manifest's digest begins so."""
        rows = self._all(
            f"""SELECT {self._version} FROM version v
            WHERE v.model = :model AND v.digest >= :low AND v.digest < :high
            AND v.deleted_at IS NULL""",
            model=model,
            low=prefix,
            high=prefix + "g",  # sorts behind every hex digit
        )
        return [to_version(row) for row in rows]

    def newest_number(self, model: str) -> int | None:
        """Return the highest number that was not deleted."""
        return self._number(
            "SELECT MAX(number) FROM version WHERE model = :model AND deleted_at IS NULL",
            model=model,
        )

    def is_deleted(self, model: str, number: int) -> bool:
        """Say whether this number was given out and its version deleted."""
        return bool(
            self._all(
                """SELECT 1 FROM version
                WHERE model = :model AND number = :number AND deleted_at IS NOT NULL""",
                model=model,
                number=number,
            )
        )

    def is_usable(self, model: str, number: int) -> bool:
        """Say whether this version is there and was never withdrawn."""
        return bool(
            self._all(
                """SELECT 1 FROM version WHERE model = :model AND number = :number
                AND deleted_at IS NULL AND withdrawn IS NULL""",
                model=model,
                number=number,
            )
        )

    def list_versions(
        self,
        model: str,
        *,
        words: Sequence[str] = (),
        since_us: int = 0,
        below: int | None = None,
        limit: int | None = None,
    ) -> list[Version]:
        """Return versions, newest first: those with all `words`, with a number below `below`."""
        parameters: dict[str, Any] = {"model": model}
        conditions = ["v.model = :model", "v.deleted_at IS NULL"]
        source = "version v"
        if since_us:
            parameters["since"] = since_us
            conditions.append("v.created_at >= :since")
        for i, word in enumerate(self._rarest_first(model, words)):
            parameters[f"word{i}"] = word
            if i == 0:
                source = """version_word w JOIN version v
                    ON v.model = w.model AND v.number = w.number"""
                conditions += ["w.model = :model", "w.word = :word0"]
            else:
                conditions.append(
                    f"""EXISTS (SELECT 1 FROM version_word o WHERE o.model = :model
                    AND o.word = :word{i} AND o.number = w.number)"""
                )
        order = "w.number" if words else "v.number"
        if below is not None:
            parameters["below"] = below
            conditions.append(f"{order} < :below")
        if limit is not None:
            parameters["limit"] = limit
        rows = self._all(
            f"""SELECT {self._version} FROM {source} WHERE {" AND ".join(conditions)}
            ORDER BY {order} DESC {"LIMIT :limit" if limit is not None else ""}""",
            **parameters,
        )
        return [to_version(row) for row in rows]

    def _rarest_first(self, model: str, words: Sequence[str]) -> list[str]:
        """Return the words so that the walk follows one that few versions have."""
        if len(words) < 2:
            return list(words)
        counts = {
            word: self._number(
                """SELECT COUNT(*) FROM (SELECT 1 FROM version_word
                WHERE model = :model AND word = :word LIMIT 100) AS few""",
                model=model,
                word=word,
            )
            for word in words
        }
        return sorted(words, key=lambda word: counts[word] or 0)

    def insert_version(self, version: Version, *, at_us: int, duration_s: float | None) -> None:
        """Add a version, and its words to the search index."""
        self._all(
            """INSERT INTO version (model, number, digest, format, size_bytes, created_at,
                created_by, duration_s, code, data, note)
            VALUES (:model, :number, :digest, :format, :size_bytes, :at, :by, :duration_s, :code,
                :data, :note)""",
            model=version.model,
            number=version.number,
            digest=version.digest,
            format=version.format,
            size_bytes=version.size_bytes,
            at=at_us,
            by=version.created_by,
            duration_s=duration_s,
            code=version.code,
            data=version.data,
            note=version.note,
        )
        self._insert_words(version)

    def duration_s(self, model: str, number: int) -> float | None:
        """Return how long the training of a version took, in seconds."""
        row = self._one(
            "SELECT duration_s FROM version WHERE model = :model AND number = :number",
            model=model,
            number=number,
        )
        return None if row is None or row[0] is None else _to_duration(row)

    def set_note(self, version: Version, note: str | None) -> None:
        """Replace the note of a version, also in the search index."""
        key = {"model": version.model, "number": version.number}
        self._all(
            "UPDATE version SET note = :note WHERE model = :model AND number = :number",
            note=note,
            **key,
        )
        self._all("DELETE FROM version_word WHERE model = :model AND number = :number", **key)
        self._insert_words(version, note=note)

    def _insert_words(self, version: Version, note: str | None = None) -> None:
        texts = (note or version.note, version.format, version.code, version.data)
        for word in version_words(*texts, version.created_by):
            self._all(
                """INSERT INTO version_word (model, word, number)
                VALUES (:model, :word, :number)""",
                model=version.model,
                word=word,
                number=version.number,
            )

    def set_withdrawn(self, model: str, number: int, reason: str) -> None:
        """Mark a version as never to be activated again."""
        self._all(
            "UPDATE version SET withdrawn = :reason WHERE model = :model AND number = :number",
            model=model,
            number=number,
            reason=reason,
        )

    def set_deleted(self, model: str, number: int, *, at_us: int) -> None:
        """Mark a version as deleted; its number stays taken."""
        key = {"model": model, "number": number}
        self._all(
            "UPDATE version SET deleted_at = :at WHERE model = :model AND number = :number",
            at=at_us,
            **key,
        )
        self._all("DELETE FROM version_word WHERE model = :model AND number = :number", **key)

    def manifest_digests(self) -> list[tuple[str, int, str]]:
        """Return model, number and digest of every version that was not deleted."""
        return [
            (model, number, digest)
            for model, number, digest in self._all(
                """SELECT model, number, digest FROM version
                WHERE deleted_at IS NULL ORDER BY model, number"""
            )
        ]

    def count_words(self) -> int:
        """Return how many words the search index holds, of all versions together."""
        return self._number("SELECT COUNT(*) FROM version_word") or 0

    def words_of(self, model: str, number: int) -> list[str]:
        """Return the words that the search index holds of a version."""
        rows = self._all(
            """SELECT word FROM version_word WHERE model = :model AND number = :number
            ORDER BY word""",
            model=model,
            number=number,
        )
        return [word for (word,) in rows]
