"""Means of per-row numbers of two versions on the same rows: losses, scores of queries, gains.

Only the differences of the rows speak. Their mean has a t interval, which is enough from some
hundred rows on; for fewer, or where a few rows weigh much, `compare_means` takes the bootstrap
that corrects for skewness, and flips signs for its p-value.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, as_values, check_same_length
from detent.stats.bootstrap import bootstrap_mean
from detent.stats.checks import check_positive, check_share
from detent.stats.claim import Claim, p_of
from detent.stats.distributions import t_quantile, t_tail
from detent.stats.groups import group_means
from detent.stats.interval import Interval
from detent.stats.resampling import N_RESAMPLES
from detent.stats.result import PairedResult
from detent.stats.signs import N_EXACT, sign_flip

ENOUGH = 200  # units from which on Student's t is relied on
SKEWED = 2.0  # skewness of the differences above which it is not
_FOLDS = 5  # fewest scores of a cross-validation


def compare_means(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    greater_is_better: bool,
    groups: ArrayLike | None = None,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> PairedResult:
    """Difference of two means over the same rows, by the method that suits the rows.

    Student's t from 200 units on whose differences are not skewed; else a BCa bootstrap interval.
    Below 200 units the p-value is by flipping signs, exact up to 20.

    Parameters
    ----------
    baseline, candidate : array of float, shape (n_samples,)
        One number a row of each version, such as its loss; 2 units or more.
    greater_is_better : bool
        False for losses.
    groups : array, shape (n_samples,), optional
        To whom a row belongs: rows are then averaged within groups, each group is one unit, and
        both means are over groups.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.
    n_resamples : int, default=10000
        How often rows are resampled, if they are.
    seed : int, default=0
        Of the resampling.

    Returns
    -------
    PairedResult
        In the unit of the numbers.

    Raises
    ------
    InvalidError
        If there are fewer than 2 units, a number is missing or infinite, lengths differ, or an
        argument is out of its range.

    Examples
    --------
    >>> baseline, candidate = [0.7, 0.4, 0.9, 0.3, 0.8, 0.6], [0.5, 0.3, 0.8, 0.3, 0.6, 0.5]
    >>> result = compare_means(baseline, candidate, greater_is_better=False, claim=Claim.BETTER)
    >>> f"{result.difference:+.3f}", result.p
    ('-0.117', 0.03125)
    """
    old, new = _units(baseline, candidate, groups)
    plain = _paired_t(old, new, greater_is_better, claim, confidence)
    gains = new - old if greater_is_better else old - new
    n, skewness = len(gains), _skewness(gains)
    if n >= ENOUGH and abs(skewness) <= SKEWED:
        return plain
    sample = bootstrap_mean(new - old, confidence=confidence, n_resamples=n_resamples, seed=seed)
    method = f"BCa bootstrap, {n_resamples:,} resamples, seed {seed}"
    p = plain.p
    if n < ENOUGH:
        p = sign_flip(gains, claim=claim, n_resamples=n_resamples, seed=seed)
        is_exact = np.count_nonzero(gains) <= N_EXACT
        method += "; all choices of signs" if is_exact else "; random signs"
    caveats = plain.caveats
    if n < N_EXACT:
        caveats += (f"{n} units are few: the interval may be too short",)
    return PairedResult(
        baseline=plain.baseline,
        candidate=plain.candidate,
        difference=plain.difference,
        interval=sample.interval,
        p=p,
        claim=claim,
        standard_error=plain.standard_error,
        n=n,
        method=method,
        caveats=caveats,
    )


def paired_t(
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    greater_is_better: bool,
    groups: ArrayLike | None = None,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
) -> PairedResult:
    """Difference of two means over the same rows, by Student's paired t.

    Parameters
    ----------
    baseline, candidate : array of float, shape (n_samples,)
        One number a row of each version; 2 units or more.
    greater_is_better : bool
        False for losses.
    groups : array, shape (n_samples,), optional
        To whom a row belongs: each group is then one unit.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    PairedResult
        In the unit of the numbers. Where all differences are equal, a caveat says that the
        interval has no width.

    Raises
    ------
    InvalidError
        As `compare_means`.

    References
    ----------
    .. [1] Student (1908). The probable error of a mean. Biometrika 6(1), 1-25.
       doi:10.1093/biomet/6.1.1

    Examples
    --------
    >>> result = paired_t([0.7, 0.4, 0.9, 0.2], [0.5, 0.3, 0.8, 0.2], greater_is_better=False)
    >>> f"{result.difference:+.3f}, p = {result.p:.3f}"
    '-0.100, p = 0.092'
    """
    old, new = _units(baseline, candidate, groups)
    return _paired_t(old, new, greater_is_better, claim, confidence)


def relative_slack(baseline: ArrayLike, candidate: ArrayLike, *, margin: float) -> Floats:
    """Return what each row leaves of an allowance relative to the baseline's loss.

    "At most 1 % worse" is ``margin=0.01``: it holds where the mean of the result is above 0, so
    the lower end of its interval is asked to be.

    Parameters
    ----------
    baseline, candidate : array of float, shape (n_samples,)
        Losses, finite; of the baseline none below 0.
    margin : float
        Share of the baseline's loss, above 0.

    Returns
    -------
    array of float, shape (n_samples,)
        ``(1 + margin) * baseline - candidate``, in the unit of the losses.

    Raises
    ------
    InvalidError
        If a loss is missing or infinite, the baseline's is below 0, lengths differ, or the margin
        is not above 0.

    Examples
    --------
    >>> relative_slack([1.0, 2.0], [1.0, 1.5], margin=0.5).tolist()
    [0.5, 1.5]
    """
    check_positive("margin", margin)
    old, new = as_values("baseline", baseline), as_values("candidate", candidate)
    check_same_length(baseline=old, candidate=new)
    if (old < 0).any():
        raise InvalidError("a loss of the baseline is below 0: no share of it can be allowed")
    return (1 + margin) * old - new


def corrected_t(
    differences: ArrayLike,
    *,
    n_train: int,
    n_test: int,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
) -> PairedResult:
    """Difference of two cross-validated scores, by the corrected resampled t.

    Scores of folds that share training rows vary together, so the plain t takes far too little
    for chance. For when rows are not kept: a comparison of rows is better.

    Parameters
    ----------
    differences : array of float, shape (n_folds,)
        Candidate minus baseline of each fold, greater meaning better; 5 or more.
    n_train, n_test : int
        Rows that a fold trains and tests on, each 1 or more.
    claim : Claim, default=DIFFERENT
        What the folds are asked to show.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    PairedResult
        With baseline 0 and the mean difference as candidate; ``n`` counts folds.

    Raises
    ------
    InvalidError
        If there are fewer than 5 folds, or an argument is out of its range.

    References
    ----------
    .. [1] Nadeau, C., Bengio, Y. (2003). Inference for the generalization error. Mach. Learn.
       52(3), 239-281. doi:10.1023/A:1024068626366

    Examples
    --------
    >>> result = corrected_t([0.02, 0.01, 0.03, 0.0, 0.02], n_train=80, n_test=20)
    >>> f"{result.p:.3f}"
    '0.105'
    """
    values = as_values("differences", differences, at_least=_FOLDS)
    check_positive("n_train", n_train)
    check_positive("n_test", n_test)
    k, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) * math.sqrt(1 / k + n_test / n_train)
    return _student(
        baseline=0.0,
        candidate=mean,
        difference=mean,
        gain=mean,
        error=error,
        n=k,
        claim=claim,
        confidence=confidence,
        method="corrected resampled t (Nadeau and Bengio)",
    )


def _units(
    baseline: ArrayLike, candidate: ArrayLike, groups: ArrayLike | None
) -> tuple[Floats, Floats]:
    old, new = as_values("baseline", baseline), as_values("candidate", candidate)
    check_same_length(baseline=old, candidate=new)
    if groups is not None:
        old, new = group_means(old, groups), group_means(new, groups)
    if len(old) < 2:
        what = "row is" if groups is None else "group is"
        raise InvalidError(f"1 {what} not enough to see how much they vary: 2 or more are needed")
    return old, new


def _paired_t(
    old: Floats, new: Floats, greater_is_better: bool, claim: Claim, confidence: float
) -> PairedResult:
    differences = new - old
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    if error <= 1e-15 * float(np.abs(old).max() + np.abs(new).max()):
        error = 0.0  # what remains of rounding where all differences are equal
    return _student(
        baseline=float(old.mean()),
        candidate=float(new.mean()),
        difference=mean,
        gain=mean if greater_is_better else -mean,
        error=error,
        n=n,
        claim=claim,
        confidence=confidence,
        method="paired t",
    )


def _student(
    *,
    baseline: float,
    candidate: float,
    difference: float,
    gain: float,
    error: float,
    n: int,
    claim: Claim,
    confidence: float,
    method: str,
) -> PairedResult:
    check_share("confidence", confidence)
    reach = t_quantile((1 + confidence) / 2, n - 1) * error
    if error > 0:
        better, worse = t_tail(gain / error, n - 1), t_tail(-gain / error, n - 1)
    else:  # equal differences: chance alone gives them one sign with this probability
        better = 0.5**n if gain > 0 else 1.0
        worse = 0.5**n if gain < 0 else 1.0
    return PairedResult(
        baseline=baseline,
        candidate=candidate,
        difference=difference,
        interval=Interval(low=difference - reach, high=difference + reach, confidence=confidence),
        p=p_of(claim, better=better, worse=worse),
        claim=claim,
        standard_error=error,
        n=n,
        method=method,
        caveats=() if error > 0 else ("all differences are equal, so the interval has no width",),
    )


def _skewness(values: Floats) -> float:
    gaps = values - values.mean()
    squares = gaps * gaps
    spread = float(squares.mean())
    return float(squares @ gaps) / len(gaps) / spread**1.5 if spread > 0 else 0.0
