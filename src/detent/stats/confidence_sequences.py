"""Intervals that hold at every time at once, so that one may look after every row.

The e-values of `detent.stats.evidence` decide; these are for showing how far the truth may lie
from what has been seen, on a page that is looked at all the time.
"""

import math
from collections.abc import Iterator, Sequence

from detent.errors import InvalidError
from detent.stats.checks import check_between, check_count, check_positive, check_share
from detent.stats.distributions import log_beta
from detent.stats.interval import Interval
from detent.stats.roots import bisect


def normal_mixture_rho(best_at: float, *, alpha: float = 0.05) -> float:
    """Return the mixture's parameter that makes its bound about tightest at one time.

    Parameters
    ----------
    best_at : float
        Accumulated variance at that time, above 0.
    alpha : float, default=0.05
        Allowed probability of an error, ever.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(normal_mixture_rho(100), 5)
    12.60056
    """
    check_positive("best_at", best_at)
    check_share("alpha", alpha)
    log = -2 * math.log(alpha)
    return best_at / (log + math.log1p(log))


def normal_mixture_log_value(total: float, variance: float, *, rho: float) -> float:
    """Return the logarithm of the e-value against a sum with mean 0.

    Parameters
    ----------
    total : float
        The sum.
    variance : float
        Accumulated variance, 0 or more.
    rho : float
        From `normal_mixture_rho`, above 0.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(normal_mixture_log_value(10, 100, rho=12.60056), 5)
    -0.65101
    """
    check_positive("rho", rho)
    _check_variance(variance)
    return 0.5 * math.log(rho / (variance + rho)) + total**2 / (2 * (variance + rho))


def normal_mixture_bound(variance: float, *, rho: float, alpha: float = 0.05) -> float:
    """Return what a sum with mean 0 stays below in size, at all times together.

    Howard, Ramdas, McAuliffe, Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence
    sequences. Ann. Stat. 49(2), equation 14. doi:10.1214/20-AOS1991

    Parameters
    ----------
    variance : float
        Accumulated variance, 0 or more.
    rho : float
        From `normal_mixture_rho`, above 0.
    alpha : float, default=0.05
        Allowed probability of an error, ever.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(normal_mixture_bound(100, rho=12.60056), 4)
    30.3521
    """
    check_positive("rho", rho)
    check_share("alpha", alpha)
    _check_variance(variance)
    reach = variance + rho
    return math.sqrt(reach * (math.log(reach / rho) - 2 * math.log(alpha)))


def stitched_bound(
    variance: float, *, best_from: float, scale: float = 0.0, alpha: float = 0.05
) -> float:
    """Return what a sum with mean 0 stays below, by stitching bounds of ever longer times.

    Grows as slowly as the law of the iterated logarithm allows. One side; the same source as
    `normal_mixture_bound`, theorem 1, with eta = 2 and s = 1.4.

    Parameters
    ----------
    variance : float
        Accumulated variance, 0 or more.
    best_from : float
        Accumulated variance from which on it is tight, above 0.
    scale : float, default=0.0
        Of sub-gamma increments; 0 for sub-Gaussian ones.
    alpha : float, default=0.05
        Allowed probability of an error, ever.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(stitched_bound(100, best_from=10, scale=3), 4)
    64.4875
    """
    check_positive("best_from", best_from)
    check_share("alpha", alpha)
    _check_variance(variance)
    eta, s, zeta = 2.0, 1.4, 3.1055472779775792  # Riemann's zeta(1.4)
    v = max(variance, best_from)
    log = s * math.log(math.log(eta * v / best_from)) + math.log(
        zeta / (alpha * math.log(eta) ** s)
    )
    first = (eta**0.25 + eta**-0.25) / math.sqrt(2)
    second = (math.sqrt(eta) + 1) / 2 * scale * log
    return math.sqrt(first**2 * v * log + second**2) + second


def beta_binomial_interval(
    successes: int, trials: int, *, best_at: float, confidence: float = 0.95
) -> Interval:
    """Interval of a proportion that holds at every number of trials at once.

    Parameters
    ----------
    successes, trials : int
        ``0 <= successes <= trials``, 1 trial or more.
    best_at : float
        Trials at which it is about tightest, above 0.
    confidence : float, default=0.95
        Coverage of all times together, between 0 and 1.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> low, high = beta_binomial_interval(700, 1000, best_at=100)
    >>> f"{low:.4f} to {high:.4f}"
    '0.6516 to 0.7459'
    """
    check_count("trials", trials, at_least=1)
    check_count("successes", successes)
    check_positive("best_at", best_at)
    check_share("confidence", confidence)
    if successes > trials:
        raise InvalidError(f"{successes:,} successes are more than {trials:,} trials")
    failures, limit = trials - successes, -math.log(1 - confidence)

    def excess(p: float) -> float:
        q = 1 - p
        spread = p * q
        rho = normal_mixture_rho(best_at * spread, alpha=1 - confidence)
        r = max(rho - spread, 1e-3 * spread)
        log = log_beta(r / q + successes, r / p + failures) - log_beta(r / q, r / p)
        return log - successes * math.log(p) - failures * math.log(q) - limit

    share = successes / trials
    low = bisect(excess, 1e-12, share) if successes else 0.0
    high = 1 - bisect(lambda q: excess(1 - q), 1e-12, 1 - share) if failures else 1.0
    return Interval(low=low, high=high, confidence=confidence)


def empirical_bernstein_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Interval of the mean of values in [0, 1] that holds at every time, from their own variance.

    Waudby-Smith and Ramdas (2023), theorem 2, doi:10.1093/jrsssb/qkad009; the variance is taken
    about the running mean, begun at 0, as in the authors' code.

    Parameters
    ----------
    values : sequence of float
        In the order in which they came, each in [0, 1]; 1 or more.
    confidence : float, default=0.95
        Coverage of all times together, between 0 and 1.

    Raises
    ------
    InvalidError
        If a value or argument is out of its range.

    Examples
    --------
    >>> low, high = empirical_bernstein_interval([1, 1, 1, 1, 1, 1, 1, 0, 0, 0] * 100)
    >>> f"{low:.4f} to {high:.4f}"
    '0.6453 to 0.7584'
    """
    _check_values(values, confidence)
    tail = (1 - confidence) / 2
    low = _bernstein_low(values, tail)
    high = 1 - _bernstein_low([1 - value for value in values], tail)
    return Interval(low=max(low, 0.0), high=min(high, 1.0), confidence=confidence)


def _bernstein_low(values: Sequence[float], tail: float) -> float:
    weighed = weights = spread = total = 0.0
    for n, (value, bet) in enumerate(zip(values, _plug_in_bets(values, tail), strict=True)):
        bet = min(bet, 0.5)
        before = total / n if n else 0.0
        spread += (value - before) ** 2 * (-math.log1p(-bet) - bet)
        weighed += bet * value
        weights += bet
        total += value
    return (weighed + math.log(tail) - spread) / weights


def _plug_in_bets(values: Sequence[float], alpha: float) -> Iterator[float]:
    """Yield bets from the values before each: smaller the more those varied."""
    total, squares, variance = 0.5, 0.25, 0.25  # as if there had been one value before
    for t, value in enumerate(values, 1):
        yield math.sqrt(-2 * math.log(alpha) / (t * math.log1p(t) * variance))
        total += value
        squares += (value - total / (t + 1)) ** 2
        variance = squares / (t + 1)


def hoeffding_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Interval of the mean of values in [0, 1] that holds at every time, from their range alone.

    Looser than `empirical_bernstein_interval` unless values are mostly 0 or 1 in equal parts.

    Parameters
    ----------
    values : sequence of float
        In the order in which they came, each in [0, 1]; 1 or more.
    confidence : float, default=0.95
        Coverage of all times together, between 0 and 1.

    Raises
    ------
    InvalidError
        If a value or argument is out of its range.

    Examples
    --------
    >>> low, high = hoeffding_interval([1, 1, 1, 1, 1, 1, 1, 0, 0, 0] * 100)
    >>> f"{low:.4f} to {high:.4f}"
    '0.6456 to 0.7679'
    """
    _check_values(values, confidence)
    log = -math.log((1 - confidence) / 2)
    weighed = weights = squares = 0.0
    for t, value in enumerate(values, 1):
        bet = min(math.sqrt(8 * log / (t * math.log1p(t))), 1.0)
        weighed += bet * value
        weights += bet
        squares += bet * bet
    center, reach = weighed / weights, (log + squares / 8) / weights
    return Interval(
        low=max(center - reach, 0.0), high=min(center + reach, 1.0), confidence=confidence
    )


def betting_wealth(
    values: Sequence[float], mean: float, *, alpha: float = 0.05
) -> tuple[float, ...]:
    """Return the e-value against a supposed mean after each value, hedged to both sides.

    Parameters
    ----------
    values : sequence of float
        In the order in which they came, each in [0, 1]; 1 or more.
    mean : float
        The supposed mean, between 0 and 1.
    alpha : float, default=0.05
        What the bets are chosen for; any gives a valid e-value.

    Raises
    ------
    InvalidError
        If a value or argument is out of its range.

    Examples
    --------
    >>> betting_wealth([1, 1, 0], 0.5)
    (0.75, 1.125, 0.5625)
    """
    _check_values(values, 1 - alpha)
    check_share("mean", mean)
    up = down = 0.5
    wealth = []
    for value, bet in zip(values, _plug_in_bets(values, alpha), strict=True):
        up *= 1 + min(bet, 0.5 / mean) * (value - mean)
        down *= 1 - min(bet, 0.5 / (1 - mean)) * (value - mean)
        wealth.append(max(up, down))
    return tuple(wealth)


def asymptotic_interval(
    estimate: float, standard_error: float, n: int, *, best_at: int, confidence: float = 0.95
) -> Interval:
    """Interval of any asymptotically normal estimate that holds at every late enough time.

    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform central limit theory and
    asymptotic confidence sequences. Ann. Stat. 52(6). doi:10.1214/24-AOS2408

    Parameters
    ----------
    estimate, standard_error : float
        At this time; the error above 0.
    n : int
        Rows so far, 1 or more.
    best_at : int
        Rows at which it is about tightest, 1 or more.
    confidence : float, default=0.95
        Coverage of all times together, between 0 and 1, for many rows.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> low, high = asymptotic_interval(0.50386, 0.03386, 6461, best_at=5000)
    >>> f"{low:.4f} to {high:.4f}"
    '0.4010 to 0.6067'
    """
    check_positive("standard_error", standard_error)
    check_count("n", n, at_least=1)
    check_count("best_at", best_at, at_least=1)
    check_share("confidence", confidence)
    rho = normal_mixture_rho(best_at, alpha=1 - confidence)
    reach = standard_error / math.sqrt(n) * normal_mixture_bound(n, rho=rho, alpha=1 - confidence)
    return Interval(low=estimate - reach, high=estimate + reach, confidence=confidence)


def _check_variance(variance: float) -> None:
    if not 0 <= variance < math.inf:
        raise InvalidError(f"`variance` is {variance}: it has to be a finite number, 0 or more")


def _check_values(values: Sequence[float], confidence: float) -> None:
    check_share("confidence", confidence)
    check_count("number of values", len(values), at_least=1)
    for value in values:
        check_between("values", value, -1e-12, 1 + 1e-12)
