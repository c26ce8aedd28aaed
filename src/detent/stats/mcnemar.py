"""Whether two versions that answered the same rows differ in how often they are right.

Only the rows on which they disagree speak: if the versions are equally good, each of those is as
likely to be newly wrong as newly right, like the toss of a coin.
"""

from dataclasses import dataclass

from detent.stats.claim import Claim, p_of
from detent.stats.counts import PairedCounts
from detent.stats.distributions import binomial_tail, chi_square_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class ChiSquare:
    """A statistic, its degrees of freedom, and how often chance alone would exceed it."""

    statistic: float
    degrees: int
    p: float


def mcnemar_exact(counts: PairedCounts, *, claim: Claim = Claim.DIFFERENT) -> float:
    """P-value of McNemar's test, from the binomial distribution itself.

    Never too small, and for few disagreements much too large: prefer `mcnemar_mid_p` unless a
    guarantee is asked for. For one side it takes 5 disagreements or more to reach 0.05.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.

    Returns
    -------
    float
        In [0, 1]; 1 without disagreements.

    References
    ----------
    .. [1] McNemar, Q. (1947). Note on the sampling error of the difference between correlated
       proportions or percentages. Psychometrika 12(2), 153-157. doi:10.1007/BF02295996

    Examples
    --------
    >>> counts = PairedCounts(both_right=59, newly_wrong=6, newly_right=16, both_wrong=80)
    >>> round(mcnemar_exact(counts), 6)
    0.052479
    """
    trials = counts.disagreements
    return p_of(
        claim,
        better=binomial_tail(counts.newly_right, trials),
        worse=binomial_tail(counts.newly_wrong, trials),
    )


def mcnemar_mid_p(counts: PairedCounts, *, claim: Claim = Claim.DIFFERENT) -> float:
    """P-value of McNemar's test that counts the observed table by half.

    The default for "better" and for "shown to be worse": nearly never too small, and closer to
    its nominal level than the exact test. For one side it takes 4 disagreements or more to reach
    0.05.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.

    Returns
    -------
    float
        In [0, 1]. For DIFFERENT it is 1 where as many rows are newly wrong as newly right (some
        texts print a little less there); for a side it is then 0.5.

    References
    ----------
    .. [1] Fagerland, M. W., Lydersen, S., Laake, P. (2013). The McNemar test for binary
       matched-pairs data: mid-p and asymptotic are better than exact conditional. BMC Med. Res.
       Methodol. 13, 91. doi:10.1186/1471-2288-13-91

    Examples
    --------
    >>> counts = PairedCounts(both_right=59, newly_wrong=6, newly_right=16, both_wrong=80)
    >>> round(mcnemar_mid_p(counts), 5)
    0.03469
    """

    def middle(k: int) -> float:
        trials = counts.disagreements
        return 0.5 * (binomial_tail(k, trials) + binomial_tail(k + 1, trials))

    match claim:
        case Claim.BETTER:
            return middle(counts.newly_right)
        case Claim.WORSE:
            return middle(counts.newly_wrong)
        case Claim.DIFFERENT:
            return min(1.0, 2 * middle(max(counts.newly_right, counts.newly_wrong)))


def mcnemar_chi_square(counts: PairedCounts, *, correction: bool = False) -> ChiSquare:
    """McNemar's test by its large-sample approximation.

    For reading older reports: `mcnemar_mid_p` is as quick and needs no approximation.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows.
    correction : bool, default=False
        Whether to correct for continuity, as R does by default (Edwards 1948).

    Returns
    -------
    ChiSquare
        With 1 degree of freedom; statistic 0 and p 1 without disagreements.

    Examples
    --------
    >>> counts = PairedCounts(both_right=794, newly_wrong=150, newly_right=86, both_wrong=570)
    >>> round(mcnemar_chi_square(counts).statistic, 4)
    17.3559
    """
    if counts.disagreements == 0:
        return ChiSquare(statistic=0.0, degrees=1, p=1.0)
    gap = abs(counts.newly_right - counts.newly_wrong)
    corrected = max(gap - 1, 0) if correction else gap
    statistic = corrected**2 / counts.disagreements
    return ChiSquare(statistic=statistic, degrees=1, p=chi_square_tail(statistic, 1))
