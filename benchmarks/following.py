"""How soon 1, 10 and 100 followers of a PostgreSQL registry see a commit, and a rollback returns.

Each follower is real: a deployment with its two versions, a connection that listens, and
a row that acknowledges. They share four processes, as they would share a machine.
"""

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from tests.servers import postgres
from tests.servers.processes import NoServerError

import detent
from benchmarks.measure import Row
from detent.registry.activate import activate, rollback
from detent.runtime.fence import confirm

COUNTS = (1, 10, 100)
PROCESSES, ROUNDS = 4, 15
NAME = "churn@production"


def measure(folder: Path) -> list[Row]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres.server_url(is_durable=True))
        except NoServerError as error:
            print(f"NOT MEASURED: followers on PostgreSQL: {error}", file=sys.stderr)
            return []
        url = stack.enter_context(postgres.new_schema(url))
        blobs = str(folder / "blobs")
        registry = detent.connect(url, blobs=blobs, user="bench")
        stack.callback(registry.close)
        registry.create()
        X = np.random.default_rng(0).normal(size=(40, 3))
        for sign in (1, -1):
            model = LogisticRegression().fit(X, sign * X[:, 0] > 0)
            registry.register("churn", model, sample=X[:5], code="/")
            registry.activate(f"churn/{2 if sign < 0 else 1}", "production")
        return [row for count in COUNTS for row in _followers(registry, url, blobs, count)]


def _followers(registry: detent.Registry, url: str, blobs: str, count: int) -> list[Row]:
    stores = registry._stores
    shares = [len(range(i, count, PROCESSES)) for i in range(min(PROCESSES, count))]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.following", url, blobs, str(share)],
            stdin=subprocess.PIPE,
        )
        for share in shares
    ]
    seen, returns = [], []
    try:
        while len(registry.servers(NAME)) < count:
            time.sleep(0.2)
        time.sleep(2)  # the versions to return to
        for _ in range(ROUNDS):
            started = time.monotonic()
            entry = rollback(stores, NAME)
            committed = time.time()
            found = confirm(stores.metadata, entry, wait_s=30)
            returns.append(time.monotonic() - started)
            assert found.confirmed == found.servers == count, found
            heard = [server.heard_at.timestamp() for server in registry.servers(NAME)]
            seen.append(max(0.0, statistics.median(heard) - committed))
            entry = activate(stores, "churn/2", "production", override="again")
            assert confirm(stores.metadata, entry, wait_s=30).is_complete
    finally:
        for process in processes:
            process.communicate()
    who = f"{count} follower{'s' if count > 1 else ''}"
    return [
        Row(
            what=f"PostgreSQL: commit to acknowledged, the median of {who}",
            peer="how often an idle process looks in a folder",
            ours=statistics.median(seen),
            theirs=0.02,
            limit=None,
        ),
        Row(
            what=f"PostgreSQL: rollback to return, {who}",
            peer="1 s",
            ours=statistics.median(returns),
            theirs=1.0,
            limit=1,
        ),
    ]


def follow(url: str, blobs: str, count: str) -> None:
    """Follow until standard input ends."""
    with ExitStack() as stack:
        registry = detent.connect(url, blobs=blobs)
        stack.callback(registry.close)
        for _ in range(int(count)):
            stack.enter_context(registry.follow(NAME))
        sys.stdin.read()


if __name__ == "__main__":
    follow(*sys.argv[1:])
