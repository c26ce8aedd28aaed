"""From a difference and what is allowed to a verdict, and how many rows would decide."""

from __future__ import annotations

from dataclasses import dataclass

from detent.domain.evidence import Verdict
from detent.stats.claim import Claim
from detent.stats.counts import PairedCounts
from detent.stats.mcnemar import mcnemar_mid_p
from detent.stats.planning import (
    expected_disagreement,
    rows_to_show_not_worse,
    rows_without_disagreement,
)
from detent.stats.proportions import tango_lower_limit

ALPHA = 0.05
MARGIN = 0.01  # one point of a share; of a loss, 1 % of the baseline's
_LATER_USES = 20  # all uses of a data set after the first together may err in alpha / 20


def judge(*, gain_at_worst: float, margin: float, is_better: bool, is_worse: bool) -> Verdict:
    """Return the verdict.

    Parameters
    ----------
    gain_at_worst : float
        One-sided lower limit of how much better the candidate is, in the unit of the metric.
    margin : float
        The loss that is allowed, 0 or more, in the same unit.
    is_better, is_worse : bool
        Whether the rows show that the candidate is better, or worse, by however little.

    Examples
    --------
    >>> judge(gain_at_worst=-0.004, margin=0.01, is_better=False, is_worse=False)
    <Verdict.NOT_WORSE: 'not worse'>
    """
    if gain_at_worst > -margin:
        if is_worse:
            return Verdict.WORSE_WITHIN_MARGIN
        return Verdict.BETTER if is_better else Verdict.NOT_WORSE
    return Verdict.WORSE if is_worse else Verdict.UNDECIDED


def judge_counts(counts: PairedCounts, *, margin: float = MARGIN, alpha: float = ALPHA) -> Verdict:
    """Return the verdict of right and wrong answers, from the four counts alone.

    Not worse where the lower limit of Tango's interval lies above the allowed loss, better or
    worse where McNemar's mid-p says so, each with error `alpha`.

    Parameters
    ----------
    counts : PairedCounts
        Of 1 row or more.
    margin : float, default=0.01
        The loss that is allowed, a share.
    alpha : float, default=0.05
        Allowed probability of error, of each of the answers.

    Raises
    ------
    InvalidError
        If there are no rows.

    Examples
    --------
    >>> str(judge_counts(PairedCounts(both_right=49, newly_wrong=1, newly_right=1, both_wrong=3)))
    'undecided'
    """
    return show_counts(counts, margin=margin, alpha=alpha).verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What four counts show: the limit at worst, how surely better or worse, and the verdict."""

    at_worst: float
    p_better: float
    p_worse: float
    verdict: Verdict


def show_counts(counts: PairedCounts, *, margin: float = MARGIN, alpha: float = ALPHA) -> Shown:
    """Return the verdict of `judge_counts` with the numbers that it follows from.

    Raises
    ------
    InvalidError
        If there are no rows.
    """
    at_worst = tango_lower_limit(counts, alpha=alpha)
    p_better = mcnemar_mid_p(counts, claim=Claim.BETTER)
    p_worse = mcnemar_mid_p(counts, claim=Claim.WORSE)
    verdict = judge(
        gain_at_worst=at_worst,
        margin=margin,
        is_better=p_better <= alpha,
        is_worse=p_worse <= alpha,
    )
    return Shown(at_worst=at_worst, p_better=p_better, p_worse=p_worse, verdict=verdict)


def level_of_use(use: int, *, alpha: float = ALPHA) -> float:
    """Return the allowed probability of error of the j-th use of one data set.

    Whoever tries often enough on the same rows passes by chance. The first candidate is judged at
    `alpha`; all later ones together may err in ``alpha / 20``, the j-th in a share of it that
    falls as ``1 / (j - 1)**2``. So the probability that any of them passes wrongly stays below
    ``1.05 * alpha``, however many there are.

    Parameters
    ----------
    use : int
        The how-many-th use it is, from 1.
    alpha : float, default=0.05
        Of the first use.

    Examples
    --------
    >>> [round(level_of_use(use), 6) for use in (1, 2, 3)]
    [0.05, 0.00152, 0.00038]
    """
    from detent.stats.multiplicity import alpha_of_use

    return alpha if use == 1 else alpha_of_use(use - 1, alpha=alpha / _LATER_USES)


def rows_for_counts(counts: PairedCounts, *, margin: float, alpha: float) -> int:
    """Return how many rows would probably show "not worse" if the versions are equally good.

    Where they have never disagreed: how many rows without a disagreement would.
    """
    if counts.disagreements == 0:
        return max(rows_without_disagreement(margin, alpha=alpha), counts.n + 1)
    needed = rows_to_show_not_worse(expected_disagreement(counts), margin=margin, alpha=alpha)
    return max(needed, counts.n + 1)


def rows_for_variance(variance: float, n: int, *, margin: float, alpha: float) -> int | None:
    """Return the same for a mean, from the variance that one row brings; None where it has none."""
    if variance <= 0 or margin <= 0:
        return None
    needed = rows_to_show_not_worse(variance, margin=margin, alpha=alpha)
    return max(needed, n + 1)
