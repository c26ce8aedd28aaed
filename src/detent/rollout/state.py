"""What a rollout does next: pure, from where it is, what it knows, and the time.

Harm always ends it. Going on needs that each phase has lasted, that what has to be shown is shown,
and that nothing has gone wrong; until then it says what it waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from detent.domain.rollout import Labels, Phase, Rollout, RolloutStatus, Signal, Unlabelled
from detent.rollout.counting import ERRORS, LOSS, WRONG, Counts, Pairs
from detent.rollout.drift import SCORE_DRIFT
from detent.rollout.monitor import rows_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """Change nothing; ``waits_for`` says what has to come, one phrase each."""

    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Go on to a phase, and a step of it."""

    phase: Phase
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Take the candidate away: it is harmful."""

    signal: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stay, and let a person look."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """End it without an answer; the version before stays."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """End it; the candidate stays."""


Move = Stay | Enter | RollBack | Pause | GiveUp | Complete


def next_move(
    rollout: Rollout, counts: Counts, signals: tuple[Signal, ...], *, now: datetime
) -> Move:
    """Return what a rollout does next.

    Parameters
    ----------
    rollout : Rollout
        Where it is.
    counts : Counts
        What was counted.
    signals : tuple of Signal
        What the counts say.
    now : datetime
        The present time, aware.
    """
    if rollout.has_ended:
        return Stay(waits_for=())
    if any(signal.verdict == "broken" for signal in signals):
        broken = next(signal for signal in signals if signal.verdict == "broken")
        # Nothing that a canary counted is believed now, not even harm that it seems to show.
        signals = tuple(s for s in signals if not _is_of_canary(s))
        harm = _harm(rollout, signals)
        if harm is not None:
            return RollBack(signal=harm)
        if rollout.status is RolloutStatus.PAUSED:
            return Stay(waits_for=(f"somebody to look at it: {broken.text}",))
        return Pause(why=broken.text)
    harm = _harm(rollout, signals)
    if harm is not None:
        return RollBack(signal=harm)
    if rollout.status is RolloutStatus.PAUSED:
        return Stay(waits_for=("`detent rollout resume`",))
    waits = _waits(rollout, counts, signals, now)
    if waits:
        is_undecided = _needs_labels(rollout) and not _is_safe(signals, WRONG, LOSS)
        if is_undecided and counts.n_labels >= rollout.plan.max_labels:
            return GiveUp(why=f"undecided after {counts.n_labels:,} labels")
        return Stay(waits_for=waits)
    return _onward(rollout)


def after(rollout: Rollout) -> Enter | Complete:
    """Return the phase or step behind the present one."""
    return _onward(rollout)


def _onward(rollout: Rollout) -> Enter | Complete:
    step = rollout.step + 1 if rollout.phase is Phase.CANARY else 0
    if rollout.phase is Phase.FULL:
        return Complete()
    if step < len(rollout.plan.canary):
        return Enter(phase=Phase.CANARY, step=step)
    return Enter(phase=Phase.FULL, step=rollout.step)


def _harm(rollout: Rollout, signals: tuple[Signal, ...]) -> Signal | None:
    for signal in signals:
        if signal.verdict == "harm":
            return signal
        is_of_scores = signal.verdict == "drift" and signal.name == SCORE_DRIFT
        if is_of_scores and rollout.plan.unlabelled is Unlabelled.ROLL_BACK:
            return signal
    return None


def _waits(
    rollout: Rollout, counts: Counts, signals: tuple[Signal, ...], now: datetime
) -> tuple[str, ...]:
    plan = rollout.plan
    least_s = {Phase.SHADOW: plan.shadow_s, Phase.CANARY: plan.step_s, Phase.FULL: plan.guard_s}
    left_s = least_s[rollout.phase] - (now - rollout.phase_at).total_seconds()
    waits = []
    if left_s > 0:
        waits.append(f"{_lasting(left_s)} of this phase")
    if rollout.phase is Phase.SHADOW and not _is_safe(signals, ERRORS):
        pairs = counts.paired.get(ERRORS, Pairs())
        more = rows_needed(pairs, margin=max(plan.error_limit, 1e-4), alpha=plan.alpha)
        waits.append(f"about {more:,} more requests that do not fail ({pairs.n:,} so far)")
    if rollout.phase is Phase.CANARY:
        more = plan.step_requests - counts.step_candidate
        if more > 0:
            waits.append(f"{more:,} more requests answered by v{rollout.candidate}")
    if _needs_labels(rollout) and not _is_safe(signals, WRONG, LOSS):
        waits.append(_labels_wanted(rollout, counts))
    return tuple(waits)


def _needs_labels(rollout: Rollout) -> bool:
    """Whether labels have to show, before this phase ends, that the candidate is not worse."""
    plan = rollout.plan
    if plan.labels is Labels.NONE or rollout.phase is Phase.FULL:
        return False
    if plan.first is Phase.SHADOW:
        return rollout.phase is Phase.SHADOW
    return rollout.step == len(plan.canary) - 1


def _is_safe(signals: tuple[Signal, ...], *names: str) -> bool:
    return any(signal.name in names and signal.verdict == "safe" for signal in signals)


def _is_of_canary(signal: Signal) -> bool:
    return signal.phase is Phase.CANARY


def _labels_wanted(rollout: Rollout, counts: Counts) -> str:
    plan = rollout.plan
    pairs = counts.paired.get(WRONG, Pairs())
    so_far = f"{counts.n_labels:,} labels so far"
    if plan.loss_bound is not None or rollout.phase is Phase.CANARY:
        return f"more requests with labels ({so_far})"
    more = rows_needed(pairs, margin=plan.margin, alpha=plan.alpha)
    if plan.labels is Labels.DISAGREEMENTS:
        return (
            f"about {more:,} more requests whose disagreements have labels ({so_far}):"
            " `detent rollout labels-wanted`"
        )
    return f"about {more:,} more requests with labels ({so_far})"


def _lasting(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
