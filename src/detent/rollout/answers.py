"""What is kept of an answer: for each row the answer as JSON, and a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from detent.metadata.predictions import Answer
from detent.runtime.slot import CALL, Slot

MOST_ROWS = 1000  # of one request: the others are not kept


def to_answers(slot: Slot, given: Mapping[str, Any]) -> list[Answer]:
    """Return what a version answered, row by row.

    Parameters
    ----------
    slot : Slot
        What answered.
    given : mapping of str to array-like
        By method. The answer is that of ``predict``; where only probabilities or a decision
        function were asked for, the class that follows from them, if the model says its classes.
        The score is the probability of the last of two classes, or the largest of more; else the
        decision function.

    Returns
    -------
    list of (str or None, float or None)
        JSON texts and scores.
    """
    predicted = given.get("predict", given.get(CALL))
    proba, decision = given.get("predict_proba"), given.get("decision_function")
    scores: Any = None
    labels: Any = None if predicted is None else np.asarray(predicted)
    if proba is not None:
        proba = np.asarray(proba)
        if proba.ndim == 2:
            scores = proba[:, -1] if proba.shape[1] == 2 else proba.max(axis=1)
            labels = _classes(slot, "predict_proba", proba.argmax(axis=1), labels)
    elif decision is not None:
        decision = np.asarray(decision)
        if decision.ndim == 1:
            scores = decision
            labels = _classes(slot, "decision_function", (decision > 0).astype(int), labels)
    n = len(labels) if labels is not None else len(scores) if scores is not None else 0
    return [
        (
            None if labels is None else to_json(labels[i]),
            None if scores is None or not np.isfinite(scores[i]) else float(scores[i]),
        )
        for i in range(min(n, MOST_ROWS))
    ]


def to_json(value: Any) -> str | None:
    """Return a value as JSON; None where it has no such text (NaN is no answer)."""
    plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    try:
        if isinstance(plain, float) and plain != plain:
            return None
        return msgspec.json.encode(plain, enc_hook=str).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return None


def _classes(slot: Slot, method: str, indices: Any, labels: Any) -> Any:
    if labels is not None:
        return labels
    classes = getattr(getattr(slot.methods.get(method), "__self__", None), "classes_", None)
    try:
        return None if classes is None else np.asarray(classes)[indices]
    except (IndexError, TypeError):
        return None
