"""Blobs in a dict: for tests, and to read first."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from detent.blobs.base import BlobInfo
from detent.domain.digest import check_digest, short_digest
from detent.errors import NotFoundError


class _Writer(io.BytesIO):
    digest = ""
    size_bytes = 0


class MemoryBlobs:
    """A store of blobs that is gone with its process."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    @contextmanager
    def create(self) -> Iterator[_Writer]:
        """Open a new blob for writing."""
        writer = _Writer()
        yield writer
        data = writer.getvalue()
        writer.size_bytes = len(data)
        writer.digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self._blobs[writer.digest] = data

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, unchecked."""
        try:
            return io.BytesIO(self._blobs[check_digest(digest)])
        except KeyError:
            raise NotFoundError(f"there is no blob {short_digest(digest)}") from None

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in bytes; None when there is no such blob."""
        data = self._blobs.get(check_digest(digest))
        return None if data is None else len(data)

    def delete(self, digest: str) -> None:
        """Remove a blob."""
        self._blobs.pop(check_digest(digest), None)

    def list_all(self) -> Iterator[BlobInfo]:
        """Yield every blob; in memory all of them are as old as they can be."""
        for digest, data in list(self._blobs.items()):
            yield BlobInfo(digest=digest, size_bytes=len(data), age_s=float("inf"))

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield nothing: an interrupted writer leaves nothing behind."""
        return iter(())

    def discard(self, name: str) -> None:
        """Do nothing."""
