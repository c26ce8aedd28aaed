"""Answers that are kept are those of now: whatever they depend on makes them anew."""

from collections.abc import Callable

import pytest

from detent import Registry
from detent.blobs.memory import MemoryBlobs
from detent.evaluation.evaluate import evaluate
from detent.metadata.sqlite import SqliteMetadata
from detent.registry.stores import Stores
from detent.testing.registries import live_through_everything, register_bytes, stores_on


@pytest.fixture
def stores() -> Stores:
    stores = stores_on(SqliteMetadata(None), MemoryBlobs())
    live_through_everything(stores)
    return stores


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda r: r.hold("fraud@production", reason="holiday"), "fail"),
        (lambda r: r.withdraw("fraud/2", reason="trained on test rows"), "fail"),
        (lambda r: r.set_policy("fraud@production", {"approvals": 1}), "fail"),
    ],
    ids=["held", "withdrawn", "approvals"],
)
def test_a_gate_that_was_asked_before_knows_what_happened_since(
    stores: Stores, change: Callable[[Registry], object], outcome: str
) -> None:
    registry = Registry(stores)
    assert registry.gate("fraud/2", "production").outcome == "pass"
    change(registry)
    assert registry.gate("fraud/2", "production").outcome == outcome


def test_a_gate_answers_each_as_whom_they_are(stores: Stores) -> None:
    registry = Registry(stores)
    registry.set_policy("fraud@production", {"approvals": 1})
    registry.approve("fraud/2", "production")
    assert registry.gate("fraud/2", "production").outcome == "fail"  # of one's own
    assert Registry(stores.acting_as("bo")).gate("fraud/2", "production").outcome == "pass"


def test_a_comparison_made_before_knows_how_often_its_rows_were_used(stores: Stores) -> None:
    class Yes:
        def predict(self, X: object) -> list[str]:
            return ["yes"] * 4

    registry = Registry(stores)
    rows, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "yes", "no"]
    before = registry.compare("fraud/2", "fraud/6")
    assert registry.compare("fraud/2", "fraud/6") == before
    version = register_bytes(stores, "fraud", b"one more")
    evaluate(stores, version, Yes(), rows, y, dataset="four rows", metrics=["accuracy"])
    after = registry.compare("fraud/2", version)
    assert after.use == before.use + 1
    assert registry.compare("fraud/2", "fraud/6") == before
