"""Whether a compiled form answers as its original does: row by row."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.compilers.base import Methods
from detent.data.table import n_rows

TOLERANCE = 1e-9  # relative, and absolute below 1; doubles added in another order differ by 1e-13
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where two forms of a model answer otherwise: a method, the rows, and what each said first.

    ``rows`` are positions in the table asked about; none when one of them raised an error.
    """

    method: str
    rows: tuple[int, ...]
    text: str


def find_difference(
    model: Any, methods: Methods, X: Any, *, tolerance: float = TOLERANCE
) -> Difference | None:
    """Return the first method that a compiled form answers otherwise for a table; None if none.

    Labels and all else that is not a float must be equal, floats within the tolerance, and so must
    types and shapes. Where the original raises an error, the form must raise one of its type.

    Parameters
    ----------
    model : estimator
        The original.
    methods : mapping of str to callable
        What the form answers.
    X : table-like of shape (n_samples, n_features)
        The rows.
    tolerance : float, default=1e-9
        Of floats: relative to the original's, and absolute below 1.
    """
    for name, method in methods.items():
        expected, found = _ask(getattr(model, name), X), _ask(method, X)
        difference = _compare(name, expected, found, n_rows(X), tolerance)
        if difference is not None:
            return difference
    return None


def _ask(method: Any, X: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for the one who asks for answers, not for us
            return np.asarray(method(X))
    except Exception as error:
        return error


def _compare(name: str, expected: Any, found: Any, n: int, tolerance: float) -> Difference | None:
    if isinstance(expected, Exception) or isinstance(found, Exception):
        if type(expected) is type(found):
            return None
        return Difference(
            method=name,
            rows=(),
            text=f"the original {_outcome(expected)}, the form {_outcome(found)}",
        )
    if (expected.dtype, expected.shape) != (found.dtype, found.shape):
        return Difference(
            method=name,
            rows=tuple(range(n)),
            text=f"the original answers with {expected.dtype} {list(expected.shape)}, the form"
            f" with {found.dtype} {list(found.shape)}",
        )
    is_other = _differs(expected, found, tolerance)
    rows = np.flatnonzero(is_other.reshape(len(is_other), -1).any(axis=1)).tolist()
    if not rows:
        return None
    first = rows[0]
    return Difference(
        method=name,
        rows=tuple(rows),
        text=f"for row {first} the original answers {expected[first].tolist()!r}, the form"
        f" {found[first].tolist()!r}",
    )


def _differs(expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    if expected.dtype.kind == "f":
        # Infinities of one sign are equal, NaN is equal to NaN.
        close = np.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        return np.asarray(~close)
    return np.asarray(expected != found)


def _outcome(answer: Any) -> str:
    if isinstance(answer, Exception):
        text = str(answer).strip().partition("\n")[0][:200]
        return f"raises {type(answer).__name__} ({text})"
    return "answers"


def show_rows(rows: Sequence[int]) -> str:
    """Return a few row numbers as text.

    Examples
    --------
    >>> show_rows([3, 8])
    'rows 3, 8'
    """
    listed = ", ".join(map(str, rows[:_SHOWN]))
    return f"row{'s' if len(rows) > 1 else ''} {listed}{', …' if len(rows) > _SHOWN else ''}"
