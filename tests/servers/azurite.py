"""Azure's blob storage as its vendor emulates it: Azurite, from npm."""

import base64
import email.utils
import hashlib
import hmac
import secrets
import shutil
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers import processes
from tests.servers.processes import NoServerError

PATIENCE_S = 60.0
ACCOUNT = "devstoreaccount1"  # the one account that it has, with a key that everybody knows
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2021-08-06"  # of the protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Azurite:
    """Where it answers."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a user would set."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}

    def new_container(self) -> str:
        """Make a container, and return its URL as the place for the blobs of one registry."""
        name = f"detent-test-{secrets.token_hex(8)}"
        at = email.utils.formatdate(usegmt=True)
        said = f"x-ms-date:{at}\nx-ms-version:{_VERSION}"
        whole = f"PUT{12 * chr(10)}{said}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        signed = hmac.new(base64.b64decode(KEY), whole.encode(), hashlib.sha256).digest()
        headers = {
            "x-ms-date": at,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}",
        }
        url = f"{self.endpoint}/{name}?restype=container"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).close()
        return f"az://{name}/some?endpoint={self.endpoint}"


@contextmanager
def azurite() -> Iterator[Azurite]:
    """Give the emulator for as long as the block lasts.

    Raises
    ------
    NoServerError
        If it is not installed, or does not start.
    """
    program = shutil.which("azurite-blob")
    if program is None:
        raise NoServerError("azurite-blob not found; npm install --global azurite")
    folder = processes.make_folder("detent-azurite-")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    options = ("--blobPort", str(port), "--silent", "--skipApiVersionCheck")
    process = processes.start(
        [program, *options, "--inMemoryPersistence"], folder=folder, log=folder / "log"
    )
    try:
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > ends_at:
                    said = (folder / "log").read_text()[-500:]
                    raise NoServerError(f"Azurite did not start: {said}") from error
                time.sleep(0.05)
        yield Azurite(endpoint=f"http://127.0.0.1:{port}/{ACCOUNT}")
    finally:
        processes.kill(process)
        processes.remove(folder)
