"""How often a monitor is wrong, and how soon it is right, on streams of labels drawn at random.

Each stream goes through the counting and the decisions of a rollout. The allowed numbers follow
from how many streams there are: a bound that holds on average is exceeded by so many with a
probability below one in a million. ``make fault`` runs many more streams.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, norm

from detent import Phase, Plan, Rollout
from detent.domain.clock import from_us
from detent.metadata.predictions import Record, Row
from detent.rollout.counting import WRONG, Counts, Pairs, count_requests, count_rows
from detent.rollout.monitor import read_signals
from detent.rollout.state import Enter, RollBack, next_move
from detent.testing.rollouts import make_rollout

ALPHA = 0.05
GAINS = 0.03  # of rows: newly right; newly wrong are as many, and what it is worse by
UNLIKELY = 1e-6
MANY = pytest.mark.slow

START = from_us(1_800_000_000_000_000)


def rollout_in(phase: Phase, weight: float = 0.5) -> Rollout:
    plan = Plan(alpha=ALPHA, shadow_s=1e-6, canary=(weight,), step_s=0, step_requests=0)
    return make_rollout(plan=plan, phase=phase, at=START)


def decide_in_shadow(
    rng: np.random.Generator, *, worse_by: float, n: int, every: int
) -> tuple[str, int]:
    """Return how a stream of labels in the shadow was decided, and after how many."""
    rollout = rollout_in(Phase.SHADOW)
    draws = rng.choice([1, -1, 0], size=n, p=[GAINS + worse_by, GAINS, 1 - 2 * GAINS - worse_by])
    worse, better = np.cumsum(draws == 1), np.cumsum(draws == -1)
    calm = Pairs(n=10_000)  # no request fails
    for looked in range(every, n + 1, every):
        pairs = Pairs(n=looked, worse=int(worse[looked - 1]), better=int(better[looked - 1]))
        counts = Counts(n_labels=looked, paired={"error_rate": calm, WRONG: pairs})
        move = next_move(rollout, counts, read_signals(counts, rollout), now=START)
        if isinstance(move, RollBack):
            return "rolled back", looked
        if isinstance(move, Enter):
            return "went on", looked
    return "open", n


def decide_in_canary(
    rng: np.random.Generator, *, rates: tuple[float, float], n: int, every: int
) -> tuple[str, int]:
    """Return how a stream of requests, a share of which failed, was decided."""
    weight = 0.5
    rollout = rollout_in(Phase.CANARY, weight)
    counts = Counts()
    for looked in range(0, n, every):
        chosen = rng.random(every) < weight
        failed = rng.random(every) < np.where(chosen, rates[1], rates[0])
        records = [
            Record(
                id=looked + i + 1,
                request_id=str(looked + i),
                rollout=1,
                model="churn",
                alias="production",
                version=2 if chosen[i] else 1,
                role="canary" if chosen[i] else "active",
                at_us=1,
                seconds=0.01,
                error="RuntimeError: oh" if failed[i] else None,
                weight=weight,
            )
            for i in range(every)
        ]
        counts = count_requests(counts, records, rollout)
        move = next_move(rollout, counts, read_signals(counts, rollout), now=START)
        if isinstance(move, RollBack):
            return "rolled back", looked + every
    return "open", n


def count(
    decide: Callable[..., tuple[str, int]], streams: int, seed: int, **options: object
) -> list[tuple[str, int]]:
    children = np.random.SeedSequence(seed).spawn(streams)
    return [decide(np.random.default_rng(child), **options) for child in children]


def most_by_chance(streams: int, rate: float) -> int:
    """Return how many of so many streams are wrong only once in a million times, or fewer."""
    return int(binom.isf(UNLIKELY, streams, rate))


@pytest.mark.parametrize(("streams", "n"), [(40, 3000), pytest.param(400, 20_000, marks=MANY)])
def test_one_as_good_is_seldom_rolled_back(streams: int, n: int) -> None:
    found = count(decide_in_shadow, streams, 1, worse_by=0.0, n=n, every=100)
    wrong = sum(outcome == "rolled back" for outcome, _ in found)
    assert wrong <= most_by_chance(streams, ALPHA)


@pytest.mark.parametrize(("streams", "n"), [(40, 3000), pytest.param(400, 20_000, marks=MANY)])
def test_one_that_is_worse_by_the_margin_seldom_goes_on(streams: int, n: int) -> None:
    found = count(decide_in_shadow, streams, 2, worse_by=0.01, n=n, every=100)
    wrong = sum(outcome == "went on" for outcome, _ in found)
    assert wrong <= most_by_chance(streams, ALPHA)


@pytest.mark.parametrize(
    ("worse_by", "streams"),
    [
        (0.05, 60),
        pytest.param(0.05, 2000, marks=MANY),
        pytest.param(0.02, 1000, marks=MANY),
        pytest.param(0.01, 400, marks=MANY),
    ],
)
def test_one_that_is_worse_goes_almost_as_soon_as_it_can(worse_by: float, streams: int) -> None:
    """No valid rule needs fewer labels on average than the information bound."""
    wins, losses = GAINS + worse_by, GAINS
    equal = (wins + losses) / 2
    gain = wins * math.log(wins / equal) + losses * math.log(losses / equal)
    bound = -math.log(ALPHA) / gain
    every = max(1, int(bound / 50))
    n = int(bound * 20)
    found = count(decide_in_shadow, streams, 3, worse_by=worse_by, n=n, every=every)
    lengths = np.array([labels for outcome, labels in found if outcome == "rolled back"])
    assert len(lengths) >= streams - most_by_chance(streams, ALPHA)
    error = lengths.std(ddof=1) / math.sqrt(len(lengths)) * norm.isf(UNLIKELY)
    assert lengths.mean() <= 1.45 * bound + every + error


@pytest.mark.parametrize(("streams", "n"), [(25, 1500), pytest.param(400, 10_000, marks=MANY)])
def test_a_canary_within_its_limit_is_seldom_rolled_back(streams: int, n: int) -> None:
    found = count(decide_in_canary, streams, 4, rates=(0.05, 0.06), n=n, every=250)
    wrong = sum(outcome == "rolled back" for outcome, _ in found)
    assert wrong <= most_by_chance(streams, ALPHA)


def decide_on_batches(rng: np.random.Generator, *, n: int, size: int) -> tuple[str, int]:
    """Return how requests of alike rows were decided: a whole request is wrong, or none of it."""
    rollout = rollout_in(Phase.SHADOW)
    draws = rng.choice([1, -1, 0], size=n, p=[GAINS, GAINS, 1 - 2 * GAINS])
    counts = Counts()
    for request in range(0, n, 100):
        rows = [
            Row(
                request=i,
                request_id=str(i),
                row=row,
                at_us=1,
                version=1,
                answer="0" if draws[i] == -1 else "1",
                shadow_version=2,
                shadow_answer="0" if draws[i] == 1 else "1",
                label="1",
                weight=None,
                is_first=True,
            )
            for i in range(request, min(request + 100, n))
            for row in range(size)
        ]
        counts = count_rows(counts, rows, rollout, last=request)
        if isinstance(
            next_move(rollout, counts, read_signals(counts, rollout), now=START), RollBack
        ):
            return "rolled back", request
    return "open", n


def test_rows_that_are_sent_together_are_no_independent_witnesses() -> None:
    """Counted one by one, five alike rows a request would roll back every third good version."""
    found = count(decide_on_batches, 60, 6, n=600, size=5)
    wrong = sum(outcome == "rolled back" for outcome, _ in found)
    assert wrong <= most_by_chance(60, ALPHA)


def test_a_canary_that_fails_often_goes_soon() -> None:
    found = count(decide_in_canary, 10, 5, rates=(0.01, 0.3), n=1500, every=50)
    assert all(outcome == "rolled back" for outcome, _ in found)
