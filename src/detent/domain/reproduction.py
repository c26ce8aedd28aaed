"""Rebuilding a version: what would be done, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum


class Likeness(StrEnum):
    """How a rebuilt version is to the one that was registered."""

    SAME_BYTES = "same bytes"
    SAME_PREDICTIONS = "same predictions"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionPlan:
    """How a version would be rebuilt.

    ``command`` is what trained it, and runs the code of ``commit`` with the changes of ``patch``
    (a blob's digest). ``packages`` are those that differ from what is installed here, as
    ``name recorded, here installed``; without any, the present environment is used.
    ``doubts`` says what the record does not hold, and may therefore come out otherwise.
    """

    version: str
    commit: str
    patch: str | None
    command: tuple[str, ...]
    python: str | None
    packages: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of rebuilding a version.

    ``rebuilt`` is the digest of the new manifest. ``n_rows`` stored rows were asked of both, and
    the answers that are numbers differ by ``largest_difference`` at most (None where the bytes are
    the same, no rows are stored, or the answers are no numbers). ``causes`` are the likely ones of
    a difference, the likeliest first. ``folder`` holds the code, the environment and the output,
    where they were kept.
    """

    version: str
    likeness: Likeness
    rebuilt: str
    n_rows: int
    largest_difference: float | None
    difference: str | None
    causes: tuple[str, ...]
    seconds: float
    folder: str | None

    @property
    def is_same(self) -> bool:
        """Whether it answers as the registered version does."""
        return self.likeness is not Likeness.DIFFERS
