"""A bell at the door of each server: rung after a change, so that an idle one looks at once.

It carries no message and proves nothing: whoever hears it looks at the registry. A server that
misses it looks a moment later all the same.
"""

import socket
from contextlib import suppress


class Bell:
    """A datagram socket on this machine. Close it when nobody listens any more."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = int(self.socket.getsockname()[1])

    def wait(self, timeout_s: float) -> None:
        """Return when it rings, or after a while."""
        with suppress(OSError):  # it rang not, or was taken away
            self.socket.settimeout(timeout_s)
            self.socket.recv(1)

    def silence(self) -> None:
        """Forget that it rang."""
        with suppress(OSError):
            self.socket.setblocking(False)
            while True:
                self.socket.recv(1)

    def close(self) -> None:
        """Take it away."""
        self.socket.close()


def ring(ports: list[int]) -> None:
    """Ring bells of this machine; one that is gone is not missed."""
    if not ports:
        return
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        for port in ports:
            with suppress(OSError):
                caller.sendto(b"!", ("127.0.0.1", port))
