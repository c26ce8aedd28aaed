"""Tensors: what a request carries becomes rows for a model, and its answer tensors again."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detent.domain.manifest import Field
from detent.errors import InvalidError
from detent.runtime.slot import Slot

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("bool"),
    "UINT8": np.dtype("uint8"),
    "UINT16": np.dtype("uint16"),
    "UINT32": np.dtype("uint32"),
    "UINT64": np.dtype("uint64"),
    "INT8": np.dtype("int8"),
    "INT16": np.dtype("int16"),
    "INT32": np.dtype("int32"),
    "INT64": np.dtype("int64"),
    "FP16": np.dtype("float16"),
    "FP32": np.dtype("float32"),
    "FP64": np.dtype("float64"),
    "BYTES": np.dtype("object"),
}
DATATYPES = {dtype.name: name for name, dtype in DTYPES.items()}
_DATATYPES_OF = {dtype: name for name, dtype in DTYPES.items()}
_WIDENS = {"b": "b", "u": "ui", "i": "ui", "f": "fui", "c": "cfui"}  # kind wanted: kinds that fit
_SHOWN_NAMES = 10


@dataclass(slots=True)
class Tensor:
    """One input or output; ``place`` names it in an error, as ``inputs[0]``."""

    name: str
    datatype: str
    array: NDArray[Any]
    place: str = ""


@lru_cache(maxsize=256)
def datatype_of(dtype: str) -> str:
    """Return the protocol's name for a type in a signature; texts and the rest are BYTES."""
    lowered = dtype.lower()  # pandas' types that take missing values: Int64, Float32
    return DATATYPES.get(lowered, "BOOL" if lowered == "boolean" else "BYTES")


def wrong(message: str, field: str, *, hint: str | None = None, **details: Any) -> InvalidError:
    """Return the error for a request, with the field at fault."""
    return InvalidError(message, hint=hint, details={"field": field, **details})


def count_of(shape: Sequence[int], place: str) -> int:
    """Return how many values a shape holds.

    Raises
    ------
    InvalidError
        If it is not a shape, or holds none.
    """
    if not shape:
        raise wrong(f"the shape of `{place}` is empty: [rows, …] is expected", f"{place}.shape")
    least = min(shape)
    if least < 0:
        raise wrong(f"the shape {list(shape)} of `{place}` is negative", f"{place}.shape")
    if least == 0:
        raise wrong(f"`{place}` has no values: at least one row is expected", f"{place}.shape")
    return math.prod(shape)


def from_bytes(raw: bytes | memoryview, datatype: str, shape: Sequence[int], place: str) -> Any:
    """Return the array that lies in bytes: little-endian, row by row.

    Raises
    ------
    InvalidError
        If there are more or fewer bytes than datatype and shape say.
    """
    count = count_of(shape, place)
    if datatype == "BYTES":
        return _read_texts(raw, count, place).reshape(shape)
    dtype = _dtype(datatype, place)
    if len(raw) != count * dtype.itemsize:
        raise wrong(
            f"`{place}` has {len(raw):,} bytes: {datatype} of shape {list(shape)} has"
            f" {count * dtype.itemsize:,}",
            f"{place}.parameters.binary_data_size",
        )
    array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False)
    return array.reshape(shape)


def to_bytes(array: NDArray[Any], datatype: str) -> bytes:
    """Return an array as bytes: little-endian, row by row; each text with its length before it."""
    if datatype != "BYTES":
        dtype = DTYPES[datatype].newbyteorder("<")
        return np.ascontiguousarray(array, dtype=dtype).tobytes()
    parts = []
    for value in array.ravel().tolist():
        text = value if isinstance(value, bytes) else str(value).encode()
        parts.append(struct.pack("<I", len(text)) + text)
    return b"".join(parts)


def _dtype(datatype: str, place: str) -> np.dtype[Any]:
    dtype = DTYPES.get(datatype)
    if dtype is None:
        known = ", ".join(DTYPES)
        raise wrong(
            f"`{place}` has the datatype {datatype!a}: {known} are known", f"{place}.datatype"
        )
    return dtype


def _read_texts(raw: bytes | memoryview, count: int, place: str) -> NDArray[Any]:
    field = f"{place}.parameters.binary_data_size"
    texts: list[str] = []
    at, end = 0, len(raw)
    while at < end:
        if at + 4 > end or len(texts) == count:
            raise wrong(f"`{place}` has bytes after its {len(texts):,} texts", field)
        (size,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + size > end:
            raise wrong(
                f"text {len(texts)} of `{place}` says that it has {size:,} bytes, {end - at:,} are"
                " left",
                field,
            )
        try:
            texts.append(bytes(raw[at : at + size]).decode())
        except UnicodeDecodeError:
            raise wrong(f"text {len(texts)} of `{place}` is not UTF-8", field) from None
        at += size
    if len(texts) != count:
        raise wrong(f"`{place}` has {len(texts):,} texts, its shape says {count:,}", field)
    array = np.empty(count, dtype=object)
    array[:] = texts
    return array


# Rows for the model ---------------------------------------------------------------------------


def to_rows(tensors: Sequence[Tensor], slot: Slot) -> tuple[Any, int]:
    """Return what a model takes, and how many rows it is.

    Raises
    ------
    InvalidError
        If the tensors are not what the signature of the version says; ``details["field"]`` names
        the one at fault.
    """
    signature = slot.signature
    if signature is None:
        return _unsigned(tensors, slot)
    if signature.kind == "table":
        return _to_table(tensors, slot, signature.inputs)
    (field,) = signature.inputs
    tensor = tensors[0] if tensors else None
    if tensor is None or tensor.name != field.name or len(tensors) > 1:
        raise _wrong_names(tensors, signature.inputs, slot)
    array = tensor.array
    if len(array.shape) != len(field.shape) or any(
        wanted not in (-1, size) for wanted, size in zip(field.shape, array.shape, strict=True)
    ):
        raise wrong(
            f"`{slot.version}` takes `{field.name}` of shape {list(field.shape)}, the request has"
            f" {list(array.shape)}",
            f"{tensor.place}.shape",
        )
    return _cast(tensor, field, slot), len(array)


def _to_table(tensors: Sequence[Tensor], slot: Slot, fields: Sequence[Field]) -> tuple[Any, int]:
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(tensors) != len(fields) or any(field.name not in by_name for field in fields):
        raise _wrong_names(tensors, fields, slot)
    columns, n = [], len(tensors[0].array)
    for field in fields:
        tensor = by_name[field.name]
        array = tensor.array
        if array.ndim == 2 and array.shape[1] == 1:
            array = tensor.array = array[:, 0]
        if array.ndim != 1 or len(array) != n:
            raise wrong(
                f"`{field.name}` has the shape {list(array.shape)}: [{n}] is expected, one value"
                " for each row",
                f"{tensor.place}.shape",
            )
        columns.append(_cast(tensor, field, slot))
    return _frame(columns, slot, fields), n


def _frame(columns: list[NDArray[Any]], slot: Slot, fields: Sequence[Field]) -> Any:
    template = slot.template
    if isinstance(template, dict):
        return dict(zip(template, columns, strict=True))
    import pandas

    if template is None:
        return pandas.DataFrame(dict(zip([f.name for f in fields], columns, strict=True)))
    types = {field.dtype for field in fields}
    if len(types) == 1 and types <= {"float64", "float32", "int64"}:
        # One block: several times faster than a column at a time.
        return pandas.DataFrame(np.stack(columns, axis=1), columns=template.columns, copy=False)
    frame = pandas.DataFrame(dict(enumerate(columns)))
    frame.columns = template.columns
    wanted = template.dtypes
    changed = {name: dtype for name, dtype in wanted.items() if not isinstance(dtype, np.dtype)}
    return frame.astype(changed) if changed else frame


def _cast(tensor: Tensor, field: Field, slot: Slot) -> NDArray[Any]:
    array, wanted = tensor.array, DTYPES[datatype_of(field.dtype)]
    if array.dtype is wanted or array.dtype == wanted or field.dtype == "unknown":
        return array
    kind = array.dtype.kind
    if kind not in _WIDENS.get(wanted.kind, "") or field.dtype.startswith(("datetime", "time")):
        if wanted.kind == "O" and kind == "O" and not field.dtype.startswith("datetime"):
            return array
        if kind == "O" and field.dtype.startswith("datetime64") and "," not in field.dtype:
            return _times(tensor, field)
        raise wrong(
            f"`{field.name}` of `{slot.version}` is {field.dtype}"
            f" ({datatype_of(field.dtype)}), the request has {tensor.datatype}",
            f"{tensor.place}.datatype",
        )
    cast = array.astype(wanted)
    if wanted.kind in "iu" and not np.array_equal(cast, array):
        raise wrong(
            f"`{field.name}` of `{slot.version}` is {field.dtype}: a value does not fit in it",
            f"{tensor.place}.data",
        )
    return cast


def _times(tensor: Tensor, field: Field) -> NDArray[Any]:
    try:
        return tensor.array.astype(field.dtype)
    except ValueError as error:
        raise wrong(
            f"`{field.name}` holds a text that is no time ({error}): write 2026-03-02T14:00:00",
            f"{tensor.place}.data",
        ) from None


def find_not_finite(
    tensors: Sequence[Tensor], slot: Slot, raised: Exception
) -> InvalidError | None:
    """Return the error for a request whose missing or infinite values a model did not take.

    Asked when a model raised: looking at every value before would cost every request for it, and
    some models take them.
    """
    for tensor in tensors:
        if tensor.array.dtype.kind != "f" or np.isfinite(tensor.array).all():
            continue
        row = int(np.argwhere(~np.isfinite(tensor.array))[0][0])
        is_missing = bool(np.isnan(tensor.array[row]).any())
        what = "a missing value (NaN or null)" if is_missing else "an infinite value"
        return wrong(
            f"`{tensor.name}` has {what} in row {row}, which `{slot.version}` does not take:"
            f" {str(raised).partition(chr(10))[0][:200]}",
            f"{tensor.place}.data",
        )
    return None


def _unsigned(tensors: Sequence[Tensor], slot: Slot) -> tuple[Any, int]:
    if not tensors:
        raise wrong("the request has no inputs", "inputs")
    if len(tensors) == 1:
        array = tensors[0].array
        return array, len(array)
    fields = [Field(name=tensor.name, dtype="unknown") for tensor in tensors]
    return _to_table(tensors, slot, fields)


def _wrong_names(tensors: Sequence[Tensor], fields: Sequence[Field], slot: Slot) -> InvalidError:
    names = [tensor.name for tensor in tensors]
    expected = [field.name for field in fields]
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected]
    twice = sorted({name for name in names if names.count(name) > 1})
    parts = [
        f"{what}: {_quoted(found)}"
        for what, found in (("missing", missing), ("unknown", extra), ("twice", twice))
        if found
    ]
    at = next((t.place for t in tensors if t.name in extra or t.name in twice), "inputs")
    count = f"{len(expected)} input" + ("s" if len(expected) != 1 else "")
    return wrong(
        f"`{slot.version}` takes {count}, the request has {len(names)}; {'; '.join(parts)}",
        at,
        hint=f"see them: GET /v2/models/{slot.version.model}",
        missing=missing,
        unknown=extra,
    )


def _quoted(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN_NAMES]) + more


# Answers --------------------------------------------------------------------------------------


def to_tensors(name: str, answer: Any) -> list[Tensor]:
    """Return what a model answered as tensors: several where it gives a list of arrays."""
    if isinstance(answer, list) and answer and all(hasattr(part, "dtype") for part in answer):
        return [
            tensor
            for place, part in enumerate(answer)
            for tensor in to_tensors(f"{name}[{place}]", part)
        ]
    if hasattr(answer, "toarray"):  # a sparse matrix
        answer = answer.toarray()
    array = np.asarray(answer)
    datatype = _DATATYPES_OF.get(array.dtype, "BYTES")
    if datatype == "BYTES":
        array = array.astype(object)
    return [Tensor(name, datatype, array)]
