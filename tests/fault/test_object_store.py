"""A process that is killed while it sends to S3 leaves the state before or the state after."""

import random
from pathlib import Path
from time import perf_counter

import pytest
from tests.fault.conftest import Check, Starter
from tests.servers.ceph import Bucket

from detent import Registry, UnavailableError
from detent.blobs.base import hash_stream, put
from detent.blobs.remote import PART, RemoteBlobs
from detent.metadata.postgres import PostgresMetadata
from detent.testing.registries import register_bytes, stores_on

pytestmark = pytest.mark.integration
PATIENCE_S = 600.0


@pytest.mark.parametrize("n_kills", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_while_registering(
    postgres_url: str,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: Starter,
    check: Check,
    rng: random.Random,
    n_kills: int,
) -> None:
    """Blobs are whole before a row names them, and what is left behind is removed by `prune`."""
    monkeypatch.setenv("DETENT_BLOBS", bucket.url)
    monkeypatch.setenv("DETENT_CACHE_SIZE", "0")
    registry = Registry(stores_on(PostgresMetadata(postgres_url), RemoteBlobs(bucket.url)))
    for content in (b"first version", b"second version"):
        register_bytes(registry._stores, "fraud", content)
    registry.close()
    path = tmp_path / "model.bin"
    path.write_bytes(rng.randbytes(3 * PART))
    duration_s = 0.0
    n_registered, n_inside, n_left = 2, 0, 0
    for i in range(n_kills + 1):
        with path.open("r+b") as file:
            file.write(b"%8d" % i)  # another model each time
        with path.open("rb") as stream:
            digest = hash_stream(stream)[1]
        child = start("register", postgres_url, path)
        begun = perf_counter()
        # The first one is left alone: it shows how long an undisturbed one takes.
        child.kill_after(duration_s * rng.random() if i else PATIENCE_S)
        duration_s = perf_counter() - begun if child.done else duration_s
        n_inside += not child.done

        registry = check(postgres_url)
        newest = registry.versions("fraud", limit=1)[0]
        assert newest.number in (2, n_registered + 1)  # 2 is left when all others are deleted
        assert not child.done or child.done == [[newest.number]] == [[n_registered + 1]]
        if newest.number > n_registered:
            n_registered += 1
            assert registry.show(newest).manifest.files[0].digest == digest
            registry.delete(newest)
        else:
            n_left += len(bucket.uploads()) + registry.prune(grace_s=0, dry_run=True).n_blobs
        registry.prune(grace_s=0)
        assert bucket.uploads() == []
        assert registry.verify().problems == ()
        registry.close()
    assert n_inside
    assert n_left or n_kills < 10


def test_no_store_is_there(bucket: Bucket) -> None:
    """It is tried for a while, then said; never a secret."""
    blobs = RemoteBlobs("s3://models/x?endpoint=http://127.0.0.1:9&region=us-east-1")
    with pytest.raises(UnavailableError, match="nothing was registered") as caught:
        put(blobs, b"weights")
    assert "s3://models/x failed" in caught.value.message
    assert "blobs already stored are not sent twice" in (caught.value.hint or "")
