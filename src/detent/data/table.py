"""The one encoding of a table, ``detent.table/1``, and the digest of it.

The first line names the encoding, the second is the header as canonical JSON, then follow the
columns, one after another, without gaps. `docs/lineage.md` tells it byte for byte.
"""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from detent.data.buffers import Array, Chunk, Reader
from detent.data.columns import (
    Column,
    Stored,
    array_column,
    read_column,
    series_column,
    to_array,
    to_series,
)
from detent.domain.digest import canonical_json
from detent.errors import CorruptError, InvalidError

MAGIC = b"detent.table/1"


@dataclass(frozen=True, slots=True)
class _Table:
    """What lies behind every kind of table: named columns, and the shape where it has one."""

    kind: str
    n_rows: int
    columns: dict[int, tuple[Any, Column]]
    shape: tuple[int, ...] | None = None

    def header(self) -> dict[str, Any]:
        columns = [column.header | {"name": name} for name, column in self.columns.values()]
        header = {"columns": columns, "kind": self.kind, "n_rows": self.n_rows}
        return header if self.shape is None else header | {"shape": list(self.shape)}


def encode_table(data: Any) -> Iterator[Chunk]:
    """Yield the encoding of a table, in chunks. Large columns of numbers are not copied.

    Parameters
    ----------
    data : table
        A pandas DataFrame or Series, an Arrow table (or anything that hands out an Arrow
        stream), a NumPy array of one dimension or more, a SciPy sparse matrix, a dict of text
        to arrays of one dimension, or a list of numbers or texts. The index of a frame is not
        data and is left out.

    Raises
    ------
    InvalidError
        If it is none of these, or holds values that have no encoding; the message names the
        column and the type.

    Examples
    --------
    >>> b"".join(encode_table([0.5])).splitlines()[0]
    b'detent.table/1'
    """
    table = _table_of(data)
    yield MAGIC + b"\n" + canonical_json(table.header()) + b"\n"
    for name, column in table.columns.values():
        with _naming(name):
            yield from column.chunks()


def digest_table(data: Any) -> str:
    """Return the digest of a table: of its values, types and names of columns, in their order.

    Parameters and errors are those of `encode_table`.

    Examples
    --------
    >>> digest_table([1, 2]) == digest_table([2, 1])
    False
    """
    import hashlib

    digest = hashlib.sha256()
    for chunk in encode_table(data):
        digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def table_header(data: Any) -> dict[str, Any]:
    """Return the header that `data` has when encoded, without reading its values.

    ``kind`` is ``frame``, ``columns`` (of a dict), ``array`` or ``sparse``; the last two have a
    ``shape``. Parameters and errors are those of `encode_table`.

    Examples
    --------
    >>> table_header({"age": [31, 40]})["columns"][0]["dtype"]
    'int64'
    """
    return _table_of(data).header()


def n_rows(data: Any) -> int:
    """Return how many rows a table has.

    Examples
    --------
    >>> n_rows([[1, 2], [3, 4], [5, 6]])
    3
    """
    return _table_of(data).n_rows


def column_names(data: Any) -> tuple[str, ...]:
    """Return the names of the columns as text; none for an array or a sparse matrix.

    Examples
    --------
    >>> column_names({"age": [31, 40], "sex": ["f", "m"]})
    ('age', 'sex')
    """
    table = _table_of(data)
    return tuple(_shown(name) for name, _ in table.columns.values()) if table.shape is None else ()


def head(data: Any, n: int) -> Any:
    """Return the first `n` rows of a table, as the same kind of table."""
    return take_rows(data, 0, n)


def take_rows(data: Any, start: int, stop: int) -> Any:
    """Return the rows of a table from `start` up to `stop`, as the same kind of table."""
    if isinstance(data, dict):
        return {name: values[start:stop] for name, values in data.items()}
    if hasattr(data, "iloc"):
        return data.iloc[start:stop]
    return data.tocsr()[start:stop] if hasattr(data, "tocsr") else data[start:stop]


# From each kind of table to columns


def _table_of(data: Any) -> _Table:
    pandas, sparse = sys.modules.get("pandas"), sys.modules.get("scipy.sparse")
    if pandas is not None and isinstance(data, pandas.Series):
        data = data.to_frame()
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _named("frame", len(data), list(data.items()), series_column)
    if sparse is not None and sparse.issparse(data):
        return _of_sparse(data)
    if isinstance(data, np.ndarray | list):
        array = _as_array(data)
        if array.ndim == 0:
            raise InvalidError("an array without a dimension is no table")
        return _Table("array", len(array), {0: (None, array_column(array))}, array.shape)
    if isinstance(data, dict):
        return _of_dict(data)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return _of_arrow(data)
    raise InvalidError(
        f"{type(data).__module__}.{type(data).__qualname__} is no table that can be read",
        hint="pass a data frame, an Arrow table, an array, a dict of columns or a list",
    )


def _named(kind: str, n: int, items: list[tuple[Any, Any]], make: Any) -> _Table:
    columns = {}
    for place, (name, values) in enumerate(items):
        with _naming(name):
            columns[place] = (_name_of(name), make(values))
    return _Table(kind, n, columns)


def _of_dict(data: dict[Any, Any]) -> _Table:
    arrays = {}
    for name, values in data.items():
        with _naming(name):
            arrays[name] = _as_array(values)
            if arrays[name].ndim != 1:
                raise InvalidError(f"it has {arrays[name].ndim} dimensions instead of one")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidError(f"the columns have unequal lengths: {lengths}")
    return _named("columns", min(lengths.values(), default=0), list(arrays.items()), array_column)


def _of_arrow(data: Any) -> _Table:
    try:
        from detent.data.arrow import arrow_column, arrow_table
    except ImportError as error:
        raise InvalidError(
            f"reading {type(data).__name__} needs pyarrow", hint="run `pip install pyarrow`"
        ) from error
    table = arrow_table(data)
    columns = list(zip(table.column_names, table.columns, strict=True))
    return _named("frame", table.num_rows, columns, arrow_column)


def _of_sparse(data: Any) -> _Table:
    if data.ndim != 2:
        raise InvalidError(f"a sparse array of {data.ndim} dimensions has no table encoding")
    matrix = data.tocsr()
    if not _is_canonical(matrix):
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    parts = {
        "indptr": matrix.indptr.astype("<i8", copy=False),
        "indices": matrix.indices.astype("<i8", copy=False),
        "data": matrix.data,
    }
    columns = {i: (name, array_column(part)) for i, (name, part) in enumerate(parts.items())}
    return _Table("sparse", matrix.shape[0], columns, matrix.shape)


def _is_canonical(matrix: Any) -> bool:
    return bool(matrix.has_canonical_format and np.count_nonzero(matrix.data) == matrix.nnz)


def _as_array(values: Any) -> Array:
    if isinstance(values, list):
        return _array_of_list(values)
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidError("a masked array has no table encoding", hint="use `filled` or a frame")
    return np.asarray(values)


def _array_of_list(values: list[Any]) -> Array:
    try:
        array = np.asarray(values)
        exact = np.asarray(values, dtype=object)
    except ValueError as error:
        raise InvalidError(f"the list is no table: {error}") from error
    # NumPy turns [1, "a"] into texts, and large integers into floats that are not equal to them.
    one_kind = {
        "U": all(isinstance(item, str) for item in exact.flat),
        "S": all(isinstance(item, bytes) for item in exact.flat),
        "f": not all(isinstance(item, int) for item in exact.flat) or array.size == 0,
    }
    return array if one_kind.get(array.dtype.kind, True) else exact


@contextmanager
def _naming(name: Any) -> Iterator[None]:
    """Name the column in an error about it."""
    try:
        yield
    except InvalidError as error:
        where = "the table" if name is None else f"column `{_shown(name)}`"
        raise InvalidError(f"{where}: {error.message}", hint=error.hint) from error


def _shown(name: Any) -> str:
    return str(tuple(name) if isinstance(name, list) else name)


def _name_of(name: Any) -> Any:
    """Return the name of a column as JSON has it; that of a level under others is a list."""
    if isinstance(name, np.generic):
        name = name.item()
    if isinstance(name, tuple):
        return [_name_of(part) for part in name]
    if isinstance(name, bool | int | str) or (isinstance(name, float) and math.isfinite(name)):
        return name
    raise InvalidError(
        f"{name!r} of type {type(name).__name__} cannot be a name",
        hint="name columns by texts or numbers",
    )


# Back


def decode_table(data: bytes | BinaryIO) -> Any:
    """Read a table back from its encoding.

    Parameters
    ----------
    data : bytes or binary file
        All of an encoding, and nothing else.

    Returns
    -------
    DataFrame, dict, ndarray or csr_array
        What was encoded, with equal values and dtypes. A Series and an Arrow table come back
        as a DataFrame, a list as an array, a sparse matrix as a `csr_array`. Where pandas is
        not installed, a DataFrame comes back as a dict of arrays, with None for each missing
        value and times in UTC.

    Raises
    ------
    CorruptError
        If the bytes are not an encoding that `encode_table` has written. Bytes altered into
        another table are known by their digest only.
    InvalidError
        If a column needs pandas, pyarrow or a newer release of one to be read.

    Examples
    --------
    >>> decode_table(b"".join(encode_table([[1, 2], [3, 4]])))
    array([[1, 2],
           [3, 4]])
    """
    reader = Reader(data if isinstance(data, bytes) else data.read())
    try:
        header = _read_header(reader)
        columns = [read_column(entry, reader) for entry in header["columns"]]
        reader.end()
        table = _rebuilt(header, columns)
    except (CorruptError, InvalidError):
        raise
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise CorruptError(f"the table cannot be read: {error}") from error
    _check_header(table, header)
    return table


def _check_header(table: Any, header: dict[str, Any]) -> None:
    try:
        found = table_header(table)
    except InvalidError as error:
        raise CorruptError(f"the table is not one that can be written: {error}") from error
    # Without pandas a frame is read as another kind, so its header says nothing.
    if found["kind"] == header["kind"] and canonical_json(found) != canonical_json(header):
        raise CorruptError("the header of the table is not that of the values which follow")


def _read_header(reader: Reader) -> dict[str, Any]:
    first = reader.line()
    if first != MAGIC:
        raise CorruptError(f"this is no `{MAGIC.decode()}`: it begins with {first[:40]!r}")
    line = reader.line()
    header = json.loads(line)
    try:
        is_canonical = canonical_json(header) == line
    except InvalidError:  # NaN, or half a character
        is_canonical = False
    if not is_canonical:
        raise CorruptError("the header of the table is not written as it should be")
    if not isinstance(header, dict):
        raise CorruptError("the header of the table is no object")
    return header


def _rebuilt(header: dict[str, Any], columns: list[Stored]) -> Any:
    kind, n = header["kind"], header["n_rows"]
    names = [_name_back(column.header["name"]) for column in columns]
    if kind in ("frame", "columns") and {column.header["n"] for column in columns} - {n}:
        raise CorruptError("a column of the table has another length than the table")
    if kind == "columns":
        return _dict(names, columns)
    if kind == "frame":
        return _frame(names, columns, n)
    if header["shape"][0] != n:
        raise CorruptError("the shape of the table differs from its number of rows")
    if kind == "array":
        (column,) = columns
        return to_array(column).reshape(header["shape"])
    if kind == "sparse":
        return _sparse(columns, header["shape"])
    raise CorruptError(f"the table is of unknown kind: {kind!r}")


def _name_back(name: Any) -> Any:
    return tuple(_name_back(part) for part in name) if isinstance(name, list) else name


def _dict(names: list[Any], columns: list[Stored]) -> dict[Any, Array]:
    return {name: to_array(column) for name, column in zip(names, columns, strict=True)}


def _frame(names: list[Any], columns: list[Stored], n: int) -> Any:
    try:
        import pandas
    except ImportError as error:
        if len(set(names)) < len(names):
            raise InvalidError(
                f"reading two columns of one name needs pandas: {names}",
                hint="run `pip install pandas`",
            ) from error
        return _dict(names, columns)
    series = {place: to_series(column, pandas) for place, column in enumerate(columns)}
    frame = pandas.DataFrame(series, index=pandas.RangeIndex(n))
    if names and all(isinstance(name, tuple) for name in names):
        frame.columns = pandas.MultiIndex.from_tuples(names)
    elif len({type(name) for name in names}) == 1:
        frame.columns = pandas.Index(names)
    else:
        frame.columns = pandas.Index(names, dtype=object)
    return frame


def _sparse(columns: list[Stored], shape: list[int]) -> Any:
    from scipy.sparse import csr_array

    indptr, indices, values = (to_array(column) for column in columns)
    matrix = csr_array((values, indices, indptr), shape=shape)
    matrix.check_format(full_check=True)
    if not _is_canonical(matrix):
        raise CorruptError("the sparse matrix is not in its one order")
    return matrix
