"""Servers on several hosts: a change returns when all have switched, or says who may not have.

One PostgreSQL, three hosts with `detent serve`, each in a network namespace of its own: `plain`,
`strict`, and `late`, which is strict and whose clock is an hour slow where that can be arranged.
"""

import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from tests.servers.hosts import FAKETIME, Host, network
from tests.servers.postgres import PostgresServer, new_schema
from tests.servers.processes import NoServerError
from tests.serving.conftest import Server, rows, tensor, wait_until
from tests.serving.test_switching import load_on

import detent
from detent.cli import main

pytestmark = pytest.mark.integration

LEASE_S = "4"
NAME = "churn@production"


@dataclass
class Fleet:
    url: str  # as hosts reach the database
    blobs: str
    registry: detent.Registry
    hosts: dict[str, Host]
    servers: dict[str, Server]

    def start(self, name: str, words: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
        """Start a command of detent, or a script, on a host."""
        more = {"clock": "-1h"} if name == "late" and shutil.which(FAKETIME) else {}
        variables = [f"DETENT_URL={self.url}", f"DETENT_BLOBS={self.blobs}", "DETENT_USER=bo"]
        if more:
            variables.append("FAKETIME_DONT_FAKE_MONOTONIC=1")
        command = self.hosts[name].command(["env", *variables, sys.executable, *words], **more)
        return subprocess.Popen(command, text=True, **options)

    def versions(self) -> dict[str, int]:
        """Return with which version each answers; or with which status it answers nothing."""
        found = {}
        for name, server in self.servers.items():
            answer = server.infer(tensor())
            found[name] = answer.status
            if answer.status == 200:
                found[name] = int(answer.headers["detent-version"])
        return found

    def all_follow(self) -> bool:
        entry = self.registry.status(NAME).activation.entry
        servers = self.registry.servers(NAME)
        return len(servers) == len(self.hosts) and all(s.entry == entry for s in servers)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return three hosts that answer with version 2 of `churn`, whose version 1 was held before."""
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        try:
            net = stack.enter_context(network(3))
            port = 20_000 + int(time.time()) % 10_000  # at an address of our own: any will do
            postgres = PostgresServer(is_durable=False, address=net.address, port=port)
        except NoServerError as error:
            pytest.skip(f"NOT TESTED: several hosts on this machine: {error}")
        stack.callback(postgres.stop)
        url = stack.enter_context(new_schema(postgres.distant_url))
        blobs = str(folder / "blobs")
        registry = detent.connect(url, blobs=blobs, user="ana")
        stack.callback(registry.close)
        registry.create()
        X, y = rows()
        for strength in (1.0, 0.01):
            model = LogisticRegression(C=strength).fit(X, y)
            registry.register("churn", model, sample=X[:20], code="/")
        registry.activate("churn/1", "production")
        registry.activate("churn/2", "production")
        hosts = dict(zip(("plain", "strict", "late"), net.hosts, strict=True))
        made = Fleet(url, blobs, registry, hosts, {})
        for name, host in hosts.items():
            log = folder / f"{name}.log"
            words = ["-m", "detent", "serve", "churn", "--host", "0.0.0.0", "--port", "8080"]
            words += ["--lease", LEASE_S]
            words += [] if name == "plain" else ["--fence", "strict"]
            with log.open("w") as stream:
                process = made.start(name, words, stdout=stream, stderr=stream)
            stack.callback(_end, process)
            made.servers[name] = Server(process, 8080, log, host.address)
        for server in made.servers.values():
            wait_until(lambda server=server: _is_ready(server), seconds=120)  # type: ignore[misc]
        wait_until(made.all_follow)
        yield made


def _is_ready(server: Server) -> bool:
    assert server.process.poll() is None, server.log.read_text()
    return server.is_ready()


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()  # what makes the host's space of processes; all in it end with it
    process.wait()


@pytest.fixture(autouse=True)
def whole(fleet: Fleet) -> Iterator[None]:
    """Begin and end each test with all hosts connected, and version 2 active."""
    yield
    for host in fleet.hosts.values():
        host.heal()
    if fleet.registry.version(NAME).number != 2:
        fleet.registry.activate("churn/2", "production", override="again", wait_s=0)
    wait_until(fleet.all_follow, seconds=120)


def test_a_change_returns_when_all_hosts_have_switched(fleet: Fleet) -> None:
    places = {server.place for server in fleet.registry.servers(NAME)}
    assert len(places) == 3  # nobody here can see whether their processes run
    back = fleet.registry.rollback(NAME, wait_s=60).confirmation
    assert fleet.versions() == {"plain": 1, "strict": 1, "late": 1}
    forth = fleet.registry.activate("churn/2", "production", override="again", wait_s=60)
    assert fleet.versions() == {"plain": 2, "strict": 2, "late": 2}
    for found in (back, forth.confirmation):
        assert found is not None
        assert found.is_complete
        assert (found.confirmed, found.servers) == (3, 3)


def test_clocks_need_not_agree(fleet: Fleet) -> None:
    if shutil.which(FAKETIME) is None:
        pytest.skip("NOT TESTED: a host with a wrong clock: `faketime` is not installed")
    told = [event["at"] for event in fleet.servers["late"].events()]
    ours = [event["at"] for event in fleet.servers["plain"].events()]
    assert max(told) < min(ours)  # its clock is slow indeed
    now = detent.domain.clock.utc_now()
    for server in fleet.registry.servers(NAME):
        assert abs((server.heard_at - now).total_seconds()) < 60
        assert server.lease_until > server.heard_at


def test_a_host_that_is_cut_off_is_named_and_a_strict_one_stops(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETENT_BLOBS", fleet.blobs)
    there = ["--url", fleet.url]
    fleet.hosts["plain"].cut()
    fleet.hosts["late"].cut()
    with load_on(fleet.servers["late"], 2) as late, load_on(fleet.servers["plain"], 2) as plain:
        assert main(["rollback", NAME, *there, "--wait", "0.5"]) == 8
        said = capsys.readouterr()
        assert "1 of 3 servers answer with v1" in said.out
        assert re.search(r"`host-1:\d+` still answers with v2: last heard \d+ s ago\n", said.err)
        assert re.search(
            r"`host-3:\d+` still answers with v2: last heard \d+ s ago; if that stays so, it stops"
            r" answering in \d+ s\n",
            said.err,
        )
        # Whoever waits for as long as a lease lasts learns what is true without them.
        assert main(["activate", "churn/1", "production", *there, "--wait", "60"]) == 8
        returned = time.monotonic()
        said = capsys.readouterr()
        assert "1 of 2 servers answer with v1" in said.out
        assert re.search(r"`host-1:\d+` may still answer with v2: last heard \d+ s ago\n", said.err)
        assert re.search(r"`host-3:\d+` has stopped answering: last heard \d+ s ago\n", said.err)
        assert fleet.versions() == {"plain": 2, "strict": 1, "late": 503}
        n_asked = len(plain.records)
        wait_until(lambda: len(plain.records) > n_asked + 20)
    # No answer of the strict one came after that; the other one answered on.
    assert {record.status for record in late.records} == {200, 503}
    assert not [r for r in late.records if r.status == 200 and r.ended > returned]
    assert {(record.status, record.version) for record in plain.records} == {(200, 2)}
    refused = fleet.servers["late"].infer(tensor())
    assert refused.headers["content-type"] == "application/problem+json"
    assert "the lease of this server has ended" in refused.json["detail"]
    assert not fleet.servers["late"].is_ready()
    assert main(["status", *there]) == 0
    said = capsys.readouterr()
    assert re.search(r"1 of 3 \(host-1:\d+ v2, host-3:\d+ stopped\)", said.out)
    assert "changes do not wait for it" in said.err
    # Healed, both follow without a restart.
    for name in ("plain", "late"):
        fleet.hosts[name].heal()
    wait_until(fleet.all_follow, seconds=60)
    wait_until(fleet.servers["late"].is_ready)
    assert fleet.versions() == {"plain": 1, "strict": 1, "late": 1}


def test_whoever_is_cut_off_is_told_that_nothing_was_changed(fleet: Fleet) -> None:
    before = fleet.registry.status(NAME)
    fleet.hosts["plain"].cut()
    with fleet.start(
        "plain",
        ["-m", "detent", "rollback", NAME],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out) == (8, "")
    assert "did not answer" in said
    assert "nothing was changed" in said
    assert fleet.registry.status(NAME) == before


COMMIT = """
import sys
from detent.errors import UnavailableError
from detent.metadata.postgres import PostgresMetadata

metadata = PostgresMetadata(sys.argv[1], timeout_s=float(sys.argv[2]))
try:
    with metadata.write() as tables:
        tables.append_event("Tried", {}, at_us=tables.journal_end()[1] + 1, actor="bo")
        print("in", flush=True)
        sys.stdin.readline()
    print("done", flush=True)
except UnavailableError as error:
    print(error.message, flush=True)
"""


def commit_on(
    fleet: Fleet, name: str, between: Callable[[], object], *, timeout_s: float
) -> Iterator[str]:
    """Yield what a change on a host says at its end; `between` happens before its commit."""
    with fleet.start(
        name,
        ["-c", COMMIT, fleet.url, str(timeout_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        between()
        process.stdin.write("go\n")
        process.stdin.flush()
        yield ""
        ready, _, _ = select.select([process.stdout], [], [], 120)
        assert ready, "nothing was said"
        yield process.stdout.readline().strip()


def test_a_commit_into_the_void_is_not_known_and_holds_up_nobody_for_long(fleet: Fleet) -> None:
    seq, _ = fleet.registry._stores.metadata.current.journal_head()
    said = commit_on(fleet, "strict", fleet.hosts["strict"].cut, timeout_s=1)
    next(said)
    # It holds the lock of all writers, and is gone: the database notices before they give up.
    fleet.registry.note("churn/1", "written meanwhile")
    assert "whether the change was made is not known" in next(said)
    assert fleet.registry._stores.metadata.current.journal_head()[0] == seq + 1
    assert fleet.registry.audit()[0].type == "NoteChanged"


def test_a_commit_whose_answer_is_lost_is_looked_up(fleet: Fleet) -> None:
    metadata = fleet.registry._stores.metadata
    seq, _ = metadata.current.journal_head()
    said = commit_on(fleet, "strict", fleet.hosts["strict"].cut_answers, timeout_s=60)
    next(said)
    wait_until(lambda: metadata.current.journal_head()[0] == seq + 1)
    fleet.hosts["strict"].heal()
    assert next(said) == "done"
