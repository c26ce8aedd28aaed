"""What every store of blobs promises, as tests.

A package that adds a store makes a subclass in its own tests, gives it the fixtures, and runs
pytest::

    class TestRemoteBlobs(BlobsContract):
        @pytest.fixture
        def blobs(self, bucket):
            return RemoteBlobs(bucket)

        @pytest.fixture
        def reopen(self, bucket):
            return lambda: RemoteBlobs(bucket)
"""

# ruff: noqa: D102  the name of a test says what it is about

import hashlib
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import ClassVar

import pytest

from detent.blobs.base import CHUNK, Blobs, hash_stream, open_verified, put, read_verified
from detent.errors import (
    CorruptError,
    DetentError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)

ABSENT = "sha256:" + "a" * 64
MALFORMED = [
    "",
    "sha256:",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "sha256:" + "g" * 64,
    "sha256:" + "a" * 64 + "\n",
    "sha256:" + "٣" * 64,
    "sha512:" + "a" * 64,
    "a" * 64,
    "sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
    "../" * 20 + "etc/passwd",
    "/etc/passwd",
]
CONTENTS = [b"", b"\0", b"some bytes", b"a" * CHUNK, b"b" * (CHUNK + 1), bytes(range(256)) * 5000]


def sha256(data: bytes) -> str:
    """Return the digest of some bytes, computed without detent."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def spoil_file(folder: Path, digest: str, data: bytes) -> None:
    """Replace the bytes of a blob in a folder, behind the store's back."""
    path = folder / "sha256" / digest[7:9] / digest[9:]
    path.chmod(0o600)
    path.write_bytes(data)


class BlobsContract:
    """Bytes come back as they were written, whole or not at all."""

    keeps_in_memory: ClassVar[bool] = False

    @pytest.fixture
    def blobs(self) -> Blobs:
        """Return an empty store."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], Blobs] | None:
        """Return what opens the same store once more; None when it is gone with its process."""
        return None

    @pytest.fixture
    def spoil(self) -> Callable[[str, bytes], None] | None:
        """Return what replaces the stored bytes of a digest behind the store's back, if any."""
        return None

    @pytest.mark.parametrize("data", CONTENTS, ids=len)
    def test_bytes_come_back_under_their_digest(self, blobs: Blobs, data: bytes) -> None:
        with blobs.create() as writer:
            assert writer.write(data) == len(data)
        assert (writer.digest, writer.size_bytes) == (sha256(data), len(data))
        assert blobs.find_size(writer.digest) == len(data)
        with blobs.open(writer.digest) as stream:
            assert stream.read() == data

    def test_parts_make_one_blob(self, blobs: Blobs) -> None:
        with blobs.create() as writer:
            for part in (b"one", memoryview(b"two"), b"", memoryview(bytearray(b"three"))):
                writer.write(part)
        assert writer.digest == sha256(b"onetwothree")
        assert writer.size_bytes == 11

    def test_a_blob_is_read_in_any_order(self, blobs: Blobs) -> None:
        with blobs.open(put(blobs, b"0123456789")) as stream:
            assert stream.seek(7) == 7
            assert stream.read(2) == b"78"
            stream.seek(0)
            assert stream.read(3) == b"012"
            buffer = bytearray(4)
            assert stream.readinto(buffer) == 4  # type: ignore[attr-defined]  # BinaryIO has it
            assert buffer == b"3456"

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_after_an_exception_nothing_is_there(
        self, blobs: Blobs, error: type[BaseException]
    ) -> None:
        def write_half() -> None:
            with blobs.create() as writer:
                writer.write(b"half of")
                raise error

        with pytest.raises(error):
            write_half()
        assert blobs.find_size(sha256(b"half of")) is None
        assert list(blobs.list_all()) == []
        assert list(blobs.list_unfinished()) == []

    def test_nothing_is_there_before_the_end(self, blobs: Blobs) -> None:
        with blobs.create() as writer:
            writer.write(b"whole")
            assert blobs.find_size(sha256(b"whole")) is None
            assert list(blobs.list_all()) == []
        assert [info.digest for info in blobs.list_all()] == [sha256(b"whole")]

    def test_the_same_bytes_twice_are_one_blob(self, blobs: Blobs) -> None:
        assert put(blobs, b"same") == put(blobs, b"same")
        assert [info.digest for info in blobs.list_all()] == [sha256(b"same")]
        assert read_verified(blobs, sha256(b"same"), what="it") == b"same"

    def test_a_listing_names_every_blob(self, blobs: Blobs) -> None:
        written = {put(blobs, data): len(data) for data in (b"", b"one", b"two two")}
        listed = list(blobs.list_all())
        assert {info.digest: info.size_bytes for info in listed} == written
        assert len(listed) == 3
        assert all(info.age_s >= 0 for info in listed)

    def test_a_missing_blob_is_not_found(self, blobs: Blobs) -> None:
        assert blobs.find_size(ABSENT) is None
        with pytest.raises(NotFoundError, match=ABSENT[:19]):
            blobs.open(ABSENT)

    def test_a_missing_blob_that_is_needed_is_corruption(self, blobs: Blobs) -> None:
        for read in (read_verified, open_verified):
            with pytest.raises(CorruptError, match="of `fraud/7` is missing; nothing was loaded"):
                read(blobs, ABSENT, what="`fraud/7`")

    def test_removing_twice_is_safe(self, blobs: Blobs) -> None:
        kept, gone = put(blobs, b"kept"), put(blobs, b"gone")
        for _ in range(2):
            blobs.delete(gone)
            assert blobs.find_size(gone) is None
        assert [info.digest for info in blobs.list_all()] == [kept]
        assert put(blobs, b"gone") == gone
        assert read_verified(blobs, gone, what="it") == b"gone"

    @pytest.mark.parametrize("digest", MALFORMED, ids=ascii)
    def test_malformed_digests_are_refused(self, blobs: Blobs, digest: str) -> None:
        for method in (blobs.open, blobs.find_size, blobs.delete):
            with pytest.raises(InvalidError, match="is not a digest"):
                method(digest)

    def test_what_is_being_written_can_be_discarded(self, blobs: Blobs) -> None:
        kept = put(blobs, b"kept")
        context = blobs.create()
        context.__enter__().write(b"half")
        for info in list(blobs.list_unfinished()):
            assert info.age_s >= 0
            blobs.discard(info.digest)
            blobs.discard(info.digest)
        assert list(blobs.list_unfinished()) == []
        try:
            context.__exit__(None, None, None)
        except UnavailableError:
            assert blobs.find_size(sha256(b"half")) is None
        else:
            assert read_verified(blobs, sha256(b"half"), what="it") == b"half"
        assert blobs.find_size(kept) == 4

    def test_only_what_is_unfinished_can_be_discarded(self, blobs: Blobs) -> None:
        digest = put(blobs, b"kept")
        inside = f"sha256/{digest[7:9]}/{digest[9:]}"
        for name in (digest, digest[9:], f"../{inside}", f"../../{inside}", "..", "/etc/passwd"):
            try:
                blobs.discard(name)
            except DetentError:
                continue
        assert read_verified(blobs, digest, what="it") == b"kept"

    def test_writers_of_the_same_bytes_do_not_disturb_each_other(self, blobs: Blobs) -> None:
        data = b"same" * CHUNK
        together = Barrier(8)

        def write(_: int) -> str:
            with blobs.create() as writer:
                together.wait()
                for start in range(0, len(data), CHUNK):
                    writer.write(data[start : start + CHUNK])
            with blobs.open(writer.digest) as stream:
                assert hash_stream(stream) == (len(data), writer.digest)
            return writer.digest

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(write, range(8))) == {sha256(data)}
        assert [info.digest for info in blobs.list_all()] == [sha256(data)]
        assert list(blobs.list_unfinished()) == []

    def test_writers_of_different_bytes_do_not_disturb_each_other(self, blobs: Blobs) -> None:
        contents = [b"%d" % i * 1000 for i in range(40)]
        with ThreadPoolExecutor(8) as threads:
            digests = list(threads.map(lambda data: put(blobs, data), contents))
        assert digests == [sha256(data) for data in contents]
        assert {info.digest for info in blobs.list_all()} == set(digests)
        for digest, data in zip(digests, contents, strict=True):
            assert read_verified(blobs, digest, what="it") == data

    def test_a_reader_keeps_what_it_opened(self, blobs: Blobs) -> None:
        digest = put(blobs, b"kept while it is read")
        with blobs.open(digest) as stream:
            assert stream.read(4) == b"kept"
            put(blobs, b"kept while it is read")
            blobs.delete(digest)
            assert stream.read() == b" while it is read"

    def test_a_large_blob_passes_in_parts(self, blobs: Blobs) -> None:
        n_parts, part = 24, bytes(CHUNK)
        hasher = hashlib.sha256()
        for _ in range(n_parts):
            hasher.update(part)
        told: list[int] = []
        tracemalloc.start()
        try:
            with blobs.create() as writer:
                for _ in range(n_parts):
                    writer.write(part)
            with open_verified(blobs, writer.digest, what="it", progress=told.append) as stream:
                assert stream.tell() == 0
                assert sum(len(stream.read(CHUNK)) for _ in range(n_parts)) == n_parts * CHUNK
                assert stream.read(1) == b""
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert writer.digest == "sha256:" + hasher.hexdigest()
        assert sum(told) == writer.size_bytes == n_parts * CHUNK
        if not self.keeps_in_memory:
            assert peak < n_parts * CHUNK / 3

    def test_another_instance_sees_the_same(
        self, blobs: Blobs, reopen: Callable[[], Blobs] | None
    ) -> None:
        if reopen is None:
            pytest.skip("this store is gone with its process")
        digest = put(blobs, b"seen by all")
        other = reopen()
        assert read_verified(other, digest, what="it") == b"seen by all"
        other.delete(digest)
        assert blobs.find_size(digest) is None

    @pytest.mark.parametrize("bad", [b"", b"good byteS", b"good byte", b"good bytes!"])
    def test_bytes_that_changed_are_not_handed_out(
        self, blobs: Blobs, spoil: Callable[[str, bytes], None] | None, bad: bytes
    ) -> None:
        if spoil is None:
            pytest.skip("nobody can reach the bytes of this store but through it")
        digest = put(blobs, b"good bytes")
        spoil(digest, bad)
        for read in (read_verified, open_verified):
            with pytest.raises(CorruptError) as caught:
                read(blobs, digest, what="`fraud/7`")
            message = caught.value.message
            assert digest[:19] in message
            assert "`fraud/7` is corrupt" in message
            assert f"{len(bad):,} bytes" in message
            assert message.endswith("nothing was loaded")
            assert caught.value.hint
            assert caught.value.details["found"] == sha256(bad)

    def test_writing_again_mends_bytes_that_changed(
        self, blobs: Blobs, spoil: Callable[[str, bytes], None] | None
    ) -> None:
        if spoil is None:
            pytest.skip("nobody can reach the bytes of this store but through it")
        digest = put(blobs, b"good bytes")
        spoil(digest, b"bad")
        assert put(blobs, b"good bytes") == digest
        assert read_verified(blobs, digest, what="it") == b"good bytes"
