"""Arrow: tables and columns of pyarrow, and of whatever hands out an Arrow stream.

A column is called by its Arrow type, as pandas does: ``int64[pyarrow]``. So an Arrow table and
the data frame of the same Arrow columns are the same bytes.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from detent.data.buffers import Array, Chunk, storage_code, write_masked, write_text
from detent.data.columns import Column, Stored, category_column, to_array
from detent.errors import InvalidError

_SUFFIX = "[pyarrow]"
_WITH_PARAMETERS = (
    (re.compile(r"timestamp\[(\w+), tz=(.+)\]"), pa.timestamp),
    (re.compile(r"fixed_size_binary\[(\d+)\]"), pa.binary),
    (re.compile(r"decimal128\((\d+), (-?\d+)\)"), pa.decimal128),
    (re.compile(r"decimal256\((\d+), (-?\d+)\)"), pa.decimal256),
)


def arrow_table(data: Any) -> Any:
    """Return anything that hands out Arrow record batches as a pyarrow Table.

    Raises
    ------
    InvalidError
        If what it hands out is not a table.
    """
    try:
        return pa.table(data)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise InvalidError(
            f"{type(data).__name__} hands out Arrow data that is no table: {error}",
            hint="make a table of it, with a name for each column",
        ) from error


def arrow_column(values: Any) -> Column:
    """Return a chunked Arrow array as a column.

    Raises
    ------
    InvalidError
        If its type has no encoding (nested types have none).
    """
    name = str(values.type)
    header: dict[str, Any] = {"dtype": name + _SUFFIX, "n": len(values)}
    if pa.types.is_dictionary(values.type):
        return _category_column(values)
    if name in ("string", "large_string", "string_view"):
        return Column(header | {"encoding": "text"}, lambda: write_text(_objects(values)))
    if pa.types.is_decimal(values.type):
        return Column(header | {"encoding": "text"}, lambda: write_text(_digits(values)))
    if "binary" in name:
        return Column(header | {"encoding": "bytes"}, lambda: write_text(_objects(values)))
    numbers = _number_type(values.type)
    code = storage_code(np.dtype(numbers.to_pandas_dtype()))
    header |= {"encoding": "masked", "values": code}
    return Column(header, lambda: _number_chunks(values, numbers))


def _number_type(kind: Any) -> Any:
    """Return the type of the numbers that stand for values of `kind`: those of a date are days."""
    types = pa.types
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return kind
    if types.is_null(kind):
        return pa.int8()
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    if types.is_duration(kind):
        return pa.int64()
    raise InvalidError(
        f"values of Arrow type {kind} have no table encoding",
        hint="flatten nested columns, or convert them to text",
    )


def _number_chunks(values: Any, numbers: Any) -> Iterator[Chunk]:
    zero = numbers.to_pandas_dtype()(0)

    def parts() -> Iterator[tuple[Array, Array]]:
        for chunk in values.cast(numbers).chunks:
            valid = np.broadcast_to(np.True_, len(chunk))
            if chunk.null_count:
                valid = chunk.is_valid().to_numpy(zero_copy_only=False)
                # Floats come with NaN for null, which is as good: the writer puts zeros there.
                if not pa.types.is_floating(numbers):
                    chunk = chunk.fill_null(pa.scalar(zero, numbers))
            yield valid, chunk.to_numpy(zero_copy_only=False)

    return write_masked(parts)


def _category_column(values: Any) -> Column:
    whole = values.unify_dictionaries().combine_chunks()
    codes = whole.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    categories = arrow_column(pa.chunked_array([whole.dictionary]))
    ordered = bool(values.type.ordered)
    return category_column(codes, categories, dtype="dictionary" + _SUFFIX, ordered=ordered)


def _objects(values: Any) -> list[Any]:
    objects: list[Any] = values.to_pylist()
    return objects


def _digits(values: Any) -> list[str | None]:
    return [None if value is None else str(value) for value in values.to_pylist()]


def arrow_array(stored: Stored) -> Any:
    """Return a column as the Arrow array it was, in one chunk."""
    if stored.categories is not None:
        indices = pa.array(stored.values, mask=stored.values < 0)
        choices = arrow_array(stored.categories)
        return pa.DictionaryArray.from_arrays(indices, choices, ordered=stored.header["ordered"])
    kind = _type_named(stored.header["dtype"].removesuffix(_SUFFIX))
    if stored.valid is None:
        texts = pa.array(to_array(stored).tolist())
        return texts.cast(kind)
    if pa.types.is_null(kind):
        return pa.nulls(len(stored.values))
    return pa.array(stored.values, mask=~stored.valid).cast(kind)


def _type_named(name: str) -> Any:
    for pattern, make in _WITH_PARAMETERS:
        if found := pattern.fullmatch(name):
            return make(
                *(int(part) if part.lstrip("-").isdigit() else part for part in found.groups())
            )
    return pa.type_for_alias(name)
