"""Tests of differences that suppose no distribution: only that their signs are tosses of a coin.

If two versions are equally good, a row's difference might as well have had the other sign. Up to
20 rows all ways to choose the signs are counted, so that the p-value is exact.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detent.stats.arrays import Floats, as_values
from detent.stats.checks import check_count
from detent.stats.claim import Claim, p_of
from detent.stats.distributions import normal_tail
from detent.stats.resampling import N_RESAMPLES, blocks

N_EXACT = 20  # rows up to which all 2**n choices of signs are counted
_N_RANKS_EXACT = 50  # rows up to which the distribution of Wilcoxon's sum is counted
_ROUNDING = 1e-9  # relative size below which two sums are one, computed in another order


def sign_flip(
    differences: ArrayLike,
    *,
    claim: Claim = Claim.DIFFERENT,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> float:
    """P-value of the sum of differences among all choices of their signs.

    Exact for up to 20 differences other than 0, by random signs beyond. Supposes only that each
    difference is symmetric about 0 where neither version is better.

    Parameters
    ----------
    differences : array of float, shape (n_samples,)
        Of independent units, positive where the candidate is better.
    claim : Claim, default=DIFFERENT
        What the differences are asked to show.
    n_resamples : int, default=10000
        Random choices of signs, where not all are counted.
    seed : int, default=0
        Of the random signs.

    Returns
    -------
    float
        In (0, 1]; 1 if all differences are 0.

    Raises
    ------
    InvalidError
        If there are no differences, one is missing or infinite, or `n_resamples` is below 1.

    References
    ----------
    .. [1] Fisher, R. A. (1935). The design of experiments, section 21. Oliver and Boyd.

    Examples
    --------
    >>> sign_flip([1.0, 2.0, 3.0, 4.0, 5.0], claim=Claim.BETTER)
    0.03125
    """
    check_count("n_resamples", n_resamples, at_least=1)
    values = as_values("differences", differences)
    values = values[values != 0]  # their sign changes no sum
    if len(values) == 0:
        return 1.0
    observed = float(values.sum())
    slack = _ROUNDING * float(np.abs(values).sum())
    if len(values) <= N_EXACT:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums - value, sums + value])
        above, below, total = (
            _count(sums, observed, slack),
            _count(-sums, -observed, slack),
            len(sums),
        )
    else:
        above = below = 1  # the observed signs are one choice more
        total = n_resamples + 1
        rng = np.random.default_rng(seed)
        for size in blocks(n_resamples, len(values)):
            sums = _random_sums(values, size, rng)
            above += _count(sums, observed, slack)
            below += _count(-sums, -observed, slack)
    return p_of(claim, better=above / total, worse=below / total)


def _count(sums: Floats, observed: float, slack: float) -> int:
    return int(np.count_nonzero(sums >= observed - slack))


def _random_sums(values: Floats, size: int, rng: np.random.Generator) -> Floats:
    packed = rng.integers(0, 256, size=(size, -(-len(values) // 8)), dtype=np.uint8)
    is_kept = np.unpackbits(packed, axis=1, count=len(values))
    sums: Floats = is_kept @ (2 * values) - values.sum()
    return sums


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRanks:
    """Wilcoxon's sums of the ranks of positive and of negative differences, and a p-value."""

    positive: float
    negative: float
    p: float
    n: int

    @property
    def statistic(self) -> float:
        """The smaller of both sums, as tables have it."""
        return min(self.positive, self.negative)


def wilcoxon(differences: ArrayLike, *, claim: Claim = Claim.DIFFERENT) -> SignedRanks:
    """Wilcoxon's signed-rank test of paired differences.

    Asks about the middle of the differences rather than their mean, and is moved little by a few
    large ones. Differences of 0 are left out, equal sizes share their mean rank. Exact for up to
    50 differences, also with ties; by the normal approximation, corrected for ties, beyond.

    Parameters
    ----------
    differences : array of float, shape (n_samples,)
        Of independent units, positive where the candidate is better.
    claim : Claim, default=DIFFERENT
        What the differences are asked to show.

    Returns
    -------
    SignedRanks
        With p 1 if all differences are 0; ``n`` counts those other than 0.

    Raises
    ------
    InvalidError
        If there are no differences, or one is missing or infinite.

    References
    ----------
    .. [1] Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biom. Bull. 1(6), 80-83.
       doi:10.2307/3001968

    Examples
    --------
    >>> wilcoxon([1.0, 2.0, 3.0, -4.0, 5.0]).statistic
    4.0
    """
    values = as_values("differences", differences)
    values = values[values != 0]
    n = len(values)
    if n == 0:
        return SignedRanks(positive=0.0, negative=0.0, p=1.0, n=0)
    _, place, sizes = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    positive = float(ranks[values > 0].sum())
    negative = n * (n + 1) / 2 - positive
    if n <= _N_RANKS_EXACT:
        doubled = np.rint(2 * ranks).astype(np.int64)  # mean ranks are halves: whole when doubled
        ways = np.zeros(int(doubled.sum()) + 1)
        ways[0] = 1.0
        for rank in doubled:
            ways[rank:] += ways[:-rank].copy()
        at = round(2 * positive)
        better, worse = (float(part.sum()) / 2.0**n for part in (ways[at:], ways[: at + 1]))
    else:
        variance = n * (n + 1) * (2 * n + 1) / 24 - float((sizes**3 - sizes).sum()) / 48
        z = (positive - n * (n + 1) / 4) / math.sqrt(variance)
        better, worse = normal_tail(z), normal_tail(-z)
    p = p_of(claim, better=better, worse=worse)
    return SignedRanks(positive=positive, negative=negative, p=p, n=n)
