"""Corrections for many questions against SciPy and the closed test; planned looks; rules summed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from detent.errors import InvalidError
from detent.stats.group_sequential import obrien_fleming_limits, obrien_fleming_spending
from detent.stats.multiplicity import alpha_of_use, benjamini_hochberg, bonferroni, holm
from detent.stats.power import decision_probability, shows_not_worse

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(P_VALUES)
def test_holm_is_the_closed_test(p_values: list[float]) -> None:
    """A claim is shown where every set of claims that holds it is, each by Bonferroni."""
    k = len(p_values)
    sets = [s for r in range(1, k + 1) for s in itertools.combinations(range(k), r)]
    closed = [
        max(min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets if j in s)
        for j in range(k)
    ]
    assert holm(p_values) == pytest.approx(closed)


@given(P_VALUES)
def test_false_discoveries_are_scipys(p_values: list[float]) -> None:
    expected = scipy_stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(expected, abs=1e-12)


@given(P_VALUES)
def test_order_does_not_matter_and_none_is_stricter_than_bonferroni(
    p_values: list[float],
) -> None:
    for correct in (bonferroni, holm, benjamini_hochberg):
        corrected = correct(p_values)
        backwards = correct(p_values[::-1])
        assert corrected == pytest.approx(backwards[::-1])
        assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
        assert all(q <= r for q, r in zip(corrected, bonferroni(p_values), strict=True))


def test_all_uses_together_spend_alpha() -> None:
    spent = math.fsum(alpha_of_use(j) for j in range(1, 100_001))
    assert 0.05 * (1 - 1e-5) < spent < 0.05


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value(p: float) -> None:
    for correct in (bonferroni, holm, benjamini_hochberg):
        with pytest.raises(InvalidError, match="not a p-value"):
            correct([0.5, p])


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=4, unique=True))
def test_what_may_be_spent_rises_to_alpha(shares: list[float]) -> None:
    spent = [obrien_fleming_spending(share) for share in sorted(shares)]
    assert spent == sorted(spent)
    assert spent[-1] <= obrien_fleming_spending(1.0) == pytest.approx(0.025)


def test_planned_looks_err_as_planned() -> None:
    rng, repetitions, alpha = np.random.default_rng(1), 100_000, 0.025
    shares = [0.2, 0.5, 0.6, 1.0]
    limits = obrien_fleming_limits(shares, alpha=alpha)
    steps = rng.normal(size=(repetitions, 4)) * np.sqrt(np.diff(shares, prepend=0.0))
    passed = (np.cumsum(steps, axis=1) / np.sqrt(shares) > limits).any(axis=1)
    error = math.sqrt(alpha * (1 - alpha) / repetitions)
    assert passed.mean() == pytest.approx(alpha, abs=3 * error)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.6, 0.5], [0.0, 1.0], [0.5, 1.5]])
def test_looks_that_do_not_rise(shares: list[float]) -> None:
    with pytest.raises(InvalidError):
        obrien_fleming_limits(shares)


@given(st.integers(1, 40), st.floats(0.01, 0.4), st.floats(0.01, 0.4))
def test_tables_add_up_to_one_and_to_a_binomial(n: int, wrong: float, right: float) -> None:
    def probability(decides: object) -> float:
        return decision_probability(
            decides,  # type: ignore[arg-type] # lambdas of arrays
            n,
            newly_wrong_rate=wrong,
            newly_right_rate=right,
        )

    assert probability(lambda b, c: b >= 0) == pytest.approx(1)
    expected = scipy_stats.binom.sf(2, n, right)
    assert probability(lambda b, c: c > 2) == pytest.approx(expected, abs=1e-12)


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidError, match="disagreement rate"):
        decision_probability(lambda b, c: b >= c, 10, newly_wrong_rate=0.6, newly_right_rate=0.5)
    with pytest.raises(InvalidError, match="0 or more"):
        shows_not_worse(np.array([-1]), np.array([0]), n=10, margin=0.01)
