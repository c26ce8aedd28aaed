"""Blobs in an object store: S3, Google Cloud Storage, Azure.

An object lies under the same name as in a folder, ``sha256/9f/2c41…``, and appears whole or not at
all: that is what these stores promise of a put, and of the last step of a multipart upload. The
name of a blob is its digest, which is known when the last byte is; so bytes are hashed into a
temporary file first, and sent from there.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from detent.blobs.base import CHUNK, BlobInfo
from detent.data.object_store import open_object_store, parameters_of
from detent.data.places import STORES
from detent.domain.digest import DIGEST_PATTERN, check_digest, short_digest
from detent.errors import InvalidError, NotFoundError, RefusedError, UnavailableError

PART = 8 * CHUNK  # bytes sent at once; what is larger is sent in parts, several at a time
_PARTS_AT_ONCE = 6  # each is held in memory
_MAX_PARTS = 9_000  # S3 takes 10,000


class _Writer:
    def __init__(self) -> None:
        self.digest = ""
        self.size_bytes = 0
        self.file = _temporary_file()
        self._hasher = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        with _disk_errors():
            for start in range(0, len(view), CHUNK):
                chunk = view[start : start + CHUNK]
                self._hasher.update(chunk)
                self.file.write(chunk)
        self.size_bytes += len(view)
        return len(view)

    def finish(self) -> None:
        with _disk_errors():
            self.file.seek(0)
        self.digest = "sha256:" + self._hasher.hexdigest()


class RemoteBlobs:
    """A store of blobs in a bucket, under a prefix.

    Credentials are found as each provider's tools find them in the environment. Instances may be
    shared between threads. A child of a fork cannot use what its parent has used.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``. Parameters are
        handed to obstore: ``?endpoint=http://…&region=…``.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in STORES or not parts.netloc:
            raise InvalidError(
                f"`{url.partition('?')[0]}` is not an object store that this release knows",
                hint="name one as `s3://bucket/prefix`, `gs://bucket/prefix` or"
                " `az://container/prefix`",
            )
        self.location = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._config = parameters_of(parts)
        try:
            self._remote: Any = open_object_store(self.location, self._config)
        except (BaseError, ValueError) as error:
            raise InvalidError(
                f"{self.location} cannot be used: {_first_line(error)}",
                hint="`docs/stores.md` lists the parameters and the environment of each store",
            ) from error
        self._pid: int | None = None

    @contextmanager
    def create(self) -> Iterator[_Writer]:
        """Open a new blob for writing; it is durable under its digest when the block ends.

        A small blob that is there already is compared with the new bytes, and not sent again when
        they are equal. A large one of the same size is taken to be equal.
        """
        writer = _Writer()
        try:
            yield writer
            writer.finish()
            with self._errors("nothing was registered"):
                if writer.size_bytes <= PART:
                    self._send(writer.digest, writer.file.read())
                elif self.find_size(writer.digest) != writer.size_bytes:
                    self._send_in_parts(writer)
        finally:
            writer.file.close()

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, unchecked: it is fetched into a temporary file."""
        file = _temporary_file()
        try:
            self.fetch(digest, file.write)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return cast(BinaryIO, file)

    def fetch(self, digest: str, write: Callable[[memoryview], object]) -> None:
        """Hand the bytes of a blob to `write`, part by part, unchecked.

        Raises
        ------
        NotFoundError
            If there is no such blob.
        UnavailableError
            If the store does not answer, or the disk has no room.
        """
        key = _key(digest)
        with self._errors("nothing was loaded"):
            try:
                result = obstore.get(self._store, key)
            except FileNotFoundError:
                raise NotFoundError(
                    f"blob {short_digest(digest)} is missing from {self.location}",
                    hint="see what is affected with `detent verify`",
                ) from None
            for part in result.stream(min_chunk_size=CHUNK):
                write(memoryview(part))

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in bytes; None when there is no such blob."""
        key = _key(digest)
        with self._errors("nothing was changed"):
            try:
                return obstore.head(self._store, key)["size"]
            except FileNotFoundError:
                return None

    def delete(self, digest: str) -> None:
        """Remove a blob."""
        key = _key(digest)
        with self._errors("it was not removed"), suppress(FileNotFoundError):
            obstore.delete(self._store, key)

    def list_all(self) -> Iterator[BlobInfo]:
        """Yield every whole blob."""
        with self._errors("nothing was changed"):
            for page in obstore.list(self._store, prefix="sha256"):
                for meta in page:
                    _, _, name = meta["path"].partition("sha256/")
                    digest = "sha256:" + name.replace("/", "", 1)
                    if DIGEST_PATTERN.fullmatch(digest):
                        age_s = _age(meta["last_modified"])
                        yield BlobInfo(digest=digest, size_bytes=meta["size"], age_s=age_s)

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield the multipart uploads that were not finished; of S3 only.

        Azure forgets them after a week by itself; Google Cloud Storage does with a rule of the
        bucket's lifecycle.
        """
        if not self.location.startswith("s3:"):
            return
        from detent.blobs.uploads import Uploads

        with self._errors("nothing was changed"), Uploads(self._bucket, self._config) as uploads:
            for key, upload, started_at, size_bytes in uploads.list(self._path("sha256/")):
                name = f"{key.removeprefix(self._path(''))} {upload}"
                yield BlobInfo(digest=name, size_bytes=size_bytes, age_s=_age(started_at))

    def discard(self, name: str) -> None:
        """Remove something that `list_unfinished` named."""
        key, _, upload = name.partition(" ")
        if not upload:
            raise InvalidError(f"`{name}` is not the name of an unfinished upload")
        from detent.blobs.uploads import Uploads

        with self._errors("it was not removed"), Uploads(self._bucket, self._config) as uploads:
            uploads.abort(self._path(key), upload)

    @property
    def _store(self) -> Any:
        if self._pid is None:
            self._pid = os.getpid()
        if self._pid != os.getpid():
            raise UnavailableError(
                f"{self.location} was used before this process was forked: its connections are the"
                " parent's",
                hint="start processes with `spawn`, or fork before the registry is used",
            )
        return self._remote

    def _send(self, digest: str, data: bytes) -> None:
        key = _key(digest)
        try:
            obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            try:
                known = bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:  # removed in this moment
                known = b""
            if known != data or not data:
                obstore.put(self._store, key, data)  # mends a copy that went bad
        except NotSupportedError:
            obstore.put(self._store, key, data)

    def _send_in_parts(self, writer: _Writer) -> None:
        writer.file.flush()
        obstore.put(
            self._store,
            _key(writer.digest),
            # By name, so that it is read where it is sent from, not through Python.
            Path(f"/dev/fd/{writer.file.fileno()}"),
            use_multipart=True,
            chunk_size=max(PART, -(-writer.size_bytes // _MAX_PARTS)),
            max_concurrency=_PARTS_AT_ONCE,
        )

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    @contextmanager
    def _errors(self, outcome: str) -> Iterator[None]:
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise RefusedError(
                f"{self.location} refused it ({_first_line(error)}); {outcome}",
                hint="check the credentials in the environment, and what they may do",
            ) from error
        except (BaseError, OSError) as error:
            raise UnavailableError(
                f"{self.location} failed: {_first_line(error)}; {outcome}",
                hint="run the same command again when the store can be reached: blobs already"
                " stored are not sent twice",
            ) from error


def _temporary_file() -> IO[bytes]:
    # In memory as long as it is small. On a disk it has no name: a killed process leaves nothing.
    return cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=CHUNK))


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"no temporary file could be written in {tempfile.gettempdir()} ({error.strerror});"
            " nothing was registered",
            hint="make room there, or name another folder with TMPDIR",
        ) from error


def _key(digest: str) -> str:
    check_digest(digest)
    return f"sha256/{digest[7:9]}/{digest[9:]}"


def _age(at: datetime) -> float:
    return max(0.0, time.time() - at.timestamp())


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).split("\n")[0][:300]
