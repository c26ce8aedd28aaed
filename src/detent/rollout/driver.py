"""Driving rollouts: count, decide, act. Of all processes that could, one acts at a time.

Who drives has a lease in the rollout's progress, and takes it by naming the revision that it read:
of two that try, one is too late. When a driver is gone, its lease ends and another goes on from
what it had counted. An act names the place where it takes the rollout to be, so that what was
decided too late changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec

from detent.domain.alias import Activation
from detent.domain.clock import to_us
from detent.domain.evidence import Outcome, RuleResult
from detent.domain.rollout import Drift, Labels, Phase, Rollout, RolloutStatus, Signal
from detent.errors import ConflictError, DetentError, InconclusiveError, RefusedError
from detent.metadata.rollouts import Progress
from detent.registry.activate import activate, take_back
from detent.registry.rollout import complete_rollout, move_rollout, pause_rollout
from detent.registry.stores import Stores
from detent.rollout import counting, inputs, monitor
from detent.rollout.counting import Counts
from detent.rollout.course import extend
from detent.rollout.drift import DriftWatch
from detent.rollout.machines import Teller
from detent.rollout.state import Complete, GiveUp, Move, Pause, RollBack, Stay, next_move
from detent.runtime.fence import confirm
from detent.runtime.follower import Tell

LEASE_S = 3.0
_AT_ONCE = 20_000  # requests that are counted in one go
_RENEW_S = LEASE_S / 2


class Driver:
    """Drives the rollouts of some aliases, or of all.

    Parameters
    ----------
    stores : Stores
        The registry.
    names : collection of str, optional
        Aliases with their models; by default all.
    id : str, optional
        Of this process.
    tell : callable, optional
        Told what was done, for a log.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        names: Collection[str] | None = None,
        id: str | None = None,
        tell: Tell = lambda _event, _fields: None,
    ) -> None:
        self.id = id or secrets.token_hex(8)
        self._stores = stores
        self._names = names
        self._tell = tell
        self._drift: dict[int, DriftWatch] = {}
        self._problem: str | None = None  # why inputs are not looked at, told once
        self._teller = Teller(stores, id=self.id) if stores.is_spread else None

    def tick(self) -> None:
        """Drive what nobody else drives. Errors of the stores are raised: try again later."""
        for rollout in self._stores.metadata.current.list_rollouts(running=True):
            if self._names is None or rollout.name in self._names:
                self.try_drive(rollout)

    def try_drive(self, rollout: Rollout) -> Move | None:
        """Drive once; None when another process drives it, or has moved it meanwhile."""
        try:
            return self.drive(rollout)
        except ConflictError:
            return None  # the next look sees where it is

    def drive(self, rollout: Rollout) -> Move | None:
        """Count, decide and act once; None when another process drives this rollout.

        Raises
        ------
        ConflictError
            If it was moved by somebody else meanwhile; nothing was changed.
        UnavailableError
            If a store does not answer.
        """
        stores, now = self._stores, self._stores.clock()
        if self._teller is not None:
            self._teller.tell(rollout, self._count, now)
        progress = stores.metadata.current.find_progress(rollout.id)
        if progress.driver not in (None, self.id) and progress.driven_until_us > to_us(now):
            return None
        if self._teller is not None:
            counts = self._teller.add_up(rollout)
        else:
            counts = self._count(counting.from_json(progress.state.get("counts")), rollout, now)
        drift = self._look_at_inputs(rollout, counts)
        signals = (
            *monitor.read_signals(counts, rollout),
            *self._look_at_scores(rollout),
            *(() if drift is None else (inputs.read_drift(drift, rollout),)),
        )
        move = self._decide(rollout, counts, signals, now)
        if not self._take(progress, counts, (signals, drift), move, now):
            return None
        self._act(rollout, move)
        return move

    def _decide(
        self, rollout: Rollout, counts: Counts, signals: tuple[Signal, ...], now: datetime
    ) -> Move:
        tables = self._stores.metadata.current
        if rollout.phase is not Phase.FULL and not tables.is_usable(
            rollout.model, rollout.candidate
        ):
            return GiveUp(why=f"v{rollout.candidate} was withdrawn or deleted")
        return next_move(rollout, counts, signals, now=now)

    def _count(self, counts: Counts, rollout: Rollout, now: datetime) -> Counts:
        predictions, plan = self._stores.predictions, rollout.plan
        records = predictions.requests_after(rollout.id, counts.last_request, limit=_AT_ONCE)
        counts = counting.count_requests(counts, records, rollout)
        if plan.labels is Labels.NONE:
            return counts
        if plan.label_window_s > 0:
            rows, last = predictions.rows_of_cohorts(
                rollout.id,
                counts.last_label,
                before_us=to_us(now - timedelta(seconds=plan.label_window_s)),
                limit=_AT_ONCE,
            )
        else:
            rows, last = predictions.rows_as_labelled(rollout.id, counts.last_label, limit=_AT_ONCE)
        return counting.count_rows(counts, rows, rollout, last=last)

    def _look_at_scores(self, rollout: Rollout) -> tuple[Signal, ...]:
        watch = self._drift.setdefault(rollout.id, DriftWatch())
        return watch.look(self._stores.predictions, rollout)

    def _look_at_inputs(self, rollout: Rollout, counts: Counts) -> Drift | None:
        """Return how inputs have moved: as it was at the last look, or looked at anew if due."""
        before = rollout.drift
        if not inputs.is_due(counts.n_placed, before):
            return before
        try:
            reference = inputs.find_reference(self._stores, rollout)
        except DetentError as error:  # no reason not to drive
            if error.message != self._problem:
                self._problem = error.message
                self._tell("cannot", {"what": "drift", "problem": error.message})
            return before
        if reference is None:
            return None
        cells = [list(found) for found in counts.cells]
        return inputs.measure(reference, cells, counts.n_placed, rollout)

    def _take(
        self,
        progress: Progress,
        counts: Counts,
        found: tuple[tuple[Signal, ...], Drift | None],
        move: Move,
        now: datetime,
    ) -> bool:
        """Write what was counted and who drives; return False when somebody else was quicker."""
        state: dict[str, Any] = {
            "counts": counting.to_json(counts),
            "signals": msgspec.to_builtins(found[0]),
            "course": extend(progress.state.get("course", {}), found[0]),
            "drift": msgspec.to_builtins(found[1]),
            "waits_for": list(move.waits_for) if isinstance(move, Stay) else [],
        }
        renew_us = to_us(now + timedelta(seconds=_RENEW_S))
        is_ours = progress.driver == self.id and progress.driven_until_us > renew_us
        if is_ours and state["counts"] == progress.state.get("counts") and isinstance(move, Stay):
            return True  # what is waited for changes with the time alone: not worth a commit
        with self._stores.metadata.write() as tables:
            return tables.put_progress(
                Progress(
                    rollout=progress.rollout,
                    revision=progress.revision + 1,
                    driver=self.id,
                    driven_until_us=to_us(now + timedelta(seconds=LEASE_S)),
                    state=state,
                ),
                expected=progress.revision,
            )

    def _act(self, rollout: Rollout, move: Move) -> None:
        if isinstance(move, Stay):
            return
        stores = self._stores.acting_as(f"auto (rollout {rollout.id})")
        fields: dict[str, Any] = {"alias": rollout.name, "rollout": rollout.id}
        if isinstance(move, RollBack):
            self._roll_back(rollout, move.signal)
            return
        if isinstance(move, GiveUp):
            _, entry = take_back(
                stores,
                rollout.id,
                reason=move.why,
                status=RolloutStatus.STOPPED,
                expected=rollout,
            )
            if entry is not None:
                confirm(self._stores.metadata, entry)
        elif isinstance(move, Pause):
            pause_rollout(stores, rollout.id, move.why, expected=rollout)
        elif isinstance(move, Complete):
            complete_rollout(stores, rollout.id, expected=rollout)
        elif move.phase is Phase.FULL:
            self._activate(stores, rollout)
        else:
            move_rollout(stores, rollout.id, phase=move.phase, step=move.step, expected=rollout)
        self._tell("rollout", fields | {"move": type(move).__name__.lower()})

    def _activate(self, stores: Stores, rollout: Rollout) -> None:
        try:
            entry = go_full(stores, rollout)
        except (RefusedError, InconclusiveError) as error:
            pause_rollout(stores, rollout.id, error.message.partition("\n")[0], expected=rollout)
        else:
            confirm(self._stores.metadata, entry)

    def _roll_back(self, rollout: Rollout, signal: Signal) -> None:
        stores = self._stores.acting_as(f"auto (policy rule {signal.name})")
        result = RuleResult(
            rule=signal.name,
            outcome=Outcome.FAIL,
            text=signal.text,
            evidence=signal.evidence or {},
        )
        ended, entry = take_back(
            stores,
            rollout.id,
            reason=signal.text,
            results=[result],
            status=RolloutStatus.ROLLED_BACK,
            expected=rollout,
        )
        self._tell(
            "rolled_back",
            {"alias": rollout.name, "rollout": rollout.id, "why": signal.text}
            | {"decision": ended.decision},
        )
        if entry is not None:
            confirm(self._stores.metadata, entry)


def go_full(stores: Stores, rollout: Rollout) -> Activation:
    """Activate the candidate of a rollout, through the gate of its alias.

    Raises
    ------
    RefusedError
        If a rule said no.
    InconclusiveError
        If the evidence decides neither way.
    ConflictError
        If the alias moved on.
    """
    return activate(
        stores,
        f"{rollout.model}/{rollout.candidate}",
        rollout.alias,
        reason=f"rollout {rollout.id}",
        expected=rollout.entry,
        rollout=rollout.id,
    )
