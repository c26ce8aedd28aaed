"""Webhooks, with a receiver that listens: what is told, signed, told again, and never sent."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.servers.receiver import Receiver

from detent import InvalidError, NotFoundError, RefusedError, Registry
from detent.blobs.memory import MemoryBlobs
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, register_bytes
from detent.webhooks.deliver import WAITS_S, Teller, deliver_due
from detent.webhooks.target import resolve


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def open_stores(folder: Path, clock: Clock, *, allows: bool = True) -> Stores:
    stores = Stores(
        metadata=SqliteMetadata(folder / "detent.db"),
        open_blobs=MemoryBlobs,
        actor="ana",
        clock=clock,
        allows_private_webhooks=allows,
    )
    Registry(stores).create()
    return stores


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, clock: Clock) -> Stores:
    return open_stores(tmp_path, clock)


def test_events_are_told_in_order_and_signed(stores: Stores, receiver: Receiver) -> None:
    made = Registry(stores).create_webhook(receiver.url)
    registry = live_through_everything(stores)
    deliver_due(stores)
    types = [event["type"] for event in receiver.told]
    assert types[0] == "detent.version.registered"
    assert {"detent.alias.activated", "detent.alias.rolled_back", "detent.alias.refused"} <= {
        *types
    }
    assert not any(type.startswith(("detent.policy", "detent.webhook")) for type in types)
    ids = [int(event["id"]) for event in receiver.told]
    assert ids == sorted(set(ids))
    known = {event.seq: event for event in registry.audit()}
    for (headers, body), event in zip(receiver.got, receiver.told, strict=True):
        assert event["specversion"] == "1.0"
        assert event["source"].startswith("urn:detent:registry:")
        assert event["data"]["digest"] == known[int(event["id"])].digest
        assert headers["content-type"] == "application/cloudevents+json"
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(made.secret.removeprefix("whsec_"))
        own = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{own}"
    rolled_back = receiver.told[types.index("detent.alias.rolled_back")]
    assert rolled_back["subject"] == "fraud@production"
    assert deliver_due(stores) == 0


def test_a_webhook_is_told_of_what_it_asked_for_only(stores: Stores, receiver: Receiver) -> None:
    registry = Registry(stores)
    registry.create_webhook(receiver.url, types=["detent.alias.rolled_back"], models=["fraud"])
    live_through_everything(stores)
    register_bytes(stores, "churn", b"1")
    register_bytes(stores, "churn", b"2")
    registry.activate("churn/1", "production")
    registry.activate("churn/2", "production")
    registry.rollback("churn@production")
    deliver_due(stores)
    assert {(e["type"], e["subject"]) for e in receiver.told} == {
        ("detent.alias.rolled_back", "fraud@production")
    }


def test_a_failure_is_told_again_later_also_after_a_restart(
    tmp_path: Path, stores: Stores, clock: Clock, receiver: Receiver
) -> None:
    registry = Registry(stores)
    hook = registry.create_webhook(receiver.url).webhook
    register_bytes(stores, "fraud", b"1")
    register_bytes(stores, "fraud", b"2")
    receiver.statuses = [500, 302]  # what it points elsewhere is no answer
    assert deliver_due(stores) == 1
    assert deliver_due(stores) == 0  # not yet
    stores.metadata.close()
    again = open_stores(tmp_path, clock)
    clock.now += timedelta(seconds=WAITS_S[0])
    assert deliver_due(again) == 1
    clock.now += timedelta(seconds=WAITS_S[0])
    assert deliver_due(again) == 0  # the second wait is longer
    clock.now += timedelta(seconds=WAITS_S[1])
    assert deliver_due(again) == 2
    assert [event["data"]["body"]["version"] for event in receiver.told] == [1, 1, 1, 2]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 2
    log = Registry(again).deliveries(hook.id)
    assert [(d.attempt, d.status, d.is_told) for d in reversed(log)] == [
        (1, 500, False),
        (2, 302, False),
        (3, 200, True),
        (1, 200, True),
    ]


def test_an_event_that_is_never_accepted_is_given_up(
    stores: Stores, clock: Clock, receiver: Receiver
) -> None:
    registry = Registry(stores)
    registry.create_webhook(receiver.url)
    register_bytes(stores, "fraud", b"1")
    receiver.statuses = [503] * (len(WAITS_S) + 1)
    for wait in (0, *WAITS_S):
        clock.now += timedelta(seconds=wait)
        assert deliver_due(stores) == 1
    clock.now += timedelta(days=30)
    assert deliver_due(stores) == 0
    register_bytes(stores, "fraud", b"2")
    assert deliver_due(stores) == 1
    assert receiver.told[-1]["data"]["body"]["version"] == 2


def test_two_servers_tell_an_event_once(stores: Stores, receiver: Receiver) -> None:
    Registry(stores).create_webhook(receiver.url)
    for i in range(10):
        register_bytes(stores, "fraud", b"%d" % i)
    threads = [threading.Thread(target=deliver_due, args=(stores,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver_due(stores)
    assert [event["data"]["body"]["version"] for event in receiver.told] == list(range(1, 11))


def test_a_running_teller_tells_what_happens(stores: Stores, receiver: Receiver) -> None:
    Registry(stores).create_webhook(receiver.url)
    teller = Teller(stores)
    teller.start()
    register_bytes(stores, "fraud", b"1")
    assert receiver.has_got.wait(60)
    teller.stop()
    assert receiver.told[0]["type"] == "detent.version.registered"


def test_a_test_says_what_was_answered(stores: Stores, receiver: Receiver) -> None:
    registry = Registry(stores)
    hook = registry.create_webhook(receiver.url).webhook
    receiver.statuses = [200, 401]
    assert registry.test_webhook(hook.id).status == 200
    assert registry.test_webhook(hook.id).problem == "answered with status 401"
    assert {event["type"] for event in receiver.told} == {"detent.webhook.tested"}
    assert [delivery.seq for delivery in registry.deliveries(hook.id)] == [0, 0]
    registry.delete_webhook(hook.id)
    with pytest.raises(NotFoundError):
        registry.test_webhook(hook.id)
    assert registry.webhooks() == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:192.168.0.1]/hook",
        "https://0.0.0.0/hook",
    ],
)
def test_a_private_address_is_refused(tmp_path: Path, clock: Clock, url: str) -> None:
    registry = Registry(open_stores(tmp_path, clock, allows=False))
    with pytest.raises(RefusedError, match="not public"):
        registry.create_webhook(url)
    assert registry.webhooks() == []


def test_a_name_of_a_private_address_is_not_sent_to(
    tmp_path: Path, clock: Clock, receiver: Receiver
) -> None:
    stores = open_stores(tmp_path, clock, allows=False)
    registry = Registry(stores)
    hook = registry.create_webhook(f"https://localhost:{receiver.port}/hook").webhook
    problem = registry.test_webhook(hook.id).problem
    assert problem is not None
    assert "not public" in problem
    assert receiver.got == []


def test_what_is_allowed_later_is_not_sent_once_it_is_not(
    tmp_path: Path, stores: Stores, clock: Clock, receiver: Receiver
) -> None:
    Registry(stores).create_webhook(receiver.url)
    register_bytes(stores, "fraud", b"1")
    strict = open_stores(tmp_path, clock, allows=False)
    assert deliver_due(strict) == 1
    assert receiver.got == []


@pytest.mark.parametrize(
    "url", ["ftp://hooks.example", "https://", "https://ana:pw@hooks.example", "x", "https://a:b/"]
)
def test_what_is_no_address_is_invalid(stores: Stores, url: str) -> None:
    with pytest.raises(InvalidError):
        Registry(stores).create_webhook(url)


def test_a_type_or_model_that_cannot_be_is_invalid(stores: Stores) -> None:
    for types, models in ((["alias.activated"], []), (["detent.*.x"], []), ([], ["../x"])):
        with pytest.raises(InvalidError):
            Registry(stores).create_webhook("https://hooks.example", types=types, models=models)


def test_an_address_is_resolved_once(receiver: Receiver) -> None:
    from urllib.parse import urlsplit

    parts = urlsplit(f"http://localhost:{receiver.port}")
    assert resolve(parts, allows_private=True) in ("127.0.0.1", "::1")


def test_secrets_and_the_rest_of_an_url_are_not_in_the_journal(
    stores: Stores, receiver: Receiver
) -> None:
    registry = Registry(stores)
    made = registry.create_webhook(receiver.url)
    told = json.dumps([event.body for event in registry.audit()])
    assert f"127.0.0.1:{receiver.port}" in told
    assert "/hook" not in told
    assert made.secret not in told
    assert registry.audit(verify=True).is_unbroken
