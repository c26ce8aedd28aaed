"""Arrays as they are taken: one dimension, finite, of one length."""

from collections.abc import Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detent.errors import InvalidError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def as_values(name: str, values: ArrayLike, *, at_least: int = 1) -> Floats:
    """Return finite numbers in one dimension."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"`{name}` does not hold numbers: {error}") from error
    check_vector(name, array)
    if len(array) < at_least:
        raise InvalidError(f"`{name}` has {len(array):,} values: {at_least:,} or more are needed")
    is_finite = np.isfinite(array)
    if not is_finite.all():
        n_bad = len(array) - np.count_nonzero(is_finite)
        raise InvalidError(
            f"`{name}` has {n_bad:,} values that are missing or infinite, the first in row"
            f" {int(np.argmin(is_finite))}"
        )
    return array


def as_flags(name: str, values: ArrayLike) -> Flags:
    """Return booleans in one dimension; numbers are not taken, since 2 would silently be true."""
    array = np.asarray(values)
    check_vector(name, array)
    if array.dtype != np.bool_ and array.size:
        raise InvalidError(f"`{name}` has the type {array.dtype}: booleans are expected")
    return array.astype(np.bool_, copy=False)


def check_vector(name: str, array: NDArray[Any]) -> None:
    """Refuse what has not one dimension."""
    if array.ndim != 1:
        raise InvalidError(f"`{name}` has the shape {array.shape}: one dimension is expected")


def check_same_length(**arrays: Sized) -> None:
    """Refuse arrays of different lengths."""
    if len({len(array) for array in arrays.values()}) > 1:
        found = ", ".join(f"`{name}` has {len(array):,}" for name, array in arrays.items())
        raise InvalidError(f"the rows do not match: {found}")


def encode(name: str, *arrays: ArrayLike) -> tuple[NDArray[Any], list[Ints]]:
    """Return the distinct values of several arrays, sorted, and each array as indices into them."""
    taken = [np.asarray(array) for array in arrays]
    for array in taken:
        check_vector(name, array)
        if array.dtype.kind in "fc" and np.isnan(array).any():
            raise InvalidError(f"`{name}` has missing values (NaN)")
    kinds = {"number" if array.dtype.kind in "biufc" else array.dtype.kind for array in taken}
    if len(kinds) > 1:
        types = ", ".join(str(array.dtype) for array in taken)
        raise InvalidError(f"`{name}` mixes types that cannot be equal: {types}")
    try:
        labels = np.unique(np.concatenate([np.unique(array) for array in taken]))
    except TypeError as error:  # None among strings, or values without an order
        raise InvalidError(f"`{name}` has values that cannot be compared: {error}") from error
    return labels, [np.searchsorted(labels, array).astype(np.int64) for array in taken]
