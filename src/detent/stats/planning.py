"""How many rows, or labels, it takes to show something."""

import math

from detent.errors import InvalidError
from detent.stats.checks import check_between, check_positive, check_share
from detent.stats.counts import PairedCounts
from detent.stats.distributions import normal_quantile
from detent.stats.roots import bisect


def expected_disagreement(counts: PairedCounts) -> float:
    """Share of rows on which two versions will probably disagree, for planning.

    Half a row is added to each side, so that it is never 0 and planning never promises that no
    further rows are needed.

    Parameters
    ----------
    counts : PairedCounts
        Any, also without rows (the answer is then 0.5).

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> counts = PairedCounts(both_right=49, newly_wrong=1, newly_right=1, both_wrong=3)
    >>> round(expected_disagreement(counts), 4)
    0.0536
    """
    return (counts.disagreements + 1) / (counts.n + 2)


def rows_to_show_not_worse(
    variance: float,
    *,
    margin: float,
    difference: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Rows needed to show that a candidate is not worse by more than a margin.

    Works for every metric that is a mean over rows. It is planned for a supposed true difference,
    by default none, and not for the one observed: planning for an observed difference at the
    margin would ask for infinitely many rows.

    Parameters
    ----------
    variance : float
        Of one row's difference (candidate minus baseline), above 0, in squared units of the
        metric. For right and wrong answers: the disagreement rate minus the squared difference.
    margin : float
        The largest loss that is allowed, at least 0, in units of the metric.
    difference : float, default=0.0
        The supposed true difference; has to be above ``-margin``.
    alpha : float, default=0.05
        Allowed probability of showing it where the candidate is worse by exactly the margin.
    power : float, default=0.8
        Wanted probability of showing it where the supposed difference is true.

    Returns
    -------
    int
        All rows, those already there included.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> rows_to_show_not_worse(0.06, margin=0.01)
    3710
    """
    check_positive("variance", variance)
    check_positive("margin + difference", margin + difference)
    return math.ceil(variance * (_reach(alpha, power) / (margin + difference)) ** 2)


def rows_to_show_difference(
    disagreement_rate: float,
    *,
    difference: float,
    alpha: float = 0.05,
    power: float = 0.8,
    is_one_sided: bool = True,
) -> int:
    """Rows needed to show that one of two versions is right more often.

    Parameters
    ----------
    disagreement_rate : float
        Share of rows on which only one version is right, at most 1.
    difference : float
        The true difference that is to be seen, a share other than 0, at most `disagreement_rate`
        in size.
    alpha : float, default=0.05
        Allowed probability of showing one where there is none.
    power : float, default=0.8
        Wanted probability of showing it.
    is_one_sided : bool, default=True
        Whether only one direction is asked about.

    Returns
    -------
    int
        Rows. Multiplied by `disagreement_rate`: rows that need a label, where the answers
        themselves tell on which rows the versions differ.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    References
    ----------
    .. [1] Connor, R. J. (1987). Sample size for testing differences in proportions for the
       paired-sample design. Biometrics 43(1), 207-211. doi:10.2307/2531961

    Examples
    --------
    >>> rows_to_show_difference(0.07, difference=-0.01)
    4326
    """
    if not 0 < abs(difference) <= disagreement_rate <= 1:
        raise InvalidError(
            f"a difference of {difference} cannot be planned for at a disagreement rate of"
            f" {disagreement_rate}: 0 < |difference| <= disagreement_rate <= 1 is needed"
        )
    check_share("alpha", alpha)
    check_share("power", power)
    z_alpha = normal_quantile(1 - (alpha if is_one_sided else alpha / 2))
    under_none = z_alpha * math.sqrt(disagreement_rate)
    under_this = normal_quantile(power) * math.sqrt(disagreement_rate - difference**2)
    return math.ceil(((under_none + under_this) / difference) ** 2)


def rows_without_disagreement(margin: float, *, alpha: float = 0.05, is_exact: bool = False) -> int:
    """Rows needed to show "not worse by the margin" if the versions never disagree on them.

    The least that any comparison needs: fewer rows cannot show it whatever the answers are.

    Parameters
    ----------
    margin : float
        The largest loss that is allowed, a share between 0 and 1.
    alpha : float, default=0.05
        Allowed probability of showing it where the candidate is worse by exactly the margin.
    is_exact : bool, default=False
        By default as Tango's interval decides; if true, the least n with
        ``(1 - margin) ** n <= alpha``.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> rows_without_disagreement(0.01), rows_without_disagreement(0.01, is_exact=True)
    (268, 299)
    """
    check_share("margin", margin)
    check_share("alpha", alpha)
    if is_exact:
        return math.ceil(math.log(alpha) / math.log1p(-margin))
    return math.floor(normal_quantile(1 - alpha) ** 2 * (1 - margin) / margin) + 1


def mean_labels_at_least(
    newly_wrong_rate: float, newly_right_rate: float, *, margin: float = 0.0, alpha: float = 0.05
) -> float:
    """Lower bound on the mean number of labels until a candidate is shown to be worse.

    No rule that may look after every label, and shows it wrongly with a probability of at most
    alpha for ever, can be quicker on average: it is ``log(1 / alpha)`` over the fastest rate at
    which evidence can grow.

    Parameters
    ----------
    newly_wrong_rate, newly_right_rate : float
        True shares of rows that are newly wrong and newly right, at least 0, in all at most 1.
    margin : float, default=0.0
        Worse by more than this is shown, between -1 and 1. For "not worse by more than m" give
        the two rates in the other order and ``margin=-m``.
    alpha : float, default=0.05
        Allowed probability of a false alarm, ever.

    Returns
    -------
    float
        Labels; infinite where the candidate is not worse by more than the margin.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    References
    ----------
    .. [1] Wald, A. (1945). Sequential tests of statistical hypotheses. Ann. Math. Stat. 16(2),
       117-186. doi:10.1214/aoms/1177731118

    Examples
    --------
    >>> round(mean_labels_at_least(0.04, 0.03))
    4180
    """
    if min(newly_wrong_rate, newly_right_rate) < 0 or newly_wrong_rate + newly_right_rate > 1:
        raise InvalidError(
            f"{newly_wrong_rate} newly wrong and {newly_right_rate} newly right are not shares"
            " of one set of rows"
        )
    check_between("margin", margin, -1, 1)
    check_share("alpha", alpha)
    if newly_wrong_rate - newly_right_rate <= margin:
        return math.inf
    gains = (1 - margin, -margin, -1 - margin)  # of a bet on a newly wrong, equal, newly right row
    rates = (newly_wrong_rate, 1 - newly_wrong_rate - newly_right_rate, newly_right_rate)

    def slope(bet: float) -> float:
        return sum(p * gain / (1 + bet * gain) for p, gain in zip(rates, gains, strict=True) if p)

    best = bisect(slope, 0.0, 1 / (1 + margin))
    growth = sum(p * math.log1p(best * gain) for p, gain in zip(rates, gains, strict=True) if p)
    return -math.log(alpha) / growth


def _reach(alpha: float, power: float) -> float:
    check_share("alpha", alpha)
    check_share("power", power)
    if power <= alpha:
        raise InvalidError(f"a power of {power} is not more than alpha, {alpha}")
    return normal_quantile(1 - alpha) + normal_quantile(power)
