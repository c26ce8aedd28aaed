"""A version's answers to a block of rows, checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor

from detent.compilers.base import Methods
from detent.compilers.make import check_form
from detent.data.table import column_names, digest_table, n_rows
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError

Array = NDArray[Any]

_TIMED_ROWS = 20
_TIMED_S = 0.5  # spent at most on timing single rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A version to be evaluated, loaded.

    ``columns`` are those that it takes, in its order; None takes rows as they are. ``form`` is its
    compiled form: the compiler, and what it answers in the place of ``model``.
    """

    version: Version
    model: Any
    columns: tuple[str, ...] | None = None
    form: tuple[str, Methods] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a version says of itself: its task where it is an estimator, its classes, its pace."""

    task: str | None
    classes: Array | None
    one_row_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a version answers to a block of rows, and the digest of these as it takes them.

    ``traits`` come with the first block only.
    """

    y_pred: Array
    proba: Array | None
    score: Array | None
    rows: str
    traits: Traits | None = None


@dataclass(slots=True)
class _Taken:
    """A block of rows as each set of columns sees it: versions of one signature share it."""

    block: Any
    _known: dict[tuple[str, ...] | None, tuple[Any, str]] = field(default_factory=dict)

    def by(self, columns: tuple[str, ...] | None) -> tuple[Any, str]:
        if columns not in self._known:
            X = select_columns(self.block, columns)
            self._known[columns] = X, digest_table(X)
        return self._known[columns]


def select_columns(block: Any, columns: tuple[str, ...] | None) -> Any:
    """Return some columns of a block, in their order; the block itself for None."""
    if columns is None or column_names(block) == columns:
        return block
    return block[list(columns)] if hasattr(block, "iloc") else block.select(list(columns))


def answer(subjects: Sequence[Subject], block: Any, *, start: int, dataset: str) -> list[Answers]:
    """Return what each version answers to a block of rows.

    Parameters
    ----------
    subjects : sequence of Subject
        The versions.
    block : table-like of shape (n_samples, n_features)
        The rows.
    start : int
        The number of the first one in the data set.
    dataset : str
        The name of the data set, for errors.

    Raises
    ------
    InvalidError
        If a version cannot answer these rows.
    RefusedError
        If its compiled form answers one of them otherwise than the model.
    """
    taken, n = _Taken(block), n_rows(block)
    found = []
    for subject in subjects:
        X, rows = taken.by(subject.columns)
        answers = replace(_predict(subject, X, n), rows=rows)
        if subject.form is not None:
            compiler, methods = subject.form
            check_form(
                subject.model,
                methods,
                [X],
                compiler=compiler,
                what=f"of `{dataset}`",
                done="nothing was recorded",
                first_row=start,
            )
        found.append(answers if start else replace(answers, traits=_traits(subject, X, n)))
    return found


def _predict(subject: Subject, X: Any, n: int) -> Answers:
    model, version = subject.model, subject.version
    try:
        y_pred = np.asarray(model.predict(X))
        proba = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
        score = None
        if proba is None and hasattr(model, "decision_function"):
            score = np.asarray(model.decision_function(X))
    except DetentError:
        raise
    except Exception as error:
        text = str(error).strip().split("\n")[0][:300]
        raise InvalidError(
            f"`{version}` could not predict these rows: {type(error).__name__}: {text}; nothing"
            " was recorded"
        ) from error
    if y_pred.ndim == 2 and y_pred.shape[1] == 1:
        y_pred = y_pred[:, 0]
    if y_pred.shape != (n,):
        raise InvalidError(
            f"`{version}` gave answers of the shape {y_pred.shape} for {n:,} rows:"
            f" ({n},) is expected; nothing was recorded"
        )
    for what, array in (("answers", y_pred), ("probabilities", proba), ("scores", score)):
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            n_bad = int(np.count_nonzero(~np.isfinite(array)))
            raise InvalidError(
                f"`{version}` gave {n_bad:,} {what} that are NaN or infinite; nothing was recorded"
            )
    return Answers(y_pred=y_pred, proba=proba, score=score, rows="")


def _traits(subject: Subject, X: Any, n: int) -> Traits:
    model = subject.model
    classes = getattr(model, "classes_", None)
    quickest = (subject.form[1] if subject.form else {}).get("predict", model.predict)
    return Traits(
        task=_task(model),
        classes=None if classes is None or isinstance(classes, list) else np.asarray(classes),
        one_row_s=_time_one_row(quickest, X, n),
    )


def _task(model: Any) -> str | None:
    try:
        if is_classifier(model):
            return "classification"
        if is_regressor(model):
            return "regression"
    except (AttributeError, TypeError):  # not an estimator of scikit-learn
        pass
    return None


def _time_one_row(predict: Callable[[Any], Any], X: Any, n: int) -> float | None:
    """Return the median time of predicting one row, in seconds."""
    times: list[float] = []
    for i in range(min(n, _TIMED_ROWS)):
        row = X.iloc[i : i + 1] if hasattr(X, "iloc") else X[i : i + 1]
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
        if sum(times) > _TIMED_S:
            break
    return float(np.median(times)) if times else None
