"""The metrics that are computed, by scikit-learn's names, each with its direction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from detent.domain.evidence import Metric
from detent.errors import InvalidError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """True values and a version's answers. ``proba`` has one column per class in ``classes``."""

    y_true: Array
    y_pred: Array
    proba: Array | None = None
    classes: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    compute: Callable[[Answers], float]
    greater_is_better: bool
    task: str  # classification or regression
    needs_proba: bool = False
    binary_only: bool = False


def _of_labels(function: Callable[..., float], **options: Any) -> Callable[[Answers], float]:
    return lambda answers: float(function(answers.y_true, answers.y_pred, **options))


def _log_loss(answers: Answers) -> float:
    return float(sk.log_loss(answers.y_true, answers.proba, labels=answers.classes))


def _roc_auc(answers: Answers) -> float:
    assert answers.proba is not None
    assert answers.classes is not None
    return float(sk.roc_auc_score(answers.y_true == answers.classes[1], answers.proba[:, 1]))


def _classification(compute: Callable[[Answers], float], **options: Any) -> _Kind:
    settings = {"greater_is_better": True} | options
    return _Kind(compute=compute, task="classification", **settings)


def _regression(compute: Callable[[Answers], float], *, greater_is_better: bool) -> _Kind:
    return _Kind(compute=compute, greater_is_better=greater_is_better, task="regression")


_KINDS: dict[str, _Kind] = {
    "accuracy": _classification(_of_labels(sk.accuracy_score)),
    "balanced_accuracy": _classification(_of_labels(sk.balanced_accuracy_score)),
    "f1_macro": _classification(_of_labels(sk.f1_score, average="macro", zero_division=0)),
    "precision_macro": _classification(
        _of_labels(sk.precision_score, average="macro", zero_division=0)
    ),
    "recall_macro": _classification(_of_labels(sk.recall_score, average="macro", zero_division=0)),
    "log_loss": _classification(_log_loss, greater_is_better=False, needs_proba=True),
    "roc_auc": _classification(_roc_auc, needs_proba=True, binary_only=True),
    "r2": _regression(_of_labels(sk.r2_score), greater_is_better=True),
    "mean_absolute_error": _regression(_of_labels(sk.mean_absolute_error), greater_is_better=False),
    "mean_squared_error": _regression(_of_labels(sk.mean_squared_error), greater_is_better=False),
}
_DEFAULT = {
    "classification": ("accuracy", "f1_macro", "log_loss", "roc_auc"),
    "regression": ("r2", "mean_absolute_error", "mean_squared_error"),
}


def compute_metrics(
    answers: Answers, *, task: str, names: Sequence[str] | None = None
) -> tuple[Metric, ...]:
    """Return metrics of a version's answers.

    Parameters
    ----------
    answers : Answers
        True values and answers, ``n_samples`` of each.
    task : {"classification", "regression"}
        What the version does.
    names : sequence of str, optional
        Which metrics; by default the usual ones of the task that these answers allow.

    Raises
    ------
    InvalidError
        If a metric is unknown, is not of this task, or cannot be computed from these answers.
    """
    wanted = (
        list(names)
        if names is not None
        else [name for name in _DEFAULT[task] if _obstacle(name, answers, task) is None]
    )
    found = []
    for name in wanted:
        obstacle = _obstacle(name, answers, task)
        if obstacle is not None:
            raise InvalidError(f"{obstacle}; nothing was recorded")
        kind = _KINDS[name]
        value = kind.compute(answers)
        if not np.isfinite(value):
            raise InvalidError(
                f"`{name}` of these {len(answers.y_true):,} rows is not a number; nothing was"
                " recorded"
            )
        found.append(
            Metric(
                name=name,
                value=value,
                n=len(answers.y_true),
                greater_is_better=kind.greater_is_better,
            )
        )
    return tuple(found)


def _obstacle(name: str, answers: Answers, task: str) -> str | None:
    kind = _KINDS.get(name)
    if kind is None:
        known = ", ".join(sorted(key for key, kind in _KINDS.items() if kind.task == task))
        return f"there is no metric `{name}`: {known} are known"
    if kind.task != task:
        return f"`{name}` is a metric of {kind.task}, and this model does {task}"
    if kind.needs_proba and answers.proba is None:
        return f"`{name}` needs probabilities, and this model gives none"
    if kind.needs_proba:
        assert answers.classes is not None
        unseen = sorted(set(answers.y_true.tolist()) - set(answers.classes.tolist()), key=str)
        if unseen:
            return f"`{name}` cannot be computed: the model never saw the classes {unseen[:5]}"
    if kind.binary_only and (answers.classes is None or len(answers.classes) != 2):
        return f"`{name}` is for two classes"
    if kind.binary_only and len(set(answers.y_true.tolist())) != 2:
        return f"`{name}` needs rows of both classes"
    if name == "r2" and len(answers.y_true) < 2:
        return "`r2` needs two rows or more"
    return None
