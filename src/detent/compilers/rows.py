"""Rows as a compiled form takes them: one array of numbers, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Method = Callable[[Any], Any]
_NEAR = 1e-9  # of scores; sums of doubles in another order differ by 1e-13


class Numbers:
    """Turns the rows that a model takes into one array, when they are certainly of its columns.

    Parameters
    ----------
    model : estimator
        What takes the rows: its columns' names and number, and whether it takes missing values,
        are looked up.
    through : dtype
        What scikit-learn converts the rows to before it looks at a threshold (its trees: float32).
    """

    def __init__(self, model: Any, through: type[np.floating[Any]]) -> None:
        names = getattr(model, "feature_names_in_", None)
        self._names = None if names is None else list(names)
        self._n = int(model.n_features_in_)
        self._through = through
        self._takes_missing = _takes_missing(model, self._n, self._names)

    def take(self, X: Any) -> NDArray[np.float64] | None:
        """Return the rows; None when only the original can say what is to become of them."""
        if type(X) is not np.ndarray:
            X = self._of_frame(X)
        elif self._names is not None:
            return None  # scikit-learn warns
        if X is None or X.ndim != 2 or X.shape[1] != self._n or not len(X):
            return None
        if X.dtype.kind not in "fiub":
            return None
        with np.errstate(over="ignore"):  # an infinity, found below
            found = X.astype(self._through)
        if not np.isfinite(found).all() and (not self._takes_missing or np.isinf(found).any()):
            return None
        rows: NDArray[np.float64] = found.astype(np.float64, order="C", copy=False)
        return rows

    def _of_frame(self, X: Any) -> NDArray[Any] | None:
        pandas = sys.modules.get("pandas")
        if self._names is None or pandas is None or type(X) is not pandas.DataFrame:
            return None
        columns = X.columns
        if len(columns) != self._n or columns.tolist() != self._names:
            return None  # in another order, or others: scikit-learn refuses them
        values: NDArray[Any] = X.to_numpy()
        return values


def _takes_missing(model: Any, n: int, names: list[Any] | None) -> bool:
    """Ask the model itself: what it takes depends on its kind, its release and its training."""
    import warnings

    rows: Any = np.full((1, n), np.nan)
    if names is not None and "pandas" in sys.modules:
        rows = sys.modules["pandas"].DataFrame(rows, columns=names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.predict(rows)
    except ValueError:
        return False
    return True


def has_columns(model: Any) -> bool:
    """Return whether the first step of a model treats each column in its own way."""
    first = model.steps[0][1] if hasattr(model, "steps") else model
    return hasattr(first, "transformers_")


def falling_through(take: Callable[[Any], Any], answer: Method, original: Method) -> Method:
    """Return a method that answers as the form, and where that gives None, as the original.

    Parameters
    ----------
    take : callable
        Rows to what the form takes, or None.
    answer : callable
        What the form answers; None where it is not sure.
    original : callable
        The same method of the original.
    """

    def method(X: Any) -> Any:
        rows = take(X)
        found = None if rows is None else answer(rows)
        return original(X) if found is None else found

    return method


def is_near_tie(scores: NDArray[np.float64]) -> bool:
    """Return whether in some row the last digits of the scores would decide between two labels.

    Forms and originals add the same numbers in another order. Scores of shape (n_samples,) decide
    at 0, those of shape (n_samples, n_classes) by the highest.

    Examples
    --------
    >>> is_near_tie(np.array([[0.2, 0.8], [0.5, 0.5]])), is_near_tie(np.array([-0.3, 0.3]))
    (True, False)
    """
    if scores.ndim == 1 or scores.shape[1] == 1:
        return bool((np.abs(scores) < _NEAR).any())
    second, first = np.partition(scores, -2, axis=1)[:, -2:].T
    return bool((first - second < _NEAR * np.maximum(1, np.abs(first))).any())
