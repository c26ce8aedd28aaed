"""What a rollout does by itself, driven on a registry in memory with a clock moved by hand."""

from typing import Any

import pytest
from tests.unit.rollout.conftest import Clock, Recording

from detent import ConflictError, InvalidError, RefusedError, Registry, Rollout
from detent.registry.stores import Stores
from detent.rollout.driver import LEASE_S, Driver

PLAN: dict[str, Any] = {
    "shadow": "1h",
    "canary": "10%,50%",
    "step": "1min",
    "step_requests": 0,
    "label_window": "10min",
    "guard": "1h",
}


def start(registry: Registry, **plan: Any) -> Rollout:
    return registry.start_rollout("churn/3", "production", **PLAN | plan)


def drive(registry: Registry) -> Rollout:
    return registry.drive_rollout("churn@production")


def held(registry: Registry) -> list[tuple[int | None, str, str]]:
    entries = registry.history("churn@production")
    return [(e.version, str(e.kind), e.by) for e in entries if hasattr(e, "kind")]


def test_harm_in_the_shadow_rolls_back(registry: Registry, clock: Clock, record: Recording) -> None:
    rollout = start(registry)
    record(rollout, 12, ours=0, theirs=1, label=1)
    assert drive(registry).status == "running"  # the labels' time is not over
    clock.pass_(601)
    ended = drive(registry)
    assert (ended.status, ended.where) == ("rolled_back", "rolled back")
    assert held(registry)[0] == (2, "rollback", "auto (policy rule wrong_answers)")
    assert ended.decision is not None
    (result,) = registry.decision(ended.decision).results
    assert result.rule == "wrong_answers"
    assert result.evidence["worse"] == 12
    assert registry.audit(verify=True).problems == ()
    with pytest.raises(RefusedError, match="was rolled back"):
        registry.activate("churn/3", "production")
    with pytest.raises(RefusedError, match="was rolled back from"):
        start(registry)
    # Going back goes where it would have gone before.
    assert registry.rollback("churn@production").version == 1


def test_as_good_goes_all_the_way(registry: Registry, clock: Clock, record: Recording) -> None:
    rollout = start(registry)
    record(rollout, 700, label=1)
    assert any("of this phase" in wait for wait in drive(registry).waits_for)
    clock.pass_(3601)
    assert (drive(registry).phase, registry.rollout(rollout.id).weight) == ("canary", 0.1)
    clock.pass_(61)
    assert (drive(registry).step, registry.rollout(rollout.id).weight) == (1, 0.5)
    clock.pass_(61)
    assert drive(registry).phase == "full"
    assert held(registry)[0] == (3, "activate", f"auto (rollout {rollout.id})")
    clock.pass_(3601)
    assert drive(registry).status == "completed"
    assert registry.audit(verify=True).problems == ()


def test_without_labels_it_waits_and_says_what_for(
    registry: Registry, clock: Clock, record: Recording
) -> None:
    rollout = start(registry)
    record(rollout, 700)
    clock.pass_(7200)
    (wait,) = drive(registry).waits_for
    assert "more requests with labels (0 labels so far)" in wait


def test_labels_are_needed_of_disagreements_only(
    registry: Registry, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, labels="disagreements")
    record(rollout, 700)
    record(rollout, 30, ours=0, theirs=1)
    assert len(registry.labels_wanted("churn@production", limit=100)) == 30
    clock.pass_(7200)
    (wait,) = drive(registry).waits_for  # nobody said who was right: the worst is supposed
    assert "disagreements" in wait
    (signal,) = [s for s in registry.rollout(rollout.id).signals if s.name == "wrong_answers"]
    assert (signal.n, signal.verdict) == (730, "open")


def test_without_labels_failures_decide(
    registry: Registry, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, labels="none")
    record(rollout, 20, error="RuntimeError: thirteen")
    ended = drive(registry)
    assert (ended.status, held(registry)[0][2]) == (
        "rolled_back",
        "auto (policy rule error_rate)",
    )


def test_slow_answers_decide_where_a_limit_is_given(
    registry: Registry, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, labels="none", slo="50ms")
    record(rollout, 20, seconds=0.2)
    assert drive(registry).status == "rolled_back"
    assert held(registry)[0][2] == "auto (policy rule slow_requests)"


def test_losses_of_numbers_decide(registry: Registry, clock: Clock, record: Recording) -> None:
    rollout = start(registry, loss_bound=100.0)
    record(rollout, 60, ours=70.0, theirs=20.0, label=10.0)
    clock.pass_(601)
    ended = drive(registry)
    assert ended.status == "rolled_back"
    assert held(registry)[0][2] == "auto (policy rule loss)"


def test_it_becomes_worse_once_it_is_active(
    registry: Registry, stores: Stores, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, labels="none")
    for _ in range(3):
        registry.advance_rollout(rollout.id)
    from dataclasses import replace

    swapped = replace(rollout, baseline=3, candidate=2)  # who answers, and who is the shadow now
    record(swapped, 400)
    assert drive(registry).status == "running"
    stores.predictions.write(
        [
            replace(one, id=0, error="RuntimeError: oh", shadow_error=None, request_id=f"x{i}")
            for i, one in enumerate(stores.predictions.requests_after(1, 0, limit=100))
        ]
    )
    assert drive(registry).status == "rolled_back"
    assert held(registry)[0] == (2, "rollback", "auto (policy rule error_rate)")


def test_a_gate_that_says_no_pauses_it(registry: Registry, clock: Clock, record: Recording) -> None:
    registry.set_policy("churn@production", {"rule": [{"name": "not_worse"}]})
    rollout = start(registry)
    record(rollout, 700, label=1)
    for seconds in (3601, 61, 61):
        clock.pass_(seconds)
        paused = drive(registry)
    assert (paused.status, paused.phase) == ("paused", "canary")
    assert paused.why is not None
    assert "could not be decided" in paused.why
    assert held(registry)[0][0] == 2
    clock.pass_(3600)
    assert drive(registry).waits_for == ("`detent rollout resume`",)
    resumed = registry.resume_rollout(rollout.id)
    assert resumed.status == "running"


def test_drift_is_shown_and_rolls_back_only_where_the_plan_says_so(
    registry: Registry, stores: Stores, clock: Clock
) -> None:
    from tests.unit.rollout.test_predictions import make_record

    rollout = start(registry, labels="none")
    stores.predictions.write(
        [
            make_record(
                rollout, f"d{i}", answers=[("1", i / 400)], shadow_answers=[("1", 0.5 + i / 800)]
            )
            for i in range(400)
        ]
    )
    driven = drive(registry)
    assert driven.status == "running"
    assert [s.verdict for s in driven.signals if s.name == "score_drift"] == ["drift"]
    registry.stop_rollout(rollout.id)
    again = start(registry, labels="none", unlabelled="roll-back")
    stores.predictions.write(
        [
            make_record(
                again, f"e{i}", answers=[("1", i / 400)], shadow_answers=[("1", 0.5 + i / 800)]
            )
            for i in range(400)
        ]
    )
    assert drive(registry).status == "rolled_back"


def test_one_drives_until_its_lease_has_ended(
    registry: Registry, stores: Stores, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, labels="none")
    one, other = Driver(stores), Driver(stores)
    record(rollout, 5)
    assert one.drive(rollout) is not None
    assert other.drive(rollout) is None
    clock.pass_(LEASE_S + 0.1)
    record(rollout, 20, error="RuntimeError: thirteen")
    assert other.drive(rollout) is not None  # it goes on from what the first had counted
    counts = registry.rollout(rollout.id).counts
    assert counts is not None
    assert counts["in_shadow"] == 25
    assert one.try_drive(rollout) is None
    assert registry.rollout(rollout.id).status == "rolled_back"


def test_whoever_moves_the_alias_ends_it(registry: Registry) -> None:
    rollout = start(registry)
    registry.activate("churn/1", "production")
    ended = registry.rollout(rollout.id)
    assert (ended.status, ended.has_ended) == ("stopped", True)
    assert ended.why == "`churn@production` was moved to version 1 (entry 3) by ana"
    with pytest.raises(ConflictError, match="ended at"):
        registry.advance_rollout(rollout.id)


def test_a_rollback_by_a_person_ends_it_as_rolled_back(registry: Registry) -> None:
    rollout = start(registry, labels="none")
    for _ in range(3):
        registry.advance_rollout(rollout.id)
    assert registry.rollback("churn@production").version == 2
    assert registry.rollout(rollout.id).status == "rolled_back"


def test_stopping_in_the_shadow_leaves_the_history_alone(registry: Registry) -> None:
    before = held(registry)
    rollout, entry = registry.stop_rollout(start(registry).id, reason="another day")
    assert (rollout.status, rollout.why, entry) == ("stopped", "another day", None)
    assert held(registry) == before
    start(registry)


def test_stopping_a_canary_is_an_entry_that_servers_follow(registry: Registry) -> None:
    rollout = start(registry)
    registry.advance_rollout(rollout.id)
    _, entry = registry.stop_rollout(rollout.id)
    assert entry is not None
    assert (entry.version, entry.previous, entry.kind) == (2, 3, "rollback")
    assert entry.confirmation is not None


def test_what_cannot_start_changes_nothing(registry: Registry) -> None:
    n_events = len(registry.audit())
    registry.hold("churn@production", reason="a holiday")
    with pytest.raises(RefusedError, match="on hold"):
        start(registry)
    registry.release("churn@production")
    with pytest.raises(InvalidError, match="is active as"):
        registry.start_rollout("churn/2", "production")
    registry.start_rollout("churn/3", "production", dry_run=True)
    rollout = start(registry)
    with pytest.raises(ConflictError, match=f"rollout {rollout.id} of churn/3"):
        registry.start_rollout("churn/1", "production")
    assert len(registry.audit()) == n_events + 3


def test_a_candidate_that_is_withdrawn_goes(registry: Registry) -> None:
    rollout = start(registry)
    registry.advance_rollout(rollout.id)
    registry.withdraw("churn/3", reason="trained on test rows")
    ended = drive(registry)
    assert (ended.status, ended.why) == ("stopped", "v3 was withdrawn or deleted")
    assert held(registry)[0] == (2, "rollback", f"auto (rollout {rollout.id})")


def test_it_ends_undecided_after_too_many_labels(
    registry: Registry, clock: Clock, record: Recording
) -> None:
    rollout = start(registry, max_labels=100)
    for ours, theirs in ((0, 1), (1, 0)):
        record(rollout, 60, ours=ours, theirs=theirs, label=1)
    clock.pass_(3601)
    ended = drive(registry)
    assert (ended.status, ended.why) == ("stopped", "undecided after 120 labels")
    assert held(registry)[0][0] == 2
