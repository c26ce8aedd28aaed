"""Digests, and the canonical JSON that they are taken of.

A digest is text: ``sha256:`` and 64 lower-case hexadecimal digits, as in the OCI image
specification, so that other tools can check the bytes without detent.
"""

import hashlib
import json
import re
from typing import Any

from detent.errors import InvalidError

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of some bytes.

    Examples
    --------
    >>> digest_of(b"")[:19]
    'sha256:e3b0c44298fc'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def check_digest(text: str) -> str:
    """Return `text` when it is a whole digest.

    Raises
    ------
    InvalidError
        If it is not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    if not DIGEST_PATTERN.fullmatch(text):
        raise InvalidError(f"`{text[:80]}` is not a digest: sha256: and 64 hex digits are expected")
    return text


def short_digest(digest: str) -> str:
    """Return the form shown to people: ``sha256:`` and 12 digits.

    Examples
    --------
    >>> short_digest("sha256:" + "9f2c41d07a3e" + "0" * 52)
    'sha256:9f2c41d07a3e'
    """
    return digest[:19]


def canonical_json(value: Any) -> bytes:
    r"""Return the one JSON text of a value: sorted keys, no spaces, UTF-8, no NaN.

    Two equal values give the same bytes on every machine, so that a digest of the text
    identifies the value. Floats are written in the shortest form that reads back equal.

    Raises
    ------
    InvalidError
        If the value holds NaN, an infinity, a non-text key, a lone surrogate, or a type that
        JSON does not have.

    Examples
    --------
    >>> canonical_json({"b": 1.50, "a": ["é", None]})
    b'{"a":["\xc3\xa9",null],"b":1.5}'
    """
    try:
        _check_keys(value)
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"this value has no canonical JSON: {error}") from error


def _check_keys(value: Any) -> None:
    # json.dumps turns the keys 1, True and None into text, so that two values would share one text.
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not text")
            _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_keys(item)
