"""What versions are evaluated on: rows, their true values, and what comes with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.data.blocks import Rows
from detent.domain.manifest import Signature
from detent.evaluation.rows import (
    check_groups,
    check_ids,
    check_weights,
    named_columns,
    read_true,
    spare_columns,
)
from detent.evaluation.slices import Slices, find_slices
from detent.registry.record import check_dataset

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows that are read in blocks, and what is kept of each: its true value, id, group, slices.

    ``digest`` is that of the true values.
    """

    name: str
    rows: Rows
    y_true: Array
    digest: str
    slices: Mapping[str, Array]
    ids: Array | None
    groups: Array | None
    sample_weight: NDArray[np.float64] | None

    def spare_columns(self, signature: Signature) -> list[str]:
        """Return the columns that name rows or groups, and that a version does not take."""
        return spare_columns(self.rows, signature, [self.ids, self.groups])


def read_dataset(
    rows: Rows,
    y: Iterable[Array],
    *,
    name: str,
    slices: Slices | None = None,
    groups: Any = None,
    ids: Any = None,
    sample_weight: Any = None,
) -> Dataset:
    """Return a data set, checked before anything is predicted.

    Parameters
    ----------
    rows : Rows
        The rows.
    y : iterable of array
        Their true values, block by block.
    name : str
        1 to 200 characters. The digest of rows tells data sets apart all the same.
    slices : sequence of str, or mapping, optional
        As for `find_slices`.
    groups : str or array-like of shape (n_samples,), optional
        To whom a row belongs, where rows are not independent: a column, or one value each.
    ids : str or array-like of shape (n_samples,), optional
        Names of rows, no two equal, by which evaluations of other rows can be matched.
    sample_weight : str or array-like of shape (n_samples,), optional
        How much a row counts, 0 or more.

    Raises
    ------
    InvalidError
        If these do not fit together.
    """
    check_dataset(name)
    y_true, digest = read_true(y, rows)
    parts = find_slices(rows, slices)
    named = named_columns(rows, ids, groups)
    return Dataset(
        name=name,
        rows=rows,
        y_true=y_true,
        digest=digest,
        slices=parts,
        ids=check_ids(named["ids"]),
        groups=check_groups(named["groups"]),
        sample_weight=check_weights(sample_weight, rows),
    )
