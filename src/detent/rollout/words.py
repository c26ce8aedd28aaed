"""A rollout in words: its numbers, who answers now, and what comes next."""

from __future__ import annotations

from detent.domain.rollout import Phase, Rollout, RolloutStatus


def points(share: float) -> str:
    """Return a difference of shares in points.

    Examples
    --------
    >>> points(0.019), points(-0.0004), points(0)
    ('+1.9 pt', '−0.04 pt', '0 pt')
    """
    text = f"{share * 100:+.3g} pt" if share else "0 pt"
    return text.replace("-", "−")


def band_text(difference: float | None, low: float | None, high: float | None) -> str:
    """Return a difference with its bounds.

    Examples
    --------
    >>> band_text(0.019, 0.011, 0.027)
    '+1.9 pt [+1.1, +2.7]'
    """
    if difference is None:
        return "not known yet"
    if low is None or high is None:
        return points(difference)
    return f"{points(difference)} [{points(low)[:-3]}, {points(high)[:-3]}]"


def percent(share: float) -> str:
    """Return a share in per cent.

    Examples
    --------
    >>> percent(0.1), percent(0.005)
    ('10%', '0.5%')
    """
    return f"{share * 100:.3g}%"


def phase_text(rollout: Rollout) -> str:
    """Return who answers, or how it ended, in a sentence."""
    new, old = f"v{rollout.candidate}", f"v{rollout.baseline}"
    match rollout.status:
        case RolloutStatus.COMPLETED:
            return f"{new} has taken the place of {old}."
        case RolloutStatus.ROLLED_BACK:
            return f"{new} was taken back."
        case RolloutStatus.STOPPED:
            return f"It was stopped before {new} had taken the place of {old}."
        case _:
            pass
    match rollout.phase:
        case Phase.SHADOW:
            return f"{old} answers every request; {new} answers the same ones, unseen."
        case Phase.CANARY:
            return f"{new} answers {percent(rollout.weight)} of the requests, {old} the others."
        case Phase.FULL:
            unseen = percent(rollout.plan.guard_sample)
            return f"{new} is active and answers every request; {old} answers {unseen}, unseen."


def role_text(rollout: Rollout, version: int) -> str:
    """Return what one of the two versions does in a rollout, or did when it ended."""
    is_candidate = version == rollout.candidate
    if (rollout.phase is Phase.FULL) == is_candidate:
        return "active"
    if rollout.phase is Phase.CANARY and is_candidate:
        return f"canary, {percent(rollout.plan.canary[rollout.step])} meant for it"
    return "active" if rollout.phase is Phase.CANARY else "answers unseen"


def onward_text(rollout: Rollout) -> str:
    """Return what comes behind the present phase or step."""
    step = rollout.step + 1 if rollout.phase is Phase.CANARY else 0
    if rollout.phase is Phase.FULL:
        return f"the end: v{rollout.candidate} stays active"
    if step < len(rollout.plan.canary):
        return f"canary {percent(rollout.plan.canary[step])}"
    return f"full: v{rollout.candidate} becomes active, if the gate lets it pass"
