"""Areas under ROC curves against scikit-learn, and against the definition of their variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from detent.errors import InvalidError
from detent.stats.auc import auc_interval, auc_table, compare_auc
from detent.stats.auc_bootstrap import resampled_aucs


def by_definition(truth: np.ndarray, scores: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return areas and covariance from all pairs of a positive and a negative row."""
    tens, ones = [], []
    for one in scores:
        x, y = one[truth][:, None], one[~truth][None, :]
        wins = (x > y) + 0.5 * (x == y)
        tens.append(wins.mean(axis=1))
        ones.append(wins.mean(axis=0))
    covariance = np.cov(tens) / truth.sum() + np.cov(ones) / (~truth).sum()
    return np.array([ten.mean() for ten in tens]), covariance


@given(seed=st.integers(0, 2**32), n=st.integers(8, 60), n_values=st.integers(1, 50))
def test_mid_ranks_are_the_definition(seed: int, n: int, n_values: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % 3 == 0)
    scores = [rng.integers(0, n_values, n) / 7 for _ in range(3)]  # few values: many ties
    table = auc_table(truth, scores)
    areas, covariance = by_definition(truth, scores)
    assert table.areas == pytest.approx(areas, abs=1e-12)
    assert np.array(table.covariance) == pytest.approx(covariance, abs=1e-12)
    assert table.areas[0] == pytest.approx(roc_auc_score(truth, scores[0]), abs=1e-12)


def test_groups_of_one_row_are_nearly_rows() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(2_000) < 0.3
    scores = [truth + rng.normal(size=2_000) for _ in range(2)]
    rows, groups = auc_table(truth, scores), auc_table(truth, scores, groups=np.arange(2_000))
    assert np.array(groups.covariance) == pytest.approx(np.array(rows.covariance), rel=0.01)
    fivefold = auc_table(
        np.tile(truth, 5), [np.tile(one, 5) for one in scores], groups=np.tile(range(2_000), 5)
    )
    assert np.array(fivefold.covariance) == pytest.approx(np.array(groups.covariance))


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_resampled_areas_spread_as_delong_says(is_mirrored: bool) -> None:
    rng = np.random.default_rng(2)
    truth = (np.arange(1_500) < 100) != is_mirrored
    old, new = (np.round(truth + rng.normal(size=1_500), 1) for _ in range(2))
    draws = resampled_aucs(truth, old, new, n_resamples=4_000, seed=0)
    result = compare_auc(truth, old, new)
    # The standard error of a standard deviation of B draws is 1 / sqrt(2 B) of it: 1.1 %.
    assert draws.std() == pytest.approx(result.standard_error, rel=0.06)
    assert draws.mean() == pytest.approx(result.difference, abs=5 * draws.std() / 4_000**0.5)


def test_a_few_rows_are_resampled_and_said_so() -> None:
    rng = np.random.default_rng(3)
    truth = np.arange(400) < 12
    old, new = (truth + rng.normal(size=400) for _ in range(2))
    result = compare_auc(truth, old, new, n_resamples=500)
    assert "bootstrap" in result.method
    assert "only 12 rows" in result.caveats[0]
    assert result == compare_auc(truth, old, new, n_resamples=500), "the same bytes again"
    assert result.interval.low <= result.difference <= result.interval.high


def test_what_orders_alike_shows_nothing() -> None:
    truth = np.arange(200) % 2 == 0
    scores = np.arange(200) % 13
    result = compare_auc(truth, scores, scores * 2 + 1)
    assert (result.difference, result.p) == (0.0, 1.0)
    assert "no width" in result.caveats[0]
    constant = compare_auc(truth, np.zeros(200), scores)
    assert constant.baseline == 0.5


def test_a_perfect_area_has_an_interval() -> None:
    truth = np.arange(100) >= 50
    low, high = auc_interval(auc_table(truth, [np.arange(100)]))
    assert 0.9 < low < 0.95
    assert high == 1


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([True, True, True], [1, 2, 3], "0 negative rows"),
        ([True, True, False, False], [1, 2, np.nan, 3], "missing or infinite"),
        ([True, True, False, False], [1, 2, 3], "do not match"),
        ([1, 1, 0, 0], [1, 2, 3, 4], "booleans are expected"),
        ([], [], "1 or more are needed"),
    ],
)
def test_bad_input_is_named(truth: list[bool], scores: list[float], message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        auc_table(truth, [scores])
