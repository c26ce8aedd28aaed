"""The protocol over HTTP.

Requests for predictions go past the web framework: between reading a body and sending an answer
lies nothing but decoding, the model and encoding. Everything else is ordinary routes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from detent.errors import DetentError, InvalidError
from detent.inference.engine import Engine
from detent.inference.logs import log
from detent.inference.options import ServeOptions
from detent.inference.protocol import decode_request, encode_answer, encode_problem
from detent.inference.tensors import datatype_of
from detent.inference.watch import BodyWatch
from detent.runtime.deployment import Deployment
from detent.runtime.slot import Slot

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LENGTH = b"inference-header-content-length"
_KEY = b"detent-key"
_HEADER_NAMES = frozenset({b"content-length", _LENGTH, b"x-request-id", b"content-encoding", _KEY})
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_PROBLEM = (b"content-type", b"application/problem+json")


class _TooLargeError(InvalidError):
    http_status = 413


class _TooSlowError(InvalidError):
    http_status = 408


class _UnsupportedError(InvalidError):
    http_status = 415


class _ClientLeftError(Exception):
    """Nobody is there to be answered."""


class Application:
    """The ASGI application of a worker."""

    def __init__(self, engine: Engine, options: ServeOptions, rest: FastAPI) -> None:
        self.engine = engine
        self._limit = options.limit_bytes
        self._watch = BodyWatch(options.body_s)
        self._log_requests = options.log_requests
        self._rest = rest
        self._paths = {f"/v2/models/{name}/infer": name for name in engine.names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or take part in the life of the process."""
        if scope["type"] != "http" or not scope["path"].endswith("/infer"):
            await self._rest(scope, receive, send)
        elif scope["method"] != "POST":
            await _send(send, 405, b"", [(b"allow", b"POST")])
        else:
            await self._infer(scope, receive, send)

    async def _infer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        engine = self.engine
        headers = {name: text for name, text in scope["headers"] if name in _HEADER_NAMES}
        request_id = headers.get(b"x-request-id", b"").decode("latin-1")[:200]
        name, version, status = "", "", 200
        slot: Slot | None = None
        deployment: Deployment | None = None
        try:
            name, version = self._target(scope["path"])
            deployment = engine.find(name)
            body = await self._body(headers, receive)
            asked = decode_request(body, _text(headers.get(_LENGTH)))
            if _KEY in headers and asked.key is None:
                asked.key = headers[_KEY].decode("latin-1")[:200]
            request_id = asked.id or request_id or engine.new_id()
            tensors, slot = await engine.answer(deployment, asked, request_id, version=version)
            encoded, n_json = encode_answer(
                name, slot.version.number, request_id, tensors, binary=asked.binary, form=slot.form
            )
            more = [
                _JSON if n_json is None else _BINARY,
                (b"detent-version", b"%d" % slot.version.number),
                (b"detent-request-id", request_id.encode("ascii", "replace")),
            ]
            if n_json is not None:
                more.append((_LENGTH, b"%d" % n_json))
            await _send(send, 200, encoded, more)
        except DetentError as error:
            request_id = request_id or engine.new_id()
            status = error.http_status
            await _send_problem(send, error, status, request_id)
        except _ClientLeftError:
            status = 499
        finally:
            if slot is not None and deployment is not None:
                engine.finish(deployment, slot)
        if self._log_requests:
            log(
                "request",
                request_id=request_id,
                model=name,
                version=slot.version.number if slot else None,
                status=status,
                seconds=round(time.perf_counter() - started, 6),
            )

    def _target(self, path: str) -> tuple[str, str]:
        name = self._paths.get(path)
        if name is not None:
            return name, ""
        name, _, version = (
            path[: -len("/infer")].removeprefix("/v2/models/").partition("/versions/")
        )
        return name, version

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | bytearray:
        if b"content-encoding" in headers:
            raise _UnsupportedError(
                "a compressed body is not read", details={"field": "header Content-Encoding"}
            )
        if int(headers.get(b"content-length", b"0")) > self._limit:
            raise self._too_large()
        task = asyncio.current_task()
        assert task is not None
        self._watch.begin(task)
        try:
            message = await receive()
            body: bytes | bytearray = message.get("body", b"")
            if message.get("more_body"):
                body = bytearray(body)
                while message.get("more_body"):
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > self._limit:
                        raise self._too_large()
        except asyncio.CancelledError:
            if not self._watch.was_late(task):
                raise
            raise _TooSlowError(
                f"the body did not arrive in {self._watch.limit_s:g} s", details={"field": "body"}
            ) from None
        finally:
            self._watch.end(task)
        if message["type"] == "http.disconnect":
            raise _ClientLeftError
        if len(body) > self._limit:
            raise self._too_large()
        return body

    def _too_large(self) -> InvalidError:
        return _TooLargeError(
            f"the body is larger than {self._limit:,} bytes",
            hint="send fewer rows at once, or serve with a larger --limit-mb",
            details={"field": "body", "limit_bytes": self._limit},
        )


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_problem(send: Send, error: DetentError, status: int, request_id: str) -> None:
    headers = [_PROBLEM, (b"detent-request-id", request_id.encode("ascii", "replace"))]
    if status in (408, 413):  # what is left of the body is not read
        headers.append((b"connection", b"close"))
    body = encode_problem(error, status=status, request_id=request_id)
    await _send(send, status, body, headers)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def make_routes(engine: Engine, metrics: Callable[[], tuple[bytes, str]]) -> FastAPI:
    """Return the routes besides those for predictions."""
    import detent

    api = FastAPI(title="detent serve", version=detent.__version__)
    extensions = ["binary_tensor_data", "model_versions"]

    @api.exception_handler(DetentError)
    def problem(_: Request, error: DetentError) -> Response:
        return Response(
            encode_problem(error, status=error.http_status),
            error.http_status,
            media_type="application/problem+json",
        )

    @api.get("/v2")
    def server() -> dict[str, Any]:
        return {"name": "detent", "version": detent.__version__, "extensions": extensions}

    @api.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @api.get("/v2/health/ready")
    async def ready() -> Response:
        engine.follower.see()
        return _said("ready", is_ready(engine))

    @api.get("/v2/models/{name}/ready")
    @api.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> Response:
        engine.follower.see()
        deployment = engine.find(name)
        if version:
            engine.check_version(deployment, deployment.active, version)
        return _said("ready", deployment.may_answer and engine.follower.may_answer)

    @api.get("/v2/models/{name}")
    @api.get("/v2/models/{name}/versions/{version}")
    async def model(name: str, version: str = "") -> dict[str, Any]:
        engine.follower.see()
        deployment = engine.find(name)
        if version:
            engine.check_version(deployment, deployment.active, version)
        return {"name": name, **describe(deployment)}

    @api.get("/metrics")
    def show_metrics() -> Response:
        body, media_type = metrics()
        return Response(body, media_type=media_type)

    return api


def is_ready(engine: Engine) -> bool:
    """Return whether every alias is answered here, or holds nothing to answer with."""
    return engine.follower.may_answer and all(
        deployment.may_answer
        or (deployment.active is None and deployment.entry > 0 and deployment.problem is None)
        for deployment in engine.follower.deployments
    )


def describe(deployment: Deployment) -> dict[str, Any]:
    """Return the metadata of what answers now.

    Raises
    ------
    NotFoundError
        If the alias holds no version.
    UnavailableError
        If the version it holds is not loaded here.
    """
    slot, _ = deployment.acquire()
    deployment.release(slot)
    return {
        "versions": [str(slot.version.number)],
        "platform": f"detent_{slot.version.format}",
        "inputs": _fields(slot, "inputs"),
        "outputs": _fields(slot, "outputs"),
    }


def _fields(slot: Slot, what: str) -> list[dict[str, Any]]:
    return [
        {"name": field.name, "datatype": datatype_of(field.dtype), "shape": list(field.shape)}
        for field in (getattr(slot.signature, what) if slot.signature else ())
    ]


def _said(what: str, is_so: bool) -> Response:
    return JSONResponse({what: is_so}, 200 if is_so else 503)
