"""What a paired comparison of one metric returns, whatever the method."""

from dataclasses import dataclass

from detent.stats.claim import Claim
from detent.stats.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedResult:
    """How far a candidate lies from a baseline in one metric, and how sure that is.

    Parameters
    ----------
    baseline, candidate : float
        The metric of each version, in its own unit.
    difference : float
        Candidate minus baseline, also where smaller is better.
    interval : Interval
        Of the true difference.
    p : float
        How often chance alone would look as much like `claim` as these rows, in [0, 1].
    claim : Claim
        What `p` speaks of; it knows whether greater or smaller values are better.
    standard_error : float
        Of the difference, in the unit of the metric, 0 or more.
    n : int
        Independent units: rows, or groups of rows where groups were given.
    method : str
        How the interval and `p` were made, for a report.
    caveats : tuple of str
        Why the interval says less than it seems to; empty where nothing speaks against it.
    """

    baseline: float
    candidate: float
    difference: float
    interval: Interval
    p: float
    claim: Claim
    standard_error: float
    n: int
    method: str
    caveats: tuple[str, ...] = ()

    @property
    def variance(self) -> float:
        """The variance that one unit brings: what planning asks for, in squared units."""
        return self.n * self.standard_error**2
