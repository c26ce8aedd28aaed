"""The metrics: by which paired method each is compared, and which direction is better.

A metric is *right answers* (four counts), a *mean* of one number a row, an *area* under a ROC
curve, *counts* of labels (F1 and its like), or *curved*: a function of means, which is taken as
straight between the two versions. An own metric that gives one number for all rows has no method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from detent.comparison.outcomes import Outcomes
from detent.errors import InvalidError
from detent.stats.arrays import Floats
from detent.stats.count_metrics import Average, CountMetric


class Kind(StrEnum):
    """What a metric depends on, and so the method that compares it."""

    RIGHT = "right answers"
    MEAN = "mean"
    AREA = "area"
    COUNTS = "counts"
    CURVED = "curved"
    ONE_NUMBER = "one number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric. ``is_loss`` says that margins are a share of the baseline's value."""

    name: str
    kind: Kind
    greater_is_better: bool | None = True
    task: str = "classification"
    rows: Callable[[Outcomes], Floats] | None = None
    count: CountMetric | None = None
    average: Average = Average.MACRO
    needs_proba: bool = False
    needs_score: bool = False
    is_binary: bool = False

    @property
    def is_loss(self) -> bool:
        """Whether its unit is that of the data, so that a margin is a share of the baseline."""
        return self.kind is not Kind.RIGHT and self.rows is not None and self.name != "r2"


def _log_loss(outcomes: Outcomes) -> Floats:
    proba = _of_truth(outcomes)
    tiny = np.finfo(proba.dtype).eps
    return np.asarray(-np.log(np.clip(proba, tiny, 1 - tiny)))


def _brier(outcomes: Outcomes) -> Floats:
    proba, _ = _proba(outcomes)
    squares = (proba**2).sum(axis=1) - 2 * _of_truth(outcomes) + 1
    # With two classes both columns err alike: the usual score counts one of them.
    return np.asarray(squares / 2 if proba.shape[1] == 2 else squares)


def _of_truth(outcomes: Outcomes) -> Floats:
    proba, index = _proba(outcomes)
    return np.asarray(proba[np.arange(len(index)), index])


def _proba(outcomes: Outcomes) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    proba, classes = outcomes.proba, outcomes.classes
    if proba is None or classes is None:
        raise InvalidError("this metric needs probabilities, and none were kept")
    order = np.argsort(classes)
    place = np.clip(np.searchsorted(classes, outcomes.y_true, sorter=order), 0, len(classes) - 1)
    index = order[place]
    unseen = classes[index] != outcomes.y_true
    if unseen.any():
        names = sorted({str(label) for label in outcomes.y_true[unseen].tolist()})
        raise InvalidError(f"the model never saw the classes {', '.join(names[:5])}")
    return proba, index.astype(np.int64)


def _errors(outcomes: Outcomes) -> Floats:
    return np.asarray(outcomes.y_pred, dtype=np.float64) - np.asarray(
        outcomes.y_true, dtype=np.float64
    )


def _right(outcomes: Outcomes) -> Floats:
    return outcomes.is_right.astype(np.float64)


def _measures() -> Mapping[str, Measure]:
    found = [
        Measure(name="accuracy", kind=Kind.RIGHT, rows=_right),
        Measure(name="roc_auc", kind=Kind.AREA, needs_score=True, is_binary=True),
        Measure(
            name="log_loss",
            kind=Kind.MEAN,
            rows=_log_loss,
            greater_is_better=False,
            needs_proba=True,
        ),
        Measure(
            name="brier_score_loss",
            kind=Kind.MEAN,
            rows=_brier,
            greater_is_better=False,
            needs_proba=True,
        ),
    ]
    for name, count in (
        ("balanced_accuracy", CountMetric.BALANCED_ACCURACY),
        ("matthews_corrcoef", CountMetric.MCC),
        ("cohen_kappa", CountMetric.KAPPA),
    ):
        found.append(Measure(name=name, kind=Kind.COUNTS, count=count))
    for count in (CountMetric.F1, CountMetric.PRECISION, CountMetric.RECALL):
        found.append(
            Measure(
                name=str(count),
                kind=Kind.COUNTS,
                count=count,
                average=Average.BINARY,
                is_binary=True,
            )
        )
        for average in (Average.MACRO, Average.MICRO, Average.WEIGHTED):
            found.append(
                Measure(name=f"{count}_{average}", kind=Kind.COUNTS, count=count, average=average)
            )
    for name, rows, kind in (
        ("mean_absolute_error", lambda o: np.abs(_errors(o)), Kind.MEAN),
        ("mean_squared_error", lambda o: _errors(o) ** 2, Kind.MEAN),
        ("root_mean_squared_error", lambda o: _errors(o) ** 2, Kind.CURVED),
    ):
        found.append(
            Measure(name=name, kind=kind, rows=rows, greater_is_better=False, task="regression")
        )
    found.append(
        Measure(name="r2", kind=Kind.CURVED, rows=lambda o: _errors(o) ** 2, task="regression")
    )
    return {measure.name: measure for measure in found}


MEASURES: Mapping[str, Measure] = _measures()
DEFAULT: Mapping[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "log_loss", "roc_auc"),
    "regression": ("mean_absolute_error", "root_mean_squared_error", "r2"),
}


def own_measure(name: str, outcomes: Outcomes, *, greater_is_better: bool | None) -> Measure:
    """Return the measure of a metric that is not one of ours: a mean where each row has a value."""
    if name in outcomes.values:
        return Measure(
            name=name,
            kind=Kind.MEAN,
            rows=lambda o: o.values[name],
            greater_is_better=greater_is_better,
            task="any",
        )
    return Measure(name=name, kind=Kind.ONE_NUMBER, greater_is_better=greater_is_better, task="any")


def obstacle(measure: Measure, outcomes: Outcomes, task: str) -> str | None:
    """Say why a metric cannot be computed of these outcomes; None when it can."""
    name = measure.name
    if measure.task not in (task, "any"):
        return f"`{name}` is a metric of {measure.task}, and this model does {task}"
    if measure.needs_proba:
        if outcomes.proba is None:
            return f"`{name}` needs probabilities, and this model gives none"
        try:
            _proba(outcomes)
        except InvalidError as error:
            return f"`{name}` cannot be computed: {error.message}"
    labels = np.unique(outcomes.y_true) if measure.is_binary or name == "cohen_kappa" else None
    if measure.is_binary and labels is not None:
        classes = labels if outcomes.classes is None else outcomes.classes
        if len(classes) > 2:
            return f"`{name}` is for two classes, and these are {len(classes)}"
        if not np.isin(labels, classes).all():
            return f"`{name}` cannot be computed: some rows are of classes the model never saw"
        if measure.needs_score and outcomes.positive_score is None:
            return f"`{name}` needs probabilities or scores, and this model gives none"
        if measure.needs_score and len(labels) != 2:
            return f"`{name}` needs rows of both classes"
    if name == "r2" and len(np.unique(outcomes.y_true)) < 2:
        return "`r2` needs rows with different true values"
    return None
