"""What rows were like, input by input: kept with an evaluation, to compare requests with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from detent.blobs.base import Blobs, read_verified
from detent.data.inputs import first_row, input_columns, spread, to_value
from detent.data.table import n_rows
from detent.domain.digest import canonical_json
from detent.errors import CorruptError
from detent.stats.shift import Cells, make_cells

SCHEMA = "detent.inputs/1"
MOST_INPUTS = 200  # of a wider table, so many that are evenly spaced
MOST_BLOCKS = 3  # of a data set; more would only make the reference more certain than requests
_MOST_ROWS = 20_000
_MOST_VALUES = 1_000_000  # 32 MB: of a wide table fewer rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The cells of the inputs of a table, with how many of its rows lie in each.

    Attributes
    ----------
    width : int
        How many inputs there are, those left out included.
    n_rows : int
        How many rows were counted.
    cells : tuple of Cells
        By input, in the order of the table.
    """

    width: int
    n_rows: int
    cells: tuple[Cells, ...]
    schema: str = SCHEMA

    def narrow(self, most: int) -> Inputs:
        """Return at most so many of the inputs, evenly spaced."""
        cells = tuple(self.cells[i] for i in spread(len(self.cells), most))
        return Inputs(width=self.width, n_rows=self.n_rows, cells=cells)

    def place(self, rows: Any, most: int) -> bytes | None:
        """Return the cells in which the first of some rows lies, a byte for each input.

        None where the rows have another number of inputs.
        """
        raw: Sequence[Any] = first_row(rows)
        if len(raw) != self.width:
            return None
        kept = spread(self.width, MOST_INPUTS)
        places = (kept[i] for i in spread(len(kept), most))
        narrow = self.narrow(most).cells
        return bytes(
            cells.place(to_value(raw[place])) for cells, place in zip(narrow, places, strict=True)
        )


def count_inputs(table: Any) -> Inputs:
    """Return what the rows of a table are like.

    Raises
    ------
    InvalidError
        If it is no table that can be read, or has no rows.
    """
    return count_blocks([table], 1)


def count_blocks(blocks: Iterable[Any], n: int) -> Inputs:
    """Return what the rows of `n` tables with the same columns are like; one is held at a time.

    Raises
    ------
    InvalidError
        As `count_inputs`.
    """
    width, counted = 0, 0
    names: list[str] = []
    values: list[list[Any]] = []  # by place: two inputs may have one name
    for block in blocks:
        width = len(first_row(block))
        most_rows = min(_MOST_ROWS, _MOST_VALUES // max(1, min(width, MOST_INPUTS))) // n
        counted += min(n_rows(block), most_rows)
        columns = input_columns(block, most=MOST_INPUTS, most_rows=most_rows)
        names = [name for name, _ in columns]
        values = values or [[] for _ in columns]
        for kept, (_, found) in zip(values, columns, strict=True):
            kept.extend(found)
    cells = tuple(make_cells(name, found) for name, found in zip(names, values, strict=True))
    return Inputs(width=width, n_rows=counted, cells=cells)


def store_inputs(blobs: Blobs, blocks: Iterable[Any], n: int) -> str:
    """Keep what the rows of `n` tables are like; return the digest of the blob.

    Raises
    ------
    InvalidError
        As `count_inputs`.
    """
    with blobs.create() as writer:
        writer.write(canonical_json(msgspec.to_builtins(count_blocks(blocks, n))))
    return writer.digest


def read_inputs(blobs: Blobs, digest: str) -> Inputs:
    """Return what was kept.

    Raises
    ------
    CorruptError
        If the bytes are not what their digest says, or not of this kind.
    """
    data = read_verified(blobs, digest, what="what the rows of an evaluation were like")
    try:
        found = msgspec.json.decode(data, type=Inputs)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"blob {digest} does not say what rows were like: {error}") from error
    if found.schema != SCHEMA:
        raise CorruptError(f"blob {digest} is no `{SCHEMA}`: it says `{found.schema[:40]}`")
    return found
