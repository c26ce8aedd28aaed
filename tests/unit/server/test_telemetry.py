"""What a server says of itself, and answers that are sent compressed."""

import gzip
import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from detent import Registry
from detent.blobs.base import put
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import to_us, utc_now
from detent.domain.server import Server
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.server.logs import JsonFormatter
from detent.testing.registries import live_through_everything, stores_on
from detent.testing.servers import serving
from detent.web.pages import make_site


@pytest.fixture
def stores() -> Stores:
    return stores_on(SqliteMetadata(None), MemoryBlobs())


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    with serving(make_site(stores)) as url:
        yield url


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as pool:
        yield pool


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_metrics_tell_what_aliases_hold(
    stores: Stores, url: str, pool: urllib3.PoolManager
) -> None:
    registry = live_through_everything(stores)
    for status in registry.list_status():
        for i, entry in enumerate((status.activation.entry, 0)):
            follower = Server(
                id=str(i),
                model=status.model,
                alias=status.alias,
                host="here",
                pid=i,
                place="",
                version=None,
                entry=entry,
                heard_at=utc_now(),
                lease_until=utc_now() + timedelta(hours=1),
            )
            stores.metadata.servers.put_server(follower)
    pool.request("GET", f"{url}/api/v1/models/fraud/versions")
    found = samples(pool.request("GET", f"{url}/metrics").data.decode())
    for status in registry.list_status():
        labels = {"model": status.model, "alias": status.alias}
        held = status.version.number if status.version else 0
        assert found[key("detent_active_version", **labels)] == held
        changed = found[key("detent_alias_changed_timestamp_seconds", **labels)]
        assert round(changed * 1e6) == pytest.approx(to_us(status.activation.at), abs=1000)
        for state in ("following", "behind"):
            assert found[key("detent_servers", **labels, state=state)] == 1
    route = "/api/v1/models/{model}/versions"
    labels = {"method": "GET", "route": route, "status": "200"}
    assert found[key("detent_requests_total", **labels)] == 1


def test_metrics_ask_for_a_token(stores: Stores, url: str, pool: urllib3.PoolManager) -> None:
    secret = Registry(stores).create_token("prometheus", role="reader").secret
    assert pool.request("GET", f"{url}/metrics").status == 401
    headers = {"Authorization": f"Bearer {secret}"}
    assert pool.request("GET", f"{url}/metrics", headers=headers).status == 200


def test_unknown_paths_are_one_figure(url: str, pool: urllib3.PoolManager) -> None:
    for i in range(5):
        assert pool.request("GET", f"{url}/nowhere/{i}").status == 404
    found = samples(pool.request("GET", f"{url}/metrics").data.decode())
    labels = {"method": "other", "route": "other", "status": "404"}
    assert found[key("detent_requests_total", **labels)] == 5


def test_each_request_is_a_line_of_the_log(
    stores: Stores, url: str, pool: urllib3.PoolManager, caplog: pytest.LogCaptureFixture
) -> None:
    secret = Registry(stores).create_token("ana", role="reader").secret
    with caplog.at_level(logging.INFO, "detent.access"):
        for id, token in (("of-the-proxy", secret), ('no id "\n', "detent_wrong")):
            headers = {"Authorization": f"Bearer {token}", "X-Request-Id": id.strip()}
            answer = pool.request("GET", f"{url}/api/v1/models?after=x", headers=headers)
            assert answer.headers["X-Request-Id"]
        pool.request("GET", f"{url}/health")
    written = [record for record in caplog.records if record.name == "detent.access"]
    lines = [json.loads(JsonFormatter().format(record)) for record in written]
    known = lines[0]
    assert (known["id"], known["path"], known["status"]) == ("of-the-proxy", "/api/v1/models", 200)
    assert (known["method"], known["actor"]) == ("GET", "ana")
    assert known["ms"] > 0
    assert (lines[1]["status"], lines[1]["actor"]) == (401, None)
    assert lines[1]["id"] != 'no id "'
    assert secret not in json.dumps(lines)


def test_pages_are_compressed_and_blobs_are_not(
    stores: Stores, url: str, pool: urllib3.PoolManager
) -> None:
    live_through_everything(stores)
    data = b"the same again " * 1000
    digest = put(stores.blobs, data)
    headers = {"Accept-Encoding": "gzip"}
    page = pool.request("GET", url, headers=headers, decode_content=False)
    assert page.headers["Content-Encoding"] == "gzip"
    assert b"<h1>Models</h1>" in gzip.decompress(page.data)
    plain = pool.request("GET", url, headers={"Accept-Encoding": "identity"})
    assert b"<h1>Models</h1>" in plain.data
    path = f"{url}/api/v1/blobs/{digest}"
    blob = pool.request("GET", path, headers=headers, decode_content=False)
    assert "Content-Encoding" not in blob.headers
    assert blob.data == data


def test_the_key_of_a_form_is_another_one_each_time(url: str, pool: urllib3.PoolManager) -> None:
    pages = [pool.request("GET", f"{url}/sign-in").data for _ in range(2)]
    keys = {page.partition(b'name="key" value="')[2].partition(b'"')[0] for page in pages}
    assert len(keys) == 2
    assert b"" not in keys
    for text in (*keys, b"", b".", b"x.y", "\u00e9.".encode()):
        answer = pool.request_encode_body(
            "POST",
            f"{url}/sign-in",
            fields={"key": text.decode(), "token": "x"},
            encode_multipart=False,
        )
        assert ("not accepted" in answer.data.decode()) == (text in keys)
