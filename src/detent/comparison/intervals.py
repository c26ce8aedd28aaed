"""The value of one metric of one version, and the interval of it."""

from __future__ import annotations

import numpy as np

from detent.comparison.differences import CONFIDENCE
from detent.comparison.measures import Kind, Measure
from detent.comparison.outcomes import Outcomes
from detent.stats.interval import Interval


def find_interval(outcomes: Outcomes, measure: Measure) -> Interval | None:
    """Return the 95 % interval of a metric; None where these rows allow none.

    Wilson's for right answers, DeLong's for an area, Student's t for means (of groups where there
    are groups), the bootstrap for counts of labels.
    """
    if outcomes.sample_weight is not None:
        return None
    match measure.kind:
        case Kind.RIGHT if outcomes.groups is None:
            from detent.stats.proportions import wilson_interval

            n_right = int(np.count_nonzero(outcomes.is_right))
            return wilson_interval(n_right, len(outcomes), confidence=CONFIDENCE)
        case Kind.RIGHT | Kind.MEAN:
            return _mean(outcomes, measure)
        case Kind.AREA:
            return _area(outcomes)
        case Kind.COUNTS:
            return _counts(outcomes, measure)
    return None


def _mean(outcomes: Outcomes, measure: Measure) -> Interval | None:
    from detent.stats.groups import group_means
    from detent.stats.means import paired_t

    assert measure.rows is not None
    rows = measure.rows(outcomes)
    units = rows if outcomes.groups is None else group_means(rows, outcomes.groups)
    if len(units) < 2:
        return None
    result = paired_t(np.zeros(len(units)), units, greater_is_better=True, confidence=CONFIDENCE)
    return result.interval if result.standard_error > 0 else None


def _area(outcomes: Outcomes) -> Interval | None:
    from detent.stats.auc import auc_interval, auc_table

    score = outcomes.positive_score
    labels = np.unique(outcomes.y_true)
    counts = [int(np.count_nonzero(outcomes.y_true == label)) for label in labels]
    if score is None or min(counts) < 2:
        return None
    if outcomes.groups is not None and len(np.unique(outcomes.groups)) < 2:
        return None
    table = auc_table(outcomes.y_true == labels[-1], [score], groups=outcomes.groups)
    return auc_interval(table, confidence=CONFIDENCE)


def _counts(outcomes: Outcomes, measure: Measure) -> Interval | None:
    from detent.stats.cells import count_cells
    from detent.stats.count_metrics import count_metric
    from detent.stats.resampling import N_RESAMPLES, multinomial_blocks, percentile_interval

    assert measure.count is not None
    cells = count_cells(outcomes.y_true, outcomes.y_pred, outcomes.y_pred, groups=outcomes.groups)
    if len(cells.unit_counts) < 2:
        return None  # all units are alike: resampling them shows no spread
    rng = np.random.default_rng(0)
    draws = [
        count_metric(
            cells.tallies(block @ cells.units, cells.candidate),
            measure.count,
            average=measure.average,
            positive=len(cells.labels) - 1 if measure.is_binary else None,
        )
        for block in multinomial_blocks(cells.unit_counts, n_resamples=N_RESAMPLES, rng=rng)
    ]
    return percentile_interval(np.concatenate(draws), CONFIDENCE)
