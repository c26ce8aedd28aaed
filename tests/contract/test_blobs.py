"""Every store of blobs keeps the same promises."""

import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import obstore
import pytest
from tests.servers.azurite import Azurite
from tests.servers.ceph import Bucket

from detent.blobs.base import Blobs, put
from detent.blobs.local import LocalBlobs
from detent.blobs.memory import MemoryBlobs
from detent.blobs.remote import RemoteBlobs
from detent.testing.blobs import BlobsContract, spoil_file


class TestMemoryBlobs(BlobsContract):
    keeps_in_memory = True

    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()


class TestLocalBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return LocalBlobs(tmp_path / "deep" / "blobs")

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Blobs]:
        return lambda: LocalBlobs(tmp_path / "deep" / "blobs")

    @pytest.fixture
    def spoil(self, tmp_path: Path) -> Callable[[str, bytes], None]:
        return partial(spoil_file, tmp_path / "deep" / "blobs")

    def test_files_are_read_only(self, blobs: Blobs, tmp_path: Path) -> None:
        digest = put(blobs, b"kept")
        path = tmp_path / "deep" / "blobs" / "sha256" / digest[7:9] / digest[9:]
        assert stat.S_IMODE(path.stat().st_mode) == 0o444

    def test_files_of_others_are_left_alone(self, blobs: Blobs, tmp_path: Path) -> None:
        digest = put(blobs, b"kept")
        folder = tmp_path / "deep" / "blobs" / "sha256"
        for stray in (folder / digest[7:9] / ".DS_Store", folder / "zz" / ("b" * 62)):
            stray.parent.mkdir(exist_ok=True)
            stray.write_bytes(b"not ours")
        assert [info.digest for info in blobs.list_all()] == [digest]

    def test_folders_that_were_removed_are_made_again(self, blobs: Blobs, tmp_path: Path) -> None:
        digest = put(blobs, b"first")
        (tmp_path / "deep" / "blobs" / "unfinished").rmdir()
        blobs.delete(digest)
        (tmp_path / "deep" / "blobs" / "sha256" / digest[7:9]).rmdir()
        assert put(blobs, b"first") == digest


@pytest.mark.integration
class TestRemoteBlobs(BlobsContract):
    @pytest.fixture
    def blobs(self, bucket: Bucket) -> Blobs:
        return RemoteBlobs(bucket.url)

    @pytest.fixture
    def reopen(self, bucket: Bucket) -> Callable[[], Blobs]:
        return lambda: RemoteBlobs(bucket.url)

    @pytest.fixture
    def spoil(self, bucket: Bucket) -> Callable[[str, bytes], None]:
        return bucket.spoil


@pytest.mark.integration
class TestAzureBlobs(BlobsContract):
    @pytest.fixture
    def place(self, azure: Azurite, monkeypatch: pytest.MonkeyPatch) -> str:
        for name, text in azure.environment.items():
            monkeypatch.setenv(name, text)
        return azure.new_container()

    @pytest.fixture
    def blobs(self, place: str) -> Blobs:
        return RemoteBlobs(place)

    @pytest.fixture
    def reopen(self, place: str) -> Callable[[], Blobs]:
        return lambda: RemoteBlobs(place)

    @pytest.fixture
    def spoil(self, place: str) -> Callable[[str, bytes], None]:
        def replace(digest: str, data: bytes) -> None:
            store = RemoteBlobs(place)._store
            obstore.put(store, f"sha256/{digest[7:9]}/{digest[9:]}", data)

        return replace
