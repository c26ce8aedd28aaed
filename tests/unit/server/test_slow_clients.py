"""Clients that never finish what they say: each is given up, and nobody else waits for them."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import urllib3

from detent.blobs.memory import MemoryBlobs
from detent.domain.digest import digest_of
from detent.metadata.sqlite import SqliteMetadata
from detent.server import patience
from detent.server.app import make_app
from detent.server.patience import patient_protocol
from detent.testing.registries import stores_on
from detent.testing.servers import serving

PATIENCE_S = 60  # of these tests


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(patience, "BODY_S", 0.3)
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    with serving(make_app(stores), http=patient_protocol(0.3)) as url:
        yield url


def connect(url: str, said: bytes) -> socket.socket:
    parts = urlsplit(url)
    opened = socket.create_connection((parts.hostname, parts.port or 80), timeout=PATIENCE_S)
    opened.sendall(said)
    return opened


def told(opened: socket.socket) -> bytes:
    """Return all that a server says until it closes."""
    with opened:
        answer = b""
        try:
            while part := opened.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize("said", [b"", b"GET /he", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_come_is_given_up(url: str, said: bytes) -> None:
    assert told(connect(url, said)) == b""


def test_the_second_head_of_a_connection_is_waited_for_no_longer(url: str) -> None:
    opened = connect(url, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /he")
    answer = told(opened)
    assert answer.count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize(
    "path", ["POST /api/v1/prune", f"PUT /api/v1/blobs/{digest_of(b'1234567890')}"]
)
def test_a_body_that_does_not_come_is_given_up(url: str, path: str) -> None:
    head = f"{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nUpload-Length: 10\r\n\r\n"
    opened = connect(url, head.encode() + b"123")
    opened.settimeout(PATIENCE_S)
    answer = opened.recv(65536)
    opened.close()
    assert answer.startswith(b"HTTP/1.1 408")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert "did not come" in problem["detail"]


def test_others_are_answered_meanwhile(url: str) -> None:
    with ExitStack() as stack, urllib3.PoolManager(maxsize=8, timeout=PATIENCE_S) as pool:
        for _ in range(200):
            stack.enter_context(connect(url, b"POST /api/v1/prune HTTP/1.1\r\nHost: x\r\nCont"))
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(lambda _: pool.request("GET", f"{url}/health").status, range(40))
            assert set(answers) == {200}
