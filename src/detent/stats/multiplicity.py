"""Many questions asked of one data set: slices, metrics, candidates, and tries over time."""

import math
from collections.abc import Sequence

from detent.errors import InvalidError
from detent.stats.checks import check_count, check_share


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values times their number: the simplest correction, and the strictest.

    Parameters
    ----------
    p_values : sequence of float
        Each in [0, 1].

    Returns
    -------
    tuple of float
        In the same order. Those at most alpha are shown, with a probability of at most alpha that
        any of them is untrue.

    Raises
    ------
    InvalidError
        If a value is not in [0, 1].

    Examples
    --------
    >>> bonferroni([0.0625, 0.25, 0.75])
    (0.1875, 0.75, 1.0)
    """
    _check(p_values)
    return tuple(min(1.0, len(p_values) * p) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values corrected by Holm's method: the guarantee of Bonferroni's, and never stricter.

    Parameters
    ----------
    p_values : sequence of float
        Each in [0, 1]; they may depend on each other.

    Returns
    -------
    tuple of float
        In the same order. Those at most alpha are shown, with a probability of at most alpha that
        any of them is untrue.

    Raises
    ------
    InvalidError
        If a value is not in [0, 1].

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J.
       Stat. 6(2), 65-70. https://www.jstor.org/stable/4615733

    Examples
    --------
    >>> holm([0.0625, 0.25, 0.75])
    (0.1875, 0.5, 0.75)
    """
    _check(p_values)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return tuple(corrected)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values corrected for the expected share of untrue ones among those that are shown.

    For looking through many slices, not for blocking on them: of what is shown, a share of up to
    alpha is expected to be untrue.

    Parameters
    ----------
    p_values : sequence of float
        Each in [0, 1]; independent, or positively dependent.

    Returns
    -------
    tuple of float
        In the same order.

    Raises
    ------
    InvalidError
        If a value is not in [0, 1].

    References
    ----------
    .. [1] Benjamini, Y., Hochberg, Y. (1995). Controlling the false discovery rate. J. R. Stat.
       Soc. B 57(1), 289-300. doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> benjamini_hochberg([0.0625, 0.25, 0.75])
    (0.1875, 0.375, 0.75)
    """
    _check(p_values)
    corrected, smallest = [0.0] * len(p_values), 1.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, i in reversed(list(enumerate(order, 1))):
        smallest = min(smallest, len(p_values) / rank * p_values[i])
        corrected[i] = smallest
    return tuple(corrected)


def alpha_of_use(use: int, *, alpha: float = 0.05) -> float:
    """Return the allowed probability of error for the j-th use of one data set.

    Whoever tries often enough on the same rows passes by chance. The shares fall as 1 / j**2 and
    add up to alpha over all uses for ever, whatever is tried.

    Parameters
    ----------
    use : int
        The how-many-th use it is, from 1.
    alpha : float, default=0.05
        Allowed probability over all uses, between 0 and 1.

    Returns
    -------
    float
        ``6 * alpha / (pi * use) ** 2``.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> [round(alpha_of_use(use), 5) for use in (1, 2, 7)]
    [0.0304, 0.0076, 0.00062]
    """
    check_count("use", use, at_least=1)
    check_share("alpha", alpha)
    return 6 * alpha / (math.pi * use) ** 2


def _check(p_values: Sequence[float]) -> None:
    for p in p_values:
        if not 0 <= p <= 1:
            raise InvalidError(f"{p} is not a p-value: it has to lie in [0, 1]")
