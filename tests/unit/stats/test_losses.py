"""Losses of rows, whose means are scikit-learn's metrics; calibration against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from detent.errors import InvalidError
from detent.stats.calibration import (
    calibration_error,
    calibration_error_of_chance,
    reliability,
)
from detent.stats.losses import (
    absolute_losses,
    brier_losses,
    log_losses,
    pinball_losses,
    squared_losses,
)

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(2, 30), st.integers(2, 5))
def test_losses_of_probabilities(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(k), size=n)
    y = rng.integers(0, k, n)
    expected = metrics.log_loss(y, proba, labels=list(range(k)))
    assert log_losses(y, proba).mean() == pytest.approx(expected)
    happened = np.eye(k)[y]
    by_definition = ((proba - happened) ** 2).sum(axis=1) / (2 if k == 2 else 1)
    assert brier_losses(y, proba) == pytest.approx(by_definition)
    if k == 2:
        assert log_losses(y, proba[:, 1]) == pytest.approx(log_losses(y, proba))
        expected = metrics.brier_score_loss(y, proba[:, 1], pos_label=1)
        assert brier_losses(y, proba).mean() == pytest.approx(expected)


@given(SEEDS, st.integers(1, 30), st.floats(0.05, 0.95))
def test_losses_of_numbers(seed: int, n: int, quantile: float) -> None:
    rng = np.random.default_rng(seed)
    y, answers = rng.normal(size=n), rng.normal(size=n)
    assert absolute_losses(y, answers).mean() == pytest.approx(
        metrics.mean_absolute_error(y, answers)
    )
    assert squared_losses(y, answers).mean() == pytest.approx(
        metrics.mean_squared_error(y, answers)
    )
    assert pinball_losses(y, answers, quantile=quantile).mean() == pytest.approx(
        metrics.mean_pinball_loss(y, answers, alpha=quantile)
    )


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [
        ([0, 2], [0.5, 0.5], "not among 0 to 1"),
        ([0, 1], [0.5, 1.5], "outside"),
        ([0, 1], [0.5, float("nan")], "missing"),
        ([0, 1], [[0.5, 0.6], [0.5, 0.5]], "add up to 1"),
        ([0], [0.5, 0.5], "do not match"),
        ([0], [[0.5]], "one column a class"),
        ([0.5], [0.5], "classes"),
    ],
)
def test_bad_probabilities_are_named(y: list[float], proba: list[float], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        log_losses(y, proba)


@given(SEEDS, st.integers(1, 60), st.integers(1, 20))
def test_bins_hold_every_row_once(seed: int, n: int, n_bins: int) -> None:
    rng = np.random.default_rng(seed)
    proba = np.round(rng.random(n), 1)  # many on the borders of bins
    happened = rng.random(n) < proba
    bins = reliability(proba, happened, n_bins=n_bins)
    assert sum(one.n for one in bins) == n
    assert all(one.low - 1e-9 <= one.mean_probability <= one.high + 1e-9 for one in bins)
    assert sum(one.n * one.share for one in bins) == pytest.approx(happened.sum())
    error = calibration_error(proba, happened, n_bins=n_bins)
    assert 0 <= error <= 1
    overall = abs(proba.mean() - happened.mean())
    assert error >= overall - 1e-9, "bins cannot hide what is so of all rows together"
    assert calibration_error(proba, happened, n_bins=1) == pytest.approx(overall)


def test_even_perfect_probabilities_have_an_error() -> None:
    rng, n, n_bins = np.random.default_rng(1), 3_000, 15
    draws = calibration_error_of_chance(rng.random(n), n_bins=n_bins, n_draws=100)
    assert (np.diff(draws) >= 0).all()
    # The mean distance of a normal share from its mean is sqrt(2 / pi) standard errors; of uniform
    # probabilities the mean of sqrt(p (1 - p)) is pi / 8.
    expected = math.sqrt(2 / math.pi) * math.pi / 8 * math.sqrt(n_bins / n)
    assert draws.mean() == pytest.approx(expected, rel=0.1)
