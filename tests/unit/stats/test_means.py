"""Means, signs and the bootstrap against SciPy, and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from detent.errors import InvalidError
from detent.stats.bootstrap import (
    BootstrapMethod,
    bootstrap_mean,
    bootstrap_statistic,
)
from detent.stats.claim import Claim
from detent.stats.means import compare_means, paired_t, relative_slack
from detent.stats.signs import sign_flip, wilcoxon

SIDES = {Claim.DIFFERENT: "two-sided", Claim.BETTER: "greater", Claim.WORSE: "less"}


@given(seed=st.integers(0, 2**32), n=st.integers(3, 300), claim=st.sampled_from(Claim))
def test_t_is_scipys(seed: int, n: int, claim: Claim) -> None:
    rng = np.random.default_rng(seed)
    old, new = rng.normal(size=n), rng.normal(0.1, 1, size=n)
    ours = paired_t(old, new, greater_is_better=True, claim=claim)
    theirs = scipy_stats.ttest_rel(new, old, alternative=SIDES[claim])
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9, abs=1e-14)
    both = scipy_stats.ttest_rel(new, old).confidence_interval(0.95)
    assert tuple(ours.interval) == pytest.approx((both.low, both.high), rel=1e-9)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 12), claim=st.sampled_from(Claim))
def test_signs_are_those_of_all_permutations(seed: int, n: int, claim: Claim) -> None:
    values = np.random.default_rng(seed).integers(-5, 8, n).astype(float)
    sums = np.array([np.dot(1 - 2 * (i >> np.arange(n) & 1), values) for i in range(2**n)])
    above, below = np.mean(sums >= values.sum()), np.mean(sums <= values.sum())
    expected = {"better": above, "worse": below, "different": min(1.0, 2 * min(above, below))}
    assert sign_flip(values, claim=claim) == pytest.approx(expected[claim], abs=1e-12)


def test_random_signs_are_near_the_exact_ones() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 21)
    exact = sign_flip(values[:20], claim=Claim.BETTER)
    drawn = sign_flip(np.append(values[:20], 1e-7), claim=Claim.BETTER, n_resamples=20_000)
    assert drawn == pytest.approx(exact, abs=5 * (exact / 20_000) ** 0.5)


@given(seed=st.integers(0, 2**32), n=st.integers(1, 50), claim=st.sampled_from(Claim))
def test_wilcoxon_is_scipys(seed: int, n: int, claim: Claim) -> None:
    values = np.random.default_rng(seed).normal(0.2, 1, n)
    theirs = scipy_stats.wilcoxon(values, alternative=SIDES[claim], method="exact")
    assert wilcoxon(values, claim=claim).p == pytest.approx(theirs.pvalue, abs=1e-12)


@given(seed=st.integers(0, 2**32), n=st.integers(60, 200))
def test_wilcoxon_of_many_with_ties_is_scipys(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).integers(-5, 7, n).astype(float)
    theirs = scipy_stats.wilcoxon(values, zero_method="wilcox", correction=False, method="approx")
    ours = wilcoxon(values)
    if ours.n > 50:
        assert ours.p == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize("method", BootstrapMethod)
def test_bootstrap_is_scipys(method: BootstrapMethod) -> None:
    values = np.random.default_rng(0).exponential(size=60)
    ours = bootstrap_mean(values, method=method, n_resamples=20_000)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1)
    )
    # An end is a quantile of 20,000 draws: its standard error is about 0.02 standard deviations.
    expected = (theirs.confidence_interval.low, theirs.confidence_interval.high)
    assert tuple(ours.interval) == pytest.approx(expected, abs=0.1 * theirs.standard_error)


def test_classes_of_values_spread_as_the_values_do() -> None:
    values = np.random.default_rng(0).lognormal(size=50_000)
    result = bootstrap_mean(values)
    theory = values.std() / len(values) ** 0.5
    assert result.standard_error == pytest.approx(theory, rel=5 / (2 * 10_000) ** 0.5)
    assert result.estimate == values.mean()


def test_coverage_of_the_paired_t() -> None:
    rng, n_sets = np.random.default_rng(0), 2_000
    covered = 0
    for _ in range(n_sets):
        sample = rng.exponential(size=200) - 1
        low, high = paired_t(np.zeros(200), sample, greater_is_better=True).interval
        covered += low <= 0 <= high
    # Four standard errors of the simulation, and 1.5 % for the skewness of 200 rows.
    slack = 4 * (0.95 * 0.05 / n_sets) ** 0.5 + 0.015
    assert covered / n_sets == pytest.approx(0.95, abs=slack)


def test_the_method_follows_the_rows() -> None:
    rng = np.random.default_rng(0)
    many = compare_means(rng.random(300), rng.random(300), greater_is_better=False)
    assert many.method == "paired t"
    skewed = compare_means(np.zeros(300), rng.pareto(1.5, 300), greater_is_better=False)
    assert skewed.method.startswith("BCa")
    few = compare_means(rng.random(10), rng.random(10), greater_is_better=False)
    assert few.method.endswith("all choices of signs")
    assert "few" in few.caveats[0]


def test_repeated_rows_of_groups_add_nothing() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.random(300), rng.random(300)
    plain = compare_means(old, new, greater_is_better=True)
    grouped = compare_means(
        np.repeat(old, 5),
        np.repeat(new, 5),
        greater_is_better=True,
        groups=np.repeat(range(300), 5),
    )
    assert grouped.n == 300
    assert tuple(grouped.interval) == pytest.approx(tuple(plain.interval))


def test_a_smaller_loss_is_better() -> None:
    old, new = np.full(30, 0.5), np.full(30, 0.5) - np.arange(1, 31) / 100
    result = compare_means(old, new, greater_is_better=False, claim=Claim.BETTER)
    assert result.difference < 0
    assert result.p < 0.001
    assert (relative_slack(old, new, margin=0.01) > 0).all()


def test_equal_differences_have_no_width_and_say_so() -> None:
    same = compare_means(np.ones(40), np.ones(40), greater_is_better=True)
    assert (same.difference, same.p) == (0, 1)
    assert "no width" in same.caveats[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([], [], "1 or more are needed"),
        ([1.0], [1.0], "2 or more are needed"),
        ([1.0, np.nan], [1.0, 1.0], "missing or infinite"),
        ([1.0, 2.0], [1.0], "do not match"),
        (["a", "b"], [1.0, 2.0], "does not hold numbers"),
    ],
)
def test_bad_input_is_named(old: list[float], new: list[float], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        compare_means(old, new, greater_is_better=True)


def test_a_metric_that_raises_or_is_not_a_number() -> None:
    with pytest.raises(InvalidError, match="the metric raised ZeroDivisionError"):
        bootstrap_statistic(lambda rows: 1 / 0, [1, 2, 3])
    with pytest.raises(InvalidError, match="the metric returned nan"):
        bootstrap_statistic(lambda rows: float("nan"), [1, 2, 3])


def test_own_metrics_resample_groups() -> None:
    rows, groups = np.repeat([1.0, 2.0, 5.0, 9.0], 25), np.repeat(range(4), 25)
    by_rows = bootstrap_statistic(np.mean, rows)
    by_groups = bootstrap_statistic(np.mean, rows, groups=groups)
    assert by_groups.n == 4
    assert by_groups.standard_error > 3 * by_rows.standard_error
