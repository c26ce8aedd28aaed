"""The state machine of a rollout, for every plan and everything that can be counted."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from detent import ConflictError, DetentError, Labels, Phase, Plan, Registry, Rollout, RolloutStatus
from detent.blobs.memory import MemoryBlobs
from detent.domain.clock import from_us
from detent.domain.rollout import Signal
from detent.metadata.predictions import Record, Row
from detent.metadata.sqlite import SqliteMetadata
from detent.rollout.counting import (
    Counts,
    Pairs,
    add_up,
    count_requests,
    count_rows,
    from_json,
    to_json,
)
from detent.rollout.driver import Driver
from detent.rollout.monitor import paired_band, read_signals
from detent.rollout.state import Complete, Enter, RollBack, after, next_move
from detent.testing.registries import register_bytes, stores_on
from detent.testing.rollouts import make_rollout

ORDER = [Phase.SHADOW, Phase.CANARY, Phase.FULL]
START = from_us(1_800_000_000_000_000)

plans = st.builds(
    Plan,
    shadow_s=st.sampled_from([0.0, 60.0]),
    canary=st.sampled_from([(0.1,), (0.01, 0.1, 0.5)]),
    labels=st.sampled_from(list(Labels)),
    slo_s=st.sampled_from([None, 0.05]),
    loss_bound=st.sampled_from([None, 10.0]),
    step_requests=st.sampled_from([0, 50]),
)


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    plan = draw(plans)
    phase = draw(st.sampled_from(ORDER[ORDER.index(plan.first) :]))
    step = draw(st.integers(0, len(plan.canary) - 1)) if phase is Phase.CANARY else 0
    status = draw(st.sampled_from([RolloutStatus.RUNNING, RolloutStatus.PAUSED]))
    return make_rollout(plan=plan, status=status, phase=phase, step=step, at=START, phase_at=START)


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    return Signal(
        name=draw(st.sampled_from(["error_rate", "wrong_answers", "loss", "split"])),
        phase=draw(st.sampled_from(ORDER)),
        verdict=draw(st.sampled_from(["harm", "safe", "open", "broken", "drift"])),
        text="any",
    )


@st.composite
def records(draw: st.DrawFn, id: int) -> Record:
    version = draw(st.sampled_from([1, 2]))
    in_shadow = draw(st.booleans())
    errors = st.sampled_from([None, None, "RuntimeError: oh"])
    return Record(
        id=id,
        request_id=str(id),
        rollout=1,
        model="churn",
        alias="production",
        version=version,
        role="active",
        at_us=id,
        seconds=draw(st.sampled_from([0.001, 0.2])),
        error=draw(errors),
        weight=None if in_shadow else draw(st.sampled_from([None, 0.1, 0.5])),
        shadow_version=3 - version if in_shadow else None,
        shadow_seconds=0.001 if in_shadow else None,
        shadow_error=draw(errors) if in_shadow else None,
    )


@st.composite
def rows(draw: st.DrawFn, id: int) -> Row:
    version = draw(st.sampled_from([1, 2]))
    in_shadow = draw(st.booleans())
    answers = st.sampled_from([None, "0", "1", "7.5", '"yes"'])
    return Row(
        request=id,
        request_id=str(id),
        row=0,
        at_us=id,
        version=version,
        answer=draw(answers),
        shadow_version=3 - version if in_shadow else None,
        shadow_answer=draw(answers) if in_shadow else None,
        label=draw(st.sampled_from([None, "0", "1", "1.0", "7"])),
        weight=None if in_shadow else draw(st.sampled_from([None, 0.1, 0.5])),
        is_first=True,
        number=id,
    )


class TestMoves:
    """Harm ends a rollout; without it, it goes one place further at a time, and never back."""

    @given(rollouts(), st.lists(signals(), max_size=4), st.integers(0, 200_000))
    def test_it_never_goes_on_after_harm(
        self, rollout: Rollout, found: list[Signal], seconds: int
    ) -> None:
        now = START + timedelta(seconds=seconds)
        move = next_move(rollout, Counts(), tuple(found), now=now)
        is_broken = any(s.verdict == "broken" for s in found)
        believed = [s for s in found if not (is_broken and s.phase is Phase.CANARY)]
        if any(s.verdict == "harm" for s in believed):
            assert isinstance(move, RollBack)
        elif isinstance(move, Enter | Complete):
            assert not is_broken
            assert rollout.status is RolloutStatus.RUNNING
            assert move == after(rollout)

    @given(plans)
    def test_it_passes_each_place_once_and_in_order(self, plan: Plan) -> None:
        rollout = replace(_first(), plan=plan, phase=plan.first)
        places = [(rollout.phase, rollout.step)]
        weights = [rollout.weight]
        while isinstance(onward := after(rollout), Enter):
            rollout = replace(rollout, phase=onward.phase, step=onward.step)
            places.append((rollout.phase, rollout.step))
            weights.append(rollout.weight)
        assert len(set(places)) == len(places) == (plan.shadow_s > 0) + len(plan.canary) + 1
        assert weights == sorted(weights)
        assert rollout.phase is Phase.FULL

    @given(rollouts(), st.integers(0, 10**6))
    def test_without_evidence_the_time_alone_never_activates(
        self, rollout: Rollout, seconds: int
    ) -> None:
        if rollout.phase is Phase.SHADOW:
            now = START + timedelta(seconds=seconds)
            assert not isinstance(next_move(rollout, Counts(), (), now=now), Enter | Complete)


class TestCounts:
    """What is counted does not depend on when it is looked at, or by whom."""

    @settings(max_examples=40)
    @given(rollouts(), st.data(), st.integers(0, 12), st.integers(0, 12))
    def test_a_restart_between_two_looks_changes_nothing(
        self, rollout: Rollout, data: st.DataObject, n: int, cut: int
    ) -> None:
        given_records = [data.draw(records(i + 1)) for i in range(n)]
        given_rows = [data.draw(rows(i + 1)) for i in range(n)]
        once = count_requests(Counts(), given_records, rollout)
        once = count_rows(once, given_rows, rollout, last=n)
        halves = count_requests(Counts(), given_records[:cut], rollout)
        halves = count_requests(from_json(to_json(halves)), given_records[cut:], rollout)
        halves = count_rows(halves, given_rows[:cut], rollout, last=cut)
        halves = count_rows(from_json(to_json(halves)), given_rows[cut:], rollout, last=n)
        assert from_json(to_json(halves)) == from_json(to_json(once))
        assert read_signals(halves, rollout) == read_signals(once, rollout)

    @settings(max_examples=40)
    @given(rollouts(), st.data(), st.integers(0, 12), st.integers(1, 3))
    def test_machines_together_count_what_one_would(
        self, rollout: Rollout, data: st.DataObject, n: int, machines: int
    ) -> None:
        given_records = [data.draw(records(i + 1)) for i in range(n)]
        given_rows = [data.draw(rows(i + 1)) for i in range(n)]
        alone = count_requests(Counts(), given_records, rollout)
        alone = count_rows(alone, given_rows, rollout, last=n)
        parts = []
        for i in range(machines):
            part = count_requests(Counts(), given_records[i::machines], rollout)
            part = count_rows(part, given_rows[i::machines], rollout, last=n)
            parts.append(from_json(to_json(part)))
        together = add_up(parts, rollout)
        for name in ("by_baseline", "by_candidate", "in_shadow", "n_labels", "step_candidate"):
            assert getattr(together, name) == getattr(alone, name)
        assert (together.paired, together.guarded) == (alone.paired, alone.guarded)
        assert together.losses.n == alone.losses.n
        assert together.losses.harm == pytest.approx(alone.losses.harm)
        assert together.lots.keys() == alone.lots.keys()
        for name, lot in together.lots.items():
            other = alone.lots[name]
            assert (lot.baseline, lot.candidate) == (other.baseline, other.candidate)
            assert lot.candidate_bad == pytest.approx(other.candidate_bad)
            assert lot.harm.n == other.harm.n
        assert len(read_signals(together, rollout)) == len(read_signals(alone, rollout))

    @given(rollouts(), st.data(), st.integers(1, 5))
    def test_a_request_counts_once_however_many_rows_it_has(
        self, rollout: Rollout, data: st.DataObject, n: int
    ) -> None:
        one = data.draw(rows(1))
        batch = [replace(one, row=i) for i in range(n)]
        alone = count_rows(Counts(), [one], rollout, last=1)
        together = count_rows(Counts(), batch, rollout, last=1)
        assert together.losses.harm == pytest.approx(alone.losses.harm)  # of a mean, not of one
        assert together.lots == alone.lots or together.lots.keys() == {"loss"}
        assert (together.paired, together.guarded) == (alone.paired, alone.guarded)

    @given(rollouts(), st.data())
    def test_of_a_key_the_first_request_counts(self, rollout: Rollout, data: st.DataObject) -> None:
        again = replace(data.draw(rows(1)), is_first=False)
        counts = count_rows(Counts(), [again], rollout, last=1)
        if again.version != rollout.candidate:  # nothing but how many labels there are
            assert replace(counts, n_labels=0, last_label=0, step_weight=0.0) == Counts()

    @given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400))
    def test_the_bounds_lie_around_what_was_seen(self, worse: int, better: int, same: int) -> None:
        pairs = Pairs(n=worse + better + same, worse=worse, better=better)
        low, high = paired_band(pairs, alpha=0.05)
        assert -1 <= low <= (worse - better) / pairs.n <= high <= 1


class RolloutMachine(RuleBasedStateMachine):
    """One rollout an alias at most, in one phase; what is active is what the history says."""

    def __init__(self) -> None:
        super().__init__()
        stores = stores_on(SqliteMetadata(None), MemoryBlobs())
        for number in range(1, 6):
            register_bytes(stores, "churn", b"weights" * number)
        self.registry = Registry(stores)
        self.drivers = [Driver(stores), Driver(stores)]
        self.registry.activate("churn/1", "production")
        self.seen: dict[int, list[tuple[int, int]]] = {}

    def current(self) -> Rollout | None:
        return next(iter(self.registry.rollouts("churn@production", running=True)), None)

    def try_(self, function: Any, *arguments: Any, **options: Any) -> None:
        try:
            function(*arguments, **options)
        except DetentError:
            return

    @rule(number=st.integers(1, 5), shadow=st.sampled_from([0, "1h"]))
    def start(self, number: int, shadow: Any) -> None:
        self.try_(self.registry.start_rollout, f"churn/{number}", "production", shadow=shadow)

    @rule(verb=st.sampled_from(["advance", "pause", "resume", "stop"]))
    @precondition(lambda self: self.current() is not None)
    def steer(self, verb: str) -> None:
        self.try_(getattr(self.registry, f"{verb}_rollout"), "churn@production")

    @rule(number=st.integers(1, 5))
    def activate(self, number: int) -> None:
        self.try_(self.registry.activate, f"churn/{number}", "production", override="trying")

    @rule()
    def rollback(self) -> None:
        self.try_(self.registry.rollback, "churn@production")

    @rule(which=st.integers(0, 1))
    def drive(self, which: int) -> None:
        self.drivers[which].tick()

    @invariant()
    def one_rollout_in_one_place(self) -> None:
        running = self.registry.rollouts(running=True)
        assert len(running) <= 1
        active = self.registry.status("churn@production").activation
        for rollout in running:
            place = (ORDER.index(rollout.phase), rollout.step)
            passed = self.seen.setdefault(rollout.id, [])
            assert not passed or place >= passed[-1]
            passed.append(place)
            assert rollout.entry == active.entry
            is_full = rollout.phase is Phase.FULL
            assert active.version == (rollout.candidate if is_full else rollout.baseline)

    def teardown(self) -> None:
        assert self.registry.audit(verify=True).problems == ()
        for rollout in self.registry.rollouts():
            if rollout.has_ended:
                try:
                    self.registry.advance_rollout(rollout.id)
                except ConflictError:
                    continue
                raise AssertionError("a rollout that had ended went on")


def _first() -> Rollout:
    return make_rollout(at=START, phase_at=START)


TestRolloutMachine = RolloutMachine.TestCase
TestRolloutMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
