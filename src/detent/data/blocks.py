"""Rows in blocks, so that a data set need not fit into memory.

Whatever is done to rows is done to a block of `BLOCK_ROWS` at a time, counted from the first row,
wherever the rows come from and whoever does it. A model asked for the same rows in other portions
may give other last digits (the libraries beneath it add in another order); asked for the same
blocks it does not. So one process, several, and a table that is in memory anyway agree to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from detent.data.buffers import Array
from detent.data.table import column_names, digest_table, n_rows, take_rows
from detent.domain.digest import canonical_json, digest_of
from detent.errors import InvalidError

# A thousand columns of doubles are 64 MB, of which a model makes a copy or two. The number is part
# of the digest of a data set of more rows.
BLOCK_ROWS = 8192


class Rows(Protocol):
    """A data set: named columns, or an array, that is read in blocks.

    Attributes
    ----------
    names : tuple of str
        The columns of a block; none for an array.
    width : int or None
        How many features a row has; None where rows are not flat.
    n_rows : int
        How many rows there are.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a block; none for an array."""
        ...

    @property
    def width(self) -> int | None:
        """How many features a row has; None where rows are not flat."""
        ...

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        ...

    def column(self, name: str) -> Iterator[Array]:
        """Yield the values of one column, block by block.

        Raises
        ------
        NotFoundError
            If there is no such column.
        """
        ...

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Any]:
        """Yield the rows from `start`, where a block begins, up to `stop`, block by block."""
        ...

    def check_unchanged(self) -> None:
        """Check that the rows are still those that were opened.

        Raises
        ------
        ConflictError
            If a file is not what it was.
        """
        ...


class TableRows:
    """The rows of a table in memory."""

    def __init__(self, table: Any) -> None:
        self._table = table.tocsr() if hasattr(table, "tocsr") else table
        self._names = column_names(table)
        self._n_rows = n_rows(table)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns; none for an array."""
        return self._names

    @property
    def width(self) -> int | None:
        """How many features a row has; None where rows are not flat."""
        shape = getattr(self._table, "shape", None) or np.shape(self._table)
        return shape[1] if len(shape) == 2 else None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._n_rows

    def column(self, name: str) -> Iterator[Array]:
        """Yield the values of one column, block by block."""
        return in_blocks(np.asarray(self._table[name]))

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Any]:
        """Yield copies of the rows: a block must not lie otherwise than one from a file."""
        for first, last in bounds(self._n_rows if stop is None else stop, start=start):
            block = take_rows(self._table, first, last)
            yield block.copy() if hasattr(block, "iloc") else block

    def check_unchanged(self) -> None:
        """Do nothing: nobody else has the table."""


def bounds(stop: int, *, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield where each block begins, and where it ends.

    Examples
    --------
    >>> list(bounds(10_000))
    [(0, 8192), (8192, 10000)]
    """
    for first in range(start, stop, BLOCK_ROWS):
        yield first, min(first + BLOCK_ROWS, stop)


def in_blocks(values: Array) -> Iterator[Array]:
    """Yield an array block by block."""
    for first, last in bounds(len(values)):
        yield values[first:last]


def digest_blocks(digests: Sequence[str]) -> str:
    """Return the digest of rows from the digests of their blocks.

    That of one block is the digest of its table (`digest_table`).

    Examples
    --------
    >>> digest_blocks([digest_table([1, 2])]) == digest_table([1, 2])
    True
    """
    if len(digests) == 1:
        return digests[0]
    return digest_of(canonical_json({"blocks": list(digests), "rows": BLOCK_ROWS}))


def gather(blocks: Iterable[Array], n_rows: int) -> Array:
    """Return the values of a column from its blocks."""
    column, start = Column(n_rows), 0
    for block in blocks:
        column.put(start, block)
        start += len(block)
    return column.values


def digested(blocks: Iterable[Array], digests: list[str]) -> Iterator[Array]:
    """Yield blocks, and add the digest of each to a list."""
    for block in blocks:
        digests.append(digest_table(block))
        yield block


def _compact(values: Array) -> Array:
    if values.dtype == object and all(isinstance(value, str) for value in values.tolist()):
        return values.astype(np.str_)
    return values


class Column:
    """A column being filled in: blocks come in any order, and the values are not held twice.

    Texts that come as objects are kept as an array of texts, which is a fifth as large.
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._values: Array | None = None

    def put(self, start: int, block: Array) -> None:
        """Fill in the values from `start` on.

        Raises
        ------
        InvalidError
            If they have another shape than those before.
        """
        block = _compact(block)
        if self._values is None:
            self._values = np.empty((self._n_rows, *block.shape[1:]), block.dtype)
        elif self._values.shape[1:] != block.shape[1:]:
            raise InvalidError(
                f"rows from {start:,} on have the shape {block.shape[1:]}, others"
                f" {self._values.shape[1:]}; nothing was recorded"
            )
        dtype = _common(self._values.dtype, block.dtype)
        if dtype != self._values.dtype:
            self._values = self._values.astype(dtype)
        self._values[start : start + len(block)] = block

    @property
    def values(self) -> Array:
        """All values."""
        return np.empty(0) if self._values is None else self._values


def _common(one: Any, other: Any) -> Any:
    if "O" in (one.kind, other.kind) or (one.kind in "US") != (other.kind in "US"):
        return np.dtype(object)
    return np.result_type(one, other)
