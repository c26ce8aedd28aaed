"""The difference of one metric between two versions on the same rows, by the method that suits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from detent.comparison.measures import Kind, Measure
from detent.comparison.outcomes import Pair
from detent.comparison.verdict import (
    ALPHA,
    MARGIN,
    judge,
    rows_for_counts,
    rows_for_variance,
    show_counts,
)
from detent.domain.evidence import Difference
from detent.errors import InvalidError
from detent.stats.arrays import Floats
from detent.stats.claim import Claim
from detent.stats.counts import PairedCounts, count_pairs
from detent.stats.proportions import tango_interval
from detent.stats.result import PairedResult

CONFIDENCE = 0.95
_FEW = 4  # disagreements below which resampling knows nothing of how much versions may differ

Compare = Callable[[Claim, float], PairedResult]


def find_difference(
    pair: Pair,
    measure: Measure,
    *,
    alpha: float = ALPHA,
    margin: float | None = None,
    is_relative: bool | None = None,
) -> Difference:
    """Compare two versions in one metric.

    Parameters
    ----------
    pair : Pair
        What both answered; 1 row or more.
    measure : Measure
        The metric.
    alpha : float, default=0.05
        Allowed probability of error of the one-sided limit and of the verdict.
    margin : float, optional
        The loss that is allowed, above 0: by default 0.01.
    is_relative : bool, optional
        Whether the margin is a share of the baseline's value; by default for losses.

    Raises
    ------
    InvalidError
        If these rows do not allow the metric, or the margin is of the wrong sign.
    """
    margin = MARGIN if margin is None else margin
    if is_relative is None:
        is_relative = measure.is_loss
    if not margin > 0:
        raise InvalidError(f"a margin of {margin} allows nothing: it has to be above 0")
    if measure.kind is Kind.RIGHT and not is_relative and _is_plain(pair):
        return _right_answers(pair, measure, alpha, margin)
    compare = _method(pair, measure)
    if compare is None:
        raise InvalidError(f"`{measure.name}` has no method for these rows")
    return _judged(pair, measure, compare, alpha, margin, is_relative)


def _is_plain(pair: Pair) -> bool:
    return pair.groups is None and _is_unweighted(pair)


def _is_unweighted(pair: Pair) -> bool:
    return pair.candidate.sample_weight is None


def _right_answers(pair: Pair, measure: Measure, alpha: float, margin: float) -> Difference:
    counts = count_pairs(pair.baseline.is_right, pair.candidate.is_right)
    return difference_of_counts(counts, metric=measure.name, alpha=alpha, margin=margin)


def difference_of_counts(
    counts: PairedCounts, *, metric: str = "accuracy", alpha: float = ALPHA, margin: float = MARGIN
) -> Difference:
    """Return the difference of two shares of right answers, from the four counts alone.

    Raises
    ------
    InvalidError
        If there are no rows.
    """
    n = counts.n
    low, high = tango_interval(counts, confidence=CONFIDENCE)
    shown = show_counts(counts, margin=margin, alpha=alpha)
    return Difference(
        metric=metric,
        baseline=(counts.both_right + counts.newly_wrong) / n,
        candidate=(counts.both_right + counts.newly_right) / n,
        n=n,
        greater_is_better=True,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        at_worst=shown.at_worst,
        alpha=alpha,
        margin=margin,
        p_better=shown.p_better,
        p_worse=shown.p_worse,
        verdict=shown.verdict,
        rows_needed=rows_for_counts(counts, margin=margin, alpha=alpha)
        if shown.verdict == "undecided"
        else None,
        method="Tango's score interval, McNemar's mid-p",
        counts=(counts.both_right, counts.newly_wrong, counts.newly_right, counts.both_wrong),
    )


def _judged(
    pair: Pair,
    measure: Measure,
    compare: Compare,
    alpha: float,
    margin: float,
    is_relative: bool,
) -> Difference:
    sign = 1.0 if measure.greater_is_better else -1.0
    wide = compare(Claim.WORSE, CONFIDENCE)
    narrow = compare(Claim.BETTER, 1 - 2 * alpha)
    allowed = margin * abs(wide.baseline) if is_relative else margin
    caveats = wide.caveats
    if is_relative and wide.baseline < 0:
        raise InvalidError(
            f"`{measure.name}` of the baseline is {wide.baseline:.3g}: no share of it can be"
            " allowed",
            hint="give an absolute margin: `relative = false`",
        )
    gain = narrow.interval.low if sign > 0 else -narrow.interval.high
    if is_relative and sign < 0 and measure.kind is Kind.MEAN and _is_unweighted(pair):
        gain = _slack_at_worst(pair, measure, margin, alpha) - allowed
    low, high = wide.interval.low, wide.interval.high
    n_changed = int(np.count_nonzero(pair.is_changed))
    if n_changed < _FEW or wide.standard_error == 0:
        # Resampling rows that hardly differ shows no spread, and would let anything pass.
        gain = min(gain, -_unseen(pair, measure, alpha))
        reach = _unseen(pair, measure, (1 - CONFIDENCE) / 2)
        low, high = min(low, -reach), max(high, reach)
        caveats += (
            f"only {n_changed:,} rows are answered differently: the interval is at least as wide as"
            " so many rows without any disagreement would give",
        )
    verdict = judge(
        gain_at_worst=gain,
        margin=allowed,
        is_better=narrow.p <= alpha,
        is_worse=wide.p <= alpha,
    )
    return Difference(
        metric=measure.name,
        baseline=wide.baseline,
        candidate=wide.candidate,
        n=wide.n,
        greater_is_better=measure.greater_is_better,
        low=low,
        high=high,
        confidence=CONFIDENCE,
        at_worst=sign * gain,
        alpha=alpha,
        margin=allowed,
        p_better=narrow.p,
        p_worse=wide.p,
        verdict=verdict,
        rows_needed=rows_for_variance(wide.variance, wide.n, margin=allowed, alpha=alpha)
        if verdict == "undecided"
        else None,
        method=wide.method,
        caveats=caveats,
    )


def _slack_at_worst(pair: Pair, measure: Measure, margin: float, alpha: float) -> float:
    """Return the lower limit of what is left of an allowance relative to the baseline's loss."""
    from detent.stats.means import compare_means, relative_slack

    assert measure.rows is not None
    slack = relative_slack(measure.rows(pair.baseline), measure.rows(pair.candidate), margin=margin)
    return compare_means(
        np.zeros(len(slack)),
        slack,
        greater_is_better=True,
        groups=pair.groups,
        confidence=1 - 2 * alpha,
    ).interval.low


def _unseen(pair: Pair, measure: Measure, alpha: float) -> float:
    """Return how much worse a candidate may be that was never seen to differ on so many rows."""
    n = pair.n_groups or len(pair)
    if measure.kind in (Kind.COUNTS, Kind.AREA):
        # A metric of classes is no surer than the rarest class.
        _, counts = np.unique(pair.candidate.y_true, return_counts=True)
        n = min(n, int(counts.min()))
    never = PairedCounts(both_right=n, newly_wrong=0, newly_right=0, both_wrong=0)
    share = -tango_interval(never, confidence=1 - 2 * alpha).low
    largest = 1.0
    if measure.rows is not None and measure.kind is not Kind.RIGHT:
        rows = np.abs(measure.rows(pair.baseline))
        largest = float(rows.max(initial=0.0))
        if measure.name == "r2":
            largest /= float(np.var(np.asarray(pair.candidate.y_true, dtype=np.float64)))
        if measure.name == "root_mean_squared_error":
            largest = math.sqrt(largest)
    return share * largest


def _method(pair: Pair, measure: Measure) -> Compare | None:
    """Return what compares the pair in this metric, given a claim and a confidence."""
    old, new = pair.baseline, pair.candidate
    better = bool(measure.greater_is_better)
    weights, groups = new.sample_weight, pair.groups
    match measure.kind:
        case Kind.RIGHT | Kind.MEAN:
            assert measure.rows is not None
            before, after = measure.rows(old), measure.rows(new)
            if weights is not None:
                return _weighted(before, after, weights, pair, better)
            from detent.stats.means import compare_means

            return lambda claim, confidence: compare_means(
                before,
                after,
                greater_is_better=better,
                groups=groups,
                claim=claim,
                confidence=confidence,
            )
        case Kind.CURVED if weights is None:
            assert measure.rows is not None
            return _curved(measure, pair, better)
        case Kind.AREA if weights is None:
            from detent.stats.auc import auc_table, compare_auc

            first, second = old.positive_score, new.positive_score
            if first is None or second is None:
                return None
            truth = np.asarray(new.y_true == new.positive_label)
            table = auc_table(truth, [first, second], groups=groups)
            return lambda claim, confidence: compare_auc(
                truth,
                first,
                second,
                groups=groups,
                claim=claim,
                confidence=confidence,
                table=table,
            )
        case Kind.COUNTS if weights is None:
            from detent.stats.cells import count_cells
            from detent.stats.count_metrics import compare_cells

            assert measure.count is not None
            count = measure.count
            cells = count_cells(new.y_true, old.y_pred, new.y_pred, groups=groups)
            positive = new.positive_label if measure.is_binary else None
            return lambda claim, confidence: compare_cells(
                cells,
                metric=count,
                average=measure.average,
                positive=positive,
                claim=claim,
                confidence=confidence,
            )
    return None


def _weighted(before: Floats, after: Floats, weights: Floats, pair: Pair, better: bool) -> Compare:
    """Compare weighted means: each row's share in how their difference varies takes its place."""
    total = float(weights.mean())
    old, new = float((weights * before).mean() / total), float((weights * after).mean() / total)
    shares = weights * (after - before - (new - old)) / total + (new - old)
    return _of_shares(shares, old, new, pair, better, "paired t of weighted rows")


def _curved(measure: Measure, pair: Pair, better: bool) -> Compare:
    """Compare functions of means, by their slopes at the means that were seen."""
    assert measure.rows is not None
    before, after = measure.rows(pair.baseline), measure.rows(pair.candidate)
    first, second = float(before.mean()), float(after.mean())
    if measure.name == "r2":
        y_true = np.asarray(pair.candidate.y_true, dtype=np.float64)
        spread = (y_true - y_true.mean()) ** 2
        scale = float(spread.mean())
        old, new = 1 - first / scale, 1 - second / scale
        shares = ((before - after) - (new - old) * spread) / scale + (new - old)
    else:
        old, new = math.sqrt(first), math.sqrt(second)
        slopes = [1 / (2 * root) if root > 0 else 0.0 for root in (old, new)]
        shares = (after - second) * slopes[1] - (before - first) * slopes[0] + (new - old)
    return _of_shares(shares, old, new, pair, better, "paired t of linearised rows")


def _of_shares(
    shares: Floats, old: float, new: float, pair: Pair, better: bool, method: str
) -> Compare:
    from detent.stats.groups import group_indices, group_sums
    from detent.stats.means import paired_t

    if pair.groups is not None:
        n_groups, codes = group_indices(pair.groups, n_rows=len(shares))
        # The sums of groups, on the scale on which their mean is the difference itself.
        shares = group_sums(shares, codes, n_groups) * (n_groups / len(shares))

    def compare(claim: Claim, confidence: float) -> PairedResult:
        result = paired_t(
            np.zeros(len(shares)),
            shares,
            greater_is_better=better,
            claim=claim,
            confidence=confidence,
        )
        return replace(result, baseline=old, candidate=new, difference=new - old, method=method)

    return compare
