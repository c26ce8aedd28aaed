"""All that the answers of two versions show, in the order in which it is looked at."""

from __future__ import annotations

from detent.charts import answers, scores
from detent.charts.chart import Chart
from detent.comparison.outcomes import Pair

_CHARTS = (
    scores.roc,
    scores.precision_recall,
    scores.calibration,
    answers.confusion,
    answers.residuals,
    answers.error_by_decile,
)


def overlays(pair: Pair, *, baseline: int, candidate: int) -> list[Chart]:
    """Return the charts of two versions laid over each other; only those that these rows allow.

    Parameters
    ----------
    pair : Pair
        What both answered.
    baseline, candidate : int
        The numbers of the versions.
    """
    found = [chart(pair, baseline=baseline, candidate=candidate) for chart in _CHARTS]
    return [chart for chart in found if chart is not None]
