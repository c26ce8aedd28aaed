"""No request fails because of a switch, and when rollback returns, it has happened."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serving.conftest import Server, Starter, rows, tensor, wait_until

import detent
from detent.registry.manifest import read_manifest
from detent.registry.register import register_manifest
from detent.testing.load import NO_ANSWER, Load, Record

N_SWITCHES, N_SWITCHES_SLOW = 12, 200


def load_on(server: Server, connections: int = 8) -> Load:
    import json

    body = json.dumps(tensor()).encode()
    return Load(server.host, server.port, "/v2/models/churn/infer", body, connections=connections)


def late(records: list[Record], moves: list[tuple[float, float, int]]) -> list[Record]:
    """Return the answers of a withdrawn version that began and ended while it was withdrawn.

    A move says when a rollback returned, when the next change began, and what was withdrawn.
    """
    return [
        record
        for returned, until, withdrawn in moves
        for record in records
        if returned < record.started and record.ended < until and record.version == withdrawn
    ]


def switch(registry: detent.Registry, times: int, n_servers: int) -> list[tuple[float, float, int]]:
    moves = []
    returned, withdrawn = float("inf"), 0
    for _ in range(times):
        entry = registry.rollback("churn@production", wait_s=60)
        returned = time.monotonic()
        assert entry.confirmation is not None
        assert entry.confirmation.is_complete
        assert entry.confirmation.confirmed == n_servers
        withdrawn = entry.previous or 0
        seen = time.monotonic()  # some requests begin while it is withdrawn
        wait_until(lambda since=seen: time.monotonic() > since + 0.02)  # type: ignore[misc]
        moves.append((returned, time.monotonic(), withdrawn))
        entry = registry.activate("churn/2", "production", override="again", wait_s=60)
        assert entry.confirmation is not None
        assert entry.confirmation.is_complete
    return moves


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    "times", [N_SWITCHES, pytest.param(N_SWITCHES_SLOW, marks=pytest.mark.slow)]
)
def test_many_switches_under_load(
    registry: detent.Registry, start: Starter, workers: int, times: int
) -> None:
    server = start(registry, "churn", "--workers", str(workers))
    wait_until(lambda: len(registry.servers("churn")) == workers)
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        moves = switch(registry, times, workers)
    assert {record.status for record in load.records} == {200}
    assert {record.version for record in load.records} == {1, 2}
    assert late(load.records, moves) == []
    assert any(r.version == 1 and r.started > moves[-1][0] for r in load.records)


def test_a_killed_worker_is_started_again_and_not_waited_for(
    registry: detent.Registry, start: Starter
) -> None:
    server = start(registry, "churn", "--workers", "2", "--lease", "600")
    wait_until(lambda: len(registry.servers("churn")) == 2)
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        victim = registry.servers("churn")[0].pid
        os.kill(victim, signal.SIGKILL)
        entry = registry.rollback("churn@production", wait_s=60)
        returned = time.monotonic()
        assert entry.confirmation is not None
        assert entry.confirmation.is_complete
        assert victim not in [found.pid for found in registry.servers("churn")]
        wait_until(lambda: len(registry.servers("churn")) == 2)
        assert {found.version for found in registry.servers("churn")} == {1}
        asked = len(load.records)
        wait_until(lambda: len(load.records) > asked + 100)
    # Only what the killed process held is lost: its connections, at most all of them at once.
    assert {record.status for record in load.records} <= {200, NO_ANSWER}
    assert sum(record.status == NO_ANSWER for record in load.records) <= 8
    assert late(load.records, [(returned, float("inf"), 2)]) == []


def test_whoever_calls_rollback_may_be_killed(registry: detent.Registry, start: Starter) -> None:
    server = start(registry, "churn", "--workers", "2")
    call = f"""
import detent
registry = detent.connect({registry.location!r})
print(flush=True)
while True:
    registry.rollback("churn@production")
    registry.activate("churn/2", "production", override="again")
"""
    with load_on(server) as load:
        for _ in range(3):
            caller = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE)
            assert caller.stdout is not None
            caller.stdout.readline()
            asked = len(load.records)
            wait_until(lambda asked=asked: len(load.records) > asked + 60)  # type: ignore[misc]
            caller.kill()
            caller.communicate()
            holds = registry.status("churn@production").activation
            wait_until(
                lambda entry=holds.entry: all(  # type: ignore[misc]
                    found.entry >= entry for found in registry.servers("churn")
                )
            )
            assert {found.version for found in registry.servers("churn")} == {holds.version}
    assert {record.status for record in load.records} == {200}
    assert registry.audit(verify=True).is_unbroken


def test_a_locked_registry_holds_up_changes_and_no_answers(
    registry: detent.Registry, start: Starter
) -> None:
    server = start(registry, "churn", "--lease", "2")
    files = [Path(registry.location) / name for name in ("detent.db", "serving.db")]
    locks = [sqlite3.connect(file, isolation_level=None) for file in files]
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        for lock in locks:
            lock.execute("BEGIN IMMEDIATE")
        locked = time.monotonic()
        wait_until(lambda: time.monotonic() > locked + 2)
        asked = len(load.records)
        for lock in locks:
            lock.execute("ROLLBACK")
            lock.close()
        assert asked > 100
        entry = registry.rollback("churn@production", wait_s=60)
        assert entry.confirmation is not None
        assert entry.confirmation.confirmed == 1
    assert {record.status for record in load.records} == {200}
    slowest = max(record.ended - record.started for record in load.records)
    assert slowest < 2, "an answer waited for the lock"


def test_a_strict_server_does_not_answer_without_its_lease(
    registry: detent.Registry, start: Starter
) -> None:
    server = start(registry, "churn", "--fence", "strict", "--lease", "1")
    assert server.infer(tensor()).status == 200
    lock = sqlite3.connect(Path(registry.location) / "serving.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    wait_until(lambda: server.infer(tensor()).status == 503)
    assert "lease" in server.infer(tensor()).json["detail"]
    assert server.ask("GET", "/v2/health/ready").status == 503
    assert server.ask("GET", "/v2/health/live").status == 200
    lock.execute("ROLLBACK")
    lock.close()
    wait_until(lambda: server.infer(tensor()).status == 200)


def test_a_stopped_server_between_two_answers_holds_nothing_up(
    registry: detent.Registry, start: Starter
) -> None:
    server = start(registry, "churn")
    switch(registry, 1, 1)  # so both versions are loaded
    assert server.infer(tensor()).headers["detent-version"] == "2"
    server.ask("GET", "/v2/health/live")  # so the answer before is finished
    (found,) = registry.servers("churn")
    os.kill(found.pid, signal.SIGSTOP)
    try:
        entry = registry.rollback("churn@production", wait_s=10)
        assert entry.confirmation is not None
        assert entry.confirmation.confirmed == 1
        assert [server.version for server in registry.servers("churn")] == [1]
    finally:
        os.kill(found.pid, signal.SIGCONT)
    assert server.infer(tensor()).headers["detent-version"] == "1", "its first answer since then"


def test_what_was_promised_for_a_stopped_server_outlives_a_candidate_that_loads(
    registry: detent.Registry, start: Starter, modules: Path
) -> None:
    import broken  # type: ignore[import-not-found]  # written by the fixture

    candidate = registry.register("churn", broken.hangs, sample=rows()[0][:5], code="/")
    server = start(registry, "churn", "--trusted", STUCK="1")
    switch(registry, 1, 1)  # so v1 and v2 are loaded
    assert server.infer(tensor()).headers["detent-version"] == "2"
    server.ask("GET", "/v2/health/live")
    (found,) = registry.servers("churn")
    os.kill(found.pid, signal.SIGSTOP)
    try:
        assert registry.rollback("churn@production", wait_s=10).confirmation.is_complete  # type: ignore[union-attr]
        registry.activate(candidate, "production", wait_s=0)
    finally:
        os.kill(found.pid, signal.SIGCONT)
    said = [server.infer(tensor()).headers["detent-version"] for _ in range(20)]
    assert "2" not in said, "it was withdrawn, and the server had been counted on"


def _wrongly_signed(registry: detent.Registry) -> str:
    """Register a version whose answers are not as its signature says."""
    stores = registry._stores
    manifest = read_manifest(stores.blobs, registry.version("churn/2").digest, what="it")
    assert manifest.signature is not None
    outputs = tuple(replace(field, dtype="float32") for field in manifest.signature.outputs)
    signature = replace(manifest.signature, outputs=outputs)
    return register_manifest(stores, "churn", replace(manifest, signature=signature))[0].name


@pytest.mark.parametrize("fault", ["does not load", "answers wrongly", "hangs", "is corrupt"])
def test_a_candidate_that_cannot_answer_changes_nothing(
    registry: detent.Registry, start: Starter, modules: Path, fault: str
) -> None:
    import broken  # written by the fixture

    X = rows()[0][:5]
    if fault == "answers wrongly":
        candidate = _wrongly_signed(registry)
    elif fault == "hangs":
        candidate = registry.register("churn", broken.hangs, sample=X, code="/").name
    elif fault == "does not load":
        model = registry.load("churn/1")
        candidate = registry.register("churn", model, format="joblib", sample=X, code="/").name
    else:
        model = registry.load("churn/1").set_params(max_iter=77)
        candidate = registry.register("churn", model, sample=X, code="/").name
        (file,) = registry.show(candidate).manifest.files
        digest = file.digest.partition(":")[2]
        path = Path(registry.location, "blobs", "sha256", digest[:2], digest[2:])
        path.chmod(0o600)
        path.write_bytes(b"!" * file.size_bytes)
    trusted = ["--trusted"] if fault == "hangs" else []
    server = start(registry, "churn", "--workers", "2", *trusted, STUCK="1")
    wait_until(lambda: len(registry.servers("churn")) == 2)
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        wait_s = 1 if fault == "hangs" else 60
        entry = registry.activate(candidate, "production", wait_s=wait_s)
        found = entry.confirmation
        assert found is not None
        assert (found.confirmed, found.servers, len(found.behind)) == (0, 2, 2)
        assert {server.version for server in found.behind} == {2}
        if fault != "hangs":
            assert all("v3" in str(server.problem) for server in found.behind)
        asked = len(load.records)
        wait_until(lambda: len(load.records) > asked + 50)
        assert server.is_ready()
        back = registry.rollback("churn@production", wait_s=60).confirmation
        assert back is not None
        assert back.confirmed == 2
    assert {record.status for record in load.records} == {200}
    assert {record.version for record in load.records} == {2}


def test_the_command_says_who_has_not_followed(
    registry: detent.Registry, start: Starter, capsys: pytest.CaptureFixture[str]
) -> None:
    from detent.cli import main

    start(registry, "churn")
    there = ["--url", registry.location]
    assert main(["rollback", "churn@production", *there]) == 0
    assert "v2 → v1 (rollback); 1 of 1 server answers with v1 after" in capsys.readouterr().out
    candidate = _wrongly_signed(registry)
    assert main(["activate", candidate, "production", *there]) == 8
    said = capsys.readouterr()
    assert "0 of 1 server answers with v3 after" in said.out
    assert "still answers with v1: v3 does not load: `churn/3` answers `predict`" in said.err
    assert main(["status", *there]) == 0
    said = capsys.readouterr()
    assert "0 of 1 (" in said.out
    assert "v3 does not load" in said.err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_end_finishes_what_it_has_begun(
    registry: detent.Registry, start: Starter, workers: int
) -> None:
    server = start(registry, "churn", "--workers", str(workers))
    wait_until(lambda: len(registry.servers("churn")) == workers)
    with load_on(server) as load:
        wait_until(lambda: len(load.records) > 50)
        assert server.stop() == 0
    assert registry.servers() == []
    told = [event["event"] for event in server.events()]
    assert told.count("left") == workers
    # Until the last worker has left, every request that was taken got its answer.
    assert {record.status for record in load.records} <= {200, NO_ANSWER}
    answered = [record for record in load.records if record.status == 200]
    assert all(record.version == 2 for record in answered)
