"""What was counted in a rollout says: harm, safe, or open. Pure.

After an activation the question is another one, whether the version *becomes* worse, and a detector
of changes answers it.

The evidence holds however often one looks (see `detent.stats.evidence`): each signal of harm is
untrue with a probability of at most ``alpha`` of the plan, ever. The detectors raise a false alarm
once in a million outcomes on average.
"""

from __future__ import annotations

import math
from typing import Any

from detent.domain.rollout import Phase, Plan, Rollout, Signal
from detent.rollout.counting import (
    BETWEEN_ALARMS,
    LOSS,
    Counts,
    Losses,
    Lot,
    Pairs,
    margins_of,
)
from detent.rollout.words import band_text, percent, points
from detent.stats.confidence_sequences import beta_binomial_interval
from detent.stats.detector import ChangeDetector
from detent.stats.evidence import BoundedEvidence, CanaryEvidence, PairedEvidence, Side
from detent.stats.traffic import log_split_evidence

SPLIT_ALPHA = 0.001  # a canary is not believed when its split is as unlikely as this
_BEST_AT = 1000.0  # requests at which the shown bounds of a canary are about tightest


def read_signals(counts: Counts, rollout: Rollout) -> tuple[Signal, ...]:
    """Return what the counts say of each thing that is watched."""
    plan = rollout.plan
    found: list[Signal] = []
    if rollout.phase is Phase.CANARY and counts.step_weight == rollout.weight:
        found.append(_split(counts, rollout.weight))
    for name, pairs in counts.paired.items():
        found.append(_paired(name, pairs, plan))
    if counts.losses.n:
        found.append(_bounded(counts.losses, plan))
    for name, lot in counts.lots.items():
        found.append(_drawn(name, lot, plan))
    for name, state in counts.guards.items():
        found.append(_guarded(name, state, counts.guarded.get(name, Pairs()), plan))
    return tuple(found)


def rows_needed(pairs: Pairs, *, margin: float, alpha: float) -> int:
    """Return about how many more rows show that a candidate is as good, if it is."""
    # One disagreement in 17 rows is what is supposed before the first: about 6 % is usual.
    share = (pairs.worse + pairs.better + pairs.unknown + 1) / (pairs.n + 17)
    rate = max(
        share / 2 * (math.log1p(bet * (1 + margin)) + math.log1p(-bet * (1 - margin)))
        + (1 - share) * math.log1p(bet * margin)
        for bet in (0.8 * i / 400 for i in range(1, 401))
    )
    if rate <= 0:  # a margin that no number of rows could show
        return 10**9
    return max(1, math.ceil(-math.log(alpha) / rate) - pairs.n)


def paired_band(pairs: Pairs, *, alpha: float) -> tuple[float, float]:
    """Return bounds, at every look, of how much more often the candidate's outcome is bad.

    Each side with a probability of ``1 - alpha``: the margins that the evidence does not exclude.
    """
    limit = -math.log(alpha)

    def excludes(side: Side, margin: float) -> bool:
        worse = pairs.worse + (pairs.unknown if side is Side.SAFE else 0)
        better = pairs.better + (pairs.unknown if side is Side.HARM else 0)
        return PairedEvidence(side, margin=margin).log_value(worse, better, pairs.n) >= limit

    share = (pairs.worse - pairs.better) / pairs.n if pairs.n else 0.0
    low = _edge(lambda m: excludes(Side.HARM, m), outside=-0.98, inside=min(0.98, share))
    high = _edge(lambda m: excludes(Side.SAFE, m), outside=0.98, inside=max(-0.98, share))
    return (-1.0 if low is None else low), (1.0 if high is None else high)


def _edge(is_excluded: Any, *, outside: float, inside: float) -> float | None:
    if not is_excluded(outside):
        return None
    for _ in range(20):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if is_excluded(middle) else (outside, middle)
    return outside


def _split(counts: Counts, weight: float) -> Signal:
    got = (counts.step_baseline, counts.step_candidate)
    n = sum(got)
    log = log_split_evidence(got, (1 - weight, weight))
    is_broken = log >= -math.log(SPLIT_ALPHA)
    text = f"the candidate got {got[1]:,} of {n:,} requests, {percent(weight)} were meant for it"
    return Signal(
        name="split",
        phase=Phase.CANARY,
        verdict="broken" if is_broken else "open",
        text=f"{text}: what was counted cannot be believed" if is_broken else text,
        n=n,
        evidence={"counts": list(got), "weight": weight, "log_evidence": log},
    )


def _paired(name: str, pairs: Pairs, plan: Plan) -> Signal:
    harm_margin, safe_margin = margins_of(plan, name)
    harm = PairedEvidence(Side.HARM, margin=harm_margin).log_value(
        pairs.worse, pairs.better + pairs.unknown, pairs.n
    )
    safe = PairedEvidence(Side.SAFE, margin=safe_margin).log_value(
        pairs.worse + pairs.unknown, pairs.better, pairs.n
    )
    low, high = paired_band(pairs, alpha=plan.alpha)
    difference = (pairs.worse - pairs.better) / pairs.n
    evidence = {
        "method": "paired e-process",
        "n": pairs.n,
        "worse": pairs.worse,
        "better": pairs.better,
        "unknown": pairs.unknown,
        "log_harm": harm,
        "log_safe": safe,
        "alpha": plan.alpha,
    }
    verdict = _verdict(harm, safe, plan)
    return _signal(name, Phase.SHADOW, verdict, pairs.n, difference, low, high, plan, evidence)


def _bounded(losses: Losses, plan: Plan) -> Signal:
    harm = BoundedEvidence(Side.HARM, state=losses.harm).log_value()
    safe = BoundedEvidence(Side.SAFE, margin=plan.margin, state=losses.safe).log_value()
    evidence = {
        "method": "bounded e-process",
        "n": losses.n,
        "bound": plan.loss_bound,
        "log_harm": harm,
        "log_safe": safe,
        "alpha": plan.alpha,
    }
    difference = -losses.total / losses.n
    verdict = _verdict(harm, safe, plan)
    return _signal(LOSS, Phase.SHADOW, verdict, losses.n, difference, None, None, plan, evidence)


def _drawn(name: str, lot: Lot, plan: Plan) -> Signal:
    harm = CanaryEvidence(Side.HARM, weight=0.5, state=lot.harm).log_value()
    safe = CanaryEvidence(Side.SAFE, weight=0.5, state=lot.safe).log_value()
    evidence = {
        "method": "two-sample e-process",
        "n": [lot.baseline, lot.candidate],
        "bad": [lot.baseline_bad, lot.candidate_bad],
        "log_harm": harm,
        "log_safe": safe,
        "alpha": plan.alpha,
    }
    n = lot.baseline + lot.candidate
    difference = low = high = None
    if lot.baseline and lot.candidate:
        difference = lot.candidate_bad / lot.candidate - lot.baseline_bad / lot.baseline
        if name != LOSS:
            ours = _interval(lot.candidate_bad, lot.candidate, plan)
            theirs = _interval(lot.baseline_bad, lot.baseline, plan)
            low, high = ours[0] - theirs[1], ours[1] - theirs[0]
    verdict = _verdict(harm, safe, plan)
    return _signal(name, Phase.CANARY, verdict, n, difference, low, high, plan, evidence)


def _guarded(name: str, state: tuple[float, ...], pairs: Pairs, plan: Plan) -> Signal:
    detector = ChangeDetector(threshold=BETWEEN_ALARMS, state=state)
    difference = (pairs.worse - pairs.better) / pairs.n if pairs.n and name != LOSS else None
    evidence = {
        "method": "change detector",
        "n": pairs.n,
        "worse": pairs.worse,
        "better": pairs.better,
        "value": detector.value,
        "threshold": BETWEEN_ALARMS,
    }
    verdict = "harm" if detector.is_alarmed else "open"
    if verdict == "harm":
        text = f"{name} became worse: value {detector.value:.3g}, threshold {BETWEEN_ALARMS:,.0f}"
    else:
        text = f"{name} has not become worse in {pairs.n:,} outcomes"
    return Signal(
        name=name,
        phase=Phase.FULL,
        verdict=verdict,
        text=text,
        n=pairs.n,
        difference=difference,
        limit=margins_of(plan, name)[0],
        evidence=evidence,
    )


def _signal(
    name: str,
    phase: Phase,
    verdict: str,
    n: int,
    difference: float | None,
    low: float | None,
    high: float | None,
    plan: Plan,
    evidence: dict[str, Any],
) -> Signal:
    worse, not_safe = margins_of(plan, name)
    limit = worse if verdict == "harm" else not_safe
    text = f"{name} {band_text(difference, low, high)}, allowed {points(limit)} (n = {n:,})"
    return Signal(
        name=name,
        phase=phase,
        verdict=verdict,
        text=text,
        n=n,
        difference=difference,
        low=low,
        high=high,
        limit=limit,
        evidence=evidence,
    )


def _verdict(harm: float, safe: float, plan: Plan) -> str:
    limit = -math.log(plan.alpha)
    # Both at once happens only where rows were looked at in bulk: then it does not go on.
    return "harm" if harm >= limit else "safe" if safe >= limit else "open"


def _interval(bad: float, n: int, plan: Plan) -> tuple[float, float]:
    found = beta_binomial_interval(int(bad), n, best_at=_BEST_AT, confidence=1 - plan.alpha)
    return found.low, found.high
