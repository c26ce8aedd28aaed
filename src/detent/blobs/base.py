"""The seam between detent and a place that keeps bytes."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from detent.domain.digest import digest_of, short_digest
from detent.errors import CorruptError, NotFoundError, UnavailableError

CHUNK = 1 << 20  # bytes read or written at once
_REPAIR = (
    "see what is affected with `detent verify`; restore it with `detent repair --from FOLDER`, or"
    " roll back to a version that is whole"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What a listing says of a blob. ``age_s`` is the time since its last writing, in seconds."""

    digest: str
    size_bytes: int
    age_s: float


class BlobWriter(Protocol):
    """A blob being written. ``digest`` and ``size_bytes`` hold once it is closed."""

    digest: str
    size_bytes: int

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes at the end; they are hashed on their way."""
        ...


class Blobs(Protocol):
    """A store of blobs. Instances may be shared between threads and processes."""

    def create(self) -> AbstractContextManager[BlobWriter]:
        """Open a new blob for writing.

        When the block ends without an exception the bytes are durable under their digest; after
        an exception nothing is there, or all of it. Writing the same bytes again is safe, and
        mends a stored copy that went bad. (A store may take a large blob of the right size for a
        good one: who knows that it is bad removes it first.)

        Raises
        ------
        UnavailableError
            If the store has no room or does not answer.
        """
        ...

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, seekable, *unchecked*: see `open_verified`.

        Raises
        ------
        NotFoundError
            If there is no such blob.
        """
        ...

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in bytes; None when there is no such blob."""
        ...

    def delete(self, digest: str) -> None:
        """Remove a blob. Removing what is not there is safe."""
        ...

    def list_all(self) -> Iterator[BlobInfo]:
        """Yield every whole blob."""
        ...

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield what interrupted writers left behind; `digest` is then a name for `discard`."""
        ...

    def discard(self, name: str) -> None:
        """Remove something that `list_unfinished` named."""
        ...


def past_cache(blobs: Blobs) -> Blobs:
    """Return the store itself: what is checked there must not come from a local copy."""
    origin: Blobs = getattr(blobs, "origin", blobs)
    return origin


Progress = Callable[[int], None]  # told how many more bytes were done


def put(blobs: Blobs, data: bytes) -> str:
    """Store some bytes and return their digest."""
    with blobs.create() as writer:
        writer.write(data)
    return writer.digest


def read_verified(blobs: Blobs, digest: str, *, what: str) -> bytes:
    """Return a blob's bytes after checking them; `what` names what needs it in an error.

    Raises
    ------
    CorruptError
        If there is no such blob, or its bytes do not hash to its digest.
    UnavailableError
        If it cannot be read.
    """
    with _open_needed(blobs, digest, what) as stream, _reading(digest, what):
        data = stream.read()
    found = digest_of(data)
    if found != digest:
        raise _corrupt(digest, what, len(data), found)
    return data


def open_verified(
    blobs: Blobs, digest: str, *, what: str, progress: Progress | None = None
) -> BinaryIO:
    """Open a blob whose bytes were just checked, at its beginning.

    The same open file is checked and handed out, so that a file replaced meanwhile is not read
    unchecked.

    Raises
    ------
    CorruptError
        If there is no such blob, or its bytes do not hash to its digest.
    UnavailableError
        If it cannot be read.
    """
    stream = _open_needed(blobs, digest, what)
    try:
        with _reading(digest, what):
            size, found = hash_stream(stream, progress=progress)
        if found != digest:
            raise _corrupt(digest, what, size, found)
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream


def hash_stream(stream: BinaryIO, *, progress: Progress | None = None) -> tuple[int, str]:
    """Return the number of bytes up to the end of a stream, and their digest."""
    hasher = hashlib.sha256()
    size = 0
    buffer = memoryview(bytearray(CHUNK))
    while n := stream.readinto(buffer):  # type: ignore[attr-defined]  # all our streams have it
        hasher.update(buffer[:n])
        size += n
        if progress:
            progress(n)
    return size, "sha256:" + hasher.hexdigest()


def _open_needed(blobs: Blobs, digest: str, what: str) -> BinaryIO:
    try:
        return blobs.open(digest)
    except NotFoundError:
        raise CorruptError(
            f"blob {short_digest(digest)} of {what} is missing; nothing was loaded",
            hint=_REPAIR,
            details={"digest": digest, "what": what},
        ) from None


@contextmanager
def _reading(digest: str, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"blob {short_digest(digest)} of {what} cannot be read: {error.strerror or error};"
            " nothing was loaded",
            hint="run the same command again; if that does not help, the disk may be failing",
        ) from error


def _corrupt(digest: str, what: str, size: int, found: str) -> CorruptError:
    return CorruptError(
        f"blob {short_digest(digest)} of {what} is corrupt: its {size:,} bytes hash to"
        f" {short_digest(found)}; nothing was loaded",
        hint=_REPAIR,
        details={"digest": digest, "found": found, "size_bytes": size, "what": what},
    )
