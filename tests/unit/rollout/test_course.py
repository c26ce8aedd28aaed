"""The course of a rollout is kept in few readings; a change names the move that it has seen."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rollout.conftest import Clock, Recording

from detent import ConflictError, InvalidError, Reading, Registry
from detent.domain.rollout import Phase, Signal
from detent.rollout.course import extend
from detent.rollout.plan import duration_text, make_plan, parse_duration


def signal(n: int) -> Signal:
    return Signal(
        name="error_rate", phase=Phase.SHADOW, verdict="open", text="", n=n, difference=1 / n
    )


@given(st.lists(st.integers(1, 10**9), min_size=1))
def test_readings_are_few_in_order_and_begin_at_the_first(found: list[int]) -> None:
    counts = sorted(found)
    course: Any = {}
    for n in counts:
        course = extend(course, [signal(n)])
    (readings,) = course.values()
    kept = [reading[0] for reading in readings]
    assert kept[0] == counts[0]
    assert len(kept) <= 64  # 1.4 ** 62 is beyond 10 ** 9
    assert all(1.4 * one <= other for one, other in pairwise(kept))
    assert counts[-1] < 1.4 * kept[-1]


def test_what_is_counted_is_read(registry: Registry, record: Recording, clock: Clock) -> None:
    rollout = registry.start_rollout("churn/3", "production", labels="none")
    assert registry.rollout_course(rollout.id) == []
    for n in (10, 2, 30):
        record(rollout, n)
        clock.pass_(1)
        registry.drive_rollout(rollout.id)
    course = registry.rollout_course("churn@production")
    assert [(one.name, one.phase, one.n) for one in course] == [
        ("error_rate", "shadow", 10),
        ("error_rate", "shadow", 42),
    ]
    first, last = course
    assert isinstance(first, Reading)
    assert (first.low, first.difference) < (last.low, 0.1)
    assert (last.high or 1) < (first.high or 0)


@pytest.mark.parametrize("verb", ["advance", "pause", "stop"])
def test_what_was_not_seen_is_not_changed(registry: Registry, verb: str) -> None:
    seen = registry.start_rollout("churn/3", "production", labels="none")
    moved = registry.advance_rollout(seen.id, expected=seen.phase_us)
    n_events = len(registry.audit())
    change: Any = getattr(registry, f"{verb}_rollout")
    with pytest.raises(ConflictError, match=r"moved to canary 1% at .* nothing was changed"):
        change(seen.id, expected=seen.phase_us)
    assert registry.rollout(seen.id) == moved
    assert len(registry.audit()) == n_events
    change(seen.id, expected=moved.phase_us)


def test_whoever_starts_on_another_entry_starts_nothing(registry: Registry) -> None:
    seen = registry.status("churn@production").activation.entry
    registry.activate("churn/1", "production")
    with pytest.raises(ConflictError, match="moved to version 1"):
        registry.start_rollout("churn/3", "production", expected=seen)
    assert registry.rollouts() == []
    registry.start_rollout("churn/3", "production", expected=seen + 1)


@given(st.integers(0, 10**9))
def test_durations_are_read_as_they_are_written(ms: int) -> None:
    assert parse_duration(duration_text(ms / 1000)) == pytest.approx(ms / 1000)


def test_a_number_of_requests_is_a_whole_number() -> None:
    with pytest.raises(InvalidError, match="a whole number is expected"):
        make_plan(step_requests="many")
