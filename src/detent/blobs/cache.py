"""A local cache of the blobs of a distant store, with a limit.

A copy is checked whenever it is opened. One that went bad is fetched again: it says nothing about
the blob itself. Several registries and processes may share one folder.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from detent.blobs.base import BlobInfo, Blobs, BlobWriter, hash_stream
from detent.domain.digest import check_digest
from detent.errors import NotFoundError


class DistantBlobs(Blobs, Protocol):
    """A store whose blobs are fetched."""

    def fetch(self, digest: str, write: Callable[[memoryview], object]) -> None:
        """Hand the bytes of a blob to `write`, part by part, unchecked."""
        ...


class CachedBlobs:
    """The blobs of another store, with copies of those that were read lately.

    Parameters
    ----------
    origin : DistantBlobs
        The store itself.
    folder : Path
        Where the copies lie. It is made when it is first needed.
    limit_bytes : int
        The size of all copies together. The copies that were not used for longest go first; a blob
        that is larger than this is not kept.
    """

    def __init__(self, origin: DistantBlobs, folder: Path, *, limit_bytes: int) -> None:
        self.origin = origin
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._room_bytes = 0  # what may be added before the folder has to be looked through

    def create(self) -> AbstractContextManager[BlobWriter]:
        """Open a new blob of the store for writing."""
        return self.origin.create()

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading: a copy, or fetched from the store and then copied."""
        check_digest(digest)
        return self._open_copy(digest) or self._fetch(digest)

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in the store."""
        return self.origin.find_size(digest)

    def delete(self, digest: str) -> None:
        """Remove a blob, and its copy."""
        self.origin.delete(digest)
        with suppress(OSError):
            self._path(digest).unlink(missing_ok=True)

    def list_all(self) -> Iterator[BlobInfo]:
        """Yield every whole blob of the store."""
        return self.origin.list_all()

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield what interrupted writers left in the store."""
        return self.origin.list_unfinished()

    def discard(self, name: str) -> None:
        """Remove something that `list_unfinished` named."""
        self.origin.discard(name)

    def _open_copy(self, digest: str) -> BinaryIO | None:
        path = self._path(digest)
        try:
            stream = cast(BinaryIO, path.open("rb"))
        except OSError:
            return None
        with suppress(OSError):
            if hash_stream(stream)[1] == digest:
                os.utime(path)  # it was used now
                stream.seek(0)
                return stream
            path.unlink(missing_ok=True)
        stream.close()
        return None

    def _fetch(self, digest: str) -> BinaryIO:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix="incoming-", dir=self._folder)
        except OSError:  # a folder that cannot be written is no reason not to load
            return self.origin.open(digest)
        stream = cast(BinaryIO, os.fdopen(descriptor, "w+b"))
        try:
            hasher = hashlib.sha256()

            def write(part: memoryview) -> None:
                hasher.update(part)
                stream.write(part)

            try:
                self.origin.fetch(digest, write)
                size = stream.tell()
                stream.seek(0)
            except NotFoundError:
                raise
            except Exception:  # the disk may be full of copies: try without one
                stream.close()
                return self.origin.open(digest)
            is_good = "sha256:" + hasher.hexdigest() == digest
            if is_good and size <= self._limit_bytes:
                os.replace(name, self._path(digest))
                self._make_room(size)
            return stream
        except BaseException:
            stream.close()
            raise
        finally:
            with suppress(OSError):
                os.unlink(name)  # what was not kept: the open file stays readable

    def _make_room(self, added_bytes: int) -> None:
        # Looking through the folder for each blob would take longer the more there are. So a tenth
        # of the limit is made free at once, and used up before the next look.
        self._room_bytes -= added_bytes
        if self._room_bytes >= 0:
            return
        found = []
        for entry in os.scandir(self._folder):
            with suppress(OSError):  # removed by another process
                status = entry.stat()
                found.append((status.st_mtime_ns, status.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        spare = self._limit_bytes // 10
        if total > self._limit_bytes:
            for _, size, path in sorted(found)[:-1]:  # the newest is the one being read
                if total <= self._limit_bytes - spare:
                    break
                with suppress(OSError):
                    os.unlink(path)
                total -= size
        # Other processes add to it, too: each looks again after a tenth of the limit.
        self._room_bytes = min(self._limit_bytes - total, spare)

    def _path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")
