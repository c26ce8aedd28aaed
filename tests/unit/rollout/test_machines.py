"""Machines that each keep what they answered decide together."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.rollout.conftest import Clock
from tests.unit.rollout.test_predictions import make_record

from detent import ConflictError, InvalidError, NotFoundError, Registry, Rollout
from detent.domain.clock import to_us
from detent.metadata.predictions import Predictions
from detent.registry.stores import Stores
from detent.rollout.driver import LEASE_S, Driver
from detent.rollout.feedback import Label
from detent.rollout.machines import accept_label

Machine = tuple[Registry, Stores, Driver]


@pytest.fixture
def machine(stores: Stores, registry: Registry) -> Callable[[], Machine]:
    """Return what makes another machine: the same rows, and predictions of its own."""

    def make() -> Machine:
        own = stores.acting_as("ana")
        own.is_spread = True
        own.predictions = Predictions(None)
        return Registry(own), own, Driver(own)

    return make


def answer(
    machine: Machine, rollout: Rollout, name: str, n: int, clock: Clock, **fields: Any
) -> None:
    fields = {"at_us": to_us(clock()), **fields}
    machine[1].predictions.write([make_record(rollout, f"{name}{i}", **fields) for i in range(n)])


def counts_of(registry: Registry) -> dict[str, int]:
    return registry.rollout("churn@production").counts or {}


def test_what_no_machine_knows_alone_they_know_together(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    machines = [machine() for _ in range(3)]
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    for i, one in enumerate(machines):  # four failures show nothing, twelve do
        answer(one, rollout, f"m{i}-", 4, clock, shadow_error="RuntimeError: oh")
        one[2].tick()
    clock.pass_(LEASE_S + 1)
    for *_, driver in machines:
        driver.tick()
    ended = registry.rollout(rollout.id)
    assert ended.status == "rolled_back"
    assert ended.decision is not None
    (result,) = registry.decision(ended.decision).results
    assert (result.rule, result.evidence["worse"]) == ("error_rate", 12)


def test_a_machine_that_is_gone_has_counted_what_it_counted(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    gone, stays = machine(), machine()
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    answer(gone, rollout, "a", 30, clock)
    gone[2].tick()
    clock.pass_(LEASE_S + 1)
    answer(stays, rollout, "b", 12, clock)
    stays[2].tick()
    assert counts_of(registry)["in_shadow"] == 42
    clock.pass_(LEASE_S + 1)
    answer(stays, rollout, "c", 1, clock)
    stays[2].tick()  # nothing is counted twice
    assert counts_of(registry)["in_shadow"] == 43


def test_of_the_processes_of_a_machine_one_counts(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    first = machine()
    other = Driver(first[1])
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    tables = first[1].metadata.current
    place = first[1].predictions.place()
    answer(first, rollout, "a", 5, clock)
    first[2].tick()
    answer(first, rollout, "b", 5, clock)
    other.tick()
    assert tables.find_tally(rollout.id, place).teller == first[2].id
    assert tables.find_tally(rollout.id, place).state["in_shadow"] == 5
    clock.pass_(LEASE_S + 1)
    other.tick()
    assert tables.find_tally(rollout.id, place).state["in_shadow"] == 10


def test_a_label_reaches_the_machine_that_made_the_answer(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    asked, told = machine(), machine()
    rollout = registry.start_rollout("churn/3", "production", label_window=0)
    answer(asked, rollout, "a", 12, clock)
    assert accept_label(told[1], "churn", Label(request_id="a0", label=1)) is False
    labels = [{"id": f"a{i}", "label": 1} for i in range(1, 12)]
    joined = told[0].feedback([*labels, {"id": "of nobody", "label": 1}], model="churn")
    assert (joined.joined, joined.waiting, joined.refused) == (0, 12, [])
    told[2].tick()  # it has made none of these answers
    assert len(told[1].metadata.current.list_waiting_labels("churn", since_us=0)) == 13
    clock.pass_(LEASE_S + 1)
    asked[2].tick()
    assert registry.rollout(rollout.id).status == "rolled_back"
    waiting = told[1].metadata.current.list_waiting_labels("churn", since_us=0)
    assert [one.request_id for one in waiting] == ["of nobody"]
    with pytest.raises(ConflictError):  # here it is known, so it is said
        accept_label(asked[1], "churn", Label(request_id="a0", label=1))
    with pytest.raises(InvalidError):
        accept_label(asked[1], "churn", Label(request_id="a0", label="one"))


def test_a_label_that_nobody_takes_goes_after_a_month(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    one = machine()
    with pytest.raises(NotFoundError):  # nothing was ever rolled out: no machine has it
        accept_label(one[1], "churn", Label(request_id="x", label=1))
    registry.start_rollout("churn/3", "production")
    assert accept_label(one[1], "churn", Label(request_id="x", label=1)) is False
    clock.pass_(31 * 86400)
    Driver(one[1]).tick()
    assert one[1].metadata.current.list_waiting_labels("churn", since_us=0) == []


def test_a_label_of_another_kind_is_dropped_where_it_is_tried(
    registry: Registry, machine: Callable[[], Machine], clock: Clock
) -> None:
    asked, told = machine(), machine()
    rollout = registry.start_rollout("churn/3", "production", label_window=0)
    answer(asked, rollout, "a", 1, clock)
    assert accept_label(told[1], "churn", Label(request_id="a0", label="one")) is False
    asked[2].tick()
    assert asked[1].metadata.current.list_waiting_labels("churn", since_us=0) == []
    found = asked[1].predictions.find_row("churn", "a0", 0)
    assert found == (json.dumps(1), None)


def test_a_store_has_a_name_of_its_own(tmp_path: Any) -> None:
    paths = [str(tmp_path / name / "predictions.db") for name in "ab"]
    names = [Predictions(path).place() for path in paths]
    assert len(set(names)) == 2
    assert Predictions(paths[0]).place() == names[0]
