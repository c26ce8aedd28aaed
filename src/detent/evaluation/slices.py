"""Slices: the parts of a dataset on which versions are compared one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.data.blocks import Rows, gather
from detent.errors import InvalidError

MAX_PARTS = 50
_FEW_NUMBERS = 10  # distinct numbers up to which each is a part of its own
_QUARTERS = (0.25, 0.5, 0.75)

Slices = Sequence[str] | Mapping[str, Any]


def find_slices(rows: Rows, slices: Slices | None) -> dict[str, NDArray[np.str_]]:
    """Return, by the name of each slice, the part that each row belongs to.

    Parameters
    ----------
    rows : Rows
        The rows.
    slices : sequence of str, or mapping, optional
        Names of columns; or names with the edges of ranges (``{"tenure": [30, 90]}``) or with one
        label for each row. Numbers with more than 10 distinct values and no edges are cut at
        their quartiles.

    Raises
    ------
    InvalidError
        If a column does not exist, edges do not rise, there are too many parts, or the number of
        labels is not that of the rows.
    """
    if slices is None:
        return {}
    if isinstance(slices, str):
        slices = [slices]
    if not isinstance(slices, Mapping):
        return {name: _parts(name, _column(rows, name), None) for name in slices}
    found = {}
    for name, given in slices.items():
        values = np.asarray(given)
        if values.ndim == 1 and len(values) == rows.n_rows and name not in rows.names:
            found[name] = _parts(name, values, None)
        else:
            found[name] = _parts(name, _column(rows, name), values)
    return found


def _column(rows: Rows, name: str) -> NDArray[Any]:
    names = rows.names
    if name not in names:
        known = ", ".join(names[:20]) if names else "none has a name"
        raise InvalidError(
            f"there is no column `{name}` to slice by; nothing was recorded",
            hint=f"columns: {known}",
        )
    return gather(rows.column(name), rows.n_rows)


def _parts(name: str, values: NDArray[Any], edges: NDArray[Any] | None) -> NDArray[np.str_]:
    is_number = values.dtype.kind in "iuf"
    if edges is not None:
        if not is_number:
            raise InvalidError(
                f"`{name}` holds no numbers: it cannot be cut into ranges; nothing was recorded"
            )
        if edges.ndim != 1 or len(edges) == 0 or edges.dtype.kind not in "iuf":
            raise InvalidError(
                f"the ranges of `{name}` are given by their edges: one number or more; nothing was"
                " recorded"
            )
        if not (np.diff(edges) > 0).all():
            raise InvalidError(f"the edges of `{name}` do not rise; nothing was recorded")
        return _cut(name, values, edges)
    if is_number:
        distinct = np.unique(values[~np.isnan(values)] if values.dtype.kind == "f" else values)
        if len(distinct) > _FEW_NUMBERS:
            return _cut(name, values, np.unique(np.quantile(distinct, _QUARTERS)))
    labels = np.array([f"{name}={value}" for value in values.tolist()], dtype=np.str_)
    n_parts = len(np.unique(labels))
    if n_parts > MAX_PARTS:
        raise InvalidError(
            f"`{name}` has {n_parts:,} different values: a slice has at most {MAX_PARTS} parts;"
            " nothing was recorded",
            hint="group them, or slice by another column",
        )
    return labels


def _cut(name: str, values: NDArray[Any], edges: NDArray[Any]) -> NDArray[np.str_]:
    shown = [f"{edge:g}" for edge in edges.tolist()]
    titles = [
        f"{name}<{shown[0]}",
        *(f"{low}<={name}<{high}" for low, high in pairwise(shown)),
        f"{name}>={shown[-1]}",
        f"{name}=missing",
    ]
    place = np.searchsorted(edges, values, side="right")
    if values.dtype.kind == "f":
        place = np.where(np.isnan(values), len(edges) + 1, place)
    return np.array(titles, dtype=np.str_)[place]
