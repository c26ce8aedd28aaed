"""Requests and answers of the protocol over HTTP: JSON, and the binary tensor extension."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detent.inference.tensors import (
    DTYPES,
    Tensor,
    count_of,
    from_bytes,
    to_bytes,
    wrong,
)

_MISSING = msgspec.Raw(b"")


class InputTensor(msgspec.Struct):
    """One input as it stands in the JSON of a request."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = _MISSING
    parameters: dict[str, Any] | None = None


class RequestedOutput(msgspec.Struct):
    """One output that a request asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(msgspec.Struct):
    """The JSON of a request."""

    inputs: list[InputTensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


class Asked(msgspec.Struct):
    """What a request asks for, whatever it came by."""

    tensors: list[Tensor]
    id: str | None = None
    method: str | None = None  # the version's default
    outputs: list[str] | None = None  # those of the method
    binary: frozenset[str] | bool = False  # which outputs go back as bytes: all, some, none
    key: str | None = None  # of whom it comes from: the same one tries the same version


_requests = msgspec.json.Decoder(InferRequest)
_values: dict[str, tuple[msgspec.json.Decoder[Any], Any]] = {
    name: (msgspec.json.Decoder(list[kind]), list[kind])  # type: ignore[valid-type]  # made here
    for name, kind in (
        *((name, bool) for name in ("BOOL",)),
        *((name, int) for name in DTYPES if "INT" in name),
        *((name, float | None) for name in ("FP16", "FP32", "FP64")),
        ("BYTES", str | None),
    )
}


def decode_request(body: bytes | bytearray, header_length: str | None) -> Asked:
    """Read a request.

    Parameters
    ----------
    body : bytes
        JSON, and after it the binary tensors.
    header_length : str or None
        The header ``Inference-Header-Content-Length``: how many bytes are JSON.

    Raises
    ------
    InvalidError
        If it is not a request; ``details["field"]`` names what is at fault.
    """
    raw: memoryview | None = None
    if header_length is not None:
        n = _header_length(header_length, len(body))
        raw = memoryview(body)[n:]
        body = body[:n]
    try:
        request = _requests.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise wrong(f"the request is not one of the protocol: {text} (`{field}`)", field) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise wrong(f"the body is not JSON: {error}", "body") from None
    tensors, at = [], 0
    for i, given in enumerate(request.inputs):
        place = f"inputs[{i}]"
        size = given.parameters.get("binary_data_size") if given.parameters else None
        if size is None:
            array = _array(given, place)
        else:
            piece = _piece(raw, at, size, place)
            at += len(piece)
            array = from_bytes(piece, given.datatype, given.shape, place)
        tensors.append(Tensor(given.name, given.datatype, array, place))
    if raw is not None and at != len(raw):
        raise wrong(
            f"the body has {len(raw):,} bytes after the JSON, its inputs name {at:,} of them",
            "header Inference-Header-Content-Length",
        )
    return _asked(request, tensors)


def _asked(request: InferRequest, tensors: list[Tensor]) -> Asked:
    if request.parameters is None and request.outputs is None:
        return Asked(tensors, request.id)
    parameters = request.parameters or {}
    method = parameters.get("method")
    if method is not None and not isinstance(method, str):
        raise wrong("`parameters.method` is the name of a method", "parameters.method")
    key = parameters.get("key")
    if key is not None and not isinstance(key, str):
        raise wrong("`parameters.key` is a text", "parameters.key")
    binary: frozenset[str] | bool = parameters.get("binary_data_output") is True
    names = None
    if request.outputs:
        names = [output.name for output in request.outputs]
        binary = frozenset(
            output.name
            for output in request.outputs
            if (output.parameters or {}).get("binary_data", binary) is True
        )
    return Asked(tensors, request.id, method, names, binary, key)


def _header_length(text: str, size: int) -> int:
    name = "Inference-Header-Content-Length"
    if not (text.isascii() and text.isdigit()) or int(text) > size:
        raise wrong(
            f"the header {name} says {text[:40]!a}: a number of bytes up to the {size:,} of the"
            " body is expected",
            f"header {name}",
        )
    return int(text)


def _piece(raw: memoryview | None, at: int, size: Any, place: str) -> memoryview:
    field = f"{place}.parameters.binary_data_size"
    left = len(raw) - at if raw is not None else 0
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left or raw is None:
        raise wrong(
            f"`{place}` says that it has {size!a} bytes after the JSON, {left:,} are left", field
        )
    return raw[at : at + size]


def _array(given: InputTensor, place: str) -> NDArray[Any]:
    found = _values.get(given.datatype)
    if found is None:
        raise wrong(
            f"`{place}` has the datatype {given.datatype[:40]!a}: {', '.join(DTYPES)} are known",
            f"{place}.datatype",
        )
    count = count_of(given.shape, place)
    if given.data is _MISSING:
        raise wrong(f"`{place}` has neither `data` nor a `binary_data_size`", f"{place}.data")
    try:
        values = found[0].decode(given.data)
    except msgspec.ValidationError as error:
        values = _flattened(given, found[1], place, error)
    if len(values) != count:
        raise wrong(
            f"`{place}` has {len(values):,} values, its shape {given.shape} says {count:,}",
            f"{place}.data",
        )
    try:
        array = np.array(values, dtype=DTYPES[given.datatype])
    except (OverflowError, ValueError) as error:
        raise wrong(
            f"a value of `{place}` is no {given.datatype}: {error}", f"{place}.data"
        ) from None
    return array if given.shape == [count] else array.reshape(given.shape)


def _flattened(
    given: InputTensor, kind: Any, place: str, error: msgspec.ValidationError
) -> list[Any]:
    """Read values that lie in lists in a list, as the shape says."""
    values = msgspec.json.decode(given.data)
    try:
        for size in given.shape[1:]:
            if not all(isinstance(part, list) and len(part) == size for part in values):
                raise wrong(
                    f"the lists in `{place}` are not of its shape {given.shape}", f"{place}.data"
                )
            values = [value for part in values for value in part]
        return list(msgspec.convert(values, kind))
    except (msgspec.ValidationError, TypeError) as nested:
        text = str(nested if len(given.shape) > 1 else error).partition(" - at")[0]
        raise wrong(f"`{place}` is not {given.datatype}: {text}", f"{place}.data") from None


_encode = msgspec.json.Encoder().encode


def encode_answer(
    model: str,
    version: int,
    id: str,
    tensors: list[Tensor],
    *,
    binary: frozenset[str] | bool = False,
    form: str = "original",
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and how many bytes of it are JSON when not all are.

    Raises
    ------
    InvalidError
        If an answer holds what neither JSON nor BYTES can carry.
    """
    outputs: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    for tensor in tensors:
        array = tensor.array
        output: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": array.shape,
        }
        if binary and (binary is True or tensor.name in binary):
            pieces.append(to_bytes(array, tensor.datatype))
            output["parameters"] = {"binary_data_size": len(pieces[-1])}
        else:
            output["data"] = _plain(array, tensor.datatype)
        outputs.append(output)
    body: dict[str, Any] = {
        "model_name": model,
        "model_version": str(version),
        "id": id,
        "outputs": outputs,
    }
    if form != "original":
        body["parameters"] = {"form": form}
    encoded = _encode(body)
    if not pieces:
        return encoded, None
    return b"".join([encoded, *pieces]), len(encoded)


def _plain(array: NDArray[Any], datatype: str) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    if datatype == "BYTES":
        return [v if v is None or isinstance(v, str) else _text(v) for v in values]
    return values


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def encode_problem(error: Any, *, status: int, request_id: str | None = None) -> bytes:
    """Return problem details (RFC 9457), with the `error` that clients of the protocol look for."""
    problem = error.to_problem() | {"status": status, "error": error.message}
    if "field" in error.details:
        problem["field"] = error.details["field"]
    if request_id:
        problem["request_id"] = request_id
    return json.dumps(problem, ensure_ascii=False).encode()
