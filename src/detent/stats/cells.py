"""The counts of (true, baseline, candidate): all that a metric of labels needs to know.

Eight cells for two versions of a binary classifier. What a metric reads of them are three tallies
a class: rows that are answered rightly, that have the class, that are answered with it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detent.errors import InvalidError
from detent.stats.arrays import Floats, Ints, check_same_length, encode
from detent.stats.groups import group_indices
from detent.stats.resampling import kinds

_DENSE = 1 << 20  # possible cells up to which they are counted by number instead of by sorting
_LARGEST = 1 << 26  # numbers in the tallies of all groups: 512 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """Rows answered rightly, rows of each class, rows answered with each class.

    Each has the shape (…, n_classes): one table, or one for each resample.
    """

    right: Floats
    true: Floats
    predicted: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The occupied cells of two versions' answers, and the kinds of units to resample.

    ``labels`` are the classes, sorted. ``true``, ``baseline`` and ``candidate`` are the class of
    each cell as an index into them, ``counts`` its rows. ``units`` has one row a kind of unit: how
    many rows it has in each cell; ``unit_counts`` says how many units are of that kind.
    """

    labels: NDArray[Any]
    true: Ints
    baseline: Ints
    candidate: Ints
    counts: Ints
    units: Ints
    unit_counts: Ints

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(self.counts.sum())

    @property
    def n_units(self) -> int:
        """The number of rows, or of groups where groups were given."""
        return int(self.unit_counts.sum())

    @property
    def disagreements(self) -> int:
        """The number of rows that the versions answer differently."""
        return int(self.counts[self.baseline != self.candidate].sum())

    def tallies(self, weights: Ints | Floats, answers: Ints) -> Tallies:
        """Return the tallies of one version for rows in each cell, of shape (…, n_cells)."""
        k = len(self.labels)
        classes = np.arange(k)
        is_true = self.true[:, None] == classes
        is_answer = answers[:, None] == classes
        taken = np.asarray(weights, dtype=np.float64)
        return Tallies(
            right=taken @ (is_true & is_answer).astype(np.float64),
            true=taken @ is_true.astype(np.float64),
            predicted=taken @ is_answer.astype(np.float64),
        )


def count_cells(
    y_true: ArrayLike,
    baseline: ArrayLike,
    candidate: ArrayLike,
    *,
    groups: ArrayLike | None = None,
) -> Cells:
    """Count rows by their true class and both versions' answers.

    Parameters
    ----------
    y_true, baseline, candidate : array, shape (n_samples,)
        Labels of one type, of the same rows in the same order; 1 row or more.
    groups : array, shape (n_samples,), optional
        To whom a row belongs, where rows are not independent.

    Returns
    -------
    Cells
        Of all labels that occur in any of the three.

    Raises
    ------
    InvalidError
        If there are no rows, lengths differ, labels are missing or cannot be compared, or there
        are too many groups of too many classes to be held in memory.

    Examples
    --------
    >>> cells = count_cells([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0])
    >>> cells.n, cells.disagreements
    (4, 2)
    """
    labels, (true, old, new) = encode("labels", y_true, baseline, candidate)
    check_same_length(y_true=true, baseline=old, candidate=new)
    if len(true) == 0:
        raise InvalidError("there are no rows to compare")
    k = len(labels)
    code = (true * k + old) * k + new
    if k**3 <= _DENSE:
        every = np.bincount(code, minlength=k**3)
        occupied = np.flatnonzero(every)
        counts = every[occupied].astype(np.int64)
    else:
        occupied, counts = np.unique(code, return_counts=True)
    if groups is None:
        units, unit_counts = np.eye(len(occupied), dtype=np.int64), counts
    else:
        n_groups, members = group_indices(groups, n_rows=len(true))
        if n_groups * len(occupied) > _LARGEST:
            raise InvalidError(
                f"{n_groups:,} groups of {len(occupied):,} kinds of rows are too many to resample"
            )
        place = members * len(occupied) + np.searchsorted(occupied, code)
        table = np.bincount(place, minlength=n_groups * len(occupied))
        units, unit_counts = kinds(table.reshape(n_groups, -1).astype(np.int64))
    return Cells(
        labels=labels,
        true=occupied // k**2,
        baseline=occupied // k % k,
        candidate=occupied % k,
        counts=counts,
        units=units,
        unit_counts=unit_counts,
    )
