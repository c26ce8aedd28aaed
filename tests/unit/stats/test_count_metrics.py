"""Metrics of labels against scikit-learn, and their resamples against resampled rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from detent.errors import InvalidError
from detent.stats.cells import count_cells
from detent.stats.count_metrics import (
    Average,
    CountMetric,
    compare_cells,
    compare_count_metric,
    count_metric,
)

PLAIN = {
    CountMetric.ACCURACY: metrics.accuracy_score,
    CountMetric.BALANCED_ACCURACY: metrics.balanced_accuracy_score,
    CountMetric.MCC: metrics.matthews_corrcoef,
}
AVERAGED = {
    CountMetric.PRECISION: metrics.precision_score,
    CountMetric.RECALL: metrics.recall_score,
    CountMetric.F1: metrics.f1_score,
}


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
@given(seed=st.integers(0, 2**32), n=st.integers(2, 60), k=st.integers(2, 5))
def test_values_are_scikit_learns(seed: int, n: int, k: int) -> None:
    truth, old, new = np.random.default_rng(seed).integers(0, k, (3, n))
    cells = count_cells(truth, old, new)
    tallies = cells.tallies(cells.counts, cells.candidate)
    for metric, theirs in PLAIN.items():
        assert count_metric(tallies, metric) == pytest.approx(theirs(truth, new), abs=1e-12)
    for metric, theirs in AVERAGED.items():
        for average in (Average.MACRO, Average.MICRO, Average.WEIGHTED):
            expected = theirs(truth, new, average=average.value, zero_division=0)
            ours = count_metric(tallies, metric, average=average)
            assert ours == pytest.approx(expected, abs=1e-12)
        label = cells.labels[0]
        expected = theirs(truth, new, average=None, labels=[label], zero_division=0)[0]
        ours = count_metric(tallies, metric, average=Average.BINARY, positive=0)
        assert ours == pytest.approx(expected, abs=1e-12)
    if len(set(truth) | set(new)) > 1:
        expected = metrics.cohen_kappa_score(truth, new)
        assert count_metric(tallies, CountMetric.KAPPA) == pytest.approx(expected, abs=1e-12)


def rows(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    old, new = (np.where(rng.random(n) < 0.8, truth, rng.integers(0, 3, n)) for _ in range(2))
    return truth, old, new


def test_cells_are_resampled_as_rows_are() -> None:
    truth, old, new = rows(300)
    ours = compare_count_metric(truth, old, new, metric=CountMetric.F1)
    rng, draws = np.random.default_rng(1), []
    for _ in range(500):
        drawn = rng.integers(0, 300, 300)
        first, second = (
            metrics.f1_score(truth[drawn], one[drawn], average="macro") for one in (old, new)
        )
        draws.append(second - first)
    # 500 resamples know their standard deviation to 1 / sqrt(1000): 3.2 %.
    assert ours.standard_error == pytest.approx(np.std(draws), rel=0.16)


def test_groups_are_resampled_whole() -> None:
    truth, old, new = rows(300)
    plain = compare_count_metric(truth, old, new, metric=CountMetric.F1)
    repeated = [np.repeat(one, 5) for one in (truth, old, new)]
    grouped = compare_count_metric(
        *repeated, metric=CountMetric.F1, groups=np.repeat(np.arange(300), 5)
    )
    assert grouped.n == 300
    assert grouped.difference == pytest.approx(plain.difference)
    assert grouped.standard_error == pytest.approx(plain.standard_error, rel=0.05)
    assert grouped.p == pytest.approx(plain.p, abs=0.03)


def test_the_same_seed_gives_the_same_result() -> None:
    cells = count_cells(*rows(200))
    first, again = (compare_cells(cells, metric=CountMetric.MCC, seed=3) for _ in range(2))
    assert first == again


def test_p_of_equal_versions_is_no_smaller_than_it_should_be() -> None:
    n_sets, small = 400, 0
    for seed in range(n_sets):
        result = compare_count_metric(
            *rows(100, seed=seed), metric=CountMetric.F1, n_resamples=400, seed=seed
        )
        small += result.p <= 0.05
    # Four standard errors of the simulation.
    assert small / n_sets <= 0.05 + 4 * (0.05 * 0.95 / n_sets) ** 0.5


def test_what_never_disagrees_says_so() -> None:
    result = compare_count_metric([0, 1, 1], [0, 1, 0], [0, 1, 0], metric=CountMetric.F1)
    assert (result.difference, result.p) == (0, 1)
    assert "no width" in result.caveats[0]


def test_text_labels_and_the_positive_one() -> None:
    truth, old, new = ["ham", "spam"] * 20, ["ham"] * 40, ["spam"] * 40
    result = compare_count_metric(
        truth, old, new, metric=CountMetric.RECALL, average=Average.BINARY, positive="ham"
    )
    assert (result.baseline, result.candidate) == (1, 0)
    with pytest.raises(InvalidError, match="'egg' does not occur"):
        compare_count_metric(
            truth, old, new, metric=CountMetric.F1, average=Average.BINARY, positive="egg"
        )


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidError, match="no rows"):
        count_cells([], [], [])
    with pytest.raises(InvalidError, match="mixes types"):
        count_cells([0, 1], ["0", "1"], [0, 1])
    with pytest.raises(InvalidError, match="do not match"):
        count_cells([0, 1], [0, 1], [0])
    with pytest.raises(InvalidError, match="kappa is undefined"):
        compare_count_metric([1, 1], [1, 1], [1, 1], metric=CountMetric.KAPPA)
    with pytest.raises(InvalidError, match="2 or more"):
        compare_count_metric([1], [1], [0], metric=CountMetric.F1)
