"""One worker: what it does while a model, or a client, takes its time."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Starter, rows, tensor, wait_until

import detent
from detent.inference.options import ServeOptions
from detent.inference.worker import make_application
from detent.testing.load import Load


def test_nothing_waits_for_a_slow_model(
    registry: detent.Registry, modules: Path, start: Starter, tmp_path: Path
) -> None:
    import broken  # type: ignore[import-not-found]  # written by the fixture

    registry.register("slow", broken.waits, sample=rows()[0][:1], code="/")
    registry.register("slow", broken.raises, sample=rows()[0][:1], code="/")
    registry.activate("slow/2", "production")
    registry.activate("slow/1", "production")
    door = tmp_path / "door"
    os.mkfifo(door)
    server = start(registry, "slow", "churn", "--trusted", DOOR=str(door))
    body = json.dumps(tensor([[7.0, 0.0, 0.0]])).encode()
    slow = Load("127.0.0.1", server.port, "/v2/models/slow/infer", body, connections=1)
    server.infer(tensor(), "slow")
    slow.start()
    with door.open("w"):  # returns when the model has opened the other end: it is being asked
        assert server.ask("GET", "/v2/health/ready").status == 200
        assert server.infer(tensor()).status == 200
        entry = registry.rollback("slow@production", wait_s=0.1)
        assert entry.confirmation is not None
        assert not entry.confirmation.is_complete, "an answer of version 1 is not finished"
        assert server.infer(tensor(), "slow").json["model_version"] == "2"
    wait_until(lambda: slow.records)
    assert slow.records[0].version == 1
    wait_until(lambda: registry.servers("slow")[0].entry == entry.entry)
    assert {record.status for record in slow.stop()} == {200}


@pytest.mark.parametrize("workers", [1, 4])
def test_a_request_in_flight_is_answered_before_the_end(
    registry: detent.Registry, modules: Path, start: Starter, tmp_path: Path, workers: int
) -> None:
    import broken

    registry.register("slow", broken.waits, sample=rows()[0][:1], code="/")
    registry.activate("slow/1", "production")
    door = tmp_path / "door"
    os.mkfifo(door)
    server = start(registry, "slow", "--trusted", "--workers", str(workers), DOOR=str(door))
    wait_until(lambda: len(registry.servers()) == workers)
    body = json.dumps(tensor([[7.0, 0.0, 0.0]])).encode()
    slow = Load("127.0.0.1", server.port, "/v2/models/slow/infer", body, connections=1)
    slow.start()
    with door.open("w"):  # returns when the model is being asked
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.is_ready())
        assert not slow.records
    wait_until(lambda: slow.records)
    assert slow.records[0].status == 200
    assert server.process.wait() == 0
    slow.stop()


def test_a_worker_that_loads_may_be_silent_and_one_that_answers_may_not(
    registry: detent.Registry, start: Starter, tmp_path: Path
) -> None:
    server = start(registry, "churn", "--workers", "2", TMPDIR=str(tmp_path))
    wait_until(lambda: len(registry.servers()) == 2 and len(list(tmp_path.glob("*/steady-*"))) == 2)
    loads, hangs = (found.pid for found in registry.servers())
    (mark,) = tmp_path.glob(f"*/steady-{loads}")
    mark.unlink()  # as it does itself when it begins to load
    for pid in (loads, hangs):
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: hangs not in [found.pid for found in registry.servers()])
        wait_until(lambda: len(registry.servers()) == 2)
    finally:
        os.kill(loads, signal.SIGCONT)
    assert loads in [found.pid for found in registry.servers()]
    assert "worker_died" in [event["event"] for event in server.events()]
    assert server.infer(tensor()).status == 200


def ask(registry: detent.Registry, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ask an application in this process; after the last message the client says no more."""
    options = ServeOptions(
        url=registry.location, user="ana", aliases=("churn@production",), body_s=0.05
    )
    scope = {"type": "http", "method": "POST", "path": "/v2/models/churn/infer", "headers": []}
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        application = make_application(options)

        async def receive() -> Any:
            return messages.pop(0) if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        follower = application.engine.follower
        follower.start()
        try:
            await application(scope, receive, send)
        finally:
            follower.close()
            application.engine.close()

    asyncio.run(run())
    registry.close()
    return sent


@pytest.mark.parametrize("part", [None, b'{"inputs": ['])
def test_a_slow_client_is_told_so(registry: detent.Registry, part: bytes | None) -> None:
    messages = [{"type": "http.request", "body": part, "more_body": True}] if part else []
    start, body = ask(registry, messages)
    assert start["status"] == 408
    assert json.loads(body["body"])["field"] == "body"
    assert (b"connection", b"close") in start["headers"]


def test_nobody_is_answered_who_has_left(registry: detent.Registry) -> None:
    part = {"type": "http.request", "body": b"{", "more_body": True}
    assert ask(registry, [part, {"type": "http.disconnect"}]) == []


def test_a_prediction_is_a_span(registry: detent.Registry) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    body = json.dumps(tensor() | {"id": "r-1"}).encode()
    start, _ = ask(registry, [{"type": "http.request", "body": body}])
    assert start["status"] == 200
    (span,) = spans.get_finished_spans()
    assert span.name == "detent.predict"
    assert span.attributes is not None
    assert span.attributes["detent.version"] == 2
    assert span.attributes["detent.role"] == "active"
    assert span.attributes["detent.request_id"] == "r-1"
