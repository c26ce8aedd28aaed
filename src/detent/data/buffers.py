"""The five ways in which a column lies as bytes: one writer and one reader for each.

A writer yields chunks, so that a large column is never copied as a whole. A reader takes the same
bytes and refuses any that a writer would not have written: what is read is what was meant.
"""

import datetime
import decimal
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.errors import CorruptError, InvalidError

Array = NDArray[Any]
Chunk = bytes | memoryview

# Fits in a core's cache, so that the search for NaN costs little beside the hashing that follows.
CHUNK_BYTES = 1 << 20

_STORABLE = re.compile(
    r"\|b1|\|[iu]1|<[iu][248]|<f[248]|<c(8|16)|<U[1-9]\d*|\|S[1-9]\d*|<[mM]8(\[\w+\])?"
)
_LAST_CODE_POINT = 0x10FFFF


class Reader:
    """The bytes of a table, taken from front to back."""

    def __init__(self, data: bytes) -> None:
        self._bytes = data
        self._data = memoryview(data)
        self._at = 0

    def take(self, n_bytes: int) -> memoryview:
        """Return the next bytes; CorruptError when fewer are left."""
        if not 0 <= n_bytes <= len(self._data) - self._at:
            raise CorruptError(
                f"the table is cut short: {n_bytes:,} bytes are due at byte {self._at:,}"
                f" of {len(self._data):,}"
            )
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def line(self) -> bytes:
        """Return the bytes up to the next line feed, and pass over it."""
        end = self._bytes.find(b"\n", self._at)
        if end < 0:
            raise CorruptError("the table is cut short: its header has no end")
        return bytes(self.take(end + 1 - self._at)[:-1])

    def end(self) -> None:
        """Raise CorruptError when anything is left."""
        if self._at != len(self._data):
            raise CorruptError(f"{len(self._data) - self._at:,} bytes follow the end of the table")


# plain: the values one after another, little-endian


def storage_code(dtype: "np.dtype[Any]") -> str:
    """Return how a header names `dtype` (``<f8``); InvalidError when it cannot be stored."""
    code = dtype.newbyteorder("<").str
    if not _STORABLE.fullmatch(code):
        raise InvalidError(
            f"values of type {dtype} have no table encoding",
            hint="convert them with `astype` to numbers, text or times of fixed size",
        )
    return code


def write_plain(array: Array) -> Iterator[Chunk]:
    """Yield the values of `array` in C order, little-endian, each NaN as the one quiet NaN."""
    code = storage_code(array.dtype)
    for part in _parts(array):
        part = np.ascontiguousarray(part, dtype=code)
        yield _canonical(part).reshape(-1).view(np.uint8).data


def _parts(array: Array) -> Iterator[Array]:
    if array.flags.c_contiguous:
        array = array.reshape(-1)
    row_bytes = array.nbytes // max(len(array), 1)
    step = max(1, CHUNK_BYTES // max(row_bytes, 1))
    for start in range(0, len(array), step):
        yield array[start : start + step]


def _canonical(part: Array) -> Array:
    if part.dtype.kind == "b":
        return np.not_equal(part.view(np.uint8), 0)  # a view of other bytes as bool can hold a 2
    if part.dtype.kind == "c":
        return _canonical(part.view(part.real.dtype)).view(part.dtype)
    if part.dtype.kind == "f" and (missing := np.isnan(part)).any():
        part = part.copy()
        part[missing] = np.nan
    return part


def read_plain(reader: Reader, code: str, n: int) -> Array:
    """Return `n` values of the type that `code` names, as an array of its own."""
    if not _STORABLE.fullmatch(code):
        raise CorruptError(f"the table names a type of values that it cannot hold: {code!r}")
    dtype = np.dtype(code)
    raw = reader.take(n * dtype.itemsize)
    if dtype.kind == "U" and np.frombuffer(raw, "<u4").max(initial=0) > _LAST_CODE_POINT:
        raise CorruptError("a text in the table holds a number that is no character")
    array: Array = np.frombuffer(raw, dtype).copy() if raw else np.empty(n, dtype)
    if dtype.kind in "bfc" and _canonical(array).tobytes() != raw:
        raise CorruptError("the table holds a truth value or a NaN that is not the one it may hold")
    return array


# masked: a byte for each row, 1 where there is a value, then the values, 0 where there is none


def write_masked(parts: Callable[[], Iterable[tuple[Array, Array]]]) -> Iterator[Chunk]:
    """Yield which rows have a value, then the values; those of other rows are written as zero.

    `parts` makes pairs of both, in the order of rows, and is called once for each.
    """
    for valid, _ in parts():
        yield from write_plain(valid)
    for valid, values in parts():
        step = CHUNK_BYTES // values.itemsize
        for start in range(0, len(values), step):
            kept, part = valid[start : start + step], values[start : start + step]
            yield from write_plain(part if kept.all() else np.where(kept, part, part.dtype.type(0)))


def read_masked(reader: Reader, code: str, n: int) -> tuple[Array, Array]:
    """Return which rows have a value, and the values."""
    valid = read_plain(reader, "|b1", n)
    values = read_plain(reader, code, n)
    if any(values[~valid].tobytes()):
        raise CorruptError("the table holds a value in a row that it says has none")
    return valid, values


# text, bytes: which rows have a value, the length of each in bytes, then all of them


def write_text(values: Sequence[str | bytes | None]) -> Iterator[Chunk]:
    """Yield texts (as UTF-8) or byte strings; None stands for a missing one."""
    encoded = [_utf8(value) if isinstance(value, str) else value or b"" for value in values]
    yield from write_plain(np.array([value is not None for value in values], dtype=bool))
    yield from write_plain(np.array([len(item) for item in encoded], dtype="<u8"))
    yield b"".join(encoded)


def read_text(reader: Reader, n: int, *, decode: bool) -> Array:
    """Return an object array of texts (byte strings unless `decode`) and None."""
    valid = read_plain(reader, "|b1", n)
    lengths = read_plain(reader, "<u8", n)
    items = _take_items(reader, lengths)
    if lengths[~valid].any():
        raise CorruptError("the table holds a text in a row that it says has none")
    values: Array = np.empty(n, dtype=object)
    values[:] = [_text(item) if decode else item for item in items]
    values[~valid] = None
    return values


def _take_items(reader: Reader, lengths: Array) -> list[bytes]:
    # Python's integers: a sum of NumPy's would wrap around for lengths that nobody wrote.
    ends = list(itertools.accumulate(lengths.tolist(), initial=0))
    data = bytes(reader.take(ends[-1]))
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _utf8(text: str) -> bytes:
    # A lone surrogate (from an undecodable file name, say) is kept as its three bytes.
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


# objects: a byte for each row that tells its type, the length of each in bytes, then all of them


@dataclass(frozen=True, slots=True)
class _Kind:
    tag: bytes
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


def _number(code: str) -> _Kind:
    def write(value: Any) -> bytes:
        return _canonical(np.array([value], dtype=code)).tobytes()

    def read(data: bytes) -> Any:
        return np.frombuffer(data, code).item()

    return _Kind(b"f" if code == "<f8" else b"c", write, read)


def _constant(tag: bytes, value: Any) -> _Kind:
    return _Kind(tag, lambda _: b"", lambda _: value)


def _ascii(tag: bytes, parse: Callable[[str], Any], show: Callable[[Any], str] = str) -> _Kind:
    return _Kind(tag, lambda value: show(value).encode(), lambda data: parse(data.decode()))


_KINDS: dict[type, _Kind] = {
    type(None): _constant(b"n", None),
    bool: _Kind(b"b", lambda value: b"1" if value else b"0", lambda data: data == b"1"),
    int: _ascii(b"i", int),
    float: _number("<f8"),
    complex: _number("<c16"),
    str: _Kind(b"s", _utf8, _text),
    bytes: _Kind(b"y", bytes, bytes),
    decimal.Decimal: _ascii(b"m", decimal.Decimal),
    datetime.date: _ascii(b"d", datetime.date.fromisoformat, datetime.date.isoformat),
}
_BASES: tuple[Any, ...] = (bool, int, float, complex, str, bytes)
_SCALARS = (np.bool_, np.integer, np.floating, np.complexfloating, np.str_, np.bytes_)


def _kinds() -> dict[type, _Kind]:
    # pandas has two more words for "missing", each of its own type.
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return _KINDS
    return _KINDS | {
        type(pandas.NA): _constant(b"A", pandas.NA),
        type(pandas.NaT): _constant(b"T", pandas.NaT),
    }


def write_objects(values: Sequence[Any]) -> Iterator[Chunk]:
    """Yield values of mixed types; InvalidError names the first that cannot be stored."""
    kinds = _kinds()
    tags, items = bytearray(), []
    for row, value in enumerate(values):
        if type(value) not in kinds:
            value = _plain_value(value, row)
        kind = kinds[type(value)]
        tags += kind.tag
        try:
            items.append(kind.write(value))
        except ValueError as error:  # an int of thousands of digits
            raise InvalidError(f"row {row} has no table encoding: {error}") from error
    yield bytes(tags)
    yield from write_plain(np.array([len(item) for item in items], dtype="<u8"))
    yield b"".join(items)


def _plain_value(value: Any, row: int) -> Any:
    """Return the number or text of Python that a NumPy scalar or a subclass stands for."""
    if isinstance(value, _SCALARS):
        value = value.item()
    for base in _BASES:
        if isinstance(value, base):
            return base(value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidError(
        f"row {row} holds a value of type {kind}, which has no table encoding",
        hint="keep numbers, texts, bytes, dates and missing values; convert others to text",
    )


def read_objects(reader: Reader, n: int) -> Array:
    """Return an object array of values of mixed types."""
    by_tag = {kind.tag: kind for kind in _kinds().values()}
    # Without pandas its words for "missing" are read as None.
    by_tag = {b"A": _constant(b"A", None), b"T": _constant(b"T", None)} | by_tag
    tags = bytes(reader.take(n))
    items = _take_items(reader, read_plain(reader, "<u8", n))
    values: Array = np.empty(n, dtype=object)
    for row, item in enumerate(items):
        kind = by_tag.get(tags[row : row + 1])
        if kind is None:
            raise CorruptError(f"row {row} of the table is of no known type: {tags[row]}")
        values[row] = kind.read(item)
        if kind.write(values[row]) != item:
            raise CorruptError(f"row {row} of the table is not written as it should be")
    return values
