"""A registry behind a server: the same operations, asked over HTTP.

`RemoteOperations` has the methods of `Operations`, made from the table in `detent.api`. Bytes go
up under the digest that they have, and only if the server has them not yet; a break costs what was
not sent. Requests that change something carry a key, so that sending one again is safe.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, NoReturn, cast
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from detent import errors
from detent.api import LARGEST_PAGE, PREFIX, ROUTES, Route
from detent.blobs.base import CHUNK, BlobInfo, Blobs
from detent.domain.access import Token
from detent.domain.clock import utc_now
from detent.domain.digest import check_digest, short_digest
from detent.domain.evidence import Decision
from detent.domain.rollout import Rollout
from detent.errors import DetentError, InvalidError, NotFoundError, UnavailableError
from detent.operations import Operations
from detent.registry.stores import Stores

TIMEOUT_S = 60.0
TRIES = 3
_IN_MEMORY = 8 << 20  # bytes of a blob that wait in memory; more of them wait in a file


class Connection:
    """Requests to one server, with a pool of connections. May be shared between threads."""

    def __init__(self, url: str, *, user: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Detent-User": quote(user)}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=16, timeout=urllib3.Timeout(connect=5.0, read=TIMEOUT_S), retries=False
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        stream: bool = False,
        tries: int = TRIES,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, again when no answer came; whoever asks says that this is safe.

        Raises
        ------
        UnavailableError
            If the server did not answer.
        """
        for left in reversed(range(tries)):
            try:
                return self._pool.request(
                    method,
                    self.url + path,
                    body=body,
                    headers=self._headers | (headers or {}),
                    preload_content=not stream,
                    redirect=False,
                )
            except urllib3.exceptions.HTTPError as error:
                if not left:
                    raise UnavailableError(
                        f"the server at {self.url} did not answer ({type(error).__name__},"
                        f" {tries} tries)",
                        hint="run the same command again: what was done is not done twice",
                    ) from error
        raise AssertionError("no try was made")

    def close(self) -> None:
        """Close all connections; the next request opens one."""
        self._pool.clear()


class RemoteOperations(Operations):
    """The operations of a registry behind a server. May be shared between threads."""

    def __init__(self, url: str, *, user: str, token: str | None = None) -> None:
        self._connection = Connection(url, user=user, token=token)
        self._blobs = RemoteBlobs(self._connection)
        self._user: str | None = None

    @property
    def stores(self) -> Stores:
        """Refused: the stores are the server's."""
        raise InvalidError(
            f"serving needs the stores themselves, and those of {self.location} are its"
            " server's own; nothing was changed",
            hint="run it where they are, with their folder or `postgresql://…` as the URL",
        )

    @property
    def blobs(self) -> Blobs:
        """The bytes."""
        return self._blobs

    @property
    def clock(self) -> Callable[[], datetime]:
        """Gives the present time of this machine."""
        return utc_now

    @property
    def location(self) -> str:
        """The server's URL."""
        return self._connection.url

    @property
    def user(self) -> str:
        """Who acts, as the server knows them."""
        if self._user is None:
            answer = _checked(self._connection.send("GET", f"{PREFIX}/whoami"))
            self._user = msgspec.json.decode(answer, type=Token).name
        return self._user

    def create(self) -> bool:
        """Return False: a server has made its registry before it answers."""
        _ = self.user
        return False

    def drive_rollout(self, name: str) -> Rollout:
        """Return how far a rollout is: where the rows are, others drive it."""
        return self.rollout(name=name)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _ask(self, route: Route, arguments: dict[str, Any]) -> Any:
        headers, path = {}, PREFIX + route.path
        for name in route.in_path:
            path = path.replace(f"{{{name}}}", quote(str(arguments.pop(name)), safe="@:"))
        expected = arguments.pop("expected", None)
        if expected is not None:
            headers["If-Match"] = f'"{expected}"'
        given = {n: msgspec.to_builtins(v) for n, v in arguments.items() if v is not None}
        body = None
        if route.has_body:
            headers["Content-Type"] = "application/json"
            if route.takes_key:
                headers["Idempotency-Key"] = secrets.token_urlsafe(16)
            body = msgspec.json.encode(given)
        elif given:
            path += "?" + urlencode({n: _text(value) for n, value in given.items()})
        # Without a key, a second try of a deletion could meet what the first one did.
        tries = 1 if route.method == "DELETE" else TRIES
        answer = self._connection.send(route.method, path, body=body, headers=headers, tries=tries)
        return msgspec.json.decode(_checked(answer), type=route.output)

    def _ask_all(self, route: Route, arguments: dict[str, Any]) -> list[Any]:
        if route.cursor is None:
            return list(self._ask(route, arguments).items)
        found: list[Any] = []
        limit = arguments.pop("limit", None)
        while limit is None or len(found) < limit:
            most = LARGEST_PAGE if limit is None else min(limit - len(found), LARGEST_PAGE)
            page = self._ask(route, arguments | {"limit": most})
            found += page.items
            if page.next is None:
                break
            arguments[route.cursor] = page.next
        return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _make(route: Route) -> Callable[..., Any]:
    import inspect

    signature = inspect.signature(getattr(Operations, route.name))

    def ask(self: RemoteOperations, *given: Any, **named: Any) -> Any:
        bound = signature.bind(self, *given, **named).arguments
        arguments = {name: bound[name] for name in route.parameters if name in bound}
        return self._ask_all(route, arguments) if route.is_list else self._ask(route, arguments)

    return ask


for _name, _route in ROUTES.items():
    setattr(RemoteOperations, _name, _make(_route))


def _checked(answer: urllib3.BaseHTTPResponse) -> bytes:
    if answer.status >= 300:
        _raise(answer.status, answer.data)
    return answer.data


def _raise(status: int, body: bytes) -> NoReturn:
    """Raise the error that the server met."""
    try:
        problem = json.loads(body)
        kind = getattr(errors, problem["title"])
        error: DetentError = kind(
            problem["detail"], hint=problem.get("hint"), details=problem.get("details")
        )
        if problem.get("decision") is not None:
            error.decision = msgspec.convert(problem["decision"], Decision)  # type: ignore[attr-defined]  # the refusing ones have it
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError):
        text = body[:200].decode(errors="replace")
        raise UnavailableError(
            f"what answered with status {status} is no detent server: {text!a}"
        ) from None
    raise error


class _Writer:
    """A blob that waits here until its digest is known."""

    def __init__(self) -> None:
        self.digest = ""
        self.size_bytes = 0
        self.stream = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # closed in create
        self._hasher = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data).cast("B")
        self._hasher.update(view)
        self.stream.write(view)
        self.size_bytes += len(view)
        return len(view)

    def finish(self) -> None:
        self.digest = "sha256:" + self._hasher.hexdigest()


class RemoteBlobs:
    """The blobs of a server: written and read, not listed from here."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def create(self) -> Iterator[_Writer]:
        """Open a new blob for writing; it is sent when the block ends, unless it is there."""
        writer = _Writer()
        with writer.stream:
            yield writer
            writer.finish()
            self._send(writer)

    def _send(self, writer: _Writer) -> None:
        for left in reversed(range(TRIES)):
            found, offset = self._look(writer.digest)
            if found == writer.size_bytes:
                return
            writer.stream.seek(offset)
            headers = {
                "Upload-Offset": str(offset),
                "Upload-Length": str(writer.size_bytes),
                "Content-Length": str(writer.size_bytes - offset),
            }
            path = _path(writer.digest)
            try:
                body = writer.stream
                answer = self._connection.send("PUT", path, body=body, headers=headers, tries=1)
            except UnavailableError:
                if not left:
                    raise
                continue
            # 409: somebody else sends the same bytes, or the server has not yet noticed a break.
            if answer.status == 201 or (answer.status != 409 and _checked(answer) and not left):
                return
        raise UnavailableError(
            f"blob {short_digest(writer.digest)} could not be sent to {self._connection.url}",
            hint="run the same command again: what was sent already is not sent twice",
        )

    def _look(self, digest: str) -> tuple[int | None, int]:
        answer = self._connection.send("HEAD", _path(digest))
        if answer.status == 404:
            return None, int(answer.headers.get("Upload-Offset", 0))
        if answer.status >= 300:  # an answer to HEAD has no body: ask for the reason
            _checked(self._connection.send("GET", f"{PREFIX}/whoami"))
            raise UnavailableError(f"the server answered with status {answer.status}")
        return int(answer.headers["Content-Length"]), 0

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading, unchecked: it is fetched whole, a break costs the rest."""
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # whoever asked closes it
        for left in reversed(range(TRIES)):
            start = file.tell()
            headers = {"Range": f"bytes={start}-"} if start else {}
            answer = self._connection.send("GET", _path(digest), headers=headers, stream=True)
            if answer.status == 404:
                raise NotFoundError(f"blob {short_digest(digest)} is missing from the server")
            if answer.status >= 300:
                _raise(answer.status, answer.read())
            if answer.status != 206:
                file.seek(0)
            try:
                for chunk in answer.stream(CHUNK):
                    file.write(chunk)
                answer.release_conn()
                break
            except urllib3.exceptions.HTTPError as error:
                if not left:
                    raise UnavailableError(
                        f"blob {short_digest(digest)} did not arrive whole"
                    ) from error
        file.seek(0)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, _Raw(file))))

    def find_size(self, digest: str) -> int | None:
        """Return the size of a blob in bytes; None when there is no such blob."""
        return self._look(check_digest(digest))[0]

    def delete(self, digest: str) -> None:
        """Remove a damaged blob, to send a good one; the server refuses for one that is whole."""
        _checked(self._connection.send("DELETE", _path(digest), tries=1))

    def list_all(self) -> Iterator[BlobInfo]:
        """Refused: only the server lists its blobs."""
        raise InvalidError("a server does not list its blobs")

    def list_unfinished(self) -> Iterator[BlobInfo]:
        """Yield nothing: an interrupted upload is the server's to drop."""
        return iter(())

    def discard(self, name: str) -> None:
        """Do nothing."""


class _Raw(io.RawIOBase):
    """A temporary file as other files are: seekable, and read into a buffer."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return int(self._file.tell())

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def _path(digest: str) -> str:
    return f"{PREFIX}/blobs/{check_digest(digest)}"
