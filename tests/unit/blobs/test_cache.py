"""The cache holds what was read lately, checked, and never more than its limit."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detent.blobs.base import past_cache, put, read_verified
from detent.blobs.cache import CachedBlobs
from detent.blobs.memory import MemoryBlobs
from detent.errors import CorruptError, NotFoundError, UnavailableError
from detent.testing.blobs import BlobsContract


class DistantBlobs(MemoryBlobs):
    """A store in memory that counts what is fetched from it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.is_there = True

    def fetch(self, digest: str, write: Callable[[memoryview], object]) -> None:
        if not self.is_there:
            raise UnavailableError("the store does not answer")
        self.fetched.append(digest)
        with super().open(digest) as stream:
            data = stream.read()
        step = len(data) // 3 + 1
        for start in range(0, len(data), step):
            write(memoryview(data)[start : start + step])


@pytest.fixture
def origin() -> DistantBlobs:
    return DistantBlobs()


@pytest.fixture
def blobs(origin: DistantBlobs, tmp_path: Path) -> CachedBlobs:
    return CachedBlobs(origin, tmp_path / "cache", limit_bytes=100)


class TestCachedBlobs(BlobsContract):
    keeps_in_memory = True

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> CachedBlobs:
        return CachedBlobs(DistantBlobs(), tmp_path / "cache", limit_bytes=10**9)


def test_a_blob_is_fetched_once(blobs: CachedBlobs, origin: DistantBlobs) -> None:
    digest = put(blobs, b"weights")
    for _ in range(3):
        assert read_verified(blobs, digest, what="it") == b"weights"
    origin.is_there = False
    assert read_verified(blobs, digest, what="it") == b"weights"
    assert origin.fetched == [digest]


def test_a_copy_that_went_bad_is_fetched_again(
    blobs: CachedBlobs, origin: DistantBlobs, tmp_path: Path
) -> None:
    digest = put(blobs, b"weights")
    read_verified(blobs, digest, what="it")
    (copy,) = (tmp_path / "cache").iterdir()
    for bad in (b"", b"Weights", b"weights and more"):
        copy.write_bytes(bad)
        assert read_verified(blobs, digest, what="it") == b"weights"
    assert len(origin.fetched) == 4


def test_bad_bytes_of_the_store_are_not_kept(blobs: CachedBlobs, tmp_path: Path) -> None:
    digest = put(blobs, b"weights")
    blobs.origin._blobs[digest] = b"Weights"  # type: ignore[attr-defined]  # behind its back
    with pytest.raises(CorruptError, match="its 7 bytes hash to"):
        read_verified(blobs, digest, what="it")
    assert list((tmp_path / "cache").iterdir()) == []


def test_checking_asks_the_store_itself(blobs: CachedBlobs, origin: DistantBlobs) -> None:
    digest = put(blobs, b"weights")
    read_verified(blobs, digest, what="it")
    origin.delete(digest)
    assert read_verified(blobs, digest, what="it") == b"weights"
    with pytest.raises(NotFoundError):
        past_cache(blobs).open(digest)
    assert past_cache(origin) is origin


def test_a_folder_that_cannot_be_written_is_no_hindrance(
    origin: DistantBlobs, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    blobs = CachedBlobs(origin, tmp_path / "file" / "cache", limit_bytes=100)
    digest = put(blobs, b"weights")
    assert read_verified(blobs, digest, what="it") == b"weights"


def test_what_is_larger_than_the_limit_is_not_kept(blobs: CachedBlobs, tmp_path: Path) -> None:
    small, large = put(blobs, b"small"), put(blobs, b"l" * 101)
    for digest, size in ((small, 5), (large, 101), (large, 101)):
        assert len(read_verified(blobs, digest, what="it")) == size
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [small[7:]]


def test_others_cannot_read_the_copies(blobs: CachedBlobs, tmp_path: Path) -> None:
    read_verified(blobs, put(blobs, b"weights"), what="it")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    (copy,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_it_never_holds_more_than_its_limit(
    reads: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    blobs = CachedBlobs(DistantBlobs(), folder, limit_bytes=100)
    digests = [put(blobs, bytes([i]) * (10 + 10 * i)) for i in range(8)]
    for i in reads:
        assert len(read_verified(blobs, digests[i], what="it")) == 10 + 10 * i
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert sum(sizes.values()) <= 100
        assert digests[i][7:] in sizes  # what was read last is never the one to go


def test_the_copies_used_longest_ago_go_first(origin: DistantBlobs, tmp_path: Path) -> None:
    blobs = CachedBlobs(origin, tmp_path / "cache", limit_bytes=100)
    digests = [put(blobs, bytes([i]) * 30) for i in range(4)]
    for i, digest in enumerate(digests[:3]):
        read_verified(blobs, digest, what="it")
        os.utime(tmp_path / "cache" / digest[7:], (i, i))
    read_verified(blobs, digests[0], what="it")  # used again
    read_verified(blobs, digests[3], what="it")
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {digests[i][7:] for i in (0, 2, 3)}
