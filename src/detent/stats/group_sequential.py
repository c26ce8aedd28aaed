"""A planned number of looks at growing data, each with its own limit.

More powerful than evidence at every label where the last look is known beforehand, and much less
so where it is not: a horizon that is ten times too long costs four times the labels.
"""

import math
from collections.abc import Sequence

from detent.errors import InvalidError
from detent.stats.checks import check_share
from detent.stats.distributions import normal_quantile, normal_tail
from detent.stats.roots import bisect

_STEPS = 200  # of Simpson's rule, between -8 standard deviations and a limit
_FAR = 8.0


def obrien_fleming_spending(share: float, *, alpha: float = 0.025) -> float:
    """Return how much of alpha may be spent when a share of the data is there.

    Nearly nothing early: Lan and DeMets' spending function like O'Brien and Fleming's limits.

    Parameters
    ----------
    share : float
        Of all planned data, above 0 and at most 1.
    alpha : float, default=0.025
        Of one side, over all looks.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(obrien_fleming_spending(1.0), 6)
    0.025
    """
    check_share("alpha", alpha)
    if not 0 < share <= 1:
        raise InvalidError(f"`share` is {share}: it has to lie above 0 and at most at 1")
    return 2 * normal_tail(normal_quantile(1 - alpha / 2) / math.sqrt(share))


def obrien_fleming_limits(shares: Sequence[float], *, alpha: float = 0.025) -> tuple[float, ...]:
    """Limits of the standardised difference at each of a planned number of looks.

    Parameters
    ----------
    shares : sequence of float
        Of all planned data at each look, rising, the last at most 1.
    alpha : float, default=0.025
        Allowed probability of passing any limit where there is no difference; one side.

    Returns
    -------
    tuple of float
        In standard errors.

    Raises
    ------
    InvalidError
        If the shares do not rise, or an argument is out of its range.

    References
    ----------
    .. [1] Lan, K. K. G., DeMets, D. L. (1983). Discrete sequential boundaries for clinical trials.
       Biometrika 70(3), 659-663. doi:10.1093/biomet/70.3.659
    .. [2] Armitage, P., McPherson, C. K., Rowe, B. C. (1969). Repeated significance tests on
       accumulating data. J. R. Stat. Soc. A 132(2), 235-244. doi:10.2307/2343787

    Examples
    --------
    >>> [round(limit, 2) for limit in obrien_fleming_limits([0.5, 1.0])]
    [2.96, 1.97]
    """
    limits: list[float] = []
    spent = before = 0.0
    points = [(0.0, 1.0)]  # of the sum so far, with the probability that it came there
    for share in shares:
        allowed = obrien_fleming_spending(share, alpha=alpha)
        if share <= before:
            raise InvalidError(f"the share of a look, {share}, does not rise above {before}")
        step = math.sqrt(share - before)
        aim = allowed - spent

        def excess(
            limit: float,
            step: float = step,
            aim: float = aim,
            points: list[tuple[float, float]] = points,
        ) -> float:
            return sum(mass * normal_tail((limit - at) / step) for at, mass in points) - aim

        limit = bisect(excess, -_FAR * math.sqrt(share), 10 * math.sqrt(share))
        limits.append(limit / math.sqrt(share))
        points = _carried(points, limit, step, -_FAR * math.sqrt(share))
        spent, before = allowed, share
    return tuple(limits)


def _carried(
    points: list[tuple[float, float]], limit: float, step: float, low: float
) -> list[tuple[float, float]]:
    """Return where sums below the limit come to lie, on the nodes of Simpson's rule."""
    width = (limit - low) / _STEPS
    scale = width / (3 * step * math.sqrt(2 * math.pi))
    carried = []
    for i in range(_STEPS + 1):
        at = low + i * width
        weight = 1 if i in (0, _STEPS) else 4 if i % 2 else 2
        near = [mass * math.exp(-0.5 * ((at - x) / step) ** 2) for x, mass in points]
        carried.append((at, weight * scale * sum(near)))
    return carried
