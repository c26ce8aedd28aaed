"""Requests without pause, and what came back, to see whether a server stays the same.

``python -m detent.testing.load HOST PORT PATH BODY_FILE CONNECTIONS RECORDS_FILE`` asks until its
standard input ends.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_RECORD = struct.Struct("ddii")
NO_ANSWER = 0  # stands for the status when the connection broke


class Record(NamedTuple):
    """One request: when it began and ended (`time.monotonic`), its status, and who answered.

    Processes of one machine share that clock. ``version`` is 0 where none was named.
    """

    started: float
    ended: float
    status: int
    version: int


class Load:
    """Connections that ask one thing again and again, each in a thread of its own.

    Parameters
    ----------
    host, port : str, int
        The server.
    path : str
        What is asked.
    body : bytes
        The JSON that is posted.
    connections : int, default=8
        How many at once.
    """

    def __init__(
        self, host: str, port: int, path: str, body: bytes, *, connections: int = 8
    ) -> None:
        self._address = (host, port)
        self._request = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self.records: list[Record] = []  # list.append is safe between threads
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, daemon=True) for _ in range(connections)
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Record]:
        """Ask no more; return what came back, in the order of the ends."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        return self.records

    def __enter__(self) -> Load:
        """Begin to ask."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask no more."""
        self.stop()

    def _ask(self) -> None:
        connection: socket.socket | None = None
        while not self._end.is_set():
            started, status, version = time.monotonic(), NO_ANSWER, 0
            try:
                if connection is None:
                    connection = socket.create_connection(self._address, timeout=60)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(self._request)
                status, version = _read(connection)
            except OSError:
                with suppress(OSError):
                    if connection is not None:
                        connection.close()
                connection = None
            self.records.append(Record(started, time.monotonic(), status, version))
        if connection is not None:
            connection.close()


def _read(connection: socket.socket) -> tuple[int, int]:
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _some(connection)
    head = data[:end].lower()
    rest = len(data) - end - 4
    length = int(_header(head, b"content-length") or 0)
    while rest < length:
        rest += len(_some(connection))
    return int(head[9:12]), int(_header(head, b"detent-version") or 0)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


def _header(head: bytes, name: bytes) -> bytes:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else None].strip()


def write_records(path: Path, records: list[Record]) -> None:
    """Keep records in a file."""
    path.write_bytes(b"".join(_RECORD.pack(*record) for record in records))


def read_records(path: Path) -> Iterator[Record]:
    """Read records back."""
    return map(Record._make, _RECORD.iter_unpack(path.read_bytes()))


def main(host: str, port: str, path: str, body: str, connections: str, records: str) -> None:
    """Ask until standard input ends, then write what came back."""
    load = Load(host, int(port), path, Path(body).read_bytes(), connections=int(connections))
    load.start()
    sys.stdin.read()
    write_records(Path(records), load.stop())


if __name__ == "__main__":
    main(*sys.argv[1:])
