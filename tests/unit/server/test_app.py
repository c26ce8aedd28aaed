"""The HTTP API: who may do what, what is made once, and what bad input is answered with."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3
from tests.unit.rollout.test_predictions import make_record

import detent
from detent import (
    Activation,
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    Registry,
    UnavailableError,
)
from detent.blobs.base import put, read_verified
from detent.blobs.local import LocalBlobs
from detent.blobs.memory import MemoryBlobs
from detent.domain.digest import digest_of
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.remote import RemoteOperations
from detent.server.app import MAX_BODY, make_app
from detent.testing.registries import live_through_everything, register_bytes, stores_on
from detent.testing.servers import serving

API = "/api/v1"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    folder = tmp_path / "registry"
    made = stores_on(SqliteMetadata(folder / "detent.db"), LocalBlobs(folder / "blobs"))
    made.predictions_path = str(folder / "predictions.db")
    return made


@pytest.fixture
def url(stores: Stores) -> Iterator[str]:
    with serving(make_app(stores, hosts=frozenset({"127.0.0.1"}))) as url:
        yield url


def ask(url: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    pool = urllib3.PoolManager(retries=False)
    try:
        return pool.request(method, url + path, body=data, headers=given)
    finally:
        pool.clear()


def as_user(url: str, secret: str | None) -> Registry:
    return Registry(RemoteOperations(url, user="nobody", token=secret))


def test_a_rollout_from_afar(stores: Stores, url: str) -> None:
    here, there = live_through_everything(stores), detent.connect(url, user="ana")
    register_bytes(stores, "wine", b"third wine")
    rollout = there.start_rollout("wine/4", "staging", canary="5%,50%", slo="20ms")
    assert here.rollout("wine@staging") == rollout
    assert there.rollout_course("wine@staging") == []
    assert there.advance_rollout(rollout.id, expected=rollout.phase_us).weight == 0.05
    with pytest.raises(ConflictError, match="moved to canary 5%"):
        there.advance_rollout(rollout.id, expected=rollout.phase_us)
    tag = ask(url, "GET", f"/api/v1/rollout?name={rollout.id}").headers["ETag"]
    assert tag.strip('"').partition("-")[0] == str(here.rollout(rollout.id).phase_us)
    assert there.pause_rollout("wine@staging", reason="a holiday").why == "a holiday"
    assert there.resume_rollout("wine@staging").status == "running"
    assert there.labels_wanted("wine@staging") == []
    assert there.drive_rollout("wine@staging").id == rollout.id
    here._stores.predictions.write([make_record(rollout, "a")])
    told = there.feedback([{"id": "a", "label": 1}, {"id": "nobody", "label": 1}], model="wine")
    assert (told.joined, [line for line, _ in told.refused]) == (1, [2])
    assert here._stores.predictions.find_row("wine", "a", 0) == ("1", "1")
    ended, entry = there.stop_rollout("wine@staging")
    assert (ended.status, entry.previous if entry else None) == ("stopped", 4)
    with pytest.raises(ConflictError, match="ended at"):
        there.advance_rollout("wine@staging")
    with pytest.raises(detent.InvalidError, match="rising"):
        there.start_rollout("wine/4", "staging", canary="50%,5%")
    there.close()


def test_every_reading_verb_gives_the_same_as_in_the_folder(stores: Stores, url: str) -> None:
    here = live_through_everything(stores)
    there = detent.connect(url, user="ana")
    for verb, names in (
        ("models", [()]),
        ("list_status", [()]),
        ("audit", [()]),
        ("versions", [("fraud",), ("wine",)]),
        ("history", [("fraud@production",), ("fraud@staging",)]),
        ("evaluations", [("fraud",), ("fraud/2",)]),
        ("show", [("fraud/2",), ("fraud@production",)]),
        ("policy", [("fraud@production",), ("wine@production",)]),
        ("decision", [(1,), (2,)]),
        ("compare", [("fraud/2", "fraud/3")]),
        ("diff", [("fraud/1", "fraud/2")]),
        ("rollouts", [(), ("wine@staging",), ("fraud",)]),
        ("rollout", [("wine@staging",), (1,)]),
    ):
        for given in names:
            assert getattr(there, verb)(*given) == getattr(here, verb)(*given), verb
    assert there.audit(verify=True).is_unbroken
    assert there.versions("fraud", limit=2) == here.versions("fraud", limit=2)
    assert there.load("fraud/1") == here.load("fraud/1")
    there.close()


def test_an_error_is_the_same_error(stores: Stores, url: str) -> None:
    live_through_everything(stores)
    there = detent.connect(url, user="ana")
    with pytest.raises(NotFoundError, match="did you mean `fraud`") as missing:
        there.versions("freud")
    assert missing.value.hint
    with pytest.raises(RefusedError) as refused:
        there.activate("fraud/6", "production")
    assert refused.value.decision.candidate == 6
    with pytest.raises(ConflictError, match="nothing was changed"):
        there.rollback("fraud@production", expected=1)
    there.close()


def test_a_role_allows_what_it_says(stores: Stores, url: str) -> None:
    register_bytes(stores, "fraud", b"1")
    register_bytes(stores, "wine", b"1")
    local = Registry(stores)
    admin = local.create_token("root", role="admin").secret
    reader = as_user(url, local.create_token("rea", role="reader").secret)
    keeper = as_user(url, local.create_token("mia", role="maintainer", models=["wine"]).secret)
    assert reader.version("fraud/1").number == 1
    for change in (
        lambda: reader.activate("fraud/1", "production"),
        lambda: keeper.activate("fraud/1", "production"),
        lambda: keeper.create_token("eve", role="admin"),
        lambda: put(reader._operations.blobs, b"bytes"),
        lambda: as_user(url, None).models(),
        lambda: as_user(url, "detent_wrong").models(),
    ):
        with pytest.raises(RefusedError):
            change()
    assert keeper.activate("wine/1", "production").by == "mia"  # not what the request says
    there = as_user(url, admin)
    [token] = [token for token in there.tokens() if token.name == "mia"]
    there.revoke_token(token.id)
    with pytest.raises(RefusedError):
        keeper.models()
    report = there.audit(verify=True)
    assert report.is_unbroken
    for registry in (reader, keeper, there):
        registry.close()


@pytest.mark.folder
def test_a_secret_is_kept_nowhere(stores: Stores, tmp_path: Path) -> None:
    secret = Registry(stores).create_token("ana", role="admin").secret.encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(secret in path.read_bytes() for path in files)


def test_a_change_under_a_key_is_made_once(stores: Stores, url: str) -> None:
    for content in (b"1", b"2"):
        register_bytes(stores, "fraud", content)
    Registry(stores).activate("fraud/1", "production")
    path, body = f"{API}/aliases/fraud@production/activate", {"reference": "fraud/2"}
    first = ask(url, "POST", path, body, idempotency_key="k")
    Registry(stores).rollback("fraud@production")
    again = ask(url, "POST", path, body, idempotency_key="k")
    assert (first.status, first.data) == (again.status, again.data) == (200, first.data)
    assert Registry(stores).version("fraud@production").number == 1
    refused = [ask(url, "POST", path, body, idempotency_key="r") for _ in range(2)]
    assert [answer.status for answer in refused] == [403, 403]
    assert refused[0].json() == refused[1].json()
    other = ask(url, "POST", path, {"reference": "fraud/1"}, idempotency_key="k")
    assert other.status == 422
    tried = ask(url, "POST", path, {**body, "override": "x", "dry_run": True}, idempotency_key="d")
    assert tried.status == 200
    assert Registry(stores).version("fraud@production").number == 1
    assert len(Registry(stores).history("fraud@production")) == 4


def test_sixteen_clients_on_one_alias_lose_no_change(stores: Stores, url: str) -> None:
    numbers = [register_bytes(stores, "fraud", b"%d" % i).number for i in range(16)]
    first = Registry(stores).activate("fraud/1", "production").entry
    status = f"/status?name={quote('fraud@production')}"
    beginning = threading.Barrier(16)

    def change(number: int) -> tuple[list[tuple[str, int]], int]:
        """Change the alias three times; return what each was put on, and the entry made."""
        made: list[tuple[str, int]] = []
        n_refused = 0
        body = json.dumps({"reference": f"fraud/{number}"}).encode()
        headers = {"Detent-User": f"client {number}"}
        with urllib3.PoolManager(retries=False) as pool:
            beginning.wait()
            while len(made) < 3:
                seen = pool.request("GET", f"{url}{API}{status}")
                held = seen.json()["items"][0]["version"]
                is_ours = held is not None and held["number"] == number
                do = "deactivate" if is_ours else "activate"
                answer = pool.request(
                    "POST",
                    f"{url}{API}/aliases/fraud@production/{do}",
                    body=b"{}" if is_ours else body,
                    headers=headers | {"If-Match": seen.headers["ETag"]},
                )
                if answer.status == 412:
                    assert "nothing was changed" in answer.json()["detail"]
                    n_refused += 1
                    continue
                assert answer.status == 200, answer.data
                made.append((seen.headers["ETag"], answer.json()["entry"]))
        return made, n_refused

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(change, numbers))
    history = Registry(stores).history("fraud@production")
    entries = [entry for entry in history if isinstance(entry, Activation)]
    assert len(entries) == len(history)  # none was refused by a rule
    # Each change that was answered as made is there once, and nothing else is.
    told = {entry: n for n, (made, _) in zip(numbers, done, strict=True) for _, entry in made}
    assert len(told) == 16 * 3
    assert {entry.entry for entry in entries} == {first, *told}
    assert {entry.entry: entry.by for entry in entries if entry.entry in told} == {
        entry: f"client {number}" for entry, number in told.items()
    }
    # Each was put on the one that its client had seen: none was made over another's.
    assert [entry.below for entry in entries[:-1]] == [entry.entry for entry in entries[1:]]
    seen_before = {entry: tag for made, _ in done for tag, entry in made}
    for entry in entries[:-1]:
        assert seen_before[entry.entry].strip('"').partition("-")[0] == str(entry.below)
    assert sum(n_refused for _, n_refused in done) > 0  # they did meet


def test_if_match_takes_the_etag_of_the_alias(stores: Stores, url: str) -> None:
    for content in (b"1", b"2"):
        register_bytes(stores, "fraud", content)
    Registry(stores).activate("fraud/1", "production")
    status = f"{API}/status?name=fraud@production"
    tag = ask(url, "GET", status).headers["ETag"]
    assert ask(url, "GET", status, if_none_match=tag).status == 304
    path, body = f"{API}/aliases/fraud@production/activate", {"reference": "fraud/2"}
    assert ask(url, "POST", path, body, if_match='"7"').status == 412
    assert ask(url, "POST", path, body, if_match=tag).status == 200
    assert ask(url, "POST", path, body, if_match="soon").status == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/nowhere", None, {}, 404),
        ("DELETE", f"{API}/models", None, {}, 405),
        ("GET", f"{API}/models?limit=many", None, {}, 422),
        ("GET", f"{API}/models/fraud/versions?below={10**30}", None, {}, 422),
        ("GET", f"{API}/decisions/{2**63}", None, {}, 422),
        ("GET", f"{API}/versions/..%2F..%2Fetc%2Fpasswd", None, {}, 422),
        ("GET", f"{API}/blobs/..%2F..%2Fdetent.db", None, {}, 404),
        ("GET", f"{API}/blobs/sha256:0", None, {}, 422),
        ("GET", "/events?after=-1", None, {}, 422),
        ("POST", f"{API}/prune", b"[" * 1_000_000, {}, 422),
        ("POST", f"{API}/prune", b"\xff", {}, 422),
        ("POST", f"{API}/prune", {"grace_s": "x", "more": 1}, {}, 422),
        ("POST", f"{API}/prune", b" " * (MAX_BODY + 1), {}, 413),
        ("POST", f"{API}/prune", {}, {"origin": "http://evil.example"}, 403),
        ("GET", f"{API}/models", None, {"host": "evil.example"}, 421),
    ],
)
def test_bad_input_is_a_problem(
    url: str, method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = ask(url, method, path, body, **headers)
    problem = answer.json()
    assert (answer.status, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["title"] != ""
    assert problem["detail"]


def test_a_broken_upload_goes_on_where_it_ended(stores: Stores, url: str) -> None:
    data = bytes(range(256)) * 20_000
    path = f"{API}/blobs/{digest_of(data)}"
    total = str(len(data))
    part = ask(url, "PUT", path, data[:3_000_000], upload_length=total)
    assert (part.status, part.headers["Upload-Offset"]) == (202, "3000000")
    assert ask(url, "HEAD", path).headers["Upload-Offset"] == "3000000"
    wrong = ask(url, "PUT", path, data[:10], upload_length=total, upload_offset="0")
    assert wrong.status == 409
    there = detent.connect(url, user="ana")
    assert put(there._operations.blobs, data) == digest_of(data)
    assert read_verified(stores.blobs, digest_of(data), what="it") == data
    assert read_verified(there._operations.blobs, digest_of(data), what="it") == data
    rest = ask(url, "GET", path, range="bytes=5119999-")
    assert (rest.status, rest.data) == (206, data[-1:])
    assert rest.headers["x-content-type-options"] == "nosniff"
    there.close()


def test_bytes_that_are_not_what_their_digest_says_are_not_kept(stores: Stores, url: str) -> None:
    path = f"{API}/blobs/{digest_of(b'good')}"
    assert ask(url, "PUT", path, b"evil", upload_length="4").status == 422
    assert ask(url, "PUT", path, b"good and more", upload_length="4").status == 413
    assert stores.blobs.find_size(digest_of(b"good")) is None
    assert ask(url, "PUT", path, b"good", upload_length="4").status == 201


def test_events_are_told_once_from_a_cursor_on(stores: Stores, url: str) -> None:
    live_through_everything(stores)
    lines = ask(url, "GET", "/events?after=0").data.splitlines()
    told = [json.loads(line)["seq"] for line in lines]
    assert told == list(range(1, len(told) + 1))
    rest = ask(url, "GET", f"/events?after={told[-3]}").data.splitlines()
    assert rest == lines[-2:]


def test_the_document_names_every_operation(url: str) -> None:
    from detent.api import ROUTES

    document = ask(url, "GET", "/openapi.json").json()
    named = {o["operationId"] for path in document["paths"].values() for o in path.values()}
    assert document["openapi"].startswith("3.1")
    assert named == set(ROUTES)


def test_no_server_is_told_as_unavailable() -> None:
    with serving(make_app(stores_on(SqliteMetadata(None), MemoryBlobs()))) as url:
        pass
    with pytest.raises(UnavailableError, match="did not answer"):
        detent.connect(url, user="ana").models()


def test_a_manifest_that_claims_what_its_blobs_are_not(stores: Stores, url: str) -> None:
    digest = put(stores.blobs, b"bytes")
    for path, size in (("../../x", 5), ("/etc/x", 5), ("x", 4)):
        files = [{"path": path, "digest": digest, "size_bytes": size}]
        body = {"manifest": {"format": "files", "files": files}}
        assert ask(url, "POST", f"{API}/models/fraud/versions", body).status == 422


def test_a_blob_is_removed_only_when_it_is_damaged(stores: Stores, url: str) -> None:
    register_bytes(stores, "fraud", b"1")
    there = detent.connect(url, user="ana")
    [file] = there.show("fraud/1").manifest.files
    with pytest.raises(InvalidError, match="is whole"):
        there._operations.blobs.delete(file.digest)
    assert not there.verify("fraud/1").problems
    there.close()


def test_what_needs_the_stores_says_where_to_run_it(url: str) -> None:
    there = detent.connect(url, user="ana")
    with pytest.raises(InvalidError, match="server's own") as refused:
        there.follow("fraud@production")
    assert refused.value.hint
    there.close()


def test_headers_over_a_limit_are_refused(url: str) -> None:
    answer = ask(url, "GET", f"{API}/models", x_large="x" * 200_000)
    assert 400 <= answer.status < 500


def test_ids_of_another_model_change_nothing(stores: Stores, url: str) -> None:
    for model in ("fraud", "wine"):
        register_bytes(stores, model, model.encode())
    local = Registry(stores)
    keeper = as_user(url, local.create_token("mia", role="maintainer", models=["wine"]).secret)
    before = len(local.audit())
    for change in (
        lambda: keeper.activate("fraud/1", "wine@production"),
        lambda: keeper.activate("wine/1", "fraud@production"),
        lambda: keeper.withdraw("fraud/1", reason="not mine"),
        lambda: keeper.note("fraud/1", "not mine"),
    ):
        with pytest.raises((RefusedError, InvalidError)):
            change()
    assert len(local.audit()) == before
    keeper.close()


def test_webhooks_are_for_admins(stores: Stores, url: str) -> None:
    local = Registry(stores)
    keeper = as_user(url, local.create_token("mia", role="maintainer").secret)
    admin = as_user(url, local.create_token("root", role="admin").secret)
    with pytest.raises(RefusedError):
        keeper.create_webhook("https://hooks.example")
    with pytest.raises(RefusedError, match="not public"):
        admin.create_webhook("https://127.0.0.1/hook")
    made = admin.create_webhook("https://hooks.example/secret-of-theirs", models=["churn"])
    assert admin.webhooks() == local.webhooks() == [made.webhook]
    assert admin.deliveries(made.webhook.id) == []
    assert admin.delete_webhook(made.webhook.id).id == made.webhook.id
    for registry in (keeper, admin):
        registry.close()
