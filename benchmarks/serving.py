"""What serving costs beside the least that could answer, and what switching costs under load."""

import gc
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import detent
from benchmarks.measure import Row
from benchmarks.switching import _plain_commit
from detent.testing.load import Record, read_records

# `DETENT_BENCH_SWITCHES=1000 python -m benchmarks serving` is the long form.
SWITCHES = int(os.environ.get("DETENT_BENCH_SWITCHES", "60"))
ROUND_S, ROUNDS = 3.0, 5
PAUSE_S = 0.05  # between two switches: far more of them than there will ever be
BLOCK = 10  # so often there and back, after as long a time without


def measure(folder: Path) -> list[Row]:
    registry = _registry(folder / "serving")
    rows = []
    for workers in (1, 4):
        rows += _throughput(registry, folder, workers)
    rows.append(_compiled(registry, folder))
    rows += _latency(registry, folder)
    rows += _bad_input(registry, folder)
    rows += _switching(registry, folder, "fast", "a small model")
    rows += _switching(registry, folder, "large", "a model of 300 MB")
    return rows


def _registry(folder: Path) -> detent.Registry:
    registry = detent.connect(folder, user="bench")
    X, y = load_wine(return_X_y=True)
    for strength in (1.0, 0.1):
        model = LogisticRegression(C=strength, max_iter=5000).fit(X, y)
        registry.register("fast", model, sample=X[:50], code="/")
        model.ballast_ = np.random.default_rng(0).normal(size=300_000_000 // 8)
        registry.register("large", model, sample=X[:50], code="/")
    for trees in (100, 101):
        forest = RandomForestClassifier(trees, n_jobs=-1, random_state=0).fit(X, y)
        registry.register("forest", forest, sample=X[:50], code="/")
        registry.register("compiled", forest, sample=X[:50], compile="treelite", code="/")
    for name in ("fast", "large", "forest", "compiled"):
        registry.activate(f"{name}/1", "production")
        registry.activate(f"{name}/2", "production")
    return registry


def _body(folder: Path, n_rows: int) -> Path:
    X = load_wine().data[:n_rows]
    path = folder / f"body-{n_rows}.json"
    tensor = {"name": "X", "shape": X.shape, "datatype": "FP64", "data": X.ravel().tolist()}
    path.write_text(json.dumps({"inputs": [tensor]}))
    return path


@contextmanager
def serving(*command: object, workers: int = 1) -> Iterator[int]:
    """Run a server; give its port when every worker is likely to answer."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(re.search(r"(\d+)(/v2|$)", process.stdout.readline())[1])  # type: ignore[index]
        time.sleep(3 + workers)  # imports
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def detent_serve(registry: detent.Registry, name: str, workers: int) -> list[object]:
    return [
        *("-m", "detent", "serve", name, "--url", registry.location),
        *("--port", 0, "--workers", workers),
    ]


@contextmanager
def loading(port: int, name: str, folder: Path, n_rows: int, connections: int) -> Iterator[Path]:
    """Ask without pause from another process; records are in the file when the block has ended."""
    records = folder / "records"
    command = ["127.0.0.1", port, f"/v2/models/{name}/infer", _body(folder, n_rows), connections]
    process = subprocess.Popen(
        [sys.executable, "-m", "detent.testing.load", *map(str, command), str(records)],
        stdin=subprocess.PIPE,
    )
    try:
        yield records
    finally:
        process.communicate()


def ask_for(
    seconds: float, port: int, name: str, folder: Path, *, n_rows: int = 1, connections: int = 8
) -> list[Record]:
    """Return what came back in so many seconds, without the first of them."""
    with loading(port, name, folder, n_rows, connections) as path:
        time.sleep(seconds + 1)
    records = list(read_records(path))
    failed = [record for record in records if record.status != 200]
    assert not failed, f"{len(failed)} requests failed: {failed[0]}"
    start = records[0].started + 0.8
    return [record for record in records if record.started > start]


def per_request(records: list[Record]) -> float:
    return (records[-1].ended - records[0].ended) / (len(records) - 1)


def quantile(records: list[Record], q: float) -> float:
    return float(np.quantile([record.ended - record.started for record in records], q))


def _throughput(registry: detent.Registry, folder: Path, workers: int) -> list[Row]:
    minimal = [Path(__file__).with_name("minimal.py"), registry.location, "fast/2", 0, workers]
    ours, theirs = [], []
    with (
        serving(*detent_serve(registry, "fast", workers), workers=workers) as our_port,
        serving(*minimal, workers=workers) as their_port,
    ):
        for _ in range(ROUNDS):
            ours.append(per_request(ask_for(ROUND_S, our_port, "fast", folder)))
            theirs.append(per_request(ask_for(ROUND_S, their_port, "fast", folder)))
    return [
        Row(
            what=f"a one-row request, {workers} worker{'s' if workers > 1 else ''}",
            peer="a minimal ASGI application with msgspec",
            ours=statistics.median(ours),
            theirs=statistics.median(theirs),
            limit=1 / 0.8,
        )
    ]


def _compiled(registry: detent.Registry, folder: Path) -> Row:
    """Set the compiled wine forest beside the scikit-learn object in the minimal application."""
    minimal = [Path(__file__).with_name("minimal.py"), registry.location, "forest/2", 0, 1]
    ours, theirs = [], []
    with (
        serving(*detent_serve(registry, "compiled", 1)) as our_port,
        serving(*minimal) as their_port,
    ):
        for _ in range(ROUNDS):
            ours.append(per_request(ask_for(ROUND_S, our_port, "compiled", folder)))
            theirs.append(per_request(ask_for(ROUND_S, their_port, "forest", folder)))
    return Row(
        what="a one-row request, wine forest compiled, 1 worker",
        peer="its scikit-learn object in the minimal application",
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        limit=1 / 30,
    )


def _latency(registry: detent.Registry, folder: Path) -> list[Row]:
    rows = []
    for name, sizes, most in (("fast", (1, 32), (1, 8, 32)), ("forest", (1,), (8,))):
        with serving(*detent_serve(registry, name, 1)) as port:
            for n_rows in sizes:
                for connections in most:
                    records = ask_for(
                        ROUND_S, port, name, folder, n_rows=n_rows, connections=connections
                    )
                    rows.append(
                        Row(
                            what=f"p99, {name}, {n_rows} rows, {connections} connections",
                            peer=f"p50; {1 / per_request(records):,.0f} requests/s",
                            ours=quantile(records, 0.99),
                            theirs=quantile(records, 0.5),
                            limit=None,
                        )
                    )
    return rows


def _bad_input(registry: detent.Registry, folder: Path) -> list[Row]:
    """Ask what cannot be answered; the kind that takes longest counts."""
    good = json.loads(_body(folder, 1).read_text())["inputs"][0]
    bodies = {
        "not JSON": b"{",
        "the wrong shape": json.dumps({"inputs": [good | {"shape": [1, 14]}]}).encode(),
        "the wrong name": json.dumps({"inputs": [good | {"name": "Y"}]}).encode(),
        "not a number": json.dumps({"inputs": [good | {"data": [None] * 13}]}).encode(),
        "50 MB": b" " * 50_000_000,
    }
    times: dict[str, list[float]] = {what: [] for what in bodies}
    with serving(*detent_serve(registry, "fast", 1)) as port:
        for _ in range(21):
            for what, body in bodies.items():
                connection = HTTPConnection("127.0.0.1", port, timeout=60)
                connection.putrequest("POST", "/v2/models/fast/infer")
                connection.putheader("Content-Length", str(len(body)))
                started = time.monotonic()
                # What is too large is refused by its length: the rest need not be sent for that.
                connection.endheaders(body[:100_000])
                status = connection.getresponse().status
                times[what].append(time.monotonic() - started)
                assert 400 <= status < 500, (what, status)
                connection.close()
    slowest = max(times, key=lambda what: statistics.median(times[what]))
    return [
        Row(
            what=f"bad input, the slowest of {len(bodies)} kinds: {slowest}",
            peer="50 ms",
            ours=statistics.median(times[slowest]),
            theirs=0.05,
            limit=1,
        )
    ]


def _switching(registry: detent.Registry, folder: Path, name: str, what: str) -> list[Row]:
    """Roll back and activate again, with 4 workers, under load."""
    alias, workers = f"{name}@production", 4
    commit = _plain_commit(folder / f"plain-{name}.db")
    commits, returns, firsts = [], [], []
    moved: list[tuple[float, float, float, float, int]] = []
    without: list[tuple[float, float]] = []
    with serving(*detent_serve(registry, name, workers), workers=workers) as port:
        while len(registry.servers(name)) < workers:
            time.sleep(0.5)
        # Who has followed there and back has both versions, however long they took to load.
        for entry in (
            registry.rollback(alias, wait_s=120),
            registry.activate(f"{name}/2", "production", override="again", wait_s=120),
        ):
            assert entry.confirmation is not None
            assert entry.confirmation.confirmed == workers, entry.confirmation
        with loading(port, name, folder, 1, 8) as path:
            time.sleep(1.5)
            gc.disable()
            for number in range(SWITCHES):
                if number % BLOCK == 0:
                    started = time.monotonic()
                    time.sleep(2 * BLOCK * PAUSE_S)
                    without.append((started, time.monotonic()))
                started = time.monotonic()
                commit()
                commits.append(time.monotonic() - started)
                called = time.monotonic()
                entry = registry.rollback(alias)
                returned = time.monotonic()
                found = entry.confirmation
                assert found is not None
                assert found.confirmed == found.servers == workers, found
                returns.append(returned - called)
                assert entry.previous is not None
                time.sleep(PAUSE_S)
                committed = returned - found.seconds
                moved.append((called, committed, returned, time.monotonic(), entry.previous))
                entry = registry.activate(f"{name}/2", "production", override="again")
                assert entry.confirmation is not None
                assert entry.confirmation.is_complete, entry.confirmation
                time.sleep(PAUSE_S)
            gc.enable()
        records = list(read_records(path))
    failed = sum(record.status != 200 for record in records)
    late = 0
    for called, committed, returned, again, withdrawn in moved:
        late += sum(
            returned < record.started and record.ended < again and record.version == withdrawn
            for record in records
        )
        firsts.append(
            min(
                max(0.0, record.ended - committed)
                for record in records
                if record.ended > called and record.version not in (0, withdrawn)
            )
        )
    quiet, switching = [], []
    for record in records:
        if any(start < record.started < end for start, end in without):
            quiet.append(record)
        elif record.started > moved[0][0]:
            switching.append(record)
    ours = statistics.median(returns)
    return [
        Row(
            what=f"rollback to return, {what}, 4 workers, load",
            peer="one durable commit",
            ours=ours,
            theirs=statistics.median(commits),
            limit=3,
        ),
        Row(
            what=f"commit to first answer, {what}",
            peer="5 ms",
            ours=statistics.median(firsts),
            theirs=0.005,
            limit=1,
        ),
        Row(
            what=f"p99 while switching, {what}",
            peer=f"p99 without; a switch each {PAUSE_S * 1000:.0f} ms",
            ours=quantile(switching, 0.99),
            theirs=quantile(quiet, 0.99),
            limit=1.5,
        ),
        Row(
            what=f"failed and late answers, {what}",
            peer=f"{2 * SWITCHES} switches, {len(switching):,} requests",
            ours=failed + late,
            theirs=1,
            limit=0,
            unit="of them",
        ),
    ]
