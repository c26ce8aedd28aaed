"""A model that follows an alias inside a user's own process."""

import gc
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from tests.serving.conftest import wait_until

import detent
from detent.domain.clock import from_us
from detent.domain.reference import parse_reference
from detent.domain.server import Server, sort_servers
from detent.runtime.deployment import Deployment, Role
from detent.runtime.door import _KNOCK, find_doors
from detent.runtime.fence import announced
from detent.runtime.follower import Follower
from detent.runtime.place import is_gone, this_place
from detent.runtime.slot import Slot

X = np.random.default_rng(0).normal(size=(40, 2))


@pytest.fixture(params=["folder", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> detent.Registry:
    made = detent.connect("memory:" if request.param == "memory" else tmp_path / "registry")
    for sign in (1, -1):
        model = LogisticRegression().fit(X, (sign * X[:, 0] > 0).astype(int))
        made.register("churn", model, sample=X[:5], code="/")
    made.activate("churn/1", "production")
    return made


def test_it_answers_with_what_the_alias_holds(registry: detent.Registry) -> None:
    with registry.follow("churn@production") as live:
        one, two = registry.load("churn/1"), registry.load("churn/2")
        np.testing.assert_array_equal(live.predict(X), one.predict(X))
        np.testing.assert_array_equal(live.predict_proba(X), one.predict_proba(X))
        np.testing.assert_array_equal(live.decision_function(X), one.decision_function(X))
        assert live.version == registry.version("churn/1")
        assert repr(live) == "<Live churn@production v1>"
        entry = registry.activate("churn/2", "production", wait_s=60)
        assert entry.confirmation is not None
        assert (entry.confirmation.servers, entry.confirmation.confirmed) == (1, 1)
        answer, version = live.call("predict", X)
        assert version.number == 2
        np.testing.assert_array_equal(answer, two.predict(X))
        with pytest.raises(AttributeError, match="has no `transform`"):
            live.call("transform", X)


@pytest.mark.folder
def test_a_change_is_seen_by_the_next_answer_without_waiting(registry: detent.Registry) -> None:
    with registry.follow("churn@production") as live:
        registry.activate("churn/2", "production", wait_s=60)
        for expected in (1, 2, 1):
            if expected == 1:
                registry.rollback("churn@production", wait_s=0)
            else:
                registry.activate("churn/2", "production", override="again", wait_s=0)
            assert live.version.number == expected


def test_a_deactivated_alias_answers_nothing(registry: detent.Registry) -> None:
    with registry.follow("churn@production") as live:
        found = registry.deactivate("churn@production", wait_s=60).confirmation
        assert found is not None
        assert found.is_complete
        with pytest.raises(detent.NotFoundError, match="it was deactivated"):
            live.predict(X)
        registry.rollback("churn@production", wait_s=60)
        assert live.version.number == 1


def test_what_does_not_load_is_a_problem_and_not_an_answer(registry: detent.Registry) -> None:
    registry.register("churn", registry.load("churn/1"), format="joblib", code="/")
    with registry.follow("churn@production") as live:
        found = registry.activate("churn/3", "production", wait_s=60).confirmation
        assert found is not None
        assert not found.is_complete
        assert "v3 does not load" in str(found.behind[0].problem)
        assert live.version.number == 1
    with registry.follow("churn@production") as live:
        with pytest.raises(detent.UnavailableError, match="v3 does not load"):
            live.predict(X)
        registry.rollback("churn@production", wait_s=60)
        assert live.version.number == 1


def test_a_rollback_waits_for_the_answer_in_flight(registry: detent.Registry) -> None:
    with registry.follow("churn@production") as live:
        registry.activate("churn/2", "production", wait_s=60)
        slot, _ = live._deployment.acquire()  # an answer that takes its time
        entry = registry.rollback("churn@production", wait_s=0.2)
        assert entry.confirmation is not None
        assert [server.version for server in entry.confirmation.behind] == [1]
        assert live.version.number == 1
        returned = threading.Event()

        def confirm_again() -> None:
            # It is active already: nothing is changed, and who has not followed is waited for.
            registry.activate("churn/1", "production", wait_s=60)
            returned.set()

        again = threading.Thread(target=confirm_again)
        again.start()
        assert not returned.wait(0.2)
        live._deployment.release(slot)
        again.join()
        assert returned.is_set()


def test_a_rollback_is_announced_and_one_that_is_refused_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    registry = detent.connect(tmp_path / "registry")
    registry.register("churn", LogisticRegression().fit(X, X[:, 0] > 0), sample=X[:5], code="/")
    registry.activate("churn/1", "production")
    with registry.follow("churn@production"):
        metadata = registry._stores.metadata
        (door,) = find_doors(metadata.servers.doors, "churn@production").values()
        with announced(metadata, "churn@production"):
            assert door._cells[_KNOCK]
        with pytest.raises(detent.RefusedError, match="is the first it has held"):
            registry.rollback("churn@production")
        assert not door._cells[_KNOCK]


class Slow:
    """A model that is loaded once its door is open."""

    n_loads = 0
    door = threading.Event()

    def predict(self, X: Any) -> Any:
        return X[:, 0]

    def __getstate__(self) -> dict[str, Any]:
        return {"a": 1}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Slow.n_loads += 1
        assert Slow.door.wait(60)


def test_a_version_on_its_way_is_not_loaded_twice(tmp_path: Path) -> None:
    registry = detent.connect(tmp_path / "registry")
    Slow.n_loads = 0
    Slow.door.clear()
    registry.register("churn", Slow(), format="joblib", code="/")
    registry.register("churn", registry_model(), sample=X[:5], code="/")
    registry.activate("churn/1", "production")
    registry.activate("churn/2", "production")
    with registry.follow("churn@production", trusted=True) as live:
        wait_until(lambda: Slow.n_loads == 1)  # the version that a rollback would return to
        entry = registry.rollback("churn@production", wait_s=0).entry
        assert live.version.number == 2
        Slow.door.set()
        wait_until(lambda: live.version.number == 1)
        wait_until(lambda: registry.servers()[0].entry == entry)
    assert Slow.n_loads == 1


def test_what_is_closed_or_forgotten_is_not_waited_for(registry: detent.Registry) -> None:
    live = registry.follow("churn@production")
    assert [(s.pid, s.version) for s in registry.servers("churn")] == [(os.getpid(), 1)]
    live.close()
    live.close()
    assert registry.servers() == []
    with pytest.raises(detent.UnavailableError, match="is closed"):
        live.predict(X)
    live = registry.follow("churn@production")
    del live
    gc.collect()
    assert registry.servers() == []


def test_many_threads_ask_while_it_changes(registry: detent.Registry) -> None:
    registry.activate("churn/2", "production")
    wrong: list[object] = []
    end = threading.Event()
    expected = {n: registry.load(f"churn/{n}").predict(X).tolist() for n in (1, 2)}

    def ask(live: detent.Live) -> None:
        while not end.is_set():
            answer, version = live.call("predict", X)
            if answer.tolist() != expected[version.number]:
                wrong.append(version)

    with registry.follow("churn@production") as live:
        threads = [threading.Thread(target=ask, args=(live,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            back = registry.rollback("churn@production", wait_s=60).confirmation
            forth = registry.activate(
                "churn/2", "production", override="again", wait_s=60
            ).confirmation
            assert back is not None
            assert forth is not None
            assert back.is_complete
            assert forth.is_complete
        end.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_only_an_alias_can_be_followed(registry: detent.Registry) -> None:
    with pytest.raises(detent.InvalidError, match="is not an alias"):
        registry.follow("churn/1")
    with pytest.raises(detent.NotFoundError, match="has no alias `staging`"):
        registry.follow("churn@staging")


@pytest.mark.folder
def test_a_damaged_file_of_servers_is_made_anew(tmp_path: Path) -> None:
    registry = detent.connect(tmp_path / "registry")
    registry.register("churn", registry_model(), sample=X[:5], code="/")
    registry.activate("churn/1", "production")
    (tmp_path / "registry" / "serving.db").write_bytes(b"after a power cut " * 500)
    with registry.follow("churn@production"):
        assert [server.version for server in registry.servers()] == [1]


def registry_model() -> LogisticRegression:
    return LogisticRegression().fit(X, (X[:, 0] > 0).astype(int))


def _server(entry: int, *, problem_entry: int = 0, pid: int = 1, place: str = "") -> Server:
    return Server(
        id="a",
        model="churn",
        alias="production",
        host="web-1",
        pid=pid,
        place=place,
        version=1,
        entry=entry,
        heard_at=from_us(0),
        lease_until=from_us(0),
        problem_entry=problem_entry,
    )


def test_servers_are_sorted_by_what_they_have_acknowledged() -> None:
    starting, behind, current, ahead = (_server(entry) for entry in (0, 3, 4, 5))
    cannot, could_not = _server(3, problem_entry=4), _server(2, problem_entry=3)
    servers = (starting, behind, current, ahead, cannot, could_not)
    assert sort_servers(servers, 4) == ((current, ahead), (behind, could_not), (cannot,))


def test_a_process_is_known_to_have_ended_only_in_this_place() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # ended, and its parent has not heard
    assert is_gone(_server(1, pid=child, place=this_place()))
    os.waitpid(child, 0)
    assert is_gone(_server(1, pid=child, place=this_place()))
    assert not is_gone(_server(1, pid=child, place="another machine"))
    assert not is_gone(_server(1, pid=os.getpid(), place=this_place()))


def test_a_router_may_choose_a_candidate(registry: detent.Registry) -> None:
    active, candidate = (Slot(registry.version(f"churn/{n}"), registry_model()) for n in (1, 2))
    deployment = Deployment("churn", "production")
    deployment.swap(active, 1)
    deployment.candidate = candidate
    assert deployment.acquire("any") == (active, Role.ACTIVE)
    deployment.router = lambda _, key: (
        (candidate, Role.CANARY) if key == "b" else (active, Role.ACTIVE)
    )
    assert deployment.acquire("a") == (active, Role.ACTIVE)
    assert deployment.acquire("b") == (candidate, Role.CANARY)
    assert (active.n_running, candidate.n_running) == (2, 1)
    assert deployment.find(2) is candidate


@pytest.mark.folder
def test_who_cannot_see_what_was_changed_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> int:
        raise detent.UnavailableError("the database is away")

    registry = detent.connect(tmp_path / "registry")
    for strength in (1.0, 0.1):
        model = LogisticRegression(C=strength).fit(X, (X[:, 0] > 0).astype(int))
        registry.register("churn", model, sample=X[:5], code="/")
    registry.activate("churn/1", "production")
    with registry.follow("churn@production") as live:
        metadata = live._follower._stores.metadata
        monkeypatch.setattr(metadata, "change_counter", unavailable)
        assert live.version.number == 1, "nothing was changed"
        registry.activate("churn/2", "production", wait_s=0)
        with pytest.raises(detent.UnavailableError, match="was changed, and the registry cannot"):
            live.predict(X)
        monkeypatch.undo()
        registry.activate("churn/2", "production", wait_s=60)
        assert live.version.number == 2


@pytest.mark.folder
def test_a_lease_that_had_ended_answers_by_no_older_entry(registry: detent.Registry) -> None:
    """Whoever rolled back meanwhile was told that this server has stopped."""
    registry.activate("churn/2", "production")
    alias = parse_reference("churn@production")
    follower = Follower(registry._stores, [alias], lease_s=0.05, is_strict=True)
    follower.start()
    (deployment,) = follower.deployments
    try:
        wait_until(lambda: follower._is_lapsed)
        entry = registry.rollback("churn@production", wait_s=0)
        assert follower.may_answer or follower._is_lapsed  # it asks for a new lease, and looks
        assert deployment.demanded == entry.entry
        follower.look()
        wait_until(lambda: deployment.may_answer)
        assert deployment.acquire_active().version.number == 1
    finally:
        follower.close()


def test_a_deployment_answers_by_no_entry_before_the_one_demanded(
    registry: detent.Registry,
) -> None:
    one, two = (Slot(registry.version(f"churn/{n}"), registry_model()) for n in (1, 2))
    deployment = Deployment("churn", "production")
    deployment.swap(one, 1)
    deployment.demand(2)
    for acquire in (deployment.acquire, deployment.acquire_active):
        with pytest.raises(detent.UnavailableError, match="while this server had no lease"):
            acquire()
    assert not deployment.may_answer
    assert deployment.swap(two, 2), "what was refused is not waited for"
    assert deployment.acquire_active() is two
