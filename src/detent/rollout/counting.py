"""Counting what a rollout sees: pure, and a few numbers to keep.

Each thing that is watched is a bad outcome of a row or a request: a failure, a slow answer, a wrong
answer, or a loss in [0, 1]. Where both versions answered the same, the pairs that differ are
counted; where chance chose who answers, the outcomes of both are.

What counts is a request, and of those that bring one key the first. The rows of one request are
not independent of each other, so that together they say as much as one that is bad to the mean
extent. Counting the shares of its rows that are worse and better is the careful way: by Jensen's
inequality the evidence is then at most that of their mean, which is valid (`PairedEvidence`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from statistics import fmean
from typing import Any, TypeVar

import msgspec

from detent.domain.rollout import Labels, Plan, Rollout
from detent.metadata.predictions import Record, Row
from detent.stats.detector import ChangeDetector
from detent.stats.evidence import BoundedEvidence, CanaryEvidence, CanaryState, Side
from detent.stats.shift import MOST_CELLS

ERRORS, SLOW, WRONG, LOSS = "error_rate", "slow_requests", "wrong_answers", "loss"
BETWEEN_ALARMS = 1_000_000.0
T = TypeVar("T")
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Outcomes of ``n`` requests that both versions answered.

    ``worse`` and ``better`` count where only the candidate's, and only the baseline's, was bad;
    ``unknown`` where they differ and nobody said who was right. Of a request of several rows each
    is the share of its rows.
    """

    n: int = 0
    worse: float = 0.0
    better: float = 0.0
    unknown: float = 0.0


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
    share is ``step_weight``. ``cells`` says, input by input, how many of ``n_placed`` requests lie
    in each cell of the reference.
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
    n_placed: int = 0
    cells: tuple[tuple[int, ...], ...] = ()


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
        Those of whole requests, one request after another.
    rollout : Rollout
        What they belong to.
    last : int
        How far the store has been read with them.
    """
    book = _Book(counts, rollout)
    for _, of_one in groupby(rows, key=lambda row: row.request):
        book.take_rows(list(of_one))
    return replace(book.close(), last_label=last)


def add_up(parts: Iterable[Counts], rollout: Rollout) -> Counts:
    """Return what several machines have counted, each of its own requests, as one.

    Logarithms of wealth add up, as bets one after another multiply it, and which machine a request
    came to is known before its outcome. Of detectors the sum is again at most the number of
    outcomes on average, so that it alarms as seldom as one of them would.
    """
    total = Counts(step_weight=rollout.weight)
    for part in parts:
        is_same_step = part.step_weight == rollout.weight
        numbers = ("by_baseline", "by_candidate", "in_shadow", "n_labels", "n_placed")
        total = replace(
            total,
            **{name: getattr(total, name) + getattr(part, name) for name in numbers},
            step_baseline=total.step_baseline + (part.step_baseline if is_same_step else 0),
            step_candidate=total.step_candidate + (part.step_candidate if is_same_step else 0),
            paired=_merge(total.paired, part.paired, _add_pairs),
            guarded=_merge(total.guarded, part.guarded, _add_pairs),
            losses=Losses(
                n=total.losses.n + part.losses.n,
                total=total.losses.total + part.losses.total,
                harm=_add(total.losses.harm, part.losses.harm),
                safe=_add(total.losses.safe, part.losses.safe),
            ),
            lots=_merge(total.lots, part.lots, _add_lots),
            guards=_merge(total.guards, part.guards, _add),
            cells=(
                tuple(_add(a, b) for a, b in zip(total.cells, part.cells, strict=True))
                if total.cells and part.cells
                else total.cells or part.cells
            ),
        )
    return total


def _merge(
    ours: Mapping[str, T], theirs: Mapping[str, T], add: Callable[[T, T], T]
) -> dict[str, T]:
    both = {name: add(one, theirs[name]) for name, one in ours.items() if name in theirs}
    return {**ours, **theirs, **both}


def _add(ours: tuple[N, ...], theirs: tuple[N, ...]) -> tuple[N, ...]:
    if not ours or not theirs:
        return ours or theirs
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))


def _add_pairs(ours: Pairs, theirs: Pairs) -> Pairs:
    return Pairs(
        n=ours.n + theirs.n,
        worse=ours.worse + theirs.worse,
        better=ours.better + theirs.better,
        unknown=ours.unknown + theirs.unknown,
    )


def _add_lots(ours: Lot, theirs: Lot) -> Lot:
    def both(one: CanaryState, other: CanaryState) -> CanaryState:
        return CanaryState(
            n=one.n + other.n,
            loss=one.loss + other.loss,
            wealth=_add(one.wealth, other.wealth),
        )

    return Lot(
        baseline=ours.baseline + theirs.baseline,
        candidate=ours.candidate + theirs.candidate,
        baseline_bad=ours.baseline_bad + theirs.baseline_bad,
        candidate_bad=ours.candidate_bad + theirs.candidate_bad,
        harm=both(ours.harm, theirs.harm),
        safe=both(ours.safe, theirs.safe),
    )


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
        self._lots: dict[str, _OpenLot] = {}
        self._guards: dict[str, ChangeDetector] = {}
        self._losses: _OpenLosses | None = None
        self._n_placed = counts.n_placed
        self._cells = [list(found) for found in counts.cells]

    def take_request(self, record: Record) -> None:
        plan, numbers = self._plan, self._numbers
        numbers["last_request"] = record.id
        is_candidate = record.version == self._rollout.candidate
        numbers["by_candidate" if is_candidate else "by_baseline"] += 1
        if record.cells is not None and record.is_first:
            self._place(record.cells)
        outcomes = _outcomes(plan, record.error, record.seconds)
        if record.shadow_version is not None:
            numbers["in_shadow"] += 1
            shadow = _outcomes(plan, record.shadow_error, record.shadow_seconds)
            if record.is_first or is_candidate:
                for name, bad in outcomes.items():
                    ours, theirs = (bad, shadow[name]) if is_candidate else (shadow[name], bad)
                    worse, better = ours and not theirs, theirs and not ours
                    self._pair(name, (worse, better, 0.0), is_guard=is_candidate)
        elif record.weight is not None and record.is_first:
            if record.weight == self._rollout.weight:  # not of a step before
                self._step[is_candidate] += 1
            for name, bad in outcomes.items():
                self._draw(name, record.weight, is_candidate, float(bad))

    def take_rows(self, rows: Sequence[Row]) -> None:
        """Take the rows of one request: they count as one."""
        plan, first = self._plan, rows[0]
        is_candidate = first.version == self._rollout.candidate
        labelled = [row for row in rows if row.label is not None]
        self._numbers["n_labels"] += len(labelled)
        if first.shadow_version is None:
            if first.weight is not None and first.is_first and labelled:
                name = WRONG if plan.loss_bound is None else LOSS
                bad = fmean(_loss(plan, row.answer, row.label) for row in labelled)
                self._draw(name, first.weight, is_candidate, bad)
        elif not (first.is_first or is_candidate):
            return  # whether a version becomes worse is seen by those who come again, too
        elif plan.loss_bound is not None:
            if labelled:
                gain = fmean(self._gain_of(row, is_candidate) for row in labelled)
                self._gain(gain, is_guard=is_candidate)
        else:
            found = [one for row in rows if (one := self._compare(row, is_candidate)) is not None]
            if found:
                worse, better, unknown = (fmean(part) for part in zip(*found, strict=True))
                self._pair(WRONG, (worse, better, unknown), is_guard=is_candidate)

    def _gain_of(self, row: Row, is_candidate: bool) -> float:
        ours, theirs = _sides(row, is_candidate)
        return _loss(self._plan, theirs, row.label) - _loss(self._plan, ours, row.label)

    def _compare(self, row: Row, is_candidate: bool) -> tuple[bool, bool, bool] | None:
        """Return whether a row is worse, better, unknown; None where it says nothing."""
        ours, theirs = _sides(row, is_candidate)
        if row.label is not None:
            gain = self._gain_of(row, is_candidate)
            return gain < 0, gain > 0, False
        if self._plan.labels is not Labels.DISAGREEMENTS:
            return None
        is_same = ours is not None and theirs is not None and _is_same(ours, theirs)
        return False, False, not is_same

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
            lots={**self._counts.lots, **{name: lot.close() for name, lot in self._lots.items()}},
            losses=self._losses.close() if self._losses else self._counts.losses,
            guards={**self._counts.guards, **guards},
            n_placed=self._n_placed,
            cells=tuple(tuple(found) for found in self._cells),
        )

    def _place(self, cells: bytes) -> None:
        if not self._cells:
            self._cells = [[0] * MOST_CELLS for _ in cells]
        self._n_placed += 1
        for found, cell in zip(self._cells, cells, strict=True):
            found[cell] += 1

    def _pair(self, name: str, shares: tuple[float, float, float], *, is_guard: bool) -> None:
        """Count a request: the shares of its rows that are worse, better and unknown."""
        kept = (self._guarded if is_guard else self._paired).setdefault(name, [0, 0.0, 0.0, 0.0])
        kept[0] += 1
        for i, share in enumerate(shares, start=1):
            kept[i] += share
        worse, better, unknown = shares
        if is_guard and unknown < 1:
            self._guard(name).add(better - worse)

    def _gain(self, gain: float, *, is_guard: bool) -> None:
        if is_guard:
            self._guarded.setdefault(LOSS, [0, 0.0, 0.0, 0.0])[0] += 1
            self._guard(LOSS).add(gain)
            return
        if self._losses is None:
            self._losses = _OpenLosses(self._counts.losses, self._plan.margin)
        self._losses.add(gain)

    def _draw(self, name: str, weight: float, is_candidate: bool, bad: float) -> None:
        found = self._lots.get(name)
        if found is None or found.weight != weight:
            kept = self._counts.lots.get(name) or Lot() if found is None else found.close()
            found = self._lots[name] = _OpenLot(kept, weight, margins_of(self._plan, name))
        found.add(is_candidate, bad)

    def _guard(self, name: str) -> ChangeDetector:
        found = self._guards.get(name)
        if found is None:
            found = self._guards[name] = ChangeDetector(
                threshold=BETWEEN_ALARMS,
                margin=margins_of(self._plan, name)[0],
                state=self._counts.guards.get(name),
            )
        return found


class _OpenLosses:
    """Losses being counted."""

    def __init__(self, kept: Losses, margin: float) -> None:
        self._n, self._total = kept.n, kept.total
        self._harm = BoundedEvidence(Side.HARM, state=kept.harm or None)
        self._safe = BoundedEvidence(Side.SAFE, margin=margin, state=kept.safe or None)

    def add(self, gain: float) -> None:
        self._n += 1
        self._total += gain
        self._harm.add(gain)
        self._safe.add(gain)

    def close(self) -> Losses:
        return Losses(n=self._n, total=self._total, harm=self._harm.state, safe=self._safe.state)


class _OpenLot:
    """A lot being counted, while the candidate's share stays the same."""

    def __init__(self, kept: Lot, weight: float, margins: tuple[float, float]) -> None:
        self.weight = weight
        self._n = [kept.baseline, kept.candidate]
        self._bad = [kept.baseline_bad, kept.candidate_bad]
        harm, safe = margins
        self._harm = CanaryEvidence(Side.HARM, weight=weight, margin=harm, state=kept.harm)
        self._safe = CanaryEvidence(Side.SAFE, weight=weight, margin=safe, state=kept.safe)

    def add(self, is_candidate: bool, bad: float) -> None:
        self._n[is_candidate] += 1
        self._bad[is_candidate] += bad
        self._harm.add(is_candidate=is_candidate, loss=bad)
        self._safe.add(is_candidate=is_candidate, loss=bad)

    def close(self) -> Lot:
        return Lot(
            baseline=self._n[0],
            candidate=self._n[1],
            baseline_bad=self._bad[0],
            candidate_bad=self._bad[1],
            harm=self._harm.state,
            safe=self._safe.state,
        )


def margins_of(plan: Plan, name: str) -> tuple[float, float]:
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


def _sides(row: Row, is_candidate: bool) -> tuple[str | None, str | None]:
    """Return the answers of the candidate and of the baseline."""
    found = row.answer, row.shadow_answer
    return found if is_candidate else found[::-1]


def _is_same(one: str, other: str) -> bool:
    return one == other or bool(json.loads(one) == json.loads(other))


def _pairs(found: list[float]) -> Pairs:
    return Pairs(n=int(found[0]), worse=found[1], better=found[2], unknown=found[3])
