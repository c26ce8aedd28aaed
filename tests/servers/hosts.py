"""Hosts on this machine: network namespaces on two networks, one of which can be cut.

Each host has a name, process numbers and interfaces of its own. The network `back` leads to the
database; `front` to whoever asks for predictions. A cut is silent: no packet arrives, and nobody
is told. That needs Linux, root, and iproute2.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers import processes
from tests.servers.processes import NoServerError

PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux", "sh": "dash"}
FAKETIME = "faketime"  # lets a host have a wrong clock; its package has the same name


class Bridge:
    """One network: this machine has the address 1 in it."""

    def __init__(self, name: str, subnet: str) -> None:
        self.name, self.subnet = name, subnet
        # Otherwise it has the address of one of its lines, which then hears what is for the bridge.
        own = ":".join(f"{byte:02x}" for byte in (2, *secrets.token_bytes(5)))
        ip("link", "add", name, "address", own, "type", "bridge")
        ip("addr", "add", f"{subnet}.1/24", "dev", name)
        ip("link", "set", name, "up")

    @property
    def address(self) -> str:
        return f"{self.subnet}.1"


class Host:
    """A host on both networks."""

    def __init__(self, number: int, mark: str, back: Bridge, front: Bridge) -> None:
        self.name = f"host-{number}"
        self.address = f"{front.subnet}.{10 + number}"
        self._back_address = f"{back.subnet}.{10 + number}"
        self._space = f"{mark}-{number}"
        self._back = back.name
        self._lines = {"back": f"{mark}b{number}", "front": f"{mark}f{number}"}
        ip("netns", "add", self._space)
        ip("-n", self._space, "link", "set", "lo", "up")
        for what, bridge in (("back", back), ("front", front)):
            line = self._lines[what]
            ip("link", "add", line, "type", "veth", "peer", "name", what, "netns", self._space)
            ip("link", "set", line, "master", bridge.name, "up")
            # Apart from its bridge it leads nowhere: this machine would answer there, too.
            Path(f"/proc/sys/net/ipv4/conf/{line}/arp_ignore").write_text("1")
            address = f"{bridge.subnet}.{10 + number}/24"
            ip("-n", self._space, "addr", "add", address, "dev", what)
            ip("-n", self._space, "link", "set", what, "up")

    def command(self, words: Sequence[str | Path], *, clock: str | None = None) -> list[str]:
        """Return a command that runs on this host; `clock` sets it apart from ours: ``-1h``."""
        shifted = [FAKETIME, "--exclude-monotonic", "-f", clock] if clock else []
        # All of it ends with what `unshare` started. Its shared memory is its own, since programs
        # name what they put there by their process number.
        setup = 'mount -t tmpfs tmpfs /dev/shm && hostname "$0" && exec "$@"'
        return [
            *("ip", "netns", "exec", self._space),
            *("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *("sh", "-c", setup, self.name, *shifted),
            *(str(word) for word in words),
        ]

    def cut(self) -> None:
        """Let nothing through to the database, nor back."""
        ip("link", "set", self._lines["back"], "nomaster")

    def cut_answers(self) -> None:
        """Let nothing through that comes from the database."""
        ip("route", "add", "blackhole", f"{self._back_address}/32")

    def heal(self) -> None:
        """Let everything through again."""
        ip("link", "set", self._lines["back"], "master", self._back)
        subprocess.run(
            ["ip", "route", "del", "blackhole", f"{self._back_address}/32"],
            capture_output=True,
            check=False,
        )

    def remove(self) -> None:
        self.heal()
        ip("netns", "del", self._space)


class Network:
    """A place for hosts, and a database that they reach."""

    def __init__(self, n_hosts: int) -> None:
        missing = [f"{name} ({of})" for name, of in PROGRAMS.items() if shutil.which(name) is None]
        if missing:
            raise NoServerError(f"{', '.join(missing)} not found")
        if os.geteuid() != 0:
            raise NoServerError("only root may make network namespaces")
        mark = f"dt{secrets.token_hex(2)}"
        # RFC 2544 sets these networks apart for tests of networks.
        third = secrets.randbelow(256)
        self._bridges: list[Bridge] = []
        self.hosts: list[Host] = []
        try:
            for name, second in (("b", 18), ("f", 19)):
                self._bridges.append(Bridge(f"{mark}{name}", f"198.{second}.{third}"))
            back, front = self._bridges
            self.address = back.address
            for number in range(1, n_hosts + 1):
                self.hosts.append(Host(number, mark, back, front))
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        for host in self.hosts:
            host.remove()
        for bridge in self._bridges:
            ip("link", "del", bridge.name)


def ip(*words: str) -> str:
    """Run ``ip``."""
    return processes.run(["ip", *words], folder=Path("/"))


@contextmanager
def network(n_hosts: int) -> Iterator[Network]:
    """Give hosts for as long as the block lasts.

    Raises
    ------
    NoServerError
        If this machine does not let us make them.
    """
    made = Network(n_hosts)
    try:
        yield made
    finally:
        made.remove()
