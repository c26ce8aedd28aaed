"""The change detector after an activation, and tests of two simple suppositions."""

import math

from detent.stats.checks import (
    check_between,
    check_count,
    check_positive,
    check_share,
    check_state,
)
from detent.stats.evidence import N_BETS, Side, bets_of


class ChangeDetector:
    """Notices that a version has become worse, with a stated time between false alarms.

    An e-value that has watched many quiet labels is slow to notice a change. This sum of e-values
    begun at every label is not: with a threshold of A, false alarms are at least A labels apart
    on average (Shiryaev-Roberts). The state is 16 floats.

    Parameters
    ----------
    threshold : float, default=1000000
        Mean labels between false alarms, at least; above 0.
    margin : float, default=0.0
        How much worse is still allowed, a share between -1 and 1.
    state : tuple of float, optional
        What `state` was, to go on after a restart.

    Raises
    ------
    InvalidError
        If an argument is out of its range, or the state is not 16 finite numbers of 0 or more.

    References
    ----------
    .. [1] Shin, J., Ramdas, A., Rinaldo, A. (2023). E-detectors: a nonparametric framework for
       sequential change detection. New Engl. J. Stat. Data Sci. 2(2). doi:10.51387/23-NEJSDS51

    Examples
    --------
    >>> detector = ChangeDetector(threshold=1000)
    >>> detector.add(-1), detector.is_alarmed
    (None, False)
    >>> for _ in range(20):
    ...     detector.add(-1)
    >>> detector.is_alarmed
    True
    """

    __slots__ = ("_bets", "_sums", "threshold")

    def __init__(
        self,
        *,
        threshold: float = 1_000_000,
        margin: float = 0.0,
        state: tuple[float, ...] | None = None,
    ) -> None:
        check_positive("threshold", threshold)
        check_between("margin", margin, -1, 1)
        self.threshold = threshold
        self._bets = bets_of(Side.HARM, margin)
        self._sums = (
            [0.0] * N_BETS if state is None else check_state(state, length=N_BETS, at_least=0)
        )

    @property
    def state(self) -> tuple[float, ...]:
        """What is to be kept over a restart."""
        return tuple(self._sums)

    @property
    def value(self) -> float:
        """The detector's value: about the labels since a change, or far above them."""
        return sum(self._sums) / N_BETS

    @property
    def is_alarmed(self) -> bool:
        """Whether the value has reached the threshold."""
        return self.value >= self.threshold

    def add(self, gain: float) -> None:
        """Take one label into account: -1 newly wrong, 1 newly right, 0 if both were alike.

        Raises
        ------
        InvalidError
            If it is missing (NaN) or infinite; what lies beyond -1 or 1 counts as that.
        """
        check_between("gain", gain, -math.inf, math.inf)
        lost = -min(max(gain, -1.0), 1.0)
        self._sums = [
            # Not let grow beyond a float: it has alarmed long before.
            min((total + 1) * (1 + bet * (lost - m)), 1e300)
            for total, (m, bet) in zip(self._sums, self._bets, strict=True)
        ]


def sprt_thresholds(*, alpha: float = 0.05, beta: float = 0.05) -> tuple[float, float]:
    """Return Wald's limits of the logarithm of a likelihood ratio: reject, accept.

    Parameters
    ----------
    alpha, beta : float, default=0.05
        Allowed probability of accepting where it is untrue, of rejecting where it is true.

    Raises
    ------
    InvalidError
        If an argument is not between 0 and 1.

    References
    ----------
    .. [1] Wald, A. (1945). Sequential tests of statistical hypotheses. Ann. Math. Stat. 16(2),
       117-186. doi:10.1214/aoms/1177731118

    Examples
    --------
    >>> [round(limit, 6) for limit in sprt_thresholds()]
    [-2.944439, 2.944439]
    """
    check_share("alpha", alpha)
    check_share("beta", beta)
    return math.log(beta / (1 - alpha)), math.log((1 - beta) / alpha)


def sprt_log_ratio(successes: int, failures: int, *, supposed: float, other: float) -> float:
    """Return the logarithm of the likelihood of one share of successes over that of another.

    Parameters
    ----------
    successes, failures : int
        Counts, 0 or more.
    supposed, other : float
        The two shares, each between 0 and 1; positive results favour `other`.

    Raises
    ------
    InvalidError
        If an argument is out of its range.

    Examples
    --------
    >>> round(sprt_log_ratio(3, 1, supposed=0.5, other=0.6), 4)
    0.3238
    """
    check_count("successes", successes)
    check_count("failures", failures)
    check_share("supposed", supposed)
    check_share("other", other)
    lost = math.log((1 - other) / (1 - supposed))
    return successes * math.log(other / supposed) + failures * lost
