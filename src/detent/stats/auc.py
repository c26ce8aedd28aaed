"""Areas under ROC curves, and the difference of two of the same rows, by DeLong's method.

The area is the share of pairs of a positive and a negative row that a score orders rightly, ties
counting by half. Mid-ranks give each row's part in it in one sort, so that a million rows take no
longer than computing the areas alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Flags, Floats, as_flags, as_values, check_same_length
from detent.stats.auc_bootstrap import resampled_aucs
from detent.stats.checks import check_share
from detent.stats.claim import Claim, p_of
from detent.stats.distributions import chi_square_tail, normal_quantile, normal_tail
from detent.stats.groups import group_indices, group_sums
from detent.stats.interval import Interval
from detent.stats.mcnemar import ChiSquare
from detent.stats.resampling import N_RESAMPLES, p_of_resamples, percentile_interval
from detent.stats.result import PairedResult

FEW = 30  # rows of the rarer class below which the normal approximation is not relied on
NEARLY_PERFECT = 0.99  # an area above which it is not either: the bound at 1 is too near
MANY = 20_000  # rows from which on it is relied on up to an area of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AucTable:
    """Areas of one or more scores of the same rows, and how they vary together.

    ``covariance[i][j]`` is of the areas i and j. ``n`` is the number of rows, or of groups where
    groups were given.
    """

    areas: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    n_positive: int
    n_negative: int
    n: int


def auc_table(
    is_positive: ArrayLike, scores: Sequence[ArrayLike], *, groups: ArrayLike | None = None
) -> AucTable:
    """Areas under the ROC curves of several scores, with their covariance.

    Parameters
    ----------
    is_positive : array of bool, shape (n_samples,)
        The true class; 2 rows or more of each.
    scores : sequence of array of float, shape (n_samples,)
        One array for each version: higher means more probably positive. Any scale.
    groups : array, shape (n_samples,), optional
        To whom a row belongs, where rows are not independent; 2 groups or more.

    Returns
    -------
    AucTable
        Areas in [0, 1].

    Raises
    ------
    InvalidError
        If a class has fewer than 2 rows, a score is missing or infinite, or lengths differ.

    References
    ----------
    .. [1] DeLong, E. R., DeLong, D. M., Clarke-Pearson, D. L. (1988). Comparing the areas under
       two or more correlated receiver operating characteristic curves: a nonparametric approach.
       Biometrics 44(3), 837-845. doi:10.2307/2531595
    .. [2] Sun, X., Xu, W. (2014). Fast implementation of DeLong's algorithm for comparing the
       areas under correlated ROC curves. IEEE Signal Process. Lett. 21(11), 1389-1393.
       doi:10.1109/LSP.2014.2337313
    .. [3] Obuchowski, N. A. (1997). Nonparametric analysis of clustered ROC curve data.
       Biometrics 53(2), 567-578. doi:10.2307/2533958

    Examples
    --------
    >>> table = auc_table([False, False, True, True], [[0.1, 0.4, 0.35, 0.8]])
    >>> table.areas
    (0.75,)
    """
    truth = as_flags("is_positive", is_positive)
    taken = [as_values("scores", one) for one in scores]
    for one in taken:
        check_same_length(is_positive=truth, scores=one)
    n_positive = int(np.count_nonzero(truth))
    n_negative = len(truth) - n_positive
    if min(n_positive, n_negative) < 2:
        raise InvalidError(
            f"{n_positive:,} positive and {n_negative:,} negative rows: an area and its variance"
            " need 2 or more of each"
        )
    # A row's share: of negatives it lies above (a positive row), of positives below it (negative).
    shares = np.stack([_shares(truth, one, n_positive, n_negative) for one in taken])
    areas = shares[:, truth].mean(axis=1)
    if groups is None:
        covariance = np.atleast_2d(np.cov(shares[:, truth])) / n_positive
        covariance += np.atleast_2d(np.cov(shares[:, ~truth])) / n_negative
        n = len(truth)
    else:
        n, codes = group_indices(groups, n_rows=len(truth))
        if n < 2:
            raise InvalidError("all rows are of one group: nothing is known of any other")
        parts = (shares - areas[:, None]) / np.where(truth, n_positive, n_negative)
        sums = np.stack([group_sums(one, codes, n) for one in parts])
        covariance = sums @ sums.T * (n / (n - 1))
    return AucTable(
        areas=tuple(areas.tolist()),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
        n_positive=n_positive,
        n_negative=n_negative,
        n=n,
    )


def _shares(truth: Flags, scores: Floats, n_positive: int, n_negative: int) -> Floats:
    order = np.argsort(scores)
    ordered = scores[order]
    positives_upto = np.cumsum(truth[order], dtype=np.float64)
    position = np.arange(1, len(truth) + 1, dtype=np.float64)
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    if is_last.all():
        positives, negatives = positives_upto, position - positives_upto
    else:  # of tied rows, half of the others lie below
        ends = np.flatnonzero(is_last)
        sizes = np.diff(ends, prepend=-1)
        above = positives_upto[ends]
        middle = (above + np.append(0.0, above[:-1])) / 2
        middle_position = ends + 1 - sizes / 2
        positives = np.repeat(middle, sizes)
        negatives = np.repeat(middle_position - middle, sizes)
    result = np.empty(len(truth))
    result[order] = np.where(truth[order], negatives / n_negative, 1 - positives / n_positive)
    return result


def auc_interval(table: AucTable, *, confidence: float = 0.95) -> Interval:
    """Interval of one area, on the logit scale so that it stays within [0, 1].

    Parameters
    ----------
    table : AucTable
        Of one score; of several, the first is taken.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of the area. An area of 0 or 1 has the bound that as many rows as the rarer class has
        could not exclude.

    Raises
    ------
    InvalidError
        If `confidence` is out of its range.

    Examples
    --------
    >>> low, high = auc_interval(auc_table([False, False, True, True], [[0.1, 0.4, 0.35, 0.8]]))
    >>> f"{low:.2f} to {high:.2f}"
    '0.07 to 0.99'
    """
    check_share("confidence", confidence)
    area, variance = table.areas[0], table.covariance[0][0]
    if variance == 0:
        tail = (1 - confidence) / 2
        reach = 1 - tail ** (1 / min(table.n_positive, table.n_negative))
        return Interval(
            low=max(area - reach, 0.0), high=min(area + reach, 1.0), confidence=confidence
        )
    logit = math.log(area / (1 - area))
    reach = normal_quantile((1 + confidence) / 2) * math.sqrt(variance) / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-x)) for x in (logit - reach, logit + reach))
    return Interval(low=low, high=high, confidence=confidence)


def compare_auc(
    is_positive: ArrayLike,
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    table: AucTable | None = None,
) -> PairedResult:
    """Difference of the areas under two ROC curves of the same rows.

    By DeLong's method, or, where that approximation is not to be relied on (fewer than 30 rows of
    a class, or an area above 0.99 on fewer than 20,000 rows), by resampling the rows of each
    class. With groups always by DeLong's method: resampling within classes would break them up.

    Parameters
    ----------
    is_positive : array of bool, shape (n_samples,)
        The true class; 2 rows or more of each.
    baseline, candidate : array of float, shape (n_samples,)
        Scores of both versions: higher means more probably positive. Their scales may differ.
    groups : array, shape (n_samples,), optional
        To whom a row belongs, where rows are not independent.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.
    n_resamples : int, default=10000
        How often rows are resampled, if they are.
    seed : int, default=0
        Of the resampling: the same seed gives the same result.
    table : AucTable, optional
        What `auc_table` gave for the same rows, where several claims are asked of them: ordering
        the rows is nearly all of the time.

    Returns
    -------
    PairedResult
        In shares of 1. Where all rows are ordered alike, the difference is 0 and a caveat says
        that the interval has no width.

    Raises
    ------
    InvalidError
        As `auc_table`; or if `confidence` or `n_resamples` is out of its range.

    Examples
    --------
    >>> truth = [False] * 40 + [True] * 40
    >>> baseline = list(range(0, 80, 2)) + list(range(21, 101, 2))
    >>> candidate = list(range(0, 80, 2)) + list(range(31, 111, 2))
    >>> result = compare_auc(truth, baseline, candidate)
    >>> f"{result.difference:+.3f} [{result.interval.low:+.3f}, {result.interval.high:+.3f}]"
    '+0.084 [+0.060, +0.109]'
    """
    check_share("confidence", confidence)
    if table is None:
        table = auc_table(is_positive, [baseline, candidate], groups=groups)
    (old, new), ((var_old, both), (_, var_new)) = table.areas, table.covariance
    error = math.sqrt(max(var_old + var_new - 2 * both, 0.0))
    if error < 1e-12:  # what remains of rounding where both order the rows alike
        error = 0.0
    difference = new - old
    rarer = min(table.n_positive, table.n_negative)
    doubts = []
    if rarer < FEW:
        doubts.append(f"one class has only {rarer} rows")
    if max(old, new) > NEARLY_PERFECT and table.n_positive + table.n_negative < MANY:
        doubts.append(f"an area of {max(old, new):.4f} is nearly perfect")
    if doubts and groups is None:
        draws = resampled_aucs(
            as_flags("is_positive", is_positive),
            as_values("baseline", baseline),
            as_values("candidate", candidate),
            n_resamples=n_resamples,
            seed=seed,
        )
        interval = percentile_interval(draws, confidence)
        better, worse = p_of_resamples(draws)
        method = f"bootstrap within classes, {n_resamples:,} resamples, seed {seed}"
    else:
        reach = normal_quantile((1 + confidence) / 2) * error
        interval = Interval(low=difference - reach, high=difference + reach, confidence=confidence)
        z = difference / error if error else math.copysign(math.inf, difference)
        better, worse = (normal_tail(z), normal_tail(-z)) if error else (1.0, 1.0)
        method = "DeLong" if groups is None else "DeLong, by groups"
    if error == 0:
        doubts.append("the versions order all rows alike, so the interval has no width")
    return PairedResult(
        baseline=old,
        candidate=new,
        difference=difference,
        interval=interval,
        p=p_of(claim, better=better, worse=worse),
        claim=claim,
        standard_error=error,
        n=table.n,
        method=method,
        caveats=tuple(doubts),
    )


def contrast_aucs(table: AucTable, contrasts: ArrayLike) -> ChiSquare:
    """Test whether several areas differ, by DeLong's chi-square of contrasts.

    Parameters
    ----------
    table : AucTable
        Of two scores or more.
    contrasts : array of float, shape (n_contrasts, n_scores)
        Each row weighs the areas; under the supposition that is tested each sum is 0. For "all
        equal to the first": rows such as ``[1, -1, 0]`` and ``[1, 0, -1]``.

    Returns
    -------
    ChiSquare
        With as many degrees of freedom as there are independent contrasts.

    Raises
    ------
    InvalidError
        If the contrasts do not fit the table, or no contrast varies.

    Examples
    --------
    >>> table = auc_table([False, False, True, True, True],
    ...                   [[0.1, 0.4, 0.35, 0.8, 0.9], [0.1, 0.2, 0.35, 0.1, 0.9]])
    >>> contrast_aucs(table, [[1, -1]]).degrees
    1
    """
    weights = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    if weights.shape[1] != len(table.areas):
        raise InvalidError(f"contrasts of {weights.shape[1]} areas: there are {len(table.areas)}")
    sums = weights @ np.array(table.areas)
    spread = weights @ np.array(table.covariance) @ weights.T
    degrees = int(np.linalg.matrix_rank(spread, hermitian=True))
    if degrees == 0:
        raise InvalidError("the areas do not vary in any of the contrasts")
    statistic = float(sums @ np.linalg.pinv(spread, hermitian=True) @ sums)
    return ChiSquare(statistic=statistic, degrees=degrees, p=chi_square_tail(statistic, degrees))
