"""What a rule on right and wrong answers does, computed exactly over all tables."""

import math
from collections.abc import Callable

import numpy as np

from detent.errors import InvalidError
from detent.stats.arrays import Flags, Floats, Ints
from detent.stats.checks import check_between, check_count, check_share
from detent.stats.distributions import normal_quantile

_REACH = 10.0  # standard deviations beyond which tables do not count: below 1e-15 in all


def decision_probability(
    decides: Callable[[Ints, Ints], Flags],
    n: int,
    *,
    newly_wrong_rate: float,
    newly_right_rate: float,
) -> float:
    """Return the probability that a rule says yes, summed over all tables of n rows.

    Parameters
    ----------
    decides : callable
        Takes the numbers of newly wrong and newly right rows as arrays of one shape, returns
        booleans.
    n : int
        Rows, 1 or more.
    newly_wrong_rate, newly_right_rate : float
        The true shares, above 0 and together below 1.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> naive = lambda newly_wrong, newly_right: newly_right >= newly_wrong
    >>> p = decision_probability(naive, 54, newly_wrong_rate=0.04, newly_right_rate=0.03)
    >>> round(p, 4)
    0.4962
    """
    check_count("n", n, at_least=1)
    check_share("newly_wrong_rate", newly_wrong_rate)
    check_share("newly_right_rate", newly_right_rate)
    check_share("disagreement rate", newly_wrong_rate + newly_right_rate)
    b, c = _counts(n, newly_wrong_rate)[:, None], _counts(n, newly_right_rate)[None, :]
    same = n - b - c
    factorials = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    is_table = same >= 0
    log = factorials[n] - factorials[b] - factorials[c] - factorials[np.maximum(same, 0)]
    log += b * math.log(newly_wrong_rate) + c * math.log(newly_right_rate)
    log += same * math.log1p(-newly_wrong_rate - newly_right_rate)
    says = decides(*np.broadcast_arrays(b, c))
    return float(np.exp(log[is_table & says]).sum())


def _counts(n: int, rate: float) -> Ints:
    reach = _REACH * math.sqrt(n * rate * (1 - rate)) + _REACH**2
    low, high = max(math.floor(n * rate - reach), 0), min(math.ceil(n * rate + reach), n)
    return np.arange(low, high + 1)


def shows_not_worse(
    newly_wrong: Ints, newly_right: Ints, *, n: int, margin: float, alpha: float = 0.05
) -> Flags:
    """Return where Tango's lower limit lies above minus the margin, for many tables at once.

    The same answer as `detent.stats.proportions.tango_interval` gives for one table.

    Parameters
    ----------
    newly_wrong, newly_right : array of int
        Counts of one shape, 0 or more, together at most n.
    n : int
        Rows of each table.
    margin : float
        A share between 0 and 1.
    alpha : float, default=0.05
        One minus the confidence of the limit.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> shows_not_worse(np.array([0, 0]), np.array([0, 3]), n=54, margin=0.01).tolist()
    [False, True]
    """
    check_between("margin", margin, 0, 1)
    check_share("alpha", alpha)
    b, c = np.asarray(newly_wrong), np.asarray(newly_right)
    if b.min() < 0 or c.min() < 0:
        raise InvalidError("counts are 0 or more")
    linear = -b - c - (2 * n - c + b) * margin
    constant = b * margin * (1 + margin)
    root = np.sqrt(linear * linear - 8 * n * constant)
    q = (root - linear) / (4 * n)
    variance: Floats = n * (2 * q - margin * (1 + margin))
    gap = c - b + n * margin
    is_above: Flags = gap > normal_quantile(1 - alpha) * np.sqrt(np.maximum(variance, 0.0))
    return is_above
