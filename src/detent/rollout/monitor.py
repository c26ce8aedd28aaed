"""What was counted in a rollout, and what it says: pure, and a few numbers to keep.

Each thing that is watched is a bad outcome of a row or a request: a failure, a slow answer, a wrong
answer, or a loss in [0, 1]. Where both versions answered the same, the pairs that differ are
counted; where chance chose who answers, the outcomes of both are. After an activation the question
is another one, whether the version *becomes* worse, and a detector of changes answers it.

The evidence holds however often one looks (see `detent.stats.evidence`): each signal of harm is
untrue with a probability of at most ``alpha`` of the plan, ever. The detectors raise a false alarm
once in a million outcomes on average.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from detent.domain.rollout import Labels, Phase, Plan, Rollout, Signal
from detent.metadata.predictions import Record, Row
from detent.rollout.words import band_text, percent, points
from detent.stats.confidence_sequences import beta_binomial_interval
from detent.stats.detector import ChangeDetector
from detent.stats.evidence import (
    BoundedEvidence,
    CanaryEvidence,
    CanaryState,
    PairedEvidence,
    Side,
)
from detent.stats.traffic import log_split_evidence

SPLIT_ALPHA = 0.001  # a canary is not believed when its split is as unlikely as this
BETWEEN_ALARMS = 1_000_000.0
_BEST_AT = 1000.0  # requests at which the shown bounds of a canary are about tightest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Outcomes of what both versions answered.

    ``worse`` and ``better`` count where only the candidate's, and only the baseline's, was bad;
    ``unknown`` where they differ and nobody said who was right.
    """

    n: int = 0
    worse: int = 0
    better: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Differences of bounded losses of what both versions answered."""

    n: int = 0
    total: float = 0.0
    harm: tuple[float, ...] = ()
    safe: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Outcomes where chance chose who answers."""

    baseline: int = 0
    candidate: int = 0
    baseline_bad: float = 0.0
    candidate_bad: float = 0.0
    harm: CanaryState = field(default_factory=CanaryState)
    safe: CanaryState = field(default_factory=CanaryState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """All that a rollout has seen. It survives a restart as JSON.

    ``last_request`` and ``last_label`` say how far the store of predictions was read.
    ``step_baseline`` and ``step_candidate`` are the requests of the canary's present step, whose
    share is ``step_weight``.
    """

    last_request: int = 0
    last_label: int = 0
    by_baseline: int = 0
    by_candidate: int = 0
    in_shadow: int = 0
    n_labels: int = 0
    step_weight: float = 0.0
    step_baseline: int = 0
    step_candidate: int = 0
    paired: Mapping[str, Pairs] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    lots: Mapping[str, Lot] = field(default_factory=dict)
    guards: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    guarded: Mapping[str, Pairs] = field(default_factory=dict)


ERRORS, SLOW, WRONG, LOSS = "error_rate", "slow_requests", "wrong_answers", "loss"


def to_json(counts: Counts) -> dict[str, Any]:
    """Return what is to be kept over a restart."""
    found: dict[str, Any] = msgspec.to_builtins(counts)
    return found


def from_json(found: Any) -> Counts:
    """Return counts that were kept."""
    return msgspec.convert(found or {}, Counts)


def count_requests(counts: Counts, records: Iterable[Record], rollout: Rollout) -> Counts:
    """Take requests into account: whether they failed, and how long they took."""
    book = _Book(counts, rollout)
    for record in records:
        book.take_request(record)
    return book.close()


def count_rows(counts: Counts, rows: Iterable[Row], rollout: Rollout, *, last: int) -> Counts:
    """Take rows into account, those that have a label, and those that need none.

    Parameters
    ----------
    counts : Counts
        So far.
    rows : iterable of Row
        Rows of whole cohorts, in the order in which they are kept.
    rollout : Rollout
        What they belong to.
    last : int
        How far the store has been read with them.
    """
    book = _Book(counts, rollout)
    for row in rows:
        book.take_row(row)
    return replace(book.close(), last_label=last)


class _Book:
    """Counts being changed: one object for many outcomes."""

    def __init__(self, counts: Counts, rollout: Rollout) -> None:
        self._counts, self._rollout, self._plan = counts, rollout, rollout.plan
        self._numbers = {
            name: getattr(counts, name)
            for name in ("by_baseline", "by_candidate", "in_shadow", "n_labels", "last_request")
        }
        is_same_step = counts.step_weight == rollout.weight
        self._step = [counts.step_baseline, counts.step_candidate] if is_same_step else [0, 0]
        self._paired = {k: [p.n, p.worse, p.better, p.unknown] for k, p in counts.paired.items()}
        self._guarded = {k: [p.n, p.worse, p.better, p.unknown] for k, p in counts.guarded.items()}
        self._lots = dict(counts.lots)
        self._guards: dict[str, ChangeDetector] = {}
        self._losses = counts.losses

    def take_request(self, record: Record) -> None:
        plan, numbers = self._plan, self._numbers
        numbers["last_request"] = record.id
        is_candidate = record.version == self._rollout.candidate
        numbers["by_candidate" if is_candidate else "by_baseline"] += 1
        outcomes = _outcomes(plan, record.error, record.seconds)
        if record.shadow_version is not None:
            numbers["in_shadow"] += 1
            shadow = _outcomes(plan, record.shadow_error, record.shadow_seconds)
            for name, bad in outcomes.items():
                ours, theirs = (bad, shadow[name]) if is_candidate else (shadow[name], bad)
                self._pair(name, ours, theirs, is_guard=is_candidate)
        elif record.weight is not None and record.is_first:
            if record.weight == self._rollout.weight:  # not of a step before
                self._step[is_candidate] += 1
            for name, bad in outcomes.items():
                self._draw(name, record.weight, is_candidate, float(bad))

    def take_row(self, row: Row) -> None:
        plan, labels = self._plan, self._plan.labels
        is_candidate = row.version == self._rollout.candidate
        is_labelled = row.label is not None
        self._numbers["n_labels"] += is_labelled
        if row.shadow_version is None:
            if row.weight is not None and row.is_first and is_labelled:
                name = WRONG if plan.loss_bound is None else LOSS
                self._draw(name, row.weight, is_candidate, _loss(plan, row.answer, row.label))
            return
        ours, theirs = row.answer, row.shadow_answer
        if not is_candidate:
            ours, theirs = theirs, ours
        if plan.loss_bound is not None:
            if is_labelled:
                gain = _loss(plan, theirs, row.label) - _loss(plan, ours, row.label)
                self._gain(gain, is_guard=is_candidate)
        elif is_labelled:
            bad = _loss(plan, ours, row.label) > 0, _loss(plan, theirs, row.label) > 0
            self._pair(WRONG, *bad, is_guard=is_candidate)
        elif labels is Labels.DISAGREEMENTS:
            is_same = ours is not None and theirs is not None and _is_same(ours, theirs)
            self._pair(WRONG, False, False, is_guard=is_candidate, is_unknown=not is_same)

    def close(self) -> Counts:
        guards = {name: found.state for name, found in self._guards.items()}
        return replace(
            self._counts,
            **self._numbers,
            step_weight=self._rollout.weight,
            step_baseline=self._step[0],
            step_candidate=self._step[1],
            paired={name: _pairs(found) for name, found in self._paired.items()},
            guarded={name: _pairs(found) for name, found in self._guarded.items()},
            lots=self._lots,
            losses=self._losses,
            guards={**self._counts.guards, **guards},
        )

    def _pair(
        self, name: str, ours: bool, theirs: bool, *, is_guard: bool, is_unknown: bool = False
    ) -> None:
        kept = (self._guarded if is_guard else self._paired).setdefault(name, [0, 0, 0, 0])
        kept[0] += 1
        if is_unknown:
            kept[3] += 1
        elif ours != theirs:
            kept[1 if ours else 2] += 1
        if is_guard and not is_unknown:
            self._guard(name).add(float(theirs) - float(ours))

    def _gain(self, gain: float, *, is_guard: bool) -> None:
        if is_guard:
            self._guarded.setdefault(LOSS, [0, 0, 0, 0])[0] += 1
            self._guard(LOSS).add(gain)
            return
        kept, margin = self._losses, self._plan.margin
        harm = BoundedEvidence(Side.HARM, state=kept.harm or None)
        safe = BoundedEvidence(Side.SAFE, margin=margin, state=kept.safe or None)
        harm.add(gain)
        safe.add(gain)
        self._losses = Losses(
            n=kept.n + 1, total=kept.total + gain, harm=harm.state, safe=safe.state
        )

    def _draw(self, name: str, weight: float, is_candidate: bool, bad: float) -> None:
        kept = self._lots.get(name) or Lot()
        harm_margin, safe_margin = _margins(self._plan, name)
        harm = CanaryEvidence(Side.HARM, weight=weight, margin=harm_margin, state=kept.harm)
        safe = CanaryEvidence(Side.SAFE, weight=weight, margin=safe_margin, state=kept.safe)
        harm.add(is_candidate=is_candidate, loss=bad)
        safe.add(is_candidate=is_candidate, loss=bad)
        self._lots[name] = Lot(
            baseline=kept.baseline + (not is_candidate),
            candidate=kept.candidate + is_candidate,
            baseline_bad=kept.baseline_bad + (0.0 if is_candidate else bad),
            candidate_bad=kept.candidate_bad + (bad if is_candidate else 0.0),
            harm=harm.state,
            safe=safe.state,
        )

    def _guard(self, name: str) -> ChangeDetector:
        found = self._guards.get(name)
        if found is None:
            found = self._guards[name] = ChangeDetector(
                threshold=BETWEEN_ALARMS,
                margin=_margins(self._plan, name)[0],
                state=self._counts.guards.get(name),
            )
        return found


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
    harm_margin, safe_margin = _margins(plan, name)
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
        limit=_margins(plan, name)[0],
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
    worse, not_safe = _margins(plan, name)
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


def _margins(plan: Plan, name: str) -> tuple[float, float]:
    """Return by how much worse is harm, and by how much worse is not safe."""
    if name == ERRORS:
        return plan.error_limit, plan.error_limit
    if name == SLOW:
        return plan.slow_limit, plan.slow_limit
    return 0.0, plan.margin


def _outcomes(plan: Plan, error: str | None, seconds: float | None) -> dict[str, bool]:
    found = {ERRORS: error is not None}
    if plan.slo_s is not None:
        found[SLOW] = error is not None or seconds is None or seconds > plan.slo_s
    return found


def _loss(plan: Plan, answer: str | None, label: str | None) -> float:
    """Return the loss of an answer in [0, 1]; that of no answer is 1."""
    if answer is None or label is None:
        return 1.0
    if plan.loss_bound is None:
        return 0.0 if _is_same(answer, label) else 1.0
    try:
        error = abs(float(json.loads(answer)) - float(json.loads(label))) / plan.loss_bound
    except (TypeError, ValueError):
        return 1.0
    return min(error, 1.0) if error == error else 1.0


def _is_same(one: str, other: str) -> bool:
    return one == other or bool(json.loads(one) == json.loads(other))


def _interval(bad: float, n: int, plan: Plan) -> tuple[float, float]:
    found = beta_binomial_interval(int(bad), n, best_at=_BEST_AT, confidence=1 - plan.alpha)
    return found.low, found.high


def _pairs(found: list[int]) -> Pairs:
    return Pairs(n=found[0], worse=found[1], better=found[2], unknown=found[3])
