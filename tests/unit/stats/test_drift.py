"""Distances of samples against SciPy's, and how often chance alarms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from detent.errors import InvalidError
from detent.stats.drift import (
    DriftStatistic,
    check_drift,
    ks_distance,
    psi,
    wasserstein_distance,
)

SAMPLES = st.lists(st.integers(-20, 20), min_size=1, max_size=40)


@given(SAMPLES, SAMPLES)
def test_distances_are_scipys(old: list[int], new: list[int]) -> None:
    one, two = (scipy_stats.ecdf(sample).cdf for sample in (old, new))
    both = np.array([*old, *new])
    largest = np.abs(one.evaluate(both) - two.evaluate(both)).max()
    assert ks_distance(old, new) == pytest.approx(largest, abs=1e-12)
    expected = scipy_stats.wasserstein_distance(old, new)
    assert wasserstein_distance(old, new) == pytest.approx(expected, abs=1e-12)


@given(SAMPLES, st.integers(-5, 5))
def test_a_move_is_as_far_as_all_have_moved(values: list[int], by: int) -> None:
    moved = [value + by for value in values]
    assert wasserstein_distance(values, moved) == pytest.approx(abs(by), abs=1e-9)
    assert ks_distance(values, values) == 0


@given(SAMPLES, st.data())
def test_weights_are_repeats(values: list[int], data: st.DataObject) -> None:
    times = data.draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    weighted = wasserstein_distance(values, [0], reference_weights=times)
    assert weighted == pytest.approx(wasserstein_distance(np.repeat(values, times), [0]))


@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=8),
    st.lists(st.integers(1, 500), min_size=2, max_size=8),
)
def test_psi_is_two_divergences(old: list[int], new: list[int]) -> None:
    k = min(len(old), len(new))
    p, q = (np.array(one[:k]) / sum(one[:k]) for one in (old, new))
    both_ways = scipy_stats.entropy(p, q) + scipy_stats.entropy(q, p)
    assert psi(old[:k], new[:k]) == pytest.approx(both_ways, abs=1e-9)
    assert psi(old[:k], new[:k]) == pytest.approx(psi(new[:k], old[:k]), abs=1e-12)


@pytest.mark.parametrize("statistic", [DriftStatistic.KS, DriftStatistic.WASSERSTEIN])
def test_chance_alarms_as_seldom_as_it_should(statistic: DriftStatistic) -> None:
    rng, repetitions, alpha = np.random.default_rng(1), 200, 0.05
    alarms = sum(
        check_drift(
            rng.normal(size=60),
            rng.normal(size=60),
            statistic=statistic,
            alpha=alpha,
            n_resamples=100,
            seed=seed,
        ).is_beyond
        for seed in range(repetitions)
    )
    assert alarms / repetitions <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / repetitions)


@pytest.mark.parametrize("statistic", DriftStatistic)
def test_a_shift_is_seen(statistic: DriftStatistic) -> None:
    rng = np.random.default_rng(2)
    old = rng.normal(size=1_000)
    drift = check_drift(old, rng.normal(0.5, 1, 1_000), statistic=statistic, n_resamples=100)
    assert drift.is_beyond
    assert (drift.n_reference, drift.n_current) == (1_000, 1_000)
    assert drift == check_drift(
        old,
        np.random.default_rng(2).normal(size=2_000)[1_000:] + 0.5,
        statistic=statistic,
        n_resamples=100,
    )


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidError, match=r"1,000 or more"):
        check_drift([1.0] * 10, [1.0] * 10, statistic=DriftStatistic.PSI)
    with pytest.raises(InvalidError, match="n_resamples"):
        check_drift([1.0, 2.0], [1.0, 2.0], alpha=0.01, n_resamples=99)
    with pytest.raises(InvalidError, match="missing or infinite"):
        ks_distance([math.nan], [1.0])
    with pytest.raises(InvalidError, match="not only 0"):
        psi([0, 0], [1, 2])
    with pytest.raises(InvalidError, match="not only 0"):
        wasserstein_distance([1.0], [2.0], reference_weights=[0.0])
