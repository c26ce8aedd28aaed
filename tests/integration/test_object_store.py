"""Blobs in a real S3: in parts, whole or not at all, and what is left behind is removed."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.servers.ceph import Bucket

from detent import (
    InvalidError,
    NotFoundError,
    RefusedError,
    Registry,
    UnavailableError,
    connect,
)
from detent.blobs.base import put, read_verified
from detent.blobs.cache import CachedBlobs
from detent.blobs.remote import PART, RemoteBlobs
from detent.data.blocks import BLOCK_ROWS
from detent.domain.digest import digest_of
from detent.metadata.sqlite import SqliteMetadata
from detent.testing.registries import live_through_everything, register_bytes, stores_on

pytestmark = pytest.mark.integration


@pytest.fixture
def blobs(bucket: Bucket) -> RemoteBlobs:
    return RemoteBlobs(bucket.url)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the objects sent from now on."""
    names: list[str] = []
    real = obstore.put

    def counting(store: Any, path: str, *arguments: Any, **options: Any) -> Any:
        result = real(store, path, *arguments, **options)
        names.append(path)
        return result

    monkeypatch.setattr(obstore, "put", counting)
    return names


def test_a_large_blob_is_sent_in_parts(blobs: RemoteBlobs, bucket: Bucket) -> None:
    data = os.urandom(2 * PART + 12_345)
    digest = put(blobs, data)
    assert read_verified(blobs, digest, what="it") == data
    parts = bucket.client.head_object(Bucket=bucket.name, Key=bucket.key(digest), PartNumber=1)
    assert parts["ETag"].strip('"').endswith("-3")
    assert bucket.uploads() == []


@pytest.mark.parametrize("size", [100, PART + 1])
def test_what_is_there_is_not_sent_again(blobs: RemoteBlobs, sent: list[str], size: int) -> None:
    data = os.urandom(size)
    digests = {put(blobs, data) for _ in range(3)}
    assert digests == {digest_of(data)}
    assert len(sent) == 1


def test_rows_in_a_bucket_are_evaluated_in_blocks(bucket: Bucket) -> None:
    n = BLOCK_ROWS + 99
    rows = pd.DataFrame({"x": np.linspace(-1, 1, n), "y": np.arange(n) % 2})
    address, _, parameters = f"{bucket.url}".partition("?")
    prefix = address.removeprefix(f"s3://{bucket.name}/")
    for name, part in (("2026-01", rows[:5000]), ("2026-02", rows[5000:])):
        data = part.to_parquet(row_group_size=999)
        key = f"{prefix}/lake/{name}.parquet"
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    bucket.client.put_object(Bucket=bucket.name, Key=f"{prefix}/lake/_SUCCESS", Body=b"")
    registry = connect("memory:", user="ana")
    model = LogisticRegression().fit(rows[["x"]], rows["y"])
    registry.register("sign", model, sample=rows[["x"]][:5], code="/")
    lake = f"{address}/lake"
    found = registry.evaluate("sign/1", data=f"{lake}/?{parameters}", target="y")
    same = registry.evaluate("sign/1", rows[["x"]], rows["y"], dataset="in memory")
    assert (found.dataset, found.metrics, found.outcomes) == ("lake", same.metrics, same.outcomes)
    assert found.dataset_digest == same.dataset_digest
    one = registry.evaluate("sign/1", data=f"{lake}/2026-01.parquet?{parameters}", target="y")
    assert one.n_rows == 5000
    with pytest.raises(NotFoundError, match=f"nothing at {address}/none"):
        registry.evaluate("sign/1", data=f"{address}/none?{parameters}", target="y")


def test_a_large_blob_that_was_cut_short_is_mended(blobs: RemoteBlobs, bucket: Bucket) -> None:
    data = os.urandom(PART + 1)
    digest = put(blobs, data)
    bucket.spoil(digest, data[:-1])
    assert put(blobs, data) == digest
    assert read_verified(blobs, digest, what="it") == data


def test_repair_mends_a_large_blob_of_the_right_size(
    blobs: RemoteBlobs, bucket: Bucket, tmp_path: Path
) -> None:
    data = os.urandom(PART + 1)
    registry = Registry(stores_on(SqliteMetadata(None), blobs))
    register_bytes(registry._stores, "fraud", data)
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "model").write_bytes(data)
    bucket.spoil(digest_of(data), bytes(PART + 1))
    assert len(registry.verify().problems) == 1
    assert registry.repair(tmp_path / "good").restored == (digest_of(data),)
    assert registry.verify().problems == ()


def test_prune_removes_uploads_that_were_not_finished(blobs: RemoteBlobs, bucket: Bucket) -> None:
    registry = Registry(stores_on(SqliteMetadata(None), blobs))
    version = register_bytes(registry._stores, "fraud", b"kept")
    for i in range(3):
        bucket.begin_upload(digest_of(b"%d" % i), b"half of it" * i)
    report = registry.prune(grace_s=1000)
    assert (report.n_unfinished, report.kept_young) == (0, 3)
    report = registry.prune(grace_s=0, dry_run=True)
    assert (report.n_blobs, report.n_unfinished, report.size_bytes) == (0, 3, 30)
    assert len(bucket.uploads()) == 3
    registry.prune(grace_s=0)
    assert bucket.uploads() == []
    assert registry.load(version)["model.bin"] == b"kept"


def test_uploads_of_others_are_left_alone(blobs: RemoteBlobs, bucket: Bucket) -> None:
    bucket.begin_upload(digest_of(b"theirs"), b"half")
    theirs = RemoteBlobs(bucket.url)
    bucket.empty()  # another prefix of the same bucket
    ours = RemoteBlobs(bucket.url)
    assert list(ours.list_unfinished()) == []
    (info,) = theirs.list_unfinished()
    theirs.discard(info.digest)
    theirs.discard(info.digest)
    assert list(theirs.list_unfinished()) == []


def test_objects_of_others_are_left_alone(blobs: RemoteBlobs, bucket: Bucket) -> None:
    digest = put(blobs, b"ours")
    for name in ("README", "sha256/readme", "sha256/zz/" + "b" * 62):
        key = bucket.key(digest).partition("sha256/")[0] + name
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"not ours")
    assert [info.digest for info in blobs.list_all()] == [digest]


def test_a_listing_has_more_than_one_page(blobs: RemoteBlobs) -> None:
    with ThreadPoolExecutor(16) as threads:
        written = set(threads.map(lambda i: put(blobs, b"%d" % i), range(1_030)))
    assert {info.digest for info in blobs.list_all()} == written


def test_a_missing_bucket_is_said(bucket: Bucket) -> None:
    blobs = RemoteBlobs(bucket.url.replace(bucket.name, "no-such-bucket"))
    with pytest.raises(UnavailableError, match=r"s3://no-such-bucket/.*nothing was registered"):
        put(blobs, b"weights")


def test_wrong_credentials_are_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    blobs = RemoteBlobs(bucket.url)
    for attempt in (lambda: put(blobs, b"weights"), lambda: list(blobs.list_unfinished())):
        with pytest.raises((RefusedError, UnavailableError)) as caught:
            attempt()
        assert "wrong" not in caught.value.message


@pytest.mark.parametrize("url", ["s3:///models", "ftp://host/x", "s3://b/x?colour=red"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError):
        RemoteBlobs(url)


def test_a_registry_of_two_urls(
    postgres_url: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a team does: two URLs, and everything else as before."""
    monkeypatch.setenv("DETENT_URL", postgres_url)
    monkeypatch.setenv("DETENT_BLOBS", bucket.url)
    monkeypatch.setenv("DETENT_CACHE", str(tmp_path / "cache"))
    registry = connect(user="ana")
    registry.create()
    assert isinstance(registry._stores.blobs, CachedBlobs)
    live_through_everything(registry._stores)
    other = connect(user="bo")
    assert other.version("fraud@production").number == 3
    assert other.load("fraud@production")["model.bin"] == b"fraud 2"
    assert other.audit(verify=True).problems == ()
    assert other.verify().problems == ()
    report = other.prune(grace_s=0)
    assert report.n_blobs
    assert other.verify().problems == ()
    monkeypatch.delenv("DETENT_BLOBS")
    with pytest.raises(InvalidError, match="nothing says where"):
        connect()
    registry.close()
    other.close()
