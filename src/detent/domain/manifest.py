"""The manifest: all that makes a version what it is, and nothing that a clock says.

A version's digest is the digest of its manifest's canonical JSON. Who registered it, when, and
how long the training took stand in the version's row, not here, so that the same bytes with the
same lineage are the same version however often they are registered.
"""

from dataclasses import dataclass, field
from typing import Any

MANIFEST_FORMAT = "detent.manifest/1"


def is_safe_path(path: str) -> bool:
    """Say whether a file's path stays inside the folder that it is written to.

    Examples
    --------
    >>> is_safe_path("weights/a.bin"), is_safe_path("../a.bin"), is_safe_path("/etc/passwd")
    (True, False, False)
    """
    return not any(
        part in ("", ".", "..") or "\\" in part or "\0" in part for part in path.split("/")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a version: its path (``/`` between parts), the digest and size of its bytes."""

    path: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input or output: a column, or a whole array. -1 in ``shape`` stands for any length."""

    name: str
    dtype: str
    shape: tuple[int, ...] = (-1,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a model takes and gives. ``kind`` is ``table`` (named columns) or ``array``."""

    kind: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The commit that trained a version. ``patch`` is the blob of uncommitted changes, if any."""

    commit: str | None
    is_clean: bool
    n_changed: int = 0
    patch: str | None = None
    untracked: tuple[str, ...] = ()
    cells: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Data that went into a version.

    ``kind`` is ``table`` (digest of values, types and column names, in order) or ``file``
    (digest of bytes). ``source`` is the path or address it was read from.
    """

    name: str
    digest: str
    kind: str
    n_rows: int | None = None
    columns: tuple[str, ...] = ()
    size_bytes: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a version came from: enough to trace it, and to try to rebuild it."""

    estimator: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    code: Code | None = None
    data: tuple[Data, ...] = ()
    packages: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    platform: str | None = None
    parents: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A second form of a version that answers as the original does, sooner.

    It was seen to do so on ``n_checked`` rows: equal labels, floats within ``tolerance``.
    """

    compiler: str
    file: File
    n_checked: int
    tolerance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of a version, in one format, with signature and lineage.

    ``options`` belongs to the format (the name of a function, say); it can never widen what
    the loader trusts. ``sample`` holds some input rows (format ``detent.table/1``), to warm a
    loaded version and to see whether a rebuilt one predicts the same. ``compiled`` is the form that
    a server answers with; it is part of the version, so that what answers changes with the version
    and in no other way.
    """

    format: str
    files: tuple[File, ...]
    sample: File | None = None
    signature: Signature | None = None
    lineage: Lineage = field(default_factory=Lineage)
    options: dict[str, Any] = field(default_factory=dict)
    compiled: Compiled | None = None
    schema: str = MANIFEST_FORMAT

    @property
    def size_bytes(self) -> int:
        """Size of all files together, in bytes."""
        return sum(file.size_bytes for file in self.files)

    def blobs(self) -> tuple[tuple[str, str], ...]:
        """Return every blob that this manifest names: path (or what it is) and digest."""
        named = [(file.path, file.digest) for file in self.files]
        if self.sample is not None:
            named.append((self.sample.path, self.sample.digest))
        if self.compiled is not None:
            named.append((self.compiled.file.path, self.compiled.file.digest))
        code = self.lineage.code
        if code is not None and code.patch is not None:
            named.append(("patch", code.patch))
        if code is not None and code.cells is not None:
            named.append(("cells", code.cells))
        return tuple(named)
