"""The losses of each row, as scikit-learn's metrics average them."""

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, Ints, as_values, check_same_length
from detent.stats.checks import check_share

_SUM = 1e-4  # how far the probabilities of a row may miss 1: single precision does a little


def log_losses(y_true: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Log loss of each row, in nats.

    Parameters
    ----------
    y_true : array of int, shape (n_samples,)
        The true class as an index of the columns of `probabilities`; 0 or 1 where those have one
        dimension.
    probabilities : array of float, shape (n_samples, n_classes) or (n_samples,)
        Each in [0, 1], a row's together 1; in one dimension those of class 1.

    Returns
    -------
    array of float, shape (n_samples,)
        At most about 36: probabilities of 0 count as the smallest step of a float.

    Raises
    ------
    InvalidError
        If there are no rows, lengths differ, or a class or probability is out of its range.

    Examples
    --------
    >>> float(log_losses([1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65]).mean().round(5))
    0.21616
    """
    classes, table = _checked(y_true, probabilities)
    tiny = np.finfo(np.float64).eps
    chosen = np.clip(table[np.arange(len(classes)), classes], tiny, 1 - tiny)
    losses: Floats = -np.log(chosen)
    return losses


def brier_losses(y_true: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Brier loss of each row: the squared distance of the probabilities from what happened.

    Parameters
    ----------
    y_true, probabilities
        As for `log_losses`.

    Returns
    -------
    array of float, shape (n_samples,)
        In [0, 1] for two classes, whose sum is halved as is usual; in [0, 2] for more.

    Raises
    ------
    InvalidError
        As `log_losses`.

    Examples
    --------
    >>> round(float(brier_losses([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]).mean()), 6)
    0.0375
    """
    classes, table = _checked(y_true, probabilities)
    happened = np.zeros(table.shape)
    happened[np.arange(len(classes)), classes] = 1.0
    losses: Floats = np.sum((table - happened) ** 2, axis=1)
    return losses / 2 if table.shape[1] == 2 else losses


def absolute_losses(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """Absolute error of each row, in the unit of the target.

    Parameters
    ----------
    y_true, y_pred : array of float, shape (n_samples,)
        Finite.

    Raises
    ------
    InvalidError
        If there are no rows, lengths differ, or a value is missing or infinite.

    Examples
    --------
    >>> absolute_losses([1.0, 2.0], [1.5, 1.0]).tolist()
    [0.5, 1.0]
    """
    return np.abs(_residuals(y_true, y_pred))


def squared_losses(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    """Squared error of each row, in squared units of the target.

    Parameters
    ----------
    y_true, y_pred : array of float, shape (n_samples,)
        Finite.

    Raises
    ------
    InvalidError
        As `absolute_losses`.

    Examples
    --------
    >>> squared_losses([1.0, 2.0], [1.5, 1.0]).tolist()
    [0.25, 1.0]
    """
    squares: Floats = _residuals(y_true, y_pred) ** 2
    return squares


def pinball_losses(y_true: ArrayLike, y_pred: ArrayLike, *, quantile: float = 0.5) -> Floats:
    """Pinball loss of each row: what a forecast of a quantile is judged by.

    Parameters
    ----------
    y_true, y_pred : array of float, shape (n_samples,)
        Finite.
    quantile : float, default=0.5
        Which quantile is forecast, between 0 and 1.

    Raises
    ------
    InvalidError
        As `absolute_losses`, or if the quantile is out of its range.

    Examples
    --------
    >>> pinball_losses([1.0, 2.0], [2.0, 1.0], quantile=0.9).round(6).tolist()
    [0.1, 0.9]
    """
    check_share("quantile", quantile)
    gaps = _residuals(y_true, y_pred)
    return np.maximum(quantile * gaps, (quantile - 1) * gaps)


def _residuals(y_true: ArrayLike, y_pred: ArrayLike) -> Floats:
    truth, predicted = as_values("y_true", y_true), as_values("y_pred", y_pred)
    check_same_length(y_true=truth, y_pred=predicted)
    gaps: Floats = truth - predicted
    return gaps


def _checked(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Ints, Floats]:
    truth = as_values("y_true", y_true)
    try:
        table = np.asarray(probabilities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"`probabilities` does not hold numbers: {error}") from error
    if table.ndim == 1:
        table = np.column_stack([1 - table, table])
    if table.ndim != 2 or table.shape[1] < 2:
        raise InvalidError(f"`probabilities` has the shape {table.shape}: one column a class")
    check_same_length(y_true=truth, probabilities=table)
    if not ((table >= 0) & (table <= 1)).all():  # NaN is neither
        raise InvalidError("`probabilities` has values that are missing or outside [0, 1]")
    if np.abs(table.sum(axis=1) - 1).max() > _SUM:
        raise InvalidError("the probabilities of a row do not add up to 1")
    classes = truth.astype(np.int64)
    if (classes != truth).any() or classes.min() < 0 or classes.max() >= table.shape[1]:
        raise InvalidError(f"`y_true` has classes that are not among 0 to {table.shape[1] - 1}")
    return classes, table
