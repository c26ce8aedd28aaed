"""F1, precision, recall and other metrics of labels, for two versions on the same rows."""

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, Ints
from detent.stats.cells import Cells, Tallies, count_cells
from detent.stats.claim import Claim, p_of
from detent.stats.resampling import (
    N_RESAMPLES,
    multinomial_blocks,
    percentile_interval,
    swap_blocks,
)
from detent.stats.result import PairedResult

_ROUNDING = 1e-12


class CountMetric(StrEnum):
    """A metric that the counts of true and answered labels determine; greater is better."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    F1 = "f1"
    MCC = "matthews_corrcoef"
    KAPPA = "cohen_kappa"


class Average(StrEnum):
    """How precision, recall and F1 of several classes become one number, as in scikit-learn."""

    BINARY = "binary"
    MACRO = "macro"
    MICRO = "micro"
    WEIGHTED = "weighted"


def count_metric(
    tallies: Tallies,
    metric: CountMetric,
    *,
    average: Average = Average.MACRO,
    positive: int | None = None,
) -> Floats:
    """Value of a metric from the tallies of a version, of many resamples at once.

    What divides 0 by 0 is 0, as in scikit-learn, and classes that neither occur nor are answered
    are left out of averages.

    Parameters
    ----------
    tallies : Tallies
        Of shape (…, n_classes).
    metric : CountMetric
        What to compute.
    average : Average, default=MACRO
        Of precision, recall and F1; other metrics do not look at it.
    positive : int, optional
        The class that counts, as an index; needed for ``Average.BINARY``.

    Returns
    -------
    array of float, shape (…)
        In [0, 1]; MCC and kappa in [-1, 1].

    Raises
    ------
    InvalidError
        If ``Average.BINARY`` has no positive class.
    """
    right, true, predicted = tallies.right, tallies.true, tallies.predicted
    n = true.sum(axis=-1)
    match metric:
        case CountMetric.ACCURACY:
            return _ratio(right.sum(axis=-1), n)
        case CountMetric.BALANCED_ACCURACY:
            return _ratio(_ratio(right, true).sum(axis=-1), (true > 0).sum(axis=-1))
        case CountMetric.MCC:
            both = (true * predicted).sum(axis=-1)
            spread = np.sqrt((n**2 - (true**2).sum(axis=-1)) * (n**2 - (predicted**2).sum(axis=-1)))
            return _ratio(right.sum(axis=-1) * n - both, spread)
        case CountMetric.KAPPA:
            expected = (true * predicted).sum(axis=-1)
            return _ratio(right.sum(axis=-1) * n - expected, n**2 - expected)
        case CountMetric.PRECISION:
            over, under = right, predicted
        case CountMetric.RECALL:
            over, under = right, true
        case CountMetric.F1:
            over, under = 2 * right, true + predicted
    match average:
        case Average.BINARY:
            if positive is None:
                raise InvalidError("which class is the positive one is not said")
            return _ratio(over[..., positive], under[..., positive])
        case Average.MICRO:
            return _ratio(over.sum(axis=-1), under.sum(axis=-1))
        case Average.MACRO:
            is_there = (true + predicted > 0).sum(axis=-1)
            return _ratio(_ratio(over, under).sum(axis=-1), is_there)
        case Average.WEIGHTED:
            return _ratio((_ratio(over, under) * true).sum(axis=-1), n)


def compare_count_metric(
    y_true: ArrayLike,
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    metric: CountMetric,
    average: Average = Average.MACRO,
    positive: object = None,
    groups: ArrayLike | None = None,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> PairedResult:
    """Difference of a metric of labels between two versions on the same rows.

    The interval is that of the bootstrap: rows, or groups of rows, are drawn with replacement, by
    a multinomial on their kinds (see `detent.stats.resampling`). The p-value exchanges the answers
    of both versions at random, row by row or group by group, as if it did not matter whose they
    are.

    Parameters
    ----------
    y_true, baseline, candidate : array, shape (n_samples,)
        True labels and both versions' answers; 2 units or more.
    metric : CountMetric
        What to compare.
    average : Average, default=MACRO
        Of precision, recall and F1 of several classes.
    positive : object, optional
        The label that counts, for ``Average.BINARY``; by default the greater of two.
    groups : array, shape (n_samples,), optional
        To whom a row belongs, where rows are not independent.
    claim : Claim, default=DIFFERENT
        What the rows are asked to show.
    confidence : float, default=0.95
        Nominal coverage, between 0 and 1.
    n_resamples : int, default=10000
        Resamples of the interval, and exchanges of the p-value.
    seed : int, default=0
        Of both: the same seed gives the same result.

    Returns
    -------
    PairedResult
        In shares of 1.

    Raises
    ------
    InvalidError
        If the rows are too few or do not match, the positive label does not occur, kappa is
        undefined (one class only), or an argument is out of its range.

    Examples
    --------
    >>> y_true = [0, 1] * 50
    >>> baseline, candidate = [0] * 20 + [0, 1] * 40, [0] * 10 + [0, 1] * 45
    >>> result = compare_count_metric(
    ...     y_true, baseline, candidate, metric=CountMetric.F1, average=Average.BINARY)
    >>> f"{result.baseline:.3f} to {result.candidate:.3f}: {result.difference:+.3f}"
    '0.889 to 0.947: +0.058'
    """
    cells = count_cells(y_true, baseline, candidate, groups=groups)
    return compare_cells(
        cells,
        metric=metric,
        average=average,
        positive=positive,
        claim=claim,
        confidence=confidence,
        n_resamples=n_resamples,
        seed=seed,
    )


def compare_cells(
    cells: Cells,
    *,
    metric: CountMetric,
    average: Average = Average.MACRO,
    positive: object = None,
    claim: Claim = Claim.DIFFERENT,
    confidence: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> PairedResult:
    """Do what `compare_count_metric` does, for rows that are counted already.

    Counting is most of the time: count once for several metrics of the same rows.

    Parameters
    ----------
    cells : Cells
        From `count_cells`.
    metric, average, positive, claim, confidence, n_resamples, seed
        As for `compare_count_metric`.

    Returns
    -------
    PairedResult
        In shares of 1.

    Raises
    ------
    InvalidError
        As `compare_count_metric`.
    """
    if cells.n_units < 2:
        raise InvalidError("1 unit is not enough to see how much they vary: 2 or more are needed")
    place = _positive_index(cells, average, positive) if _averages(metric) else None

    def values(old: Tallies, new: Tallies) -> tuple[Floats, Floats]:
        first, second = (
            count_metric(one, metric, average=average, positive=place) for one in (old, new)
        )
        return first, second

    def of_counts(counts: Ints | Floats) -> tuple[Floats, Floats]:
        old, new = (cells.tallies(counts, who) for who in (cells.baseline, cells.candidate))
        return values(old, new)

    if metric is CountMetric.KAPPA:
        _check_kappa(cells)
    before, after = (float(value) for value in of_counts(cells.counts))
    rng = np.random.default_rng(seed)
    draws = []
    for drawn in multinomial_blocks(cells.unit_counts, n_resamples=n_resamples, rng=rng):
        resampled_old, resampled_new = of_counts(drawn @ cells.units)
        draws.append(resampled_new - resampled_old)
    resampled = np.concatenate(draws)
    better, worse = _swap_p(cells, values, after - before, n_resamples=n_resamples, rng=rng)
    named = metric if not _averages(metric) else f"{average} {metric}"
    caveats = []
    if cells.disagreements == 0:
        caveats.append("the versions answer all rows alike, so the interval has no width")
    return PairedResult(
        baseline=before,
        candidate=after,
        difference=after - before,
        interval=percentile_interval(resampled, confidence),
        p=p_of(claim, better=better, worse=worse),
        claim=claim,
        standard_error=float(resampled.std()),
        n=cells.n_units,
        method=f"bootstrap of the cells of {named}, {n_resamples:,} resamples, seed {seed}",
        caveats=tuple(caveats),
    )


def _swap_p(
    cells: Cells,
    values: Callable[[Tallies, Tallies], tuple[Floats, Floats]],
    observed: float,
    *,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return p for "better" and "worse" among random exchanges of both versions' answers."""
    above = below = 1  # the observed rows are one exchange more
    for swapped in swap_blocks(cells.unit_counts, n_resamples=n_resamples, rng=rng):
        moved = swapped @ cells.units
        stayed = cells.counts - moved
        kept = [cells.tallies(stayed, who) for who in (cells.baseline, cells.candidate)]
        taken = [cells.tallies(moved, who) for who in (cells.candidate, cells.baseline)]
        old, new = (_sum(a, b) for a, b in zip(kept, taken, strict=True))
        first, second = values(old, new)
        above += int(np.count_nonzero(second - first >= observed - _ROUNDING))
        below += int(np.count_nonzero(second - first <= observed + _ROUNDING))
    return above / (n_resamples + 1), below / (n_resamples + 1)


def _sum(a: Tallies, b: Tallies) -> Tallies:
    return Tallies(
        right=a.right + b.right, true=a.true + b.true, predicted=a.predicted + b.predicted
    )


def _averages(metric: CountMetric) -> bool:
    return metric in (CountMetric.PRECISION, CountMetric.RECALL, CountMetric.F1)


def _positive_index(cells: Cells, average: Average, positive: object) -> int | None:
    if average is not Average.BINARY:
        return None
    labels: list[object] = cells.labels.tolist()
    if positive is None:
        if len(labels) > 2:
            raise InvalidError(
                f"there are {len(labels)} classes: say which is the positive one, or average them"
            )
        return len(labels) - 1
    if positive not in labels:
        raise InvalidError(f"the positive label {positive!r} does not occur in any row")
    return labels.index(positive)


def _check_kappa(cells: Cells) -> None:
    for answers in (cells.baseline, cells.candidate):
        if len(np.unique(np.concatenate([cells.true, answers]))) == 1:
            raise InvalidError("kappa is undefined: all rows and all answers are of one class")


def _ratio(over: Floats, under: Floats) -> Floats:
    """Divide; 0 by 0 is 0."""
    return np.divide(over, under, out=np.zeros(np.shape(over)), where=np.asarray(under) > 0)
