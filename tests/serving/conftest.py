"""Servers as people run them: processes, asked over sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import detent

BROKEN = """
import os, threading, time

def hangs(X):
    if "STUCK" in os.environ:
        threading.Event().wait()
    return X[:, 0]

def hangs_at_13(X):
    if X[0, 0] == 13:
        threading.Event().wait()
    return X[:, 0]

def raises(X):
    if X[0, 0] == 13:
        raise RuntimeError("thirteen")
    return X[:, 0]

def waits(X):
    time.sleep(0.01)  # slow enough to be asked beside the event loop
    if X[0, 0] == 7:
        with open(os.environ["DOOR"]) as door:  # until somebody opens the other end
            door.read()
    return X[:, 0]
"""


def rows(n: int = 60) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    X = np.random.default_rng(0).normal(size=(n, 3))
    return X, (X[:, 0] > 0).astype(np.int64)


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder from which models of a user's own can be imported, here and by servers."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "broken.py").write_text(BROKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


def make_registry(folder: Path) -> detent.Registry:
    """Return a registry whose `churn@production` has held version 1, and holds version 2."""
    made = detent.connect(folder, user="ana")
    X, y = rows()
    for strength in (1.0, 0.01):
        made.register("churn", LogisticRegression(C=strength).fit(X, y), sample=X[:20], code="/")
    made.activate("churn/1", "production")
    made.activate("churn/2", "production")
    return made


def add_shop(registry: detent.Registry) -> None:
    """Add a model of named columns."""
    frame = pd.DataFrame(
        {"age": [31.0, 40.0, 22.0, 58.0], "city": ["bonn", "bern", "bern", "bonn"]}
    )
    encode = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(frame, [0, 1, 0, 1])
    registry.register("shop", model, sample=frame, code="/")
    registry.activate("shop/1", "production")


@pytest.fixture
def registry(tmp_path: Path) -> detent.Registry:
    return make_registry(tmp_path / "registry")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running `detent serve`."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    host: str = "127.0.0.1"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection(self.host, self.port, timeout=60)
        try:
            data = json.dumps(body) if isinstance(body, dict) else body
            # What is too large is answered before all of it was sent.
            with suppress(BrokenPipeError):
                connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()

    def infer(self, body: Any, model: str = "churn", **headers: str) -> Answer:
        return self.ask("POST", f"/v2/models/{model}/infer", body, headers)

    def is_ready(self) -> bool:
        try:
            return self.ask("GET", "/v2/health/ready").status == 200
        except (OSError, HTTPException):
            return False

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


class Starter(Protocol):
    def __call__(self, registry: detent.Registry, *arguments: str, **env: str) -> Server: ...


def wait_until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    """Ask again and again, without taking a processor for it; a store may be busy meanwhile."""
    import threading
    import time

    end = time.monotonic() + seconds
    pause = threading.Event()

    def holds() -> object:
        try:
            return condition()
        except detent.UnavailableError:
            return False

    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        pause.wait(0.02)


@contextmanager
def starting(folder: Path) -> Iterator[Starter]:
    """Give what starts servers; end them when the block ends."""
    servers: list[Server] = []

    def start_(registry: detent.Registry, *arguments: str, **env: str) -> Server:
        log = folder / f"serve-{len(servers)}.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "detent", "serve"),
                    *("--url", registry.location, "--port", "0", *arguments),
                ],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, **env},
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r":(\d+)/v2", line)
        assert found, log.read_text()
        servers.append(Server(process, int(found[1]), log))
        wait_until(servers[-1].is_ready)
        return servers[-1]

    try:
        yield start_
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.stop()
            assert server.process.stdout is not None
            server.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    with starting(tmp_path) as starter:
        yield starter


def tensor(values: Any = ((0.1, 0.2, 0.3),), **changes: Any) -> dict[str, Any]:
    """Return a request for `churn`."""
    array = np.asarray(values, dtype=float)
    whole = {
        "name": "X",
        "shape": list(array.shape),
        "datatype": "FP64",
        "data": array.ravel().tolist(),
    }
    return {"inputs": [whole | changes]}


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
