"""Blobs up and down: streams with digests, resumed after a break.

An upload is named by the digest of what is sent, so that a client that comes again after a break,
even as another process, goes on where the server's copy ends. Each chunk is added only behind the
bytes that it follows: two that send the same blob at a time cannot mix it up.
"""

import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from detent.blobs.base import CHUNK, Blobs, open_verified
from detent.domain.digest import check_digest
from detent.errors import CorruptError, InvalidError, NotFoundError
from detent.server.patience import parts_of

MAX_AGE_S = 86_400.0  # an upload that nobody goes on with is dropped after a day
LARGEST_BLOB = 1 << 40


class Uploads:
    """The blobs that are on their way into a store. May be shared between threads."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._folder = tempfile.TemporaryDirectory(prefix="detent-uploads-")
        self._lock = Lock()

    def close(self) -> None:
        """Drop what never became whole: whoever sends it begins anew."""
        self._folder.cleanup()

    def size(self, digest: str) -> int:
        """Return how many bytes of a blob are here already."""
        path = self._path(digest)
        return path.stat().st_size if path.exists() else 0

    def add(self, digest: str, offset: int, chunk: bytes) -> int:
        """Add bytes behind those that are here; return how many are here then."""
        with self._lock:
            if self.size(digest) != offset:
                raise HTTPException(
                    409, "another part of this blob is expected: see the header Upload-Offset"
                )
            with self._path(digest).open("ab") as stream:
                stream.write(chunk)
        return offset + len(chunk)

    def finish(self, digest: str) -> None:
        """Move a whole blob into the store, if it is what its digest says."""
        path = self._path(digest)
        with self._lock:
            if self._blobs.find_size(digest) is not None and not path.exists():
                return
            path.touch()
            if _hash(path) != digest:
                path.unlink()
                raise InvalidError("the bytes sent do not hash to their digest; none were kept")
            with path.open("rb") as source, self._blobs.create() as writer:
                while chunk := source.read(CHUNK):
                    writer.write(chunk)
            path.unlink()
            self._drop_old()

    def _drop_old(self) -> None:
        oldest = time.time() - MAX_AGE_S
        for path in Path(self._folder.name).iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return Path(self._folder.name) / check_digest(digest)[7:]


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


async def receive(request: Request, uploads: Uploads, digest: str) -> Response:
    """Take a blob, or the rest of one that begins at ``Upload-Offset``."""
    check_digest(digest)
    offset = _number(request, "upload-offset", 0)
    total = _number(request, "upload-length", -1)
    if total > LARGEST_BLOB:
        raise HTTPException(413, f"a blob has at most {LARGEST_BLOB:,} bytes")
    waiting = b""
    try:
        async for chunk in _limited(parts_of(request), total - offset):
            waiting += chunk
            if len(waiting) >= CHUNK:
                offset = await run_in_threadpool(uploads.add, digest, offset, waiting)
                waiting = b""
    except ClientDisconnect:
        total = -1
    if waiting:
        offset = await run_in_threadpool(uploads.add, digest, offset, waiting)
    if offset == total:
        await run_in_threadpool(uploads.finish, digest)
        return Response(status_code=201)
    return Response(status_code=202, headers={"Upload-Offset": str(offset)})


async def _limited(stream: AsyncIterator[bytes], left: int) -> AsyncIterator[bytes]:
    async for chunk in stream:
        left -= len(chunk)
        if left < 0:
            raise HTTPException(413, "more bytes were sent than Upload-Length says")
        yield chunk


def _number(request: Request, header: str, default: int) -> int:
    text = request.headers.get(header)
    if text is None and default < 0:
        raise InvalidError(f"the header {header} is needed")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidError(f"the header {header} is a whole number")
    return default if text is None else int(text)


def send(request: Request, blobs: Blobs, uploads: Uploads, digest: str) -> Response:
    """Answer with a blob, from the byte on that ``Range`` names."""
    size = blobs.find_size(check_digest(digest))
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f'attachment; filename="{digest[7:19]}.bin"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Accept-Ranges": "bytes",
        "ETag": f'"{digest}"',
    }
    if size is None:
        if request.method == "HEAD":
            return Response(status_code=404, headers={"Upload-Offset": str(uploads.size(digest))})
        raise NotFoundError(f"there is no blob {digest}")
    start = _range_start(request.headers.get("range"), size)
    headers["Content-Length"] = str(size - start)
    if start:
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(
        _chunks(blobs.open(digest), start),
        status_code=206 if start else 200,
        media_type="application/octet-stream",
        headers=headers,
    )


def drop_damaged(blobs: Blobs, digest: str) -> Response:
    """Remove a blob that is not what its digest says, so that a good one can take its place.

    Raises
    ------
    InvalidError
        If it is whole: `prune` removes what nothing needs.
    """
    try:
        if blobs.find_size(check_digest(digest)) is not None:
            open_verified(blobs, digest, what="it").close()
            raise InvalidError(
                "this blob is whole; nothing was removed",
                hint="detent prune removes what is unused",
            )
    except CorruptError:
        blobs.delete(digest)
    return Response(status_code=204)


def _range_start(text: str | None, size: int) -> int:
    # Only what a resumed download asks for, `bytes=N-`; any other range gets all of it.
    if text is None or not (text.startswith("bytes=") and text.endswith("-")):
        return 0
    digits = text[6:-1]
    start = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else 0
    return start if start < size else 0


def _chunks(stream: BinaryIO, start: int) -> Iterator[bytes]:
    with stream:
        stream.seek(start)
        while chunk := stream.read(CHUNK):
            yield chunk
