"""Models and versions, as the registry lists them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from detent.domain.shown import Shown
from detent.domain.value import value


@value
class Model:
    """A name, and how many versions are registered under it."""

    name: str
    n_versions: int
    newest: int | None
    created_at: datetime
    created_by: str

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Model {self.name}, {self.n_versions} versions>"


@value
class Version(Shown):
    """One immutable version: a number within its model, and the digest of its manifest.

    ``code`` and ``data`` are short summaries of the lineage for lists (``Registry.show`` has all of
    it). ``note``, ``withdrawn`` and ``active_in`` say what was so when it was read; they do not
    count when two versions are compared.
    """

    model: str
    number: int
    digest: str
    format: str
    size_bytes: int
    created_at: datetime
    created_by: str
    code: str | None = None
    data: str | None = None
    note: str | None = None
    withdrawn: str | None = None
    active_in: tuple[str, ...] = ()

    _not_compared = ("note", "withdrawn", "active_in")

    @property
    def name(self) -> str:
        """The reference of this version: ``fraud/7``."""
        return f"{self.model}/{self.number}"

    def __str__(self) -> str:
        """Return the reference, so that a version can stand where one is expected."""
        return self.name

    def __repr__(self) -> str:
        """Return one line."""
        active = f", active in {', '.join(self.active_in)}" if self.active_in else ""
        gone = ", withdrawn" if self.withdrawn is not None else ""
        return f"<Version {self.name} {self.format} {format_size(self.size_bytes)}{active}{gone}>"


def format_size(size_bytes: int) -> str:
    """Return a size as people read it, in decimal units.

    Examples
    --------
    >>> format_size(4_100_000), format_size(999)
    ('4.1 MB', '999 B')
    """
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


class OfVersion(Protocol):
    """What was found out about one version of a model."""

    @property
    def version(self) -> int:
        """Its number."""
        ...


F = TypeVar("F", bound=OfVersion)


def newest_of_each(found: Iterable[F]) -> dict[int, F]:
    """Return of each version what was found out last: of `found`, newest first, the first."""
    newest: dict[int, F] = {}
    for one in found:
        newest.setdefault(one.version, one)
    return newest
