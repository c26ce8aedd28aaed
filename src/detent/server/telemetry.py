"""What a server says of itself: a log line for each request, and figures for Prometheus."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from detent.domain.server import Server
from detent.errors import UnavailableError
from detent.operations import Operations
from detent.registry.stores import Stores

_logger = logging.getLogger("detent.access")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

actor: ContextVar[list[str] | None] = ContextVar("actor", default=None)


def note_actor(name: str) -> None:
    """Note who the request that is being answered is from, for the log."""
    holder = actor.get()
    if holder is not None:
        holder[:] = [name]


class Telemetry:
    """Counts requests, and tells what aliases hold when it is asked."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "detent_requests_total", "Requests answered", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "detent_request_seconds",
            "Time from a request to the end of its answer",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(self)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a pattern, so that there are few of them."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def describe(self) -> list[Any]:
        """Return nothing: the figures are known when they are asked for."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what the registry holds now."""
        operations = Operations(self._stores)
        labels = ("model", "alias")
        version = GaugeMetricFamily(
            "detent_active_version",
            "The version that an alias holds; 0 when it holds none",
            labels=labels,
        )
        changed = GaugeMetricFamily(
            "detent_alias_changed_timestamp_seconds", "When an alias was changed", labels=labels
        )
        servers = GaugeMetricFamily(
            "detent_servers", "Processes that follow an alias", labels=(*labels, "state")
        )
        waiting = GaugeMetricFamily(
            "detent_webhook_failures",
            "Tries in a row that a webhook did not accept",
            labels=("webhook",),
        )
        entries: dict[tuple[str, str], int] = {}
        for status in operations.status():
            key = (status.model, status.alias)
            entries[key] = status.activation.entry
            version.add_metric(key, status.version.number if status.version else 0)
            changed.add_metric(key, status.activation.at.timestamp())
        counts: dict[tuple[str, str, str], int] = {}
        for server in _servers_of(operations):
            is_behind = server.entry < entries.get((server.model, server.alias), 0)
            place = (server.model, server.alias, "behind" if is_behind else "following")
            counts[place] = counts.get(place, 0) + 1
        for place, n in counts.items():
            servers.add_metric(place, n)
        for webhook in operations.webhooks():
            waiting.add_metric((str(webhook.id),), webhook.failures)
        yield from (version, changed, servers, waiting)

    def show(self) -> Response:
        """Return the figures as Prometheus reads them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


def _servers_of(operations: Operations) -> list[Server]:
    with suppress(UnavailableError):  # no figure is better than a wrong one, or than no figures
        return operations.servers()
    return []


class Observed:
    """An application whose requests are counted and logged, each under an id of its own.

    The id is that of the header ``X-Request-Id`` where a proxy gave one, and stands in that header
    of the answer.
    """

    def __init__(
        self, app: ASGIApp, *, telemetry: Telemetry, routes: Sequence[BaseRoute] = ()
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._patterns: dict[Any, str] = {
            route.endpoint: route.path for route in routes if isinstance(route, Path)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and say how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Request(scope).headers.get("x-request-id", "")
        id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        status, started, who = 500, time.perf_counter(), list[str]()
        token = actor.set(who)

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_observed)
        finally:
            actor.reset(token)
            seconds = time.perf_counter() - started
            pattern = self._patterns.get(scope.get("endpoint"), "other")
            method = scope["method"] if pattern != "other" else "other"
            self._telemetry.count(method, pattern, status, seconds)
            fields = {
                "id": id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round(seconds * 1000, 2),
                "actor": who[0] if who else None,
            }
            _logger.info("request", extra={"fields": fields})
