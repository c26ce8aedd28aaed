"""The metrics that are computed, by scikit-learn's names and by scikit-learn itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from detent.comparison.differences import CONFIDENCE
from detent.comparison.intervals import find_interval
from detent.comparison.measures import DEFAULT, MEASURES, Measure, obstacle, own_measure
from detent.comparison.outcomes import Outcomes
from detent.domain.evidence import Metric, OwnMetric
from detent.errors import InvalidError

Function = Callable[..., float]


def compute_metrics(
    outcomes: Outcomes, *, task: str, wanted: Sequence[str | OwnMetric] | None = None
) -> tuple[tuple[Metric, ...], Outcomes]:
    """Return metrics of a version's answers with their intervals, the main one first.

    Parameters
    ----------
    outcomes : Outcomes
        True values and answers; 1 row or more.
    task : {"classification", "regression"}
        What the version does.
    wanted : sequence of str or OwnMetric, optional
        Which metrics; by default the usual ones of the task that these answers allow.

    Returns
    -------
    metrics : tuple of Metric
        In the order in which they were asked for.
    outcomes : Outcomes
        With the rows' values of own metrics.

    Raises
    ------
    InvalidError
        If a metric is unknown, is not of this task, or cannot be computed from these answers.
    """
    if wanted is None:
        wanted = [n for n in DEFAULT[task] if obstacle(MEASURES[n], outcomes, task) is None]
    elif not wanted:
        raise InvalidError("no metric was named; nothing was recorded")
    values: dict[str, NDArray[np.float64]] = {}
    found: list[tuple[Measure, float]] = []
    for one in wanted:
        if isinstance(one, OwnMetric):
            value, rows = _own(one, outcomes)
            if rows is not None:
                values[one.name] = rows
            stored = Outcomes(y_true=outcomes.y_true, y_pred=outcomes.y_pred, values=values)
            measure = own_measure(one.name, stored, greater_is_better=one.greater_is_better)
        else:
            measure, value = _known(one, outcomes, task)
        if measure.name in [other.name for other, _ in found]:
            raise InvalidError(f"`{measure.name}` was asked for twice; nothing was recorded")
        found.append((measure, value))
    kept = replace(outcomes, values=values)
    return tuple(_metric(measure, value, kept) for measure, value in found), kept


def _metric(measure: Measure, value: float, outcomes: Outcomes) -> Metric:
    interval = find_interval(outcomes, measure)
    return Metric(
        name=measure.name,
        value=value,
        n=len(outcomes),
        greater_is_better=measure.greater_is_better,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        confidence=CONFIDENCE if interval else None,
    )


def _known(name: str, outcomes: Outcomes, task: str) -> tuple[Measure, float]:
    measure = MEASURES.get(name)
    if measure is None:
        known = ", ".join(key for key, one in MEASURES.items() if one.task == task)
        raise InvalidError(
            f"there is no metric `{name}`; nothing was recorded",
            hint=f"{known}; or one of your own, from Python",
        )
    reason = obstacle(measure, outcomes, task)
    if reason is not None:
        raise InvalidError(f"{reason}; nothing was recorded")
    value = float(_FUNCTIONS[name](outcomes))
    if not np.isfinite(value):
        raise InvalidError(
            f"`{name}` of these {len(outcomes):,} rows is not a number; nothing was recorded"
        )
    return measure, value


def _own(metric: OwnMetric, outcomes: Outcomes) -> tuple[float, NDArray[np.float64] | None]:
    name = metric.name
    if name in MEASURES or not name.isprintable() or not name.strip():
        raise InvalidError(
            f"`{name}` cannot be the name of an own metric: it is one of scikit-learn's, or not"
            " printable; nothing was recorded"
        )
    try:
        result = np.asarray(metric.function(outcomes.y_true, outcomes.y_pred), dtype=np.float64)
    except Exception as error:
        text = str(error).strip().split("\n")[0][:300]
        raise InvalidError(
            f"the metric `{name}` raised {type(error).__name__}: {text}; nothing was recorded"
        ) from error
    if result.shape not in ((), (len(outcomes),)):
        raise InvalidError(
            f"the metric `{name}` gave the shape {result.shape}: one number, or one for each of"
            f" {len(outcomes):,} rows, is expected; nothing was recorded"
        )
    if not np.isfinite(result).all():
        n_bad = int(np.count_nonzero(~np.isfinite(result)))
        raise InvalidError(
            f"the metric `{name}` gave {n_bad:,} values that are NaN or infinite; nothing was"
            " recorded"
        )
    if result.shape == ():
        return float(result), None
    return float(np.average(result, weights=outcomes.sample_weight)), result


def _labels(function: Function, **options: Any) -> Callable[[Outcomes], float]:
    def compute(outcomes: Outcomes) -> float:
        return function(
            outcomes.y_true, outcomes.y_pred, sample_weight=outcomes.sample_weight, **options
        )

    return compute


def _binary(function: Function) -> Callable[[Outcomes], float]:
    def compute(outcomes: Outcomes) -> float:
        return function(
            outcomes.y_true,
            outcomes.y_pred,
            pos_label=_classes(outcomes)[-1],
            zero_division=0,
            sample_weight=outcomes.sample_weight,
        )

    return compute


def _classes(outcomes: Outcomes) -> list[Any]:
    labels = np.unique(outcomes.y_true) if outcomes.classes is None else outcomes.classes
    return list(labels.tolist())


def _log_loss(outcomes: Outcomes) -> float:
    return float(
        sk.log_loss(
            outcomes.y_true,
            outcomes.proba,
            labels=outcomes.classes,
            sample_weight=outcomes.sample_weight,
        )
    )


def _brier(outcomes: Outcomes) -> float:
    rows = MEASURES["brier_score_loss"].rows
    assert rows is not None
    # scikit-learn's own takes several classes only in newer releases.
    return float(np.average(rows(outcomes), weights=outcomes.sample_weight))


def _roc_auc(outcomes: Outcomes) -> float:
    is_positive = outcomes.y_true == _classes(outcomes)[-1]
    return float(
        sk.roc_auc_score(is_positive, outcomes.positive_score, sample_weight=outcomes.sample_weight)
    )


_FUNCTIONS: Mapping[str, Callable[[Outcomes], float]] = {
    "accuracy": _labels(sk.accuracy_score),
    "balanced_accuracy": _labels(sk.balanced_accuracy_score),
    "matthews_corrcoef": _labels(sk.matthews_corrcoef),
    "cohen_kappa": _labels(sk.cohen_kappa_score),
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "brier_score_loss": _brier,
    "mean_absolute_error": _labels(sk.mean_absolute_error),
    "mean_squared_error": _labels(sk.mean_squared_error),
    "root_mean_squared_error": lambda o: float(np.sqrt(_labels(sk.mean_squared_error)(o))),
    "r2": _labels(sk.r2_score),
    **{
        f"{name}_{average}": _labels(function, average=average, zero_division=0)
        for name, function in (
            ("f1", sk.f1_score),
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
        )
        for average in ("macro", "micro", "weighted")
    },
    "f1": _binary(sk.f1_score),
    "precision": _binary(sk.precision_score),
    "recall": _binary(sk.recall_score),
}
