"""What checks and clean-ups report."""

from dataclasses import dataclass
from datetime import datetime

from detent.domain.alias import Activation
from detent.domain.evidence import Decision, Evaluation
from detent.domain.manifest import Manifest
from detent.domain.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCard:
    """All that is known of a version: what went in, what came of it, where it was active."""

    version: Version
    manifest: Manifest
    duration_s: float | None
    evaluations: tuple[Evaluation, ...]
    activations: tuple[Activation, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A version, and whether it was registered now: its manifest may have been known already."""

    version: Version
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which two versions differ: the part of the lineage, before and after."""

    part: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalReport:
    """The result of checking the journal. ``problems`` names each event at fault."""

    n_events: int
    since: datetime | None
    head: str
    problems: tuple[str, ...]

    @property
    def is_unbroken(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobProblem:
    """A blob that is missing or whose bytes changed, and what needs it."""

    digest: str
    needed_by: str
    path: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededBlob:
    """A blob that something reaches: what, and under which path.

    ``size_bytes`` is what is stored of it, where that was asked for; None if it is missing.
    """

    digest: str
    needed_by: str
    path: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The result of re-hashing stored bytes."""

    n_versions: int
    n_blobs: int
    size_bytes: int
    problems: tuple[BlobProblem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport:
    """What was removed, or would be: blobs that nothing reaches, and leftovers of writers."""

    n_blobs: int
    n_unfinished: int
    size_bytes: int
    kept_young: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What was copied, or would be: ``n_known_…`` were there already and not sent again.

    ``head`` is the digest of the newest event, the same in both registries.
    """

    n_versions: int
    n_events: int
    n_blobs: int
    size_bytes: int
    n_known_events: int
    n_known_blobs: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """Blobs that were restored, and those for which no good copy was found."""

    restored: tuple[str, ...]
    missing: tuple[BlobProblem, ...]
