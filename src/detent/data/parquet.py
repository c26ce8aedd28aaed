"""Parquet files in blocks of rows: as if all of them had been read at once, without doing so.

A block comes as the data frame that the same rows are when the whole data set is read: its types do
not depend on what stands in the block. Whole numbers with a missing value anywhere are floats
everywhere, categories are those of all rows.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from detent.data.blocks import BLOCK_ROWS, bounds
from detent.data.buffers import Array
from detent.data.load import no_column
from detent.data.places import Entry, Place
from detent.errors import ConflictError, InvalidError, NotFoundError

ENDINGS = (".parquet", ".pq")
_BATCH_ROWS = BLOCK_ROWS // 8  # decoded at once: little beside the block that they become
# What is read ahead, of all columns together, and at least of each: a question to a store takes so
# long that it pays to ask for more.
_AHEAD_BYTES = {True: 8 << 20, False: 64 << 20}
_LEAST_AHEAD_BYTES = {True: 1 << 15, False: 1 << 18}


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    entry: Entry
    groups: tuple[int, ...]  # rows of each row group

    @property
    def n_rows(self) -> int:
        return sum(self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetRows:
    """The rows of Parquet files, one file after another. It can be sent to another process.

    Made by `open_parquet`.
    """

    place: Place
    files: tuple[_File, ...]
    names: tuple[str, ...]
    types: dict[str, Any] = field(repr=False)  # of all columns, those that no block has as well

    @property
    def width(self) -> int:
        """How many columns a block has."""
        return len(self.names)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return sum(file.n_rows for file in self.files)

    @property
    def size_bytes(self) -> int:
        """How large the files are."""
        return sum(file.entry.size_bytes for file in self.files)

    def column(self, name: str) -> Iterator[Array]:
        """Yield the values of one column, of those as well that no block has.

        Raises
        ------
        NotFoundError
            If there is no such column.
        """
        if name not in self.types:
            raise no_column(self.files[0].entry.path, name, list(self.types))
        for frame in self._frames((name,), 0, self.n_rows):
            yield np.asarray(frame[name])

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows from `start`, where a block begins, up to `stop`, block by block.

        Raises
        ------
        ConflictError
            If a file is not what it was when it was opened.
        """
        yield from self._frames(self.names, start, self.n_rows if stop is None else stop)

    def pieces(self, *, least_rows: int = 0) -> list[tuple[int, int]]:
        """Cut the rows into pieces that begin with a block and, about, with a row group."""
        cuts, at = [0], 0
        for file in self.files:
            for rows in file.groups:
                at += rows
                cut = at // BLOCK_ROWS * BLOCK_ROWS
                if cut - cuts[-1] >= max(least_rows, BLOCK_ROWS):
                    cuts.append(cut)
        if cuts[-1] < self.n_rows:
            cuts.append(self.n_rows)
        return list(itertools.pairwise(cuts))

    def check_unchanged(self) -> None:
        """Check that the files are those that were opened.

        Raises
        ------
        ConflictError
            If they are not.
        """
        if [entry.state for entry in _data_files(self.place)] != [
            file.entry.state for file in self.files
        ]:
            raise ConflictError(
                f"{self.files[0].entry.path} or a file beside it changed while it was read;"
                " nothing was recorded",
                hint="wait until it is written, then repeat",
            )

    def without(self, names: Sequence[str]) -> ParquetRows:
        """Return the same rows without some columns; `column` still has them."""
        return ParquetRows(
            place=self.place,
            files=self.files,
            names=tuple(name for name in self.names if name not in names),
            types=self.types,
        )

    def _frames(self, names: tuple[str, ...], start: int, stop: int) -> Iterator[pd.DataFrame]:
        tables = self._tables(names, start, stop)
        held: list[Any] = []
        n_held = 0
        for first, last in bounds(stop, start=start):
            while n_held < last - first:
                held.append(next(tables))
                n_held += held[-1].num_rows
            table = pa.concat_tables(held)
            held, n_held = [table.slice(last - first)], n_held - (last - first)
            frame = self._frame(table.slice(0, last - first), names)
            del table  # while the block is used its Arrow form is not needed any more
            if not n_held:
                held = []
            yield frame
            del frame
        pa.default_memory_pool().release_unused()  # what follows may need it

    def _tables(self, names: tuple[str, ...], start: int, stop: int) -> Iterator[Any]:
        """Yield small tables of the rows wanted; whole row groups before them are not read."""
        at = 0  # the first row of the file
        for file in self.files:
            if at < stop and at + file.n_rows > start:
                yield from self._tables_of(file, names, start - at, stop - at)
            at += file.n_rows

    def _tables_of(
        self, file: _File, names: tuple[str, ...], start: int, stop: int
    ) -> Iterator[Any]:
        ends = np.cumsum(file.groups)
        wanted = [
            group
            for group, (rows, end) in enumerate(zip(file.groups, ends.tolist(), strict=True))
            if rows and end > start and end - rows < stop
        ]
        at = int(ends[wanted[0]]) - file.groups[wanted[0]]
        with self.place.open(file.entry.path) as stream, _reading(file.entry.path):
            opened = _open(stream, self.place, n_columns=len(names))
            batches = opened.iter_batches(
                _BATCH_ROWS, row_groups=wanted, columns=list(names), use_threads=False
            )
            for batch in batches:
                first, last = max(start - at, 0), min(stop - at, batch.num_rows)
                if first < last:
                    yield pa.Table.from_batches([batch.slice(first, last - first)])
                at += batch.num_rows

    def _frame(self, table: Any, names: tuple[str, ...]) -> pd.DataFrame:
        # Threads would each keep memory of their own, for a block that is quickly made.
        frame: pd.DataFrame = table.select(names).to_pandas(use_threads=False)
        wrong = {name: self.types[name] for name in names if frame[name].dtype != self.types[name]}
        return frame.astype(wrong) if wrong else frame


def open_parquet(place: Place) -> ParquetRows:
    """Open Parquet files: a file, or all those below a folder, in the order of their paths.

    Parameters
    ----------
    place : Place
        Where they are. Files whose names begin with ``.`` or ``_`` are left out.

    Raises
    ------
    NotFoundError
        If there is none.
    InvalidError
        If one cannot be read, has other columns than the first, or lies in a folder that stands for
        a column (``region=north/``); or if they have no row.
    """
    files, schema, holes = [], None, set()
    for entry in _data_files(place):
        if "=" in PurePosixPath(entry.path).parent.name:
            raise InvalidError(
                f"{entry.path} lies in a folder that stands for a column: that is not read in"
                " blocks",
                hint="write the column into the files",
            )
        with place.open(entry.path) as stream, _reading(entry.path):
            opened = _open(stream, place)
            if schema is None:
                schema = opened.schema_arrow
            elif not opened.schema_arrow.equals(schema):
                raise InvalidError(
                    f"{entry.path} has other columns, or other types, than {files[0].entry.path}"
                )
            parts = [opened.metadata.row_group(i) for i in range(opened.metadata.num_row_groups)]
            holes |= _holes(opened, parts)
            files.append(_File(entry=entry, groups=tuple(part.num_rows for part in parts)))
    if schema is None:
        raise NotFoundError("there is no Parquet file")
    rows = ParquetRows(
        place=place,
        files=tuple(files),
        names=tuple(name for name in schema.names if name not in _index(schema)),
        types=_types(schema, holes),
    )
    if rows.n_rows == 0:
        raise InvalidError(f"{files[0].entry.path} holds no row")
    if len(set(schema.names)) < len(schema.names):
        raise InvalidError(f"{files[0].entry.path} has two columns of one name")
    for name in schema.names:
        if pa.types.is_dictionary(schema.field(name).type):
            rows.types[name] = _categories(rows, name)
    return rows


def _data_files(place: Place) -> list[Entry]:
    entries = place.list()
    if len(entries) == 1:  # named by itself, it may have any ending
        return entries
    found = [entry for entry in entries if entry.path.lower().endswith(ENDINGS)]
    if not found:
        raise NotFoundError(
            f"there is no Parquet file beside {entries[0].path}"
            if entries
            else "there is no Parquet file in this folder"
        )
    return found


def _open(stream: Any, place: Place, *, n_columns: int = 1) -> Any:
    # Without a buffer a column's part of a row group is read as a whole, however large it is.
    ahead = max(_AHEAD_BYTES[place.is_near] // n_columns, _LEAST_AHEAD_BYTES[place.is_near])
    return pq.ParquetFile(stream, buffer_size=ahead, pre_buffer=False)


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turn the errors of pyarrow into ours."""
    try:
        yield
    except pa.ArrowException as error:
        text = str(error).split("\n")[0][:300]
        raise InvalidError(f"{path} cannot be read: {text}") from error


def _holes(opened: Any, parts: list[Any]) -> set[str]:
    """Return the columns of numbers and truth values that have, or may have, a missing value."""
    found = set()
    for i, kind in enumerate(opened.schema_arrow.types):
        if not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            continue
        name = opened.schema_arrow.names[i]
        counts = [_n_missing(part.column(_place(part, name))) for part in parts]
        if None in counts:
            values = opened.iter_batches(columns=[name], use_threads=False)
            counts = [batch.column(0).null_count for batch in values]
        if any(counts):
            found.add(name)
    return found


def _place(part: Any, name: str) -> int:
    """Return where a column is among those of a row group, where nested ones are several."""
    paths = (part.column(i).path_in_schema for i in range(part.num_columns))
    return next(i for i, path in enumerate(paths) if path == name)


def _n_missing(part: Any) -> int | None:
    if part.statistics is None or not part.statistics.has_null_count:
        return None
    count: int = part.statistics.null_count
    return count


def _index(schema: Any) -> list[str]:
    """Return the columns that are the index of the data frame that was written: it is no data."""
    metadata = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in metadata.get("index_columns", []) if isinstance(name, str)]


def _types(schema: Any, holes: set[str]) -> dict[str, Any]:
    """Return the type that each column has in the data frame of all rows."""
    whole = schema.empty_table().to_pandas().reset_index().dtypes
    types = {name: whole[name] for name in schema.names if name in whole}
    for name in holes:
        types[name] = (
            pa.table(
                [pa.nulls(1, schema.field(name).type)],
                schema=pa.schema([schema.field(name)], metadata=schema.metadata),
            )
            .to_pandas()[name]
            .dtype
        )
    return types


def _categories(rows: ParquetRows, name: str) -> Any:
    """Return the type of a column of categories: those of all rows, as they come."""
    known = None
    for table in rows._tables((name,), 0, rows.n_rows):
        chunks = table.column(name).chunks
        whole = pa.chunked_array(chunks if known is None else [known, *chunks])
        dictionary = whole.unify_dictionaries().chunk(0).dictionary
        kind = chunks[0].type
        known = pa.DictionaryArray.from_arrays(
            pa.array([], kind.index_type), dictionary, ordered=kind.ordered
        )
    assert known is not None
    return known.to_pandas().dtype
