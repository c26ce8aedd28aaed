"""A rollout decides by itself, in servers as people run them, and no request fails of it."""

import importlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from tests.serving.conftest import Server, Starter, rows, starting, tensor, wait_until

import detent
from detent.testing.load import Load

SECONDS = 90
PLAN: dict[str, Any] = {
    "shadow": "300ms",
    "canary": "50%",
    "step": "300ms",
    "step_requests": 20,
    "guard": "300ms",
    "labels": "none",
}


def make_registry(folder: Path) -> detent.Registry:
    """Return a registry whose `churn@production` holds version 1; version 2 is as good."""
    made = detent.connect(folder, user="ana")
    X, y = rows()
    for strength in (1.0, 0.9):
        made.register("churn", LogisticRegression(C=strength).fit(X, y), sample=X[:20], code="/")
    made.activate("churn/1", "production")
    return made


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, modules: Path
) -> Iterator[tuple[detent.Registry, Server]]:
    """Return a registry and its server, for rollouts that leave version 1 where it is."""
    folder = tmp_path_factory.mktemp("shared")
    registry = make_registry(folder / "registry")
    with starting(folder) as start:
        yield registry, start(registry, "churn", "--trusted")


def add_function(registry: detent.Registry, name: str, *, n: int = 20) -> str:
    """Register a function of the module of broken ones, with a sample of so many rows."""
    function = getattr(importlib.import_module("broken"), name)
    return str(registry.register("churn", function, sample=rows()[0][:n], code="/"))


def load_on(server: Server, values: Any = ((0.1, 0.2, 0.3),), connections: int = 4) -> Load:
    body = json.dumps(tensor(values)).encode()
    return Load("127.0.0.1", server.port, "/v2/models/churn/infer", body, connections=connections)


def driver_of(registry: detent.Registry, rollout: detent.Rollout) -> int | None:
    """Return the process that drives a rollout."""
    driver = registry._stores.metadata.current.find_progress(rollout.id).driver
    return next((s.pid for s in registry.servers("churn") if s.id == driver), None)


def test_one_as_good_goes_all_the_way_though_its_driver_is_killed(
    tmp_path: Path, start: Starter
) -> None:
    registry = make_registry(tmp_path / "registry")
    server = start(registry, "churn", "--workers", "2")
    wait_until(lambda: len(registry.servers("churn")) == 2)
    rollout = registry.start_rollout("churn/2", "production", **PLAN)
    with load_on(server) as load:
        wait_until(lambda: driver_of(registry, rollout) is not None, seconds=SECONDS)
        killed = driver_of(registry, rollout)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: registry.rollout(rollout.id).has_ended, seconds=SECONDS)
    ended = registry.rollout(rollout.id)
    assert (ended.status, ended.why) == ("completed", "v2 is active")
    assert registry.status("churn@production").activation.by == f"auto (rollout {rollout.id})"
    # Requests that the killed process had in hand are lost with it; the others are answered.
    assert {record.status for record in load.records} <= {200, 0}
    assert sum(record.status == 0 for record in load.records) <= 8
    assert registry.audit(verify=True).problems == ()
    metrics = server.ask("GET", "/metrics").body.decode()
    assert 'role="canary",version="2"' in metrics


@pytest.mark.parametrize(("name", "error"), [("raises", "thirteen"), ("hangs_at_13", "no answer")])
def test_a_canary_that_fails_goes_and_no_request_fails(
    shared: tuple[detent.Registry, Server], name: str, error: str
) -> None:
    registry, server = shared
    candidate = add_function(registry, name)
    plan = PLAN | {"shadow": 0, "timeout": "50ms"}
    rollout = registry.start_rollout(candidate, "production", **plan)
    with load_on(server, ((13.0, 0.0, 0.0),)) as load:
        wait_until(lambda: registry.rollout(rollout.id).has_ended, seconds=SECONDS)
        n = len(load.records)
        wait_until(lambda: len(load.records) > n + 20)
    ended = registry.rollout(rollout.id)
    assert ended.status == "rolled_back"
    entry = registry.status("churn@production").activation
    assert (entry.version, entry.by) == (1, "auto (policy rule error_rate)")
    assert ended.decision is not None
    (result,) = registry.decision(ended.decision).results
    assert result.evidence["bad"][0] == 0
    assert {(record.status, record.version) for record in load.records} == {(200, 1)}
    kept = registry._stores.predictions.requests_after(rollout.id, 0, limit=10_000)
    assert any(error in (one.error or "") for one in kept)


def test_one_that_hangs_in_the_shadow_delays_nobody(
    shared: tuple[detent.Registry, Server],
) -> None:
    registry, server = shared
    candidate = add_function(registry, "hangs_at_13", n=19)
    plan = PLAN | {"timeout": "100ms"}
    rollout = registry.start_rollout(candidate, "production", **plan)
    with load_on(server, ((13.0, 0.0, 0.0),)) as load:
        wait_until(lambda: registry.rollout(rollout.id).has_ended, seconds=SECONDS)
    assert registry.rollout(rollout.id).status == "rolled_back"
    assert {(record.status, record.version) for record in load.records} == {(200, 1)}


def test_labels_that_come_later_decide(shared: tuple[detent.Registry, Server]) -> None:
    registry, server = shared
    X, y = rows()
    worse = registry.register("churn", LogisticRegression().fit(X, 1 - y), sample=X[:20], code="/")
    rollout = registry.start_rollout(
        worse, "production", **PLAN | {"labels": "all", "label_window": 0, "shadow": "1h"}
    )
    predictions = registry._stores.predictions

    def answered() -> list[str]:
        rows_ = predictions.list_disagreements(rollout.id, since_us=0, limit=100)
        return [row.request_id for row in rows_]

    def ask() -> bool:
        assert server.infer(tensor(((2.0, 0.0, 0.0),))).json["model_version"] == "1"
        return len(answered()) >= 30

    wait_until(ask, seconds=SECONDS)
    path = "/v2/models/churn/feedback"
    first, *others = answered()
    assert server.ask("POST", path, {"id": first, "label": 1}).status == 200
    for body, status, field in (
        ({"id": first, "label": 1}, 409, "id"),
        ({"id": "nobody", "label": 1}, 404, "id"),
        ({"id": others[0], "label": "yes"}, 422, "label"),
        ({"id": others[0], "label": {}}, 422, "label"),
        ({"id": others[0], "label": 1, "row": 9}, 404, "id"),
        ({"id": others[0], "label": 1, "rows": 9}, 422, "body"),
        ({"label": 1}, 422, "body"),
        ("no JSON", 422, "body"),
    ):
        refused = server.ask("POST", path, body)
        assert (refused.status, refused.json["field"]) == (status, field)
    joined = registry.feedback([{"id": name, "label": 1} for name in others], model="churn")
    assert joined.joined == len(others)
    wait_until(lambda: registry.rollout(rollout.id).has_ended, seconds=SECONDS)
    entry = registry.status("churn@production").activation
    assert (entry.version, entry.by) == (1, "auto (policy rule wrong_answers)")
    assert server.infer(tensor()).status == 200


def test_a_key_tries_the_same_version_each_time(
    shared: tuple[detent.Registry, Server],
) -> None:
    registry, server = shared
    rollout = registry.start_rollout("churn/2", "production", **PLAN | {"shadow": 0, "step": "1h"})

    def version(key: str, **how: Any) -> str:
        body = tensor() | ({"parameters": {"key": key}} if how.get("inside") else {})
        headers = {} if how.get("inside") else {"detent-key": key}
        return str(server.infer(body, **headers).json["model_version"])

    wait_until(lambda: version("somebody") and "2" in {version(f"key {i}") for i in range(20)})
    for key in ("ana", "bo", "cy", "di"):
        assert len({version(key) for _ in range(5)} | {version(key, inside=True)}) == 1
    # Whoever names a version takes no part.
    for _ in range(5):
        assert server.ask("POST", "/v2/models/churn/versions/1/infer", tensor()).status == 200
    registry.stop_rollout(rollout.id)
    assert {version(f"key {i}") for i in range(20)} == {"1"}


def test_one_that_does_not_load_pauses_the_rollout(
    shared: tuple[detent.Registry, Server],
) -> None:
    registry, server = shared
    content = Path(registry.location, "model.bin")
    content.write_bytes(b"no model at all")
    candidate = registry.register_file("churn", content)
    rollout = registry.start_rollout(candidate, "production", **PLAN)
    wait_until(lambda: registry.rollout(rollout.id).status == "paused", seconds=SECONDS)
    assert "does not load" in (registry.rollout(rollout.id).why or "")
    registry.stop_rollout(rollout.id)
    assert server.infer(tensor()).json["model_version"] == "1"


def test_inputs_that_moved_are_shown_beside_the_answers(
    shared: tuple[detent.Registry, Server],
) -> None:
    registry, server = shared
    X, y = rows()
    model = LogisticRegression(C=0.8).fit(X, y)
    candidate = registry.register("churn", model, sample=X[:20], code="/")
    rollout = registry.start_rollout(candidate, "production", **PLAN | {"shadow": "1h"})

    def drift() -> detent.Drift | None:
        return registry.rollout(rollout.id).drift

    with load_on(server, ((9.0, 0.0, 0.0),), connections=1):
        wait_until(drift, seconds=SECONDS)
    found = drift()
    assert found is not None
    assert found.reference == f"the sample of {candidate}"
    assert (found.n_features, found.features[0].name) == (3, "x[0]")
    assert found.features[0].now[found.features[0].cells.index("missing")] == 0
    assert found.features[0].has_moved
    assert registry.rollout(rollout.id).status == "running"
    registry.stop_rollout(rollout.id)
