"""Distribution functions: normal, Student's t, chi-square, beta and binomial.

Written out so that a decision needs neither SciPy nor its second of import time. Upper tails are
computed as such, never as one minus the rest, so that small ones keep their digits.
"""

import math
from itertools import count
from statistics import NormalDist

from detent.stats.checks import check_positive, check_share
from detent.stats.roots import bisect

_NORMAL = NormalDist()
_TINY = 1e-300
_EPSILON = 2.0**-53
_COUNTED = 1000  # trials of a fair coin whose outcomes are counted
# Coefficients of the Stirling series of log(gamma), in powers of 1 / x, 1 / x**3, ...
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def normal_quantile(p: float) -> float:
    """Return the point that a standard normal number stays below with probability p."""
    check_share("p", p)
    return _NORMAL.inv_cdf(p)


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal number exceeds z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_cdf(z: float) -> float:
    """Return the probability that a standard normal number stays below z."""
    return normal_tail(-z)


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the probability that a Beta(a, b) number stays below x.

    This is the regularised incomplete beta function, by its continued fraction. The factor in
    front of it is taken relative to the mode, as Loader does for the binomial, so that shapes in
    the millions keep 12 digits.

    Parameters
    ----------
    x : float
        In [0, 1]; outside, the result is 0 or 1.
    a, b : float
        Shapes, above 0.

    Raises
    ------
    InvalidError
        If a shape is not a finite number above 0.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, equation 8.17.22. https://dlmf.nist.gov
    .. [2] Loader, C. (2000). Fast and accurate computation of binomial probabilities.

    Examples
    --------
    >>> round(beta_cdf(0.5, 2, 1), 12)
    0.25
    """
    return math.exp(log_beta_cdf(x, a, b)) if x > 0 else 0.0


def log_beta_cdf(x: float, a: float, b: float) -> float:
    """Return the natural logarithm of `beta_cdf`, also where that is too small for a float."""
    check_positive("a", a)
    check_positive("b", b)
    if x <= 0:
        return -math.inf
    if x >= 1:
        return 0.0
    if x > (a + 1) / (a + b + 2):  # beyond it the fraction converges slowly
        return math.log1p(-math.exp(_log_head(1 - x, b, a)))
    return _log_head(x, a, b)


def log_beta(a: float, b: float) -> float:
    """Return the natural logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_head(x: float, a: float, b: float) -> float:
    """Return log P(Beta(a, b) < x) for x below the bulk."""
    total = a + b
    excess = x * total - a
    log_peak = a * _log_over(x * total / a, excess / a)
    log_peak += b * _log_over((1 - x) * total / b, -excess / b)
    remainder = _stirling(total) - _stirling(a) - _stirling(b)
    log_density = log_peak + remainder + 0.5 * math.log(a * b / (2 * math.pi * total))
    return log_density + math.log(_fraction(x, a, b) / a)


def _log_over(ratio: float, u: float) -> float:
    """Return log(ratio) - u where ratio = 1 + u, whichever of the two is the more exact."""
    return (math.log1p(u) if abs(u) < 0.5 else math.log(ratio)) - u


def _stirling(x: float) -> float:
    """Return what Stirling's formula lacks of log(gamma(x))."""
    if x < 10:
        return math.lgamma(x) - ((x - 0.5) * math.log(x) - x + 0.5 * math.log(2 * math.pi))
    power = 1 / x
    return sum(term * power ** (2 * i + 1) for i, term in enumerate(_STIRLING))


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _away_from_0(1 - (a + b) * x / (a + 1))
    result = d
    for m in count(1):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_0(1 + term * d)
            c = _away_from_0(1 + term / c)
            result *= c * d
        if abs(c * d - 1) < 4 * _EPSILON:
            break
    return result


def _away_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_tail(t: float, degrees: float) -> float:
    """Return the probability that Student's t exceeds a value.

    Parameters
    ----------
    t : float
        Any number.
    degrees : float
        Degrees of freedom, above 0.

    Examples
    --------
    >>> round(t_tail(2.147987, 14), 6)
    0.024851
    """
    check_positive("degrees", degrees)
    if t < 0:
        return 1 - t_tail(-t, degrees)
    if math.isinf(t):
        return 0.0
    total = degrees + t * t
    if t * t > degrees:
        return 0.5 * beta_cdf(degrees / total, degrees / 2, 0.5)
    return 0.5 - 0.5 * beta_cdf(t * t / total, 0.5, degrees / 2)


def t_quantile(p: float, degrees: float) -> float:
    """Return the point that Student's t stays below with probability p.

    Examples
    --------
    >>> round(t_quantile(0.975, 14), 4)
    2.1448
    """
    check_share("p", p)
    check_positive("degrees", degrees)
    if p < 0.5:
        return -_t_upper(p, degrees)
    return _t_upper(1 - p, degrees) if p > 0.5 else 0.0


def _t_upper(tail: float, degrees: float) -> float:
    high = 1.0
    while t_tail(high, degrees) > tail:
        high *= 2
    return bisect(lambda t: t_tail(t, degrees) - tail, 0.0, high)


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that chi-square, with whole degrees of freedom, exceeds x.

    A sum of positive terms: exact to rounding for every x and number of degrees.

    Examples
    --------
    >>> round(chi_square_tail(2.533978, 2), 4)
    0.2817
    """
    check_positive("degrees", degrees)
    if x <= 0:
        return 1.0
    half = x / 2
    tail = math.exp(-half) if degrees % 2 == 0 else math.erfc(math.sqrt(half))
    for i in range(2 - degrees % 2, degrees, 2):
        tail += math.exp(i / 2 * math.log(half) - half - math.lgamma(i / 2 + 1))
    return min(tail, 1.0)


def binomial_tail(successes: int, trials: int, p: float = 0.5) -> float:
    """Return the probability of at least so many successes.

    Examples
    --------
    >>> binomial_tail(5, 5)
    0.03125
    """
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    if p == 0.5 and trials <= _COUNTED:
        # Whole numbers are exact: 0.03125 is 1 / 32 on every machine.
        ways = some = math.comb(trials, successes)
        for k in range(successes, trials):
            some = some * (trials - k) // (k + 1)  # each from the one before: 50 times quicker
            ways += some
        return ways / (1 << trials)
    return beta_cdf(p, successes, trials - successes + 1)
