"""What an estimator says about itself: its class, its parameters, its seed."""

import math
import re
from collections.abc import Mapping
from typing import Any

from detent.lineage.recipe import WITHHELD, is_secret_name

MAX_DEPTH = 20
MAX_TEXT = 1_000  # characters of a value that is kept as text
MAX_ITEMS = 100  # of an array that is kept whole

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SEED_NAMES = ("random_state", "seed", "random_seed")


def estimator_name(model: Any) -> str:
    """Return the full name of a model's class, or of the function that it is.

    Examples
    --------
    >>> from fractions import Fraction
    >>> estimator_name(Fraction(1, 2))
    'fractions.Fraction'
    """
    named = model if hasattr(model, "__qualname__") else type(model)
    return f"{getattr(named, '__module__', None) or 'builtins'}.{named.__qualname__}"


def record_parameters(model: Any) -> dict[str, Any]:
    """Return the parameters of an estimator (``get_params``) as JSON types; {} when it has none.

    Numbers, texts, truth values, None, lists and dicts are kept. NaN and infinities are texts, a
    nested estimator, a class or a function is its full name, a large array its digest, and all
    else its ``repr`` without addresses in memory. A value with the name of a secret is ``***``.
    """
    if isinstance(model, type) or not hasattr(model, "get_params"):
        return {}
    try:
        parameters = model.get_params(deep=True)
    except Exception:  # an estimator whose get_params fails can still be a good model
        return {}
    return _plain_dict(parameters, 0) if isinstance(parameters, Mapping) else {}


def find_seed(parameters: Mapping[str, Any]) -> int | None:
    """Return the seed among parameters: of the estimator itself, else of the outermost part.

    None when there is none, or when parts that are equally deep have different ones.

    Examples
    --------
    >>> find_seed({"steps": [], "forest__random_state": 42, "forest__base__random_state": 1})
    42
    """
    by_depth: dict[int, set[int]] = {}
    for name, value in parameters.items():
        *outer, last = name.split("__")
        if last in _SEED_NAMES and isinstance(value, int) and not isinstance(value, bool):
            by_depth.setdefault(len(outer), set()).add(value)
    if not by_depth:
        return None
    outermost = by_depth[min(by_depth)]
    return outermost.pop() if len(outermost) == 1 else None


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, str):
        return _text(value)
    if hasattr(value, "get_params") or hasattr(value, "__qualname__"):
        return estimator_name(value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _plain_array(value, depth)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return _plain_dict(value, depth)
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if depth < MAX_DEPTH and isinstance(value, set | frozenset):
        # The order of a set of texts differs from run to run.
        return sorted((_plain(item, depth + 1) for item in value), key=repr)
    return _shown(value)


def _plain_dict(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        _text(str(name)): WITHHELD
        if is_secret_name(str(name)) and value is not None
        else _plain(value, depth + 1)
        for name, value in values.items()
    }


def _plain_array(array: Any, depth: int) -> Any:
    """Return a NumPy scalar as a number, a small array as lists, a large one as its digest."""
    from detent.data.table import digest_table
    from detent.errors import InvalidError

    if getattr(array, "size", MAX_ITEMS + 1) <= MAX_ITEMS:
        return _plain(array.tolist(), depth) if depth < MAX_DEPTH else _shown(array)
    try:
        return f"<array {tuple(array.shape)} {array.dtype} {digest_table(array)}>"
    except InvalidError:
        return _shown(array)


def _shown(value: Any) -> str:
    try:
        text = _ADDRESS.sub("", repr(value))
    except Exception:  # a repr that fails
        text = f"<{estimator_name(type(value))}>"
    return _text(text[:MAX_TEXT])


def _text(text: str) -> str:
    # JSON has no lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode()
