"""Requests that follow the links of the API document: what was made is used, and no defect met."""

import re
from collections import Counter
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from detent.api import ROUTES
from detent.blobs.base import put
from detent.blobs.memory import MemoryBlobs
from detent.domain.manifest import File, Manifest
from detent.metadata.sqlite import SqliteMetadata
from detent.server.app import make_app
from detent.server.document import openapi
from detent.testing.registries import live_through_everything, register_bytes, stores_on

MODELS = ("fraud", "wine", "churn")
# What stands in for a name that was made up: those that a link gives look like these.
KNOWN = {"model": "fraud", "alias": "fraud@production", "reference": "fraud/3", "name": "fraud"}
LIKE = re.compile(rf"({'|'.join(MODELS)})([@/].+)?|[1-9][0-9]*")


class Fresh:
    """An application that begins anew, with a registry of its own, as often as it is told to."""

    def __init__(self) -> None:
        self._app: Any = None
        self.begin()

    def end(self) -> None:
        self._app.state.server.uploads.close()

    def begin(self) -> None:
        if self._app is not None:
            self.end()
        stores = stores_on(SqliteMetadata(None), MemoryBlobs())
        registry = live_through_everything(stores)
        register_bytes(stores, MODELS[-1], b"one to roll out against")
        registry.activate(f"{MODELS[-1]}/1", "production")
        self._app = make_app(stores)
        self.secret = registry.create_token("everything", role="admin").secret
        self.n_made = 0
        self._stores = stores
        self._evaluation = msgspec.to_builtins(registry.evaluations("fraud/2")[0])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def body_of(self, operation: str) -> Any:
        """Return a body with which something is made; None where what was made up may do."""
        self.n_made += 1
        if operation == "register_manifest":
            content = b"made %d" % self.n_made
            digest = put(self._stores.blobs, content)
            file = File(path="model", digest=digest, size_bytes=len(content))
            return {"manifest": msgspec.to_builtins(Manifest(format="files", files=(file,)))}
        return {
            "record_evaluation": {"evaluation": self._evaluation},
            "create_token": {"name": "somebody", "role": "reader"},
            "create_webhook": {"url": "https://hooks.example/x"},
        }.get(operation)


def follow_links(*, examples: int, steps: int) -> Counter[str]:
    """Play scenarios; return how often each operation was answered with success."""
    app, done = Fresh(), Counter[str]()
    machine: Any = schemathesis.openapi.from_asgi("/openapi.json", app).as_state_machine()

    class Scenario(machine):  # made from the document
        def setup(self) -> None:
            app.begin()

        def before_call(self, case: Any) -> None:
            operation = case.operation.definition.raw["operationId"]
            case.headers["Authorization"] = f"Bearer {app.secret}"
            made = app.body_of(operation)
            if made is not None:
                case.body = made
            if operation == "register_manifest":
                case.path_parameters["model"] = MODELS[-1]  # demands nothing of an activation
            for name, text in case.path_parameters.items():
                if name in KNOWN and not LIKE.fullmatch(unquote(str(text))):
                    case.path_parameters[name] = KNOWN[name]
            if app.n_made % 4:  # else what is made up: nothing would ever match it
                case.headers.pop("If-Match", None)

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            assert response.status_code < 500, (case.formatted_path, case.body, response.text)
            if response.status_code == 200:
                done[case.operation.definition.raw["operationId"]] += 1

    try:
        Scenario.run(
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                database=None,
                deadline=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
        )
    finally:
        app.end()
    return done


def linked() -> set[str]:
    """Return the operations that a link leads to."""
    answers = [
        operation["responses"]["200"]
        for path in openapi()["paths"].values()
        for operation in path.values()
    ]
    return {link["operationId"] for answer in answers for link in answer.get("links", {}).values()}


def test_links_lead_to_operations_and_name_their_parameters() -> None:
    for path in openapi()["paths"].values():
        for operation in path.values():
            for link in operation["responses"]["200"].get("links", {}).values():
                route = ROUTES[link["operationId"]]
                given = {*link["parameters"], *link.get("requestBody", {})}
                assert given <= set(route.parameters)
                assert set(route.in_path) <= set(link["parameters"])


def test_what_was_made_is_used_and_meets_no_defect() -> None:
    done = follow_links(examples=12, steps=15)
    assert sum(done.values()) > 50
    assert len(linked() & done.keys()) > len(linked()) / 3, linked() - done.keys()


@pytest.mark.slow
def test_very_many_scenarios_meet_no_defect() -> None:
    """Run by ``make fault``."""
    done = follow_links(examples=200, steps=25)
    assert len(linked() & done.keys()) > len(linked()) * 2 / 3, linked() - done.keys()
