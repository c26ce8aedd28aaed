"""Rows that are not independent: all rows of one customer, document or session are one unit.

Twenty rows of one user tell little more than one. Taken as twenty, they make every interval too
short and every guarantee untrue, so they are averaged or resampled together.
"""

import numpy as np
from numpy.typing import ArrayLike

from detent.errors import InvalidError
from detent.stats.arrays import Floats, Ints, as_values, check_same_length, encode


def group_indices(groups: ArrayLike, *, n_rows: int) -> tuple[int, Ints]:
    """Return the number of groups, and each row's group as a number from 0."""
    labels, (codes,) = encode("groups", groups)
    if len(codes) != n_rows:
        raise InvalidError(f"`groups` has {len(codes):,} values for {n_rows:,} rows")
    return len(labels), codes


def group_means(values: ArrayLike, groups: ArrayLike) -> Floats:
    """Average values within groups, so that each group counts as one unit.

    Parameters
    ----------
    values : array of float, shape (n_samples,)
        One number a row, finite.
    groups : array, shape (n_samples,)
        To whom a row belongs: labels or whole numbers.

    Returns
    -------
    array of float, shape (n_groups,)
        In the order of the sorted group labels.

    Raises
    ------
    InvalidError
        If there are no rows, the lengths differ, or a value or group is missing.

    Examples
    --------
    >>> group_means([1.0, 3.0, 5.0], ["ana", "ana", "bo"]).tolist()
    [2.0, 5.0]
    """
    taken = as_values("values", values)
    n_groups, codes = group_indices(groups, n_rows=len(taken))
    return group_sums(taken, codes, n_groups) / np.bincount(codes, minlength=n_groups)


def group_sums(values: Floats, codes: Ints, n_groups: int) -> Floats:
    """Return the sums of values within groups that are numbered from 0."""
    check_same_length(values=values, codes=codes)
    sums: Floats = np.bincount(codes, weights=values, minlength=n_groups).astype(np.float64)
    return sums
