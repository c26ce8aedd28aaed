"""A process of a user's own takes part in rollouts, if it says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.serving.conftest import wait_until

import detent

X = np.random.default_rng(0).normal(size=(40, 2))
PLAN: dict[str, Any] = {
    "shadow": "100ms",
    "canary": "50%",
    "step": "100ms",
    "step_requests": 10,
    "guard": "100ms",
    "labels": "none",
    "label_window": 0,
    "error_limit": "20%",  # takes few requests to show
}
NEVER_ENDS = PLAN | {"shadow": 0, "step": "1h"}


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> detent.Registry:
    """Return a registry whose `churn@production` holds version 1; version 2 is as good."""
    made = detent.connect("memory:" if request.param == "memory" else tmp_path / "registry")
    for strength in (1.0, 0.9):
        model = LogisticRegression(C=strength).fit(X, X[:, 0] > 0)
        made.register("churn", model, sample=X[:5], code="/")
    made.activate("churn/1", "production")
    return made


@pytest.fixture
def live(registry: detent.Registry) -> Iterator[Any]:
    with registry.follow("churn@production", rollouts=True, trusted=True) as found:
        yield found


def begin(registry: detent.Registry, live: Any, candidate: str, plan: Any) -> detent.Rollout:
    """Start a rollout, and wait until this process takes part."""
    rollout = registry.start_rollout(candidate, "production", **plan)
    wait_until(lambda: live._trials.is_on("churn@production"))
    return rollout


def test_one_as_good_goes_all_the_way(registry: detent.Registry, live: Any) -> None:
    rollout = begin(registry, live, "churn/2", PLAN)
    versions = set()

    def ask() -> bool:
        versions.add(live.call("predict", X[:1])[1].number)
        return registry.rollout(rollout.id).has_ended

    wait_until(ask, seconds=60)
    assert registry.rollout(rollout.id).status == "completed"
    assert (versions, live.version.number) == ({1, 2}, 2)


def test_one_that_fails_goes_and_no_call_fails(registry: detent.Registry, live: Any) -> None:
    candidate = str(registry.register("churn", fails, sample=X[:5], code="/"))
    rollout = begin(registry, live, candidate, NEVER_ENDS | {"timeout": "50ms"})
    expected = registry.load("churn/1").predict(X[:7])

    def ask() -> bool:
        np.testing.assert_array_equal(live.predict(X[:7]), expected)
        return registry.rollout(rollout.id).has_ended

    wait_until(ask, seconds=60)
    entry = registry.status("churn@production").activation
    assert (entry.version, entry.by) == (1, "auto (policy rule error_rate)")


def test_a_key_tries_the_same_version_and_a_batch_tries_none(
    registry: detent.Registry, live: Any
) -> None:
    rollout = begin(registry, live, "churn/2", NEVER_ENDS)

    def version(key: str, rows: Any = X[:1]) -> int:
        return int(live.call("predict", rows, key=key)[1].number)

    wait_until(lambda: {version(f"key {i}") for i in range(20)} == {1, 2})
    for i in range(10):
        assert len({version(f"key {i}") for _ in range(5)}) == 1
    batch = np.zeros((1001, 2))
    assert {version(f"key {i}", batch) for i in range(20)} == {1}
    with pytest.raises(AttributeError, match="has no `transform`"):
        live.call("transform", X)
    assert live.version.number == 1
    registry.stop_rollout(rollout.id)


def test_a_label_is_joined_to_the_call_that_was_named(registry: detent.Registry, live: Any) -> None:
    rollout = begin(registry, live, "churn/2", PLAN | {"labels": "all", "shadow": "1h"})
    rows = X[:2].copy()
    live.predict(rows, id="mine", key="ana")
    rows[:] = 1e9  # it is the caller's again
    kept = registry._stores.predictions
    wait_until(lambda: kept.requests_after(rollout.id, 0, limit=9))
    (record,) = kept.requests_after(rollout.id, 0, limit=9)
    assert (record.request_id, record.shadow_version, record.shadow_error) == ("mine", 2, None)
    assert record.key is not None
    assert registry.feedback([{"id": "mine", "row": 1, "label": True}], model="churn").joined == 1


def test_who_does_not_say_so_takes_no_part(registry: detent.Registry) -> None:
    with registry.follow("churn@production") as live:
        rollout = registry.start_rollout("churn/2", "production", **NEVER_ENDS)
        assert {live.call("predict", X[:1])[1].number for _ in range(50)} == {1}
        assert registry._stores.predictions.requests_after(rollout.id, 0, limit=9) == []


def fails(X: Any) -> Any:
    """Fail when asked for seven rows."""
    if len(X) == 7:
        raise RuntimeError("seven")
    return np.zeros(len(X), dtype=bool)
