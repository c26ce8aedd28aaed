"""A model's answers to rows, checked."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor

from detent.comparison.outcomes import Outcomes
from detent.domain.version import Version
from detent.errors import DetentError, InvalidError


def predict(model: Any, X: Any, y_true: NDArray[Any], version: Version) -> tuple[str, Outcomes]:
    """Return what a model does, and its answers to all rows."""
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
    if y_pred.shape != y_true.shape:
        raise InvalidError(
            f"`{version}` gave answers of the shape {y_pred.shape} for {len(y_true):,} rows:"
            f" ({len(y_true)},) is expected; nothing was recorded"
        )
    task = _task(model, y_true)
    if task == "classification":
        y_true, y_pred = _labels(y_true, y_pred, version)
    for what, array in (("answers", y_pred), ("probabilities", proba), ("scores", score)):
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            n_bad = int(np.count_nonzero(~np.isfinite(array)))
            raise InvalidError(
                f"`{version}` gave {n_bad:,} {what} that are NaN or infinite; nothing was recorded"
            )
    classes = getattr(model, "classes_", None)
    if isinstance(classes, list):
        classes = None
    outcomes = Outcomes(y_true=y_true, y_pred=y_pred)
    if classes is None or task != "classification":
        return task, outcomes
    outcomes = replace(outcomes, classes=_as_text(np.asarray(classes)))
    if proba is not None and proba.shape == (len(y_true), len(classes)):
        return task, replace(outcomes, proba=proba.astype(np.float64))
    if score is not None and score.ndim == 1:
        return task, replace(outcomes, y_score=score.astype(np.float64))
    return task, outcomes


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object and all(isinstance(value, str) for value in values.tolist()):
        return values.astype(np.str_)
    return values


def _labels(
    y_true: NDArray[Any], y_pred: NDArray[Any], version: Version
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Refuse labels of two types: none would ever be equal, and all answers would be wrong."""
    true, pred = _as_text(y_true), _as_text(y_pred)
    texts = [array.dtype.kind in "UO" for array in (true, pred)]
    if texts[0] != texts[1]:
        raise InvalidError(
            f"the true values are of the type {y_true.dtype}, the answers of `{version}` of"
            f" {y_pred.dtype}: no answer could ever be right; nothing was recorded",
            hint="give the true values as the labels that the model was trained with",
        )
    return true, pred


def _task(model: Any, y_true: NDArray[Any]) -> str:
    try:
        if is_classifier(model):
            return "classification"
        if is_regressor(model):
            return "regression"
    except (AttributeError, TypeError):  # not an estimator of scikit-learn
        pass
    return "regression" if y_true.dtype.kind == "f" else "classification"
