"""Two versions on the same rows: every metric, every slice, and what they answer differently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.comparison.differences import find_difference
from detent.comparison.measures import MEASURES, Kind, Measure, own_measure
from detent.comparison.outcomes import Pair
from detent.comparison.verdict import judge, level_of_use
from detent.domain.evidence import (
    Comparison,
    Difference,
    Evaluation,
    Metric,
    Ranking,
    SliceDifference,
    Verdict,
)
from detent.domain.version import Version
from detent.errors import InvalidError
from detent.stats.multiplicity import holm

EXAMPLES = 20  # ids of newly wrong rows that are shown
_TELLING = 5  # disagreements in a slice below which nothing could ever be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: the version, and its evaluation."""

    version: Version
    evaluation: Evaluation


def compare_pair(
    pair: Pair, baseline: Side, candidate: Side, *, use: int = 1, metrics: Sequence[str] = ()
) -> Comparison:
    """Compare two versions in each metric that both were evaluated in, and on each slice.

    The first metric is the main one: slices are compared in it.

    Parameters
    ----------
    pair : Pair
        What both answered; 1 row or more.
    baseline, candidate : Side
        The version in place and the one offered.
    use : int, default=1
        The how-many-th candidate is judged on these rows: the evidence asked for grows with it.
    metrics : sequence of str, optional
        Which metrics; by default all that both have.
    """
    shared = [
        metric
        for metric in candidate.evaluation.metrics
        if metric.name in {other.name for other in baseline.evaluation.metrics}
        and (not metrics or metric.name in metrics)
    ]
    alpha = level_of_use(use)
    before = {metric.name: metric.value for metric in baseline.evaluation.metrics}
    differences = tuple(
        _difference(pair, metric, before[metric.name], alpha=alpha) for metric in shared
    )
    is_labels = pair.candidate.y_true.dtype.kind != "f"
    wrong = pair.baseline.is_right & ~pair.candidate.is_right
    return Comparison(
        model=candidate.version.model,
        baseline=baseline.version.number,
        candidate=candidate.version.number,
        dataset=candidate.evaluation.dataset,
        dataset_digest=candidate.evaluation.dataset_digest,
        n_rows=len(pair),
        differences=differences,
        n_changed=int(np.count_nonzero(pair.is_changed)),
        newly_wrong=int(np.count_nonzero(wrong)) if is_labels else None,
        newly_right=int(np.count_nonzero(pair.candidate.is_right & ~pair.baseline.is_right))
        if is_labels
        else None,
        newly_wrong_rows=tuple(_names(pair, wrong)) if is_labels else (),
        baseline_size_bytes=baseline.version.size_bytes,
        candidate_size_bytes=candidate.version.size_bytes,
        baseline_one_row_s=baseline.evaluation.one_row_s,
        candidate_one_row_s=candidate.evaluation.one_row_s,
        evaluations=(baseline.evaluation.id, candidate.evaluation.id),
        use=use,
        n_groups=pair.n_groups,
        unmatched=pair.unmatched,
        slices=slice_differences(pair, measure_of(shared[0], pair), alpha=alpha) if shared else (),
        calibration_errors=_calibration_errors(pair),
    )


def _calibration_errors(pair: Pair) -> tuple[float, float] | None:
    """Return both expected calibration errors; None where either gives no probabilities.

    Of the probability that each version gave to its own answer: one number, however many classes.
    """
    from detent.stats.calibration import calibration_error

    found = []
    for one in (pair.baseline, pair.candidate):
        if one.proba is None or one.classes is None or len(one) == 0:
            return None
        order = np.argsort(one.classes)
        place = np.searchsorted(one.classes, one.y_pred, sorter=order)
        answer = order[np.minimum(place, len(order) - 1)]
        if (one.classes[answer] != one.y_pred).any():
            return None
        try:
            found.append(calibration_error(one.proba[np.arange(len(one)), answer], one.is_right))
        except InvalidError:  # what the model calls probabilities is missing or not in [0, 1]
            return None
    return found[0], found[1]


def measure_of(metric: Metric, pair: Pair) -> Measure:
    """Return how a metric that was computed is compared."""
    known = MEASURES.get(metric.name)
    return known or own_measure(
        metric.name, pair.candidate, greater_is_better=metric.greater_is_better
    )


def _difference(pair: Pair, metric: Metric, before: float, *, alpha: float) -> Difference:
    measure = measure_of(metric, pair)
    plain = Difference(
        metric=metric.name,
        baseline=before,
        candidate=metric.value,
        n=metric.n,
        greater_is_better=metric.greater_is_better,
    )
    if measure.kind is Kind.ONE_NUMBER:
        return replace(
            plain,
            verdict=Verdict.UNDECIDED if measure.greater_is_better is not None else None,
            caveats=("one number for all rows: one number for each row would give an interval",),
        )
    if measure.greater_is_better is None:
        return replace(plain, caveats=("it declares no direction",))
    try:
        return find_difference(pair, measure, alpha=alpha)
    except InvalidError as error:
        return replace(plain, verdict=Verdict.UNDECIDED, caveats=(error.message,))


def _names(pair: Pair, rows: NDArray[np.bool_]) -> Iterator[str]:
    ids = pair.candidate.ids
    for i in np.flatnonzero(rows)[:EXAMPLES].tolist():
        yield str(i if ids is None else ids[i])


def slice_differences(
    pair: Pair, measure: Measure, *, alpha: float, names: Sequence[str] = ()
) -> tuple[SliceDifference, ...]:
    """Compare two versions on each part of each slice, the worst first.

    That a part is worse is claimed with Holm's correction for their number. A part in which fewer
    than 5 rows are answered differently cannot tell.

    Parameters
    ----------
    pair : Pair
        What both answered.
    measure : Measure
        The metric.
    alpha : float
        Allowed probability that any part is called worse wrongly.
    names : sequence of str, optional
        Which slices; by default all.
    """
    parts = [
        (part, pair.candidate.slices[name] == part)
        for name in pair.candidate.slices
        if not names or name in names
        for part in np.unique(pair.candidate.slices[name]).tolist()
    ]
    found = [_slice(pair, measure, part, rows, alpha) for part, rows in parts]
    telling = [one for one in found if one.can_tell and one.p_worse is not None]
    corrected = holm([one.p_worse for one in telling if one.p_worse is not None])
    by_name = dict(zip([one.slice for one in telling], corrected, strict=True))
    result = [
        replace(one, p_worse=by_name[one.slice], is_worse=by_name[one.slice] <= alpha)
        if one.slice in by_name
        else one
        for one in found
    ]
    return tuple(sorted(result, key=lambda one: (-one.is_worse, not one.can_tell, _gain(one))))


def _slice(
    pair: Pair, measure: Measure, title: str, rows: NDArray[Any], alpha: float
) -> SliceDifference:
    part = pair.take(rows)
    try:
        difference: Difference | None = find_difference(part, measure, alpha=alpha)
    except InvalidError:  # too few rows, or of one class only
        difference = None
    telling = int(np.count_nonzero(part.is_changed)) >= _TELLING
    return SliceDifference(
        slice=title,
        n=len(part),
        difference=difference,
        p_worse=difference.p_worse if difference is not None and telling else None,
        is_worse=False,
        can_tell=telling and difference is not None,
    )


def _gain(one: SliceDifference) -> float:
    if one.difference is None:
        return 0.0
    return one.difference.value if one.difference.greater_is_better else -one.difference.value


def rank(comparisons: Sequence[Comparison]) -> Ranking:
    """Order several candidates that were each compared with one baseline.

    "Better" and "worse" are corrected for their number by Holm's method; those that are not worse
    come first, by the limit that they are at worst at.
    """
    mains = [comparison.differences[0] for comparison in comparisons]
    better = holm([one.p_better if one.p_better is not None else 1.0 for one in mains])
    worse = holm([one.p_worse if one.p_worse is not None else 1.0 for one in mains])
    judged = []
    for comparison, main, p_better, p_worse in zip(comparisons, mains, better, worse, strict=True):
        if main.at_worst is None or main.margin is None or main.alpha is None:
            judged.append((comparison, -np.inf))
            continue
        gain = main.at_worst if main.greater_is_better else -main.at_worst
        verdict = judge(
            gain_at_worst=gain,
            margin=main.margin,
            is_better=p_better <= main.alpha,
            is_worse=p_worse <= main.alpha,
        )
        main = replace(main, verdict=verdict, p_better=p_better, p_worse=p_worse)
        differences = (main, *comparison.differences[1:])
        judged.append((replace(comparison, differences=differences), gain))
    order = {Verdict.BETTER: 0, Verdict.NOT_WORSE: 0, Verdict.WORSE_WITHIN_MARGIN: 1}
    judged.sort(key=lambda item: (order.get(item[0].verdict or Verdict.WORSE, 2), -item[1]))
    return Ranking(comparisons=tuple(comparison for comparison, _ in judged))
