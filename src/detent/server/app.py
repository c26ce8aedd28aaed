"""The server as an ASGI application: routes made from the table of `detent.api`."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path

from detent.api import LARGEST_PAGE, PAGE, PREFIX, ROUTES, Route, model_of
from detent.domain.access import Role, Token
from detent.domain.digest import digest_of
from detent.domain.rollout import Rollout
from detent.errors import DetentError, InvalidError
from detent.operations import Operations
from detent.registry.stores import Stores
from detent.server import auth, transfer
from detent.server.compression import Compressed
from detent.server.document import openapi
from detent.server.keys import Answer, answer_once
from detent.server.patience import body_of
from detent.server.problems import plain_problem, problem_of, respond
from detent.server.telemetry import Observed, Telemetry, note_actor
from detent.server.watch import stream_events
from detent.webhooks.deliver import Teller

MAX_BODY = 8 << 20  # bytes of JSON: a manifest of very many files fits
MAX_HEADERS = 64 << 10  # bytes of all of them
_REST = ("reference", "name")  # may hold a slash: `churn/7`

Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """What the routes share: the stores, the uploads, and where requests may come from."""

    def __init__(self, stores: Stores, *, hosts: frozenset[str] | None) -> None:
        self.stores = stores
        self.hosts = hosts
        self.uploads = transfer.Uploads(stores.blobs)
        self.telemetry = Telemetry(stores)

    def identify(self, request: Request) -> Token:
        """Return who asks."""
        token = auth.identify(self.stores, request)
        note_actor(token.name)
        return token

    def stores_for(self, token: Token) -> Stores:
        """Return the stores as one actor sees them."""
        return self.stores.acting_as(token.name)

    def check_source(self, request: Request) -> None:
        """Refuse a request for another host, or a change that another site's page sent.

        Also one whose headers are too large: what parses them sets no limit.
        """
        if sum(len(name) + len(text) for name, text in request.headers.raw) > MAX_HEADERS:
            raise HTTPException(431, f"the headers have more than {MAX_HEADERS:,} bytes")
        host = request.headers.get("host", "")
        if self.hosts is not None and urlsplit(f"//{host}").hostname not in self.hosts:
            raise HTTPException(421, "this server does not answer under that name: see --host")
        origin = request.headers.get("origin")
        changes = request.method not in ("GET", "HEAD")
        if changes and origin is not None and urlsplit(origin).netloc != host:
            raise HTTPException(403, "a page of another site sent this; nothing was changed")


def make_app(
    stores: Stores,
    *,
    hosts: frozenset[str] | None = None,
    more: Callable[[Server], list[BaseRoute]] | None = None,
) -> Starlette:
    """Return the application that serves a registry.

    Parameters
    ----------
    stores : Stores
        The registry; its actor stands for whoever gives no name.
    hosts : frozenset of str, optional
        The names that the server answers under; by default any.
    more : callable, optional
        Gives further routes, such as those of the pages.
    """
    server = Server(stores, hosts=hosts)
    routes: list[BaseRoute] = [
        Path(PREFIX + _pattern(route), _operation(server, route), methods=[route.method])
        for route in ROUTES.values()
    ]
    routes += [
        Path(f"{PREFIX}/blobs/{{digest}}", _blob(server), methods=["GET", "PUT", "DELETE"]),
        Path(f"{PREFIX}/whoami", _guarded(server, _whoami(server))),
        Path("/events", _guarded(server, _events(server))),
        Path("/openapi.json", _guarded(server, _document)),
        Path("/health", _health(server)),
        Path("/metrics", _guarded(server, _metrics(server))),
    ]
    routes += more(server) if more else []
    handlers: Mapping[Any, Any] = {HTTPException: _on_error, Exception: _on_error}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        teller = Teller(stores)
        teller.start()
        try:
            yield
        finally:
            await run_in_threadpool(teller.stop)
            server.uploads.close()

    middleware = [
        Middleware(Observed, telemetry=server.telemetry, routes=routes),
        Middleware(Compressed, minimum_size=1000, compresslevel=6),
    ]
    app = Starlette(
        routes=routes, exception_handlers=handlers, lifespan=lifespan, middleware=middleware
    )
    app.state.server = server
    return app


def _pattern(route: Route) -> str:
    path = route.path
    for name in _REST:
        path = path.replace(f"{{{name}}}", f"{{{name}:path}}")
    return path


async def _on_error(request: Request, error: Exception) -> Response:
    return respond(problem_of(error))


def _guarded(server: Server, handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        try:
            server.check_source(request)
            return await handler(request)
        except (DetentError, HTTPException) as error:
            return respond(problem_of(error))

    return guarded


def _operation(server: Server, route: Route) -> Handler:
    async def handle(request: Request) -> Response:
        body = await body_of(request, MAX_BODY) if route.has_body else b""
        return await run_in_threadpool(_answer, server, route, request, body)

    return _guarded(server, handle)


def _answer(server: Server, route: Route, request: Request, body: bytes) -> Response:
    token = server.identify(request)
    if not token.role.allows(route.role):  # before anything is said about what was sent
        auth.check(token, route.role, None)
    arguments = _arguments(route, request, body)
    auth.check(token, route.role, model_of(arguments[route.about]) if route.about else None)
    stores = server.stores_for(token)
    has_expected = arguments.get("expected") is not None

    def run(stores: Stores) -> Answer:
        return 200, _run(route, Operations(stores), arguments).decode()

    def fail(error: DetentError) -> Answer:
        problem = problem_of(error, has_expected=has_expected)
        return problem["status"], json.dumps(problem)

    key = request.headers.get("idempotency-key")
    try:
        if key and route.takes_key:
            told = digest_of(body + f"\n{request.url.path}\n{arguments.get('expected')}".encode())
            status, text = answer_once(stores, key, told, run, fail)
        else:
            status, text = run(stores)
    except DetentError as error:
        return respond(problem_of(error, has_expected=has_expected))
    if status != 200:
        return respond(json.loads(text))
    return _with_etag(route, request, text.encode())


def _run(route: Route, operations: Operations, arguments: dict[str, Any]) -> bytes:
    method = getattr(operations, route.name)
    if not route.is_list:
        return msgspec.json.encode(method(**arguments))
    if route.cursor is None:
        return msgspec.json.encode({"items": method(**arguments), "next": None})
    limit = arguments.pop("limit")
    limit = PAGE if limit is None else max(0, min(limit, LARGEST_PAGE))
    items = method(**arguments, limit=limit + 1)
    begin = getattr(items[limit - 1], route.cursor_of) if len(items) > limit > 0 else None
    return msgspec.json.encode({"items": items[:limit], "next": begin})


def _arguments(route: Route, request: Request, body: bytes) -> dict[str, Any]:
    try:
        if route.has_body:
            given = msgspec.json.decode(body or b"{}", type=route.input)
        else:
            given = msgspec.convert(dict(request.query_params), type=route.input, strict=False)
        path = {name: request.path_params[name] for name in route.in_path}
        found = {n: msgspec.convert(v, route.hints[n], strict=False) for n, v in path.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise InvalidError(f"the request is malformed: {error}; nothing was changed") from None
    found |= {name: getattr(given, name) for name in given.__struct_fields__}
    if route.takes_expected:
        found["expected"] = _expected(request)
    return found


def _expected(request: Request) -> int | None:
    """Return the entry, or the move, that ``If-Match`` names: an ETag begins with it."""
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    digits = text.strip().removeprefix("W/").strip('"').partition("-")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise InvalidError("If-Match names the ETag of what is to be changed; nothing was changed")
    return int(digits)


def _with_etag(route: Route, request: Request, body: bytes) -> Response:
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if route.method == "GET":
        tag = digest_of(body)[7:23]
        if route.name == "status" and "@" in request.query_params.get("name", ""):
            entry = msgspec.json.decode(body)["items"][0]["activation"]["entry"]
            tag = f"{entry}-{tag}"
        elif route.name == "rollout":
            tag = f"{msgspec.json.decode(body, type=Rollout).phase_us}-{tag}"
        headers["ETag"] = f'"{tag}"'
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _blob(server: Server) -> Handler:
    async def handle(request: Request) -> Response:
        digest = request.path_params["digest"]
        token = await run_in_threadpool(server.identify, request)
        if request.method == "PUT":
            auth.check(token, Role.CONTRIBUTOR, None)
            return await transfer.receive(request, server.uploads, digest)
        blobs = server.stores.blobs
        if request.method == "DELETE":
            auth.check(token, Role.ADMIN, None)
            return await run_in_threadpool(transfer.drop_damaged, blobs, digest)
        return await run_in_threadpool(transfer.send, request, blobs, server.uploads, digest)

    return _guarded(server, handle)


def _whoami(server: Server) -> Handler:
    async def handle(request: Request) -> Response:
        token = await run_in_threadpool(server.identify, request)
        return Response(msgspec.json.encode(token), media_type="application/json")

    return handle


def _metrics(server: Server) -> Handler:
    def show(request: Request) -> Response:
        auth.check(server.identify(request), Role.READER, None)
        return server.telemetry.show()

    async def handle(request: Request) -> Response:
        return await run_in_threadpool(show, request)

    return handle


def _events(server: Server) -> Handler:
    async def handle(request: Request) -> Response:
        token = await run_in_threadpool(server.identify, request)
        auth.check(token, Role.READER, None)
        return await stream_events(server.stores, request)

    return handle


async def _document(request: Request) -> Response:
    return Response(msgspec.json.encode(openapi()), media_type="application/json")


def _health(server: Server) -> Handler:
    def look() -> Response:
        try:
            server.stores.metadata.current.journal_head()
        except DetentError as error:
            return respond(plain_problem(503, error.message))
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def handle(request: Request) -> Response:
        return await run_in_threadpool(look)

    return handle
