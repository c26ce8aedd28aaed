"""A line to a PostgreSQL server that goes dead when a client says something."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

Moment = Literal["before", "after"]  # the server heard it, or has done it


class Proxy:
    """Passes bytes on, until a word comes by; then it cuts that line, once."""

    def __init__(self, url: str) -> None:
        parts = {name: str(text) for name, text in conninfo_to_dict(url).items() if text}
        self._host, self._port = parts.pop("host", "/tmp"), parts.pop("port", "5432")
        self.folder = Path(tempfile.mkdtemp(prefix="detent-proxy-", dir="/tmp"))
        told = urlencode(parts | {"host": str(self.folder), "port": "5432", "sslmode": "disable"})
        self.url = f"postgresql:///?{told}"
        self._word: tuple[bytes, Moment] | None = None
        self._is_dead = False
        self.n_cut = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self._listener.listen(50)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, word: bytes, moment: Moment, *, for_good: bool = False) -> None:
        """Cut the line of whoever says a word next; `for_good`: and answer nobody any more."""
        self._word, self._for_good = (word, moment), for_good

    def close(self) -> None:
        """Cut all lines, and answer nobody any more."""
        self._is_dead = True
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_dead:
                client.close()
                continue
            server = self._connect()
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                line = threading.Thread(
                    target=self._pass, args=(source, target, source is client), daemon=True
                )
                line.start()

    def _connect(self) -> socket.socket:
        if self._host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._host}/.s.PGSQL.{self._port}")
            return server
        return socket.create_connection((self._host, int(self._port)))

    def _pass(self, source: socket.socket, target: socket.socket, is_client: bool) -> None:
        answer = None
        with suppress(OSError):
            while data := source.recv(65536):
                if is_client and self._word is not None and self._word[0] in data:
                    moment = self._word[1]
                    self._word = None
                    self.n_cut += 1  # before anybody can notice it
                    self._is_dead = self._for_good
                    if moment == "after":
                        # Nobody reads the answer: the other thread finds its target closed.
                        source.shutdown(socket.SHUT_WR)
                        target.sendall(data)
                        answer = target
                    break
                target.sendall(data)
        if answer is not None:
            return
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(url: str) -> Iterator[Proxy]:
    """Give a line to a server for as long as the block lasts."""
    proxy = Proxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
