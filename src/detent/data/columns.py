"""Columns: from NumPy and pandas to a header entry and chunks of bytes, and back."""

import datetime
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from detent.data.buffers import (
    Array,
    Chunk,
    Reader,
    read_masked,
    read_objects,
    read_plain,
    read_text,
    storage_code,
    write_masked,
    write_objects,
    write_plain,
    write_text,
)
from detent.errors import CorruptError, InvalidError

_ZONED = re.compile(r"datetime64\[(\w+), (.+)\]")
_OFFSET = re.compile(r"UTC([+-])(\d\d):(\d\d)(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column ready to be written: its header entry, and what makes its chunks when asked."""

    header: dict[str, Any]
    chunks: Callable[[], Iterator[Chunk]]


@dataclass(frozen=True, slots=True)
class Stored:
    """A column as it was read: its header entry, and arrays that say what it holds.

    ``valid`` stands beside the values of a masked column. Of a category, ``values`` are
    positions in ``categories``, -1 where there is none.
    """

    header: dict[str, Any]
    values: Array
    valid: Array | None = None
    categories: "Stored | None" = None


# Writing


def array_column(array: Array) -> Column:
    """Return an array of any shape as one column, in C order.

    Raises
    ------
    InvalidError
        If its dtype has no encoding.
    """
    if array.dtype.kind == "O":
        header = {"dtype": "object", "encoding": "objects", "n": array.size}
        return Column(header, lambda: write_objects(array.ravel().tolist()))
    named = {"U": "str", "S": "bytes"}  # how wide stands in `values`
    return _plain_column(array, named.get(array.dtype.kind, str(array.dtype.newbyteorder("="))))


def _plain_column(values: Array, dtype: str) -> Column:
    code = storage_code(values.dtype)
    header = {"dtype": dtype, "encoding": "plain", "n": values.size, "values": code}
    return Column(header, lambda: write_plain(values))


def series_column(series: Any) -> Column:
    """Return a pandas Series as a column. Its index is not data.

    Raises
    ------
    InvalidError
        If its dtype has no encoding.
    """
    pandas = sys.modules["pandas"]
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return array_column(series.to_numpy())
    if isinstance(dtype, pandas.DatetimeTZDtype):
        name = f"datetime64[{dtype.unit}, {_zone_name(dtype.tz)}]"
        return _plain_column(series.dt.tz_convert(None).to_numpy(), name)
    if isinstance(dtype, pandas.CategoricalDtype):
        categories = series_column(dtype.categories.to_series())
        codes = series.cat.codes.to_numpy()
        return category_column(codes, categories, dtype="category", ordered=bool(dtype.ordered))
    if isinstance(dtype, pandas.StringDtype):
        return _pandas_text_column(series, "string" if dtype.na_value is pandas.NA else "str")
    if isinstance(dtype, pandas.ArrowDtype):
        from detent.data.arrow import arrow_column

        return arrow_column(series.array.__arrow_array__())
    if isinstance(getattr(dtype, "numpy_dtype", None), np.dtype):  # Int64, boolean, Float32, …
        return _nullable_column(series)
    raise InvalidError(
        f"values of pandas type {dtype} have no table encoding",
        hint="convert them with `astype` to numbers, texts, times or categories",
    )


def _pandas_text_column(series: Any, dtype: str) -> Column:
    header = {"dtype": dtype, "encoding": "text", "n": len(series)}
    return Column(header, lambda: write_text(series.to_numpy(dtype=object, na_value=None).tolist()))


def _nullable_column(series: Any) -> Column:
    numbers = series.dtype.numpy_dtype

    def parts() -> Iterator[tuple[Array, Array]]:
        values = series.to_numpy(dtype=numbers, na_value=numbers.type(0))
        yield series.notna().to_numpy(), values

    code = storage_code(numbers)
    header = {"dtype": str(series.dtype), "encoding": "masked", "n": len(series), "values": code}
    return Column(header, lambda: write_masked(parts))


def category_column(codes: Array, categories: Column, *, dtype: str, ordered: bool) -> Column:
    """Return a column of positions in `categories`, -1 where a value is missing."""
    header = {
        "categories": categories.header,
        "dtype": dtype,
        "encoding": "category",
        "n": len(codes),
        "ordered": ordered,
    }

    def chunks() -> Iterator[Chunk]:
        yield from write_plain(codes.astype(np.int32))
        yield from categories.chunks()

    return Column(header, chunks)


def _zone_name(zone: datetime.tzinfo) -> str:
    for attribute in ("key", "zone"):  # of zoneinfo, of pytz
        if name := getattr(zone, attribute, None):
            return str(name)
    offset = zone.utcoffset(None)
    if offset is None:
        raise InvalidError(
            f"the time zone {zone!r} has no name", hint="use `zoneinfo.ZoneInfo`, or convert to UTC"
        )
    return str(datetime.timezone(offset))


# Reading


def read_column(header: dict[str, Any], reader: Reader) -> Stored:
    """Read the column that `header` tells of.

    Raises
    ------
    CorruptError, KeyError, TypeError, ValueError
        If the header or the bytes are not as they are written.
    """
    n = header["n"]
    match header["encoding"]:
        case "plain":
            return Stored(header, read_plain(reader, header["values"], n))
        case "masked":
            valid, values = read_masked(reader, header["values"], n)
            return Stored(header, values, valid)
        case "text" | "bytes" as encoding:
            return Stored(header, read_text(reader, n, decode=encoding == "text"))
        case "objects":
            return Stored(header, read_objects(reader, n))
        case "category":
            codes = read_plain(reader, "<i4", n)
            categories = read_column(header["categories"], reader)
            if not ((codes >= -1) & (codes < len(categories.values))).all():
                raise CorruptError("the table holds a category that it does not list")
            return Stored(header, codes, categories=categories)
        case other:
            raise CorruptError(f"the table has a column of unknown encoding: {other!r}")


def to_array(stored: Stored) -> Array:
    """Return a column as one NumPy array; where values are missing, an object array with None.

    A time with a zone comes as that time in UTC.
    """
    if stored.categories is not None:
        choices = to_array(stored.categories).astype(object)
        # The None stands last, where the code -1 finds it.
        return np.append(choices, [None])[stored.values]
    if stored.valid is None or stored.valid.all():
        return stored.values
    values = stored.values.astype(object)
    values[~stored.valid] = None
    return values


def to_series(stored: Stored, pandas: Any) -> Any:
    """Return a column as a pandas Series of the dtype it had."""
    dtype = stored.header["dtype"]
    if dtype.endswith("[pyarrow]"):
        try:
            from detent.data.arrow import arrow_array
        except ImportError as error:
            raise InvalidError(
                f"reading values of type {dtype} needs pyarrow", hint="run `pip install pyarrow`"
            ) from error
        return pandas.Series(pandas.arrays.ArrowExtensionArray(arrow_array(stored)))
    if stored.categories is not None:
        categories = to_series(stored.categories, pandas)
        index = pandas.Index(categories, dtype=categories.dtype)
        ordered = stored.header["ordered"]
        return pandas.Series(pandas.Categorical.from_codes(stored.values, index, ordered=ordered))
    if stored.valid is not None:
        return pandas.Series(_nullable(stored.values, ~stored.valid, pandas))
    if stored.header["encoding"] == "text":
        return pandas.Series(stored.values, dtype=_text_dtype(dtype, pandas))
    if zoned := _ZONED.fullmatch(dtype):
        utc = pandas.Series(stored.values).dt.tz_localize("UTC")
        return utc.dt.tz_convert(_zone(zoned[2]))
    return pandas.Series(stored.values, dtype=stored.values.dtype)


def _text_dtype(name: str, pandas: Any) -> Any:
    if name != "str":
        return pandas.StringDtype()
    try:
        return pandas.StringDtype(na_value=float("nan"))
    except TypeError as error:
        raise InvalidError(
            "reading values of pandas type str needs pandas 2.3 or newer",
            hint="run `pip install -U pandas`",
        ) from error


def _nullable(values: Array, missing: Array, pandas: Any) -> Any:
    arrays = pandas.arrays
    kinds = {"b": arrays.BooleanArray, "f": arrays.FloatingArray}
    return kinds.get(values.dtype.kind, arrays.IntegerArray)(values, missing)


def _zone(name: str) -> Any:
    offset = _OFFSET.fullmatch(name)
    if offset is None:
        return name
    hours, minutes, seconds = (int(part or 0) for part in offset.groups()[1:])
    delta = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return datetime.timezone(-delta if offset[1] == "-" else delta)
