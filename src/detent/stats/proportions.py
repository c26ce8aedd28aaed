"""Intervals for a proportion, and for the difference of two proportions of the same rows.

The differences are candidate minus baseline, a share in [-1, 1]: 0.01 is one percentage point.
`tango_interval` is the one that decisions use. The others are here to be compared with it, and
because reports name them.
"""

import math

from detent.errors import InvalidError
from detent.stats.checks import check_between, check_count, check_share
from detent.stats.counts import PairedCounts
from detent.stats.distributions import normal_quantile
from detent.stats.interval import Interval
from detent.stats.roots import bisect


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for a proportion, by Wilson's score method.

    Keeps close to its nominal coverage for few trials and for proportions near 0 or 1, where the
    usual normal interval does not.

    Parameters
    ----------
    successes : int
        Right answers, ``0 <= successes <= trials``.
    trials : int
        Independent answers, at least 1.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of the proportion, each in [0, 1] (a share, not per cent).

    Raises
    ------
    InvalidError
        If an argument is outside the range given above.

    References
    ----------
    .. [1] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical
       inference. J. Am. Stat. Assoc. 22(158), 209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson_interval(9, 10)
    >>> f"{low:.3f} to {high:.3f}"
    '0.596 to 0.982'
    """
    check_count("trials", trials, at_least=1)
    check_count("successes", successes)
    if successes > trials:
        raise InvalidError(f"{successes:,} successes are more than {trials:,} trials")
    low, high = _wilson(successes / trials, trials, _quantile(confidence))
    return Interval(low=low, high=high, confidence=confidence)


def tango_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for the difference of two paired proportions, by Tango's score method.

    The interval that decisions are made from. It keeps its coverage for few rows and few
    disagreements, and has a width also when the versions never disagree: rows that agree show
    that a difference is small, and how small depends on how many they are. It holds all
    differences that `score_statistic` does not exclude.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    confidence : float, default=0.95
        Nominal coverage of both ends, between 0 and 1. The lower end alone is a limit with
        confidence ``(1 + confidence) / 2``: ask for 0.90 to have a lower limit at 95 %.

    Returns
    -------
    Interval
        Bounds of candidate minus baseline, each in [-1, 1].

    Raises
    ------
    InvalidError
        If there are no rows, or `confidence` is out of its range.

    References
    ----------
    .. [1] Tango, T. (1998). Equivalence test and confidence interval for the difference in
       proportions for the paired-sample design. Stat. Med. 17(8), 891-908.
       doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B
    .. [2] Fagerland, M. W., Lydersen, S., Laake, P. (2014). Recommended tests and confidence
       intervals for paired binomial proportions. Stat. Med. 33(16), 2850-2875.
       doi:10.1002/sim.6148

    Examples
    --------
    >>> counts = PairedCounts(both_right=49, newly_wrong=1, newly_right=1, both_wrong=3)
    >>> low, high = tango_interval(counts, confidence=0.90)
    >>> f"{low:+.3f} to {high:+.3f}"
    '-0.063 to +0.063'
    """
    z = _quantile(confidence)
    low = _tango_limit(counts, z)
    high = -_tango_limit(counts.swapped(), z)
    return Interval(low=low, high=high, confidence=confidence)


def tango_lower_limit(counts: PairedCounts, *, alpha: float = 0.05) -> float:
    """Return the lower end of Tango's interval alone, a limit with confidence ``1 - alpha``.

    What `tango_interval` with a confidence of ``1 - 2 * alpha`` has as its lower end.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    alpha : float, default=0.05
        How often the truth may lie below, between 0 and 0.5.

    Raises
    ------
    InvalidError
        If there are no rows, or `alpha` is out of its range.

    Examples
    --------
    >>> counts = PairedCounts(both_right=49, newly_wrong=1, newly_right=1, both_wrong=3)
    >>> f"{tango_lower_limit(counts):+.3f}"
    '-0.063'
    """
    check_between("alpha", alpha, 0, 0.5)
    return _tango_limit(counts, _quantile(1 - 2 * alpha))


def score_statistic(counts: PairedCounts, difference: float) -> float:
    """How far the rows lie above a supposed difference, in standard errors under it.

    Values above ``normal_quantile(0.95)`` show with 95 % confidence that the true difference is
    larger than the supposed one, so with ``difference=-margin`` that the candidate is not worse
    by more than the margin.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    difference : float
        The supposed difference, candidate minus baseline, between -1 and 1.

    Returns
    -------
    float
        Falls as `difference` grows; 0 at the observed difference.

    Raises
    ------
    InvalidError
        If there are no rows, or `difference` is out of its range.

    Examples
    --------
    >>> counts = PairedCounts(both_right=268, newly_wrong=0, newly_right=0, both_wrong=0)
    >>> score_statistic(counts, -0.01) > normal_quantile(0.95)
    True
    """
    check_between("difference", difference, -1, 1)
    observed = counts.difference  # refuses a table without rows
    if observed == difference:
        return 0.0
    n, b, c = counts.n, counts.newly_wrong, counts.newly_right
    return _score(n, b, c, difference)


def _score(n: int, b: int, c: int, difference: float) -> float:
    # The likelihood is largest, among tables with this difference, where the share of newly wrong
    # rows solves 2 n q**2 + linear q + constant = 0.
    linear = -b - c + (2 * n - c + b) * difference
    constant = -b * difference * (1 - difference)
    root = math.sqrt(linear * linear - 8 * n * constant)
    q = (root - linear) / (4 * n) if linear <= 0 else -2 * constant / (linear + root)
    variance = n * (2 * q + difference * (1 - difference))
    gap = c - b - n * difference
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)


def _tango_limit(counts: PairedCounts, z: float) -> float:
    observed = counts.difference
    if observed == -1:
        return -1.0
    n, b, c = counts.n, counts.newly_wrong, counts.newly_right
    return bisect(lambda difference: _score(n, b, c, difference) - z, -1.0, observed)


def newcombe_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for the difference of two paired proportions, by squaring and adding.

    Newcombe's method 10: Wilson's intervals of both proportions, joined by their correlation.
    Closed form, and nearly as good as Tango's.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of candidate minus baseline, each in [-1, 1].

    Raises
    ------
    InvalidError
        If there are no rows, or `confidence` is out of its range.

    References
    ----------
    .. [1] Newcombe, R. G. (1998). Improved confidence intervals for the difference between
       binomial proportions based on paired data. Stat. Med. 17(22), 2635-2650.
       doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C

    Examples
    --------
    >>> counts = PairedCounts(both_right=59, newly_wrong=6, newly_right=16, both_wrong=80)
    >>> low, high = newcombe_interval(counts)
    >>> f"{low:.4f} to {high:.4f}"
    '0.0046 to 0.1186'
    """
    z = _quantile(confidence)
    observed, n = counts.difference, counts.n
    old = (counts.both_right + counts.newly_wrong) / n
    new = (counts.both_right + counts.newly_right) / n
    (old_low, old_high), (new_low, new_high) = _wilson(old, n, z), _wilson(new, n, z)
    phi = _correlation(counts)

    def reach(first: float, second: float) -> float:
        return math.sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))

    return Interval(
        low=observed - reach(new - new_low, old_high - old),
        high=observed + reach(new_high - new, old - old_low),
        confidence=confidence,
    )


def _correlation(counts: PairedCounts) -> float:
    """Return Newcombe's correlation of both outcomes, 0 where one of them never varies."""
    a, b, c, d = counts.both_right, counts.newly_wrong, counts.newly_right, counts.both_wrong
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    product = a * d - b * c
    # Corrected for continuity where positive: two small tables would look too much alike.
    corrected = max(product - counts.n / 2, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)


def wald_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for the difference of two paired proportions, by the plain normal method.

    For comparison only: it has no width when the versions never disagree, and covers too seldom
    below some hundred rows.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of candidate minus baseline, cut to [-1, 1].

    Raises
    ------
    InvalidError
        If there are no rows, or `confidence` is out of its range.

    Examples
    --------
    >>> counts = PairedCounts(both_right=59, newly_wrong=6, newly_right=16, both_wrong=80)
    >>> low, high = wald_interval(counts)
    >>> f"{low:.4f} to {high:.4f}"
    '0.0058 to 0.1184'
    """
    return _adjusted_wald(counts, confidence, added_to_each=0.0, added_rows=0)


def agresti_min_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for the difference of two paired proportions, by Wald's method plus 2.

    Half a row is added to each of the four counts. A simple closed form that covers well.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of candidate minus baseline, cut to [-1, 1].

    Raises
    ------
    InvalidError
        If `confidence` is out of its range.

    References
    ----------
    .. [1] Agresti, A., Min, Y. (2005). Simple improved confidence intervals for comparing matched
       proportions. Stat. Med. 24(5), 729-740. doi:10.1002/sim.1781
    """
    return _adjusted_wald(counts, confidence, added_to_each=0.5, added_rows=2)


def bonett_price_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Confidence interval for the difference of two paired proportions, by Bonett and Price.

    One row is added to each of the two counts of disagreement.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.

    Returns
    -------
    Interval
        Bounds of candidate minus baseline, cut to [-1, 1].

    Raises
    ------
    InvalidError
        If `confidence` is out of its range.

    References
    ----------
    .. [1] Bonett, D. G., Price, R. M. (2012). Adjusted Wald confidence interval for a difference
       of binomial proportions based on paired data. J. Educ. Behav. Stat. 37(4), 479-488.
       doi:10.3102/1076998611411915
    """
    return _adjusted_wald(counts, confidence, added_to_each=1.0, added_rows=2)


def _adjusted_wald(
    counts: PairedCounts, confidence: float, *, added_to_each: float, added_rows: int
) -> Interval:
    z = _quantile(confidence)
    n = counts.n + added_rows
    if n == 0:
        raise InvalidError("there are no rows to compare")
    wrong = (counts.newly_wrong + added_to_each) / n
    right = (counts.newly_right + added_to_each) / n
    center = right - wrong
    reach = z * math.sqrt(max(right + wrong - center**2, 0.0) / n)
    return Interval(
        low=max(center - reach, -1.0), high=min(center + reach, 1.0), confidence=confidence
    )


def _wilson(share: float, n: int, z: float) -> tuple[float, float]:
    center = share + z * z / (2 * n)
    reach = z * math.sqrt((share * (1 - share) + z * z / (4 * n)) / n)
    scale = 1 + z * z / n
    low = (center - reach) / scale if share > 0 else 0.0
    high = (center + reach) / scale if share < 1 else 1.0
    return low, high


def _quantile(confidence: float) -> float:
    check_share("confidence", confidence)
    return normal_quantile((1 + confidence) / 2)
