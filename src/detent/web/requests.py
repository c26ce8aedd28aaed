"""How a first request is sent to a model, ready to copy."""

import json
import math
import re
import shlex
from typing import Any

from detent.domain.manifest import Field, Signature

_NUMBERS = re.compile(r"(float|int|uint)(8|16|32|64)", re.IGNORECASE)


def example_request(model: str, signature: Signature | None) -> str:
    """Return a command that asks a server of this machine for one row of zeros.

    Examples
    --------
    >>> x = Field(name="X", dtype="float64", shape=(-1, 2))
    >>> print(example_request("wine", Signature(kind="array", inputs=(x,))))
    curl localhost:8080/v2/models/wine/infer
    -d '{"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [0, 0]}]}'
    """
    inputs: list[Any] = [_input(field) for field in signature.inputs] if signature else ["…"]
    body = shlex.quote(json.dumps({"inputs": inputs}, ensure_ascii=False))
    return f"curl localhost:8080/v2/models/{model}/infer -d {body}"


def _input(field: Field) -> dict[str, Any]:
    shape = [1 if length < 0 else length for length in field.shape]
    kind, zero = _datatype(field.dtype)
    data = [zero] * math.prod(shape)
    return {"name": field.name, "shape": shape, "datatype": kind, "data": data}


def _datatype(dtype: str) -> tuple[str, Any]:
    """Return the name of a dtype in the Open Inference Protocol, and something of it."""
    found = _NUMBERS.fullmatch(dtype)
    if found is not None:
        kind = {"float": "FP", "int": "INT", "uint": "UINT"}[found[1].lower()]
        return f"{kind}{found[2]}", 0
    return ("BOOL", False) if dtype.lower().startswith("bool") else ("BYTES", "")
