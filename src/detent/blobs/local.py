"""Blobs in a folder: ``sha256/9f/2c41…``, read-only files, written once.

The order of steps keeps every promise of the store: write under a temporary name while hashing,
fsync the file, rename, fsync the folder. Without the first fsync a power cut leaves an empty file
under a good name; without the second one the name itself can be lost.
"""

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from detent.blobs.base import CHUNK, BlobInfo
from detent.domain.digest import DIGEST_PATTERN, check_digest, short_digest
from detent.errors import NotFoundError, UnavailableError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self.digest = ""
        self.size_bytes = 0
        self._folder = folder
        self._hasher = hashlib.sha256()
        with _errors(folder):
            self.path = os.path.join(folder, f"{os.getpid()}-{os.urandom(8).hex()}")
            self._descriptor = os.open(self.path, _NEW_FILE, 0o600)

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        with _errors(self._folder):
            # In chunks, so that the bytes are still in the processor's cache when they are written.
            for start in range(0, len(view), CHUNK):
                chunk = view[start : start + CHUNK]
                self._hasher.update(chunk)
                while chunk:
                    chunk = chunk[os.write(self._descriptor, chunk) :]
        self.size_bytes += len(view)
        return len(view)

    def finish(self) -> None:
        with _errors(self._folder):
            os.fsync(self._descriptor)
            os.fchmod(self._descriptor, 0o444)
        self.digest = "sha256:" + self._hasher.hexdigest()

    def close(self) -> None:
        with _errors(self._folder):
            os.close(self._descriptor)


class LocalBlobs:
    """A store of blobs in a folder of a local file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._lasting: set[Path] = set()

    @contextmanager
    def create(self) -> Iterator[_Writer]:
        """Open a new blob for writing; it is durable under its digest when the block ends."""
        with _errors(self._folder):
            self._make_folder(self._unfinished)
        writer = _Writer(self._unfinished)
        try:
            try:
                yield writer
                writer.finish()
            finally:
                writer.close()
            with _errors(self._folder):
                self._move(writer.path, self._path(writer.digest))
        except BaseException:
            with suppress(OSError):
                os.unlink(writer.path)
            raise

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, unchecked."""
        path = self._path(digest)
        with _errors(self._folder, "nothing was loaded"):
            try:
                return cast(BinaryIO, path.open("rb"))
            except FileNotFoundError:
                raise NotFoundError(
                    f"blob {short_digest(digest)} is missing from {self._folder}",
                    hint="see what is affected with `detent verify`",
                ) from None

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in bytes; None when there is no such blob."""
        with _errors(self._folder, "nothing was changed"):
            try:
                return self._path(digest).stat().st_size
            except FileNotFoundError:
                return None

    def delete(self, digest: str) -> None:
        """Remove a blob."""
        with _errors(self._folder, "it was not removed"):
            self._path(digest).unlink(missing_ok=True)

    def list_all(self) -> Iterator[BlobInfo]:
        """Yield every whole blob."""
        for path in sorted(self._folder.glob("sha256/??/*")):
            digest = "sha256:" + path.parent.name + path.name
            if not DIGEST_PATTERN.fullmatch(digest):
                continue  # not ours: a file manager's or a network file system's
            info = _info(path, digest)
            if info is not None:
                yield info

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield what interrupted writers left behind."""
        for path in sorted(self._unfinished.glob("*")):
            info = _info(path, path.name)
            if info is not None:
                yield info

    def discard(self, name: str) -> None:
        """Remove something that `list_unfinished` named."""
        with _errors(self._folder, "it was not removed"):
            (self._unfinished / Path(name).name).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        check_digest(digest)  # also keeps a path out of the folder from being named
        return self._folder / "sha256" / digest[7:9] / digest[9:]

    def _move(self, source: str, target: Path) -> None:
        self._make_folder(target.parent)
        # Over an equal file too: it mends one that went bad, and its new age keeps `prune` away.
        os.replace(source, target)
        _fsync(target.parent)

    def _make_folder(self, folder: Path) -> None:
        # A folder that is there may have been made a moment ago by a writer that was killed before
        # it made the folder's own name durable: once in each process, this one does it itself.
        if folder in self._lasting and folder.is_dir():
            return
        is_inside = folder.is_relative_to(self._folder) and folder != self._folder
        if is_inside or not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync(folder.parent)
        self._lasting.add(folder)


@contextmanager
def _errors(folder: Path, outcome: str = "nothing was registered") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UnavailableError(
                f"no room is left in {folder} ({error.strerror}); {outcome}",
                hint="make room (`detent prune` removes what nothing uses), then run it again",
            ) from error
        raise UnavailableError(
            f"{folder} failed: {error.strerror or error}; {outcome}",
            hint="run the same command again when the folder can be used",
        ) from error


def _info(path: Path, digest: str) -> BlobInfo | None:
    try:
        status = path.stat()
    except FileNotFoundError:  # removed by someone since it was listed
        return None
    age_s = max(0.0, time.time() - status.st_mtime)
    return BlobInfo(digest=digest, size_bytes=status.st_size, age_s=age_s)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
