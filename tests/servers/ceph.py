"""An S3 server: the one that ``DETENT_TEST_S3`` names, or Ceph's object gateway of our own.

Ceph speaks S3 as Amazon does: multipart uploads, conditional writes, listings in pages. Its parts
come from the system's packages (on Debian: radosgw ceph-osd ceph-mon ceph-common). One monitor, one
storage daemon that keeps everything in memory, and the gateway are enough.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.servers import processes
from tests.servers.processes import NoServerError

PATIENCE_S = 60.0
PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PACKAGES = "apt-get install --no-install-recommends radosgw ceph-osd ceph-mon ceph-common"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """Where an S3 server answers, and to whom."""

    endpoint: str
    key: str
    secret: str
    region: str = "us-east-1"

    @property
    def environment(self) -> dict[str, str]:
        """What a user would set."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def client(self) -> Any:
        """Return a client of botocore: it makes buckets, and does things behind our back."""
        from botocore.config import Config
        from botocore.session import Session

        return Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}),
        )


class CephServer:
    """A monitor, a storage daemon and a gateway on this machine."""

    def __init__(self) -> None:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise NoServerError(f"{', '.join(missing)} not found; on Debian: {PACKAGES}")
        self.folder = processes.make_folder("detent-s3-")
        self._started: list[subprocess.Popen[bytes]] = []
        gateway, *monitor = _free_ports(3)
        self.s3 = S3(
            endpoint=f"http://127.0.0.1:{gateway}",
            key=secrets.token_hex(10),
            secret=secrets.token_hex(20),
        )
        try:
            self._start(gateway, monitor)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it for good."""
        for process in reversed(self._started):
            processes.kill(process)  # nothing in it is worth keeping
        processes.remove(self.folder)

    def _start(self, gateway: int, monitor: list[int]) -> None:
        cluster = str(uuid.uuid4())
        (self.folder / "ceph.conf").write_text(_config(self.folder, cluster, gateway, monitor))
        for name in ("mon", "osd", "rgw"):
            (self.folder / name).mkdir()
        addresses = f"[v2:127.0.0.1:{monitor[0]}/0,v1:127.0.0.1:{monitor[1]}/0]"
        made = self.folder / "monmap"
        self._run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", addresses, made)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", made)
        self._serve("ceph-mon", "-i", "a", "-f")
        storage = str(uuid.uuid4())
        _until(lambda: self._ask("ceph", "--connect-timeout", "2", "mon", "stat"), "monitor")
        self._run("ceph", "osd", "new", storage)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", storage)
        self._serve("ceph-osd", "-i", "0", "-f")
        _until(lambda: "1 up" in self._ask("ceph", "osd", "stat"), "storage daemon")
        self._serve("radosgw", "-n", "client.rgw", "-f")
        _until(lambda: _answers(self.s3.endpoint), "gateway")
        self._run(
            *("radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=detent"),
            *("--display-name=detent", f"--access-key={self.s3.key}"),
            f"--secret-key={self.s3.secret}",
        )

    def _command(self, program: str, *arguments: object) -> list[str]:
        config = () if program == "monmaptool" else ("-c", str(self.folder / "ceph.conf"))
        return [program, *config, *map(str, arguments)]

    def _run(self, program: str, *arguments: object) -> str:
        return processes.run(self._command(program, *arguments), folder=self.folder)

    def _ask(self, program: str, *arguments: object) -> str:
        try:
            return self._run(program, *arguments) or "yes"
        except NoServerError:
            return ""

    def _serve(self, program: str, *arguments: object) -> None:
        command = self._command(program, *arguments)
        log = self.folder / f"{program}.out"
        self._started.append(processes.start(command, folder=self.folder, log=log))


def _config(folder: Path, cluster: str, gateway: int, monitor: list[int]) -> str:
    return f"""
[global]
fsid = {cluster}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{monitor[0]}/0,v1:127.0.0.1:{monitor[1]}/0]
public_addr = 127.0.0.1
ms_bind_ipv6 = false
# Nobody else can reach it, so its parts need not prove to each other who they are.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
pid_file =
mon_data = {folder}/mon
mon_data_avail_crit = 1
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# It proposes each change after a second by default: most of the time of starting.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4G
osd_numa_auto_affinity = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0

[client.rgw]
# Its default mode is encrypted, for which the parts would have to know each other.
ms_mon_client_mode = crc
rgw_data = {folder}/rgw
# Without tcp_nodelay each small answer waits for an acknowledgement that the client delays.
rgw_frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw_enable_usage_log = false
rgw_enable_ops_log = false
"""


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _answers(endpoint: str) -> bool:
    try:
        urllib.request.urlopen(endpoint, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


def _until(is_there: Callable[[], object], what: str) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while not is_there():
        if time.monotonic() > ends_at:
            raise NoServerError(f"Ceph's {what} did not start within {PATIENCE_S:.0f} s")
        time.sleep(0.05)


@contextmanager
def s3_server() -> Iterator[S3]:
    """Give an S3 server for as long as the block lasts.

    ``DETENT_TEST_S3`` is its endpoint with key and secret: ``http://KEY:SECRET@HOST:PORT``, and
    ``?region=…`` where that matters.

    Raises
    ------
    NoServerError
        If there is none.
    """
    named = os.environ.get("DETENT_TEST_S3")
    if named:
        parts = urlsplit(named)
        yield S3(
            endpoint=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            key=parts.username or "",
            secret=parts.password or "",
            region=parse_qs(parts.query).get("region", ["us-east-1"])[0],
        )
        return
    server = CephServer()
    try:
        yield server.s3
    finally:
        server.stop()


class Bucket:
    """A bucket of our own, and what is done to it behind the store's back."""

    def __init__(self, s3: S3) -> None:
        self.name = f"detent-test-{secrets.token_hex(8)}"
        self.client = s3.client()
        self.client.create_bucket(Bucket=self.name)
        self._parameters = f"endpoint={s3.endpoint}&region={s3.region}"
        self.empty()

    @property
    def url(self) -> str:
        """The place for the blobs of one registry."""
        return f"s3://{self.name}/{self._prefix}?{self._parameters}"

    def empty(self) -> None:
        """Go to a place in it where nothing is."""
        self._prefix = f"some/{secrets.token_hex(8)}"

    def key(self, digest: str) -> str:
        """Return the name of a blob's object."""
        return f"{self._prefix}/sha256/{digest[7:9]}/{digest[9:]}"

    def spoil(self, digest: str, data: bytes) -> None:
        """Replace the bytes of a blob."""
        self.client.put_object(Bucket=self.name, Key=self.key(digest), Body=data)

    def begin_upload(self, digest: str, part: bytes) -> None:
        """Begin a multipart upload, as a writer that is killed then."""
        names = {"Bucket": self.name, "Key": self.key(digest)}
        names["UploadId"] = self.client.create_multipart_upload(**names)["UploadId"]
        self.client.upload_part(**names, PartNumber=1, Body=part)

    def uploads(self) -> list[dict[str, Any]]:
        """Return the multipart uploads that are not finished."""
        found: list[dict[str, Any]] = self.client.list_multipart_uploads(Bucket=self.name).get(
            "Uploads", []
        )
        return found

    def remove(self) -> None:
        """Remove it with all that is in it."""
        for upload in self.uploads():
            self.client.abort_multipart_upload(
                Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
            )
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            names = [{"Key": item["Key"]} for item in page.get("Contents", [])]
            if names:
                self.client.delete_objects(Bucket=self.name, Delete={"Objects": names})
        self.client.delete_bucket(Bucket=self.name)
        self.client.close()


@contextmanager
def new_bucket(s3: S3) -> Iterator[Bucket]:
    """Give a new bucket; remove it in the end."""
    bucket = Bucket(s3)
    try:
        yield bucket
    finally:
        bucket.remove()
