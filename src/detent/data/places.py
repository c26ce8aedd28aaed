"""Files at a path or an address: a folder of this machine, or a part of an object store."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import unquote, urlsplit

from detent.errors import InvalidError, NotFoundError, RefusedError, UnavailableError

STORES = ("s3", "gs", "az")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file: its path, size, and what changes when its bytes do."""

    path: str
    size_bytes: int
    state: tuple[Any, ...]


class Place(Protocol):
    """Where files are. It can be sent to another process, and opened there.

    Attributes
    ----------
    is_near : bool
        Whether reading a little costs little.
    """

    @property
    def is_near(self) -> bool:
        """Whether reading a little costs little."""
        ...

    def list(self) -> list[Entry]:
        """Return the files, sorted by path; those whose names begin with ``.`` or ``_`` are none.

        Raises
        ------
        NotFoundError
            If nothing is there.
        RefusedError
            If it may not be read.
        UnavailableError
            If the store does not answer.
        """
        ...

    def open(self, path: str) -> BinaryIO:
        """Open one of them for reading, seekable. Errors are those of `list`."""
        ...


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A file, or a folder with all files below it."""

    root: str

    @property
    def is_near(self) -> bool:
        """Yes: it is a disk."""
        return True

    def list(self) -> list[Entry]:
        """Return the files."""
        root = Path(self.root)
        with _errors(self.root):
            if root.is_file():
                return [_entry(root)]
            if not root.is_dir():
                raise NotFoundError(f"there is no file or folder {self.root}")
            found = sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix())
            return [
                _entry(path)
                for path in found
                if path.is_file() and not _is_hidden(path.relative_to(root).as_posix())
            ]

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        with _errors(path):
            return open(path, "rb")


def _entry(path: Path) -> Entry:
    found = path.stat()
    state = (found.st_size, found.st_mtime_ns, found.st_ino)
    return Entry(path=str(path), size_bytes=found.st_size, state=state)


@contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {error.filename or what}") from error
    except PermissionError as error:
        raise RefusedError(f"{error.filename or what} may not be read") from error
    except OSError as error:
        raise UnavailableError(f"{what} could not be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class StorePlace:
    """An object, or all objects under a prefix, in S3, Google Cloud Storage or Azure."""

    url: str

    @property
    def is_near(self) -> bool:
        """No: each question travels."""
        return False

    def list(self) -> list[Entry]:
        """Return the objects."""
        import obstore

        store, prefix, shown = _open_store(self.url)
        with _store_errors(shown):
            if prefix and PurePosixPath(prefix).suffix:
                try:
                    return [_object(obstore.head(store, prefix))]
                except FileNotFoundError:  # a folder may have such a name, too
                    pass
            found = [entry for page in obstore.list(store, prefix or None) for entry in page]
        entries = [
            _object(entry)
            for entry in sorted(found, key=lambda entry: entry["path"])
            if not _is_hidden(entry["path"].removeprefix(prefix))
        ]
        if not entries:
            raise NotFoundError(f"there is nothing at {shown}")
        return entries

    def open(self, path: str) -> BinaryIO:
        """Open an object."""
        import obstore

        store, _, shown = _open_store(self.url)
        with _store_errors(shown):
            return cast(BinaryIO, _Object(store, path, obstore.head(store, path)["size"], shown))


class _Object(io.RawIOBase):
    """An object as a file: what is asked for is fetched, and no more; pyarrow has buffers."""

    def __init__(self, store: Any, path: str, size_bytes: int, shown: str) -> None:
        self._store, self._path, self._size, self._shown = store, path, size_bytes, shown
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        import obstore

        left = max(self._size - self._at, 0)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        with _store_errors(self._shown):
            data = bytes(obstore.get_range(self._store, self._path, start=self._at, length=length))
        self._at += length
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _object(entry: Any) -> Entry:
    state = (entry["size"], entry["e_tag"], entry["last_modified"].isoformat())
    return Entry(path=entry["path"], size_bytes=entry["size"], state=state)


@lru_cache(maxsize=16)
def _open_store(url: str) -> tuple[Any, str, str]:
    """Return a store, the path in it, and how it is shown: without parameters."""
    try:
        from obstore.exceptions import BaseError

        from detent.data.object_store import open_object_store, parameters_of
    except ImportError as error:
        raise InvalidError(
            f"reading from an object store needs a part of detent that is not installed ({error})",
            hint="pip install 'detent[s3]'",
        ) from error
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    try:
        store = open_object_store(f"{parts.scheme}://{parts.netloc}", parameters_of(parts))
    except (BaseError, ValueError) as error:
        raise InvalidError(f"{shown} cannot be read: {str(error).splitlines()[0][:300]}") from error
    return store, unquote(parts.path.strip("/")), shown


@contextmanager
def _store_errors(shown: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"there is nothing at {shown}") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise RefusedError(f"{shown} may not be read with these credentials") from error
    except (BaseError, OSError) as error:
        raise UnavailableError(
            f"{shown} did not answer: {str(error).splitlines()[0][:300]}"
        ) from error


def place_of(address: str) -> Place:
    """Return the place that a path or an address names.

    Parameters
    ----------
    address : str
        A path, ``file:///folder``, or ``s3://bucket/prefix``, ``gs://…``, ``az://…``, with the
        parameters of the store in the query (``?endpoint=http://…&region=…``).

    Raises
    ------
    InvalidError
        If it is an address of another kind, or reading from there needs another package.

    Examples
    --------
    >>> place_of("file:///srv/rows.parquet")
    LocalPlace(root='/srv/rows.parquet')
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme in STORES:
        return StorePlace(address)
    if scheme == "file":
        return LocalPlace(os.path.abspath(unquote(urlsplit(address).path)))
    if "://" in address:
        raise InvalidError(
            f"`{scheme}:` addresses cannot be read in blocks: a path and"
            f" {', '.join(f'{name}:' for name in STORES)} can"
        )
    return LocalPlace(os.path.abspath(address))  # another process may stand in another folder


def _is_hidden(path: str) -> bool:
    return any(part[:1] in ("_", ".") for part in path.strip("/").split("/"))
