"""Inputs that change: a reason to look, and none to roll back.

A fixed threshold alarms by chance: of two samples of 100 rows from one source, the stability index
exceeds 0.1 five times in six. So the threshold is what the reference itself gives when as many
rows are drawn from it as there are now.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, as_values, check_same_length
from detent.stats.checks import check_count, check_share

N_BINS = 10
LEAST_ROWS = 1_000  # of a window, for the stability index


class DriftStatistic(StrEnum):
    """How the distance of two samples is measured."""

    PSI = "psi"
    KS = "ks"
    WASSERSTEIN = "wasserstein"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A distance, and the one that chance exceeds with a probability of alpha."""

    statistic: DriftStatistic
    value: float
    threshold: float
    alpha: float
    n_reference: int
    n_current: int

    @property
    def is_beyond(self) -> bool:
        """Whether the distance is larger than chance explains."""
        return self.value > self.threshold


def psi(expected: ArrayLike, actual: ArrayLike) -> float:
    """Return the population stability index of two histograms.

    Parameters
    ----------
    expected, actual : array of float, shape (n_bins,)
        Counts or shares, 0 or more; bins that are empty count as half a row in 10,000.

    Raises
    ------
    InvalidError
        If lengths differ, a count is negative or missing, or a histogram is empty.

    Examples
    --------
    >>> round(psi([10, 20, 30, 40], [20, 20, 30, 30]), 6)
    0.098083
    """
    old, new = as_values("expected", expected), as_values("actual", actual)
    check_same_length(expected=old, actual=new)
    if min(old.min(), new.min()) < 0 or min(old.sum(), new.sum()) == 0:
        raise InvalidError("histograms have counts of 0 or more, and not only 0")
    old, new = (np.maximum(one / one.sum(), 5e-5) for one in (old, new))
    return float(np.sum((new - old) * np.log(new / old)))


def ks_distance(reference: ArrayLike, current: ArrayLike) -> float:
    """Return the largest distance of two samples' cumulative shares, in [0, 1].

    Raises
    ------
    InvalidError
        If a sample is empty, or a value is missing or infinite.

    Examples
    --------
    >>> ks_distance([1.0, 2.0], [3.0, 4.0])
    1.0
    """
    old, new = np.sort(as_values("reference", reference)), np.sort(as_values("current", current))
    every = np.concatenate([old, new])
    gaps = _cumulative(old, every) - _cumulative(new, every)
    return float(np.abs(gaps).max())


def wasserstein_distance(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    reference_weights: ArrayLike | None = None,
    current_weights: ArrayLike | None = None,
) -> float:
    """Return how far values have moved on average, in their own unit.

    Parameters
    ----------
    reference, current : array of float
        Samples of 1 value or more.
    reference_weights, current_weights : array of float, optional
        Of each value, 0 or more and not only 0; equal by default.

    Raises
    ------
    InvalidError
        If a sample is empty, a value is missing or infinite, or weights do not fit.

    Examples
    --------
    >>> wasserstein_distance([0, 1, 3], [5, 6, 8])
    5.0
    """
    old, new = as_values("reference", reference), as_values("current", current)
    every = np.sort(np.concatenate([old, new]))
    shares = [
        _weighted(values, weights, every[:-1])
        for values, weights in ((old, reference_weights), (new, current_weights))
    ]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(every)))


def check_drift(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    statistic: DriftStatistic = DriftStatistic.KS,
    alpha: float = 0.01,
    n_resamples: int = 500,
    seed: int = 0,
) -> Drift:
    """Compare current values with reference ones, with a threshold for as many rows as there are.

    Both windows are drawn anew from all rows together, as if nothing had changed.

    Parameters
    ----------
    reference, current : array of float
        Values of one input or score; for the stability index 1,000 of each or more, else 2.
    statistic : DriftStatistic, default=KS
        How the distance is measured; the stability index has ten bins of equal reference share.
    alpha : float, default=0.01
        Probability of a false alarm of this one check, between 0 and 1. Divide it by the number
        of inputs that are looked at.
    n_resamples : int, default=500
        How often rows are drawn; at least ``1 / alpha``.
    seed : int, default=0
        Of the draws.

    Returns
    -------
    Drift
        The value, and its threshold.

    Raises
    ------
    InvalidError
        If a window is too small, a value is missing or infinite, or an argument is out of its
        range.

    Examples
    --------
    >>> check_drift(range(100), range(50, 150)).is_beyond
    True
    """
    check_share("alpha", alpha)
    check_count("n_resamples", n_resamples, at_least=int(np.ceil(1 / alpha)))
    least = LEAST_ROWS if statistic is DriftStatistic.PSI else 2
    old = as_values("reference", reference, at_least=least)
    new = as_values("current", current, at_least=least)
    pool, rng = np.concatenate([old, new]), np.random.default_rng(seed)
    draws = np.empty(n_resamples)
    for i in range(n_resamples):
        mixed = rng.permutation(pool)
        draws[i] = _distance(statistic, mixed[: len(old)], mixed[len(old) :])
    return Drift(
        statistic=statistic,
        value=_distance(statistic, old, new),
        threshold=float(np.quantile(draws, 1 - alpha, method="higher")),
        alpha=alpha,
        n_reference=len(old),
        n_current=len(new),
    )


def _distance(statistic: DriftStatistic, old: Floats, new: Floats) -> float:
    match statistic:
        case DriftStatistic.KS:
            return ks_distance(old, new)
        case DriftStatistic.WASSERSTEIN:
            return wasserstein_distance(old, new)
        case DriftStatistic.PSI:
            edges = np.unique(np.quantile(old, np.arange(1, N_BINS) / N_BINS))
            counts = (
                np.bincount(np.searchsorted(edges, one), minlength=len(edges) + 1)
                for one in (old, new)
            )
            return psi(*counts)


def _cumulative(ordered: Floats, points: Floats) -> Floats:
    shares: Floats = np.searchsorted(ordered, points, side="right") / len(ordered)
    return shares


def _weighted(values: Floats, weights: ArrayLike | None, points: Floats) -> Floats:
    order = np.argsort(values)
    taken = np.ones(len(values)) if weights is None else as_values("weights", weights)
    check_same_length(values=values, weights=taken)
    if taken.min() < 0 or taken.sum() == 0:
        raise InvalidError("weights are 0 or more, and not only 0")
    sums = np.append(0.0, np.cumsum(taken[order]))
    shares: Floats = sums[np.searchsorted(values[order], points, side="right")] / sums[-1]
    return shares
