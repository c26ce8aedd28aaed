"""A 95 % interval holds the truth in 95 % of data sets: summed over tables, or simulated."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from detent.stats.auc import auc_interval, auc_table, compare_auc
from detent.stats.bootstrap import BootstrapMethod, bootstrap_mean
from detent.stats.confidence_sequences import (
    beta_binomial_interval,
    empirical_bernstein_interval,
    hoeffding_interval,
)
from detent.stats.count_metrics import Average, CountMetric, compare_count_metric
from detent.stats.counts import PairedCounts
from detent.stats.interval import Interval
from detent.stats.means import compare_means
from detent.stats.proportions import newcombe_interval, tango_interval, wilson_interval

CONFIDENCE = 0.95


def least_coverage(repetitions: int, *, loss: float = 0.0) -> float:
    """Return what a share of intervals that hold the truth is at least, but for 3 standard errors.

    ``loss`` is how much an approximate method is known to fall short at these sizes.
    """
    return CONFIDENCE - loss - 3 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / repetitions)


class TestExactly:
    """Summed over all tables: no chance is left."""

    @pytest.mark.parametrize("n", [10, 54, 300])
    def test_wilson(self, n: int) -> None:
        intervals = [wilson_interval(k, n) for k in range(n + 1)]
        shares = np.linspace(0.02, 0.98, 49)
        held = np.array(
            [
                sum(
                    float(scipy_stats.binom.pmf(k, n, share))
                    for k, (low, high) in enumerate(intervals)
                    if low <= share <= high
                )
                for share in shares.tolist()
            ]
        )
        assert held.mean() == pytest.approx(CONFIDENCE, abs=0.01)
        assert held.min() > 0.82  # just beside 0 and 1, as for any interval of so few counts

    @pytest.mark.parametrize("interval", [tango_interval, newcombe_interval])
    @pytest.mark.parametrize(("wrong", "right"), [(0.03, 0.03), (0.04, 0.03), (0.1, 0.2)])
    def test_paired(self, interval: Callable[..., Interval], wrong: float, right: float) -> None:
        n, truth, held = 54, right - wrong, 0.0
        for b in range(25):
            for c in range(min(40, n - b) + 1):
                low, high = interval(
                    PairedCounts(both_right=n - b - c, newly_wrong=b, newly_right=c, both_wrong=0)
                )
                if low <= truth <= high:
                    held += float(
                        scipy_stats.multinomial.pmf(
                            [b, c, n - b - c], n, [wrong, right, 1 - wrong - right]
                        )
                    )
        assert 0.93 < held < 0.995


class TestSimulated:
    """Drawn anew many times, from seeds that are stated."""

    def test_areas(self) -> None:
        rng, repetitions, n = np.random.default_rng(11), 1_500, 300
        effect, noise = 1.0, 0.5
        # Both scores of a row are its class, and normal noise that is partly common.
        area = float(scipy_stats.norm.cdf(effect / math.sqrt(2 * (1 + noise**2))))
        held = held_difference = 0
        truth = np.arange(n) % 3 == 0
        for _ in range(repetitions):
            common = effect * truth + rng.normal(size=n)
            old, new = (common + rng.normal(0, noise, n) for _ in range(2))
            low, high = auc_interval(auc_table(truth, [old]))
            held += low <= area <= high
            low, high = compare_auc(truth, old, new).interval
            held_difference += low <= 0 <= high
        assert held / repetitions >= least_coverage(repetitions)
        assert held_difference / repetitions >= least_coverage(repetitions)

    @pytest.mark.parametrize("n", [12, 250])
    def test_means(self, n: int) -> None:
        rng, repetitions = np.random.default_rng(12), 1_500
        held = 0
        for _ in range(repetitions):
            old = rng.normal(1, 1, n)
            low, high = compare_means(
                old, old + rng.normal(0.1, 0.4, n), greater_is_better=True
            ).interval
            held += low <= 0.1 <= high
        # By the bootstrap below 200 rows, which is a little too narrow for a dozen.
        assert held / repetitions >= least_coverage(repetitions, loss=0.05 if n < 200 else 0)

    def test_bca_of_skewed_values(self) -> None:
        rng, repetitions, n = np.random.default_rng(13), 600, 60
        held = 0
        for seed in range(repetitions):
            low, high = bootstrap_mean(
                rng.exponential(size=n), method=BootstrapMethod.BCA, n_resamples=1_000, seed=seed
            ).interval
            held += low <= 1 <= high
        assert held / repetitions >= least_coverage(repetitions, loss=0.03)

    def test_f1_of_cells(self) -> None:
        rng, repetitions, n = np.random.default_rng(14), 500, 400
        held = 0
        for _ in range(repetitions):
            y = rng.random(n) < 0.4
            old, new = (y ^ (rng.random(n) < 0.15) for _ in range(2))  # equally good
            low, high = compare_count_metric(
                y, old, new, metric=CountMetric.F1, average=Average.BINARY, n_resamples=500
            ).interval
            held += low <= 0 <= high
        assert held / repetitions >= least_coverage(repetitions, loss=0.01)

    @pytest.mark.parametrize("share", [0.1, 0.5])
    def test_at_all_times_at_once(self, share: float) -> None:
        """Each sequence is looked at after every tenth value, and must hold at every look."""
        rng, repetitions = np.random.default_rng(15), 100
        missed = {"beta": 0, "bernstein": 0, "hoeffding": 0}
        for _ in range(repetitions):
            values = (rng.random(200) < share).astype(float).tolist()
            looks = range(10, 201, 10)
            for name, intervals in {
                "beta": [
                    beta_binomial_interval(int(sum(values[:n])), n, best_at=100) for n in looks
                ],
                "bernstein": [empirical_bernstein_interval(values[:n]) for n in looks],
                "hoeffding": [hoeffding_interval(values[:n]) for n in looks],
            }.items():
                missed[name] += any(not low <= share <= high for low, high in intervals)
        most = 1 - least_coverage(repetitions)
        assert max(missed.values()) / repetitions <= most
