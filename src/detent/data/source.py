"""Data that went into a version: files, folders and addresses by their bytes, tables by values.

Only a digest, a size and names are kept: never a row.
"""

import hashlib
import os
import re
import stat
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from detent.domain.digest import canonical_json, digest_of
from detent.domain.manifest import Data
from detent.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # without a byte from the other side

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.*|(file):.*", re.DOTALL)


def digest_source(source: str | Path) -> Data:
    """Digest what a path or an address holds.

    Parameters
    ----------
    source : str or Path
        A path, or an address that begins with ``file:``, ``http:`` or ``https:``. The digest of a
        file is that of its bytes. That of a folder is the digest of the canonical JSON of the
        sorted list of pairs (path in the folder, digest), with all files below it, hidden ones too.

    Returns
    -------
    Data
        Of kind ``file``, named after the last part of the path without its suffix. ``source`` is
        the path as given, or the address without its query, which may be secret.

    Raises
    ------
    NotFoundError
        If nothing is there.
    InvalidError
        If the address is of another kind, or the path leads to something that is no file.
    ConflictError
        If a file changed while it was read.
    RefusedError
        If it may not be read.
    UnavailableError
        If the other side does not answer, or stops before the end.

    Examples
    --------
    >>> digest_source("s3://lake/train.csv")
    Traceback (most recent call last):
    detent.errors.InvalidError: `s3:` addresses cannot be read: a path, file:, http: or https: can
    """
    text = os.fspath(source)
    if not text:
        raise InvalidError("an empty text is no path: `.` is the current folder")
    address = _ADDRESS.fullmatch(text)
    scheme = (address[1] or address[2]).lower() if address else None
    if scheme in ("http", "https"):
        return _digest_address(text)
    if scheme == "file":
        text = _path_of(text)
    elif scheme is not None:
        raise InvalidError(
            f"`{scheme}:` addresses cannot be read: a path, file:, http: or https: can",
            hint="download it, or read it and pass the table",
        )
    try:
        return _digest_path(Path(text))
    except InvalidError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file or folder `{error.filename or text}`") from error
    except PermissionError as error:
        raise RefusedError(f"`{error.filename}` may not be read: {error.strerror}") from error
    except OSError as error:
        raise UnavailableError(f"`{text}` could not be read: {error}") from error
    except ValueError as error:  # a NUL in the path
        raise InvalidError(f"{text!r} is no path: {error}") from error


def _path_of(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    if parts.netloc not in ("", "localhost"):
        raise InvalidError(
            f"`{address}` names another machine: `{parts.netloc}`",
            hint="write file:///folder/file, with three strokes",
        )
    return urllib.parse.unquote(parts.path)


# Files and folders


def _digest_path(path: Path) -> Data:
    if path.is_dir():
        digest, size = _digest_folder(path)
    else:
        digest, size = _digest_file(path)
    name = (path if path.name else path.resolve()).stem or str(path)
    return Data(name=name, digest=digest, kind="file", size_bytes=size, source=path.as_posix())


def _digest_file(path: Path) -> tuple[str, int]:
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
        raise InvalidError(f"`{path}` is neither a file nor a folder")
    with path.open("rb") as file:
        before = _state(file)
        digest, size = _digest_stream(file)
        if _state(file) != before or size != before[0] or _state_at(path) != before:
            raise ConflictError(
                f"`{path}` changed while it was read", hint="wait until it is written, then repeat"
            )
    return digest, size


def _state(file: BinaryIO) -> tuple[int, int, int]:
    return _shown_state(os.fstat(file.fileno()))


def _state_at(path: Path) -> tuple[int, int, int] | None:
    try:
        return _shown_state(path.stat())
    except FileNotFoundError:
        return None


def _shown_state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _digest_folder(folder: Path) -> tuple[str, int]:
    paths = list(_files(folder))
    if not paths:
        raise InvalidError(f"the folder `{folder}` holds no file")
    pairs, total = [], 0
    for path in paths:
        digest, size = _digest_file(folder / path)
        pairs.append([path.as_posix(), digest])
        total += size
    if list(_files(folder)) != paths:
        raise ConflictError(
            f"files came into or left `{folder}` while it was read",
            hint="wait until it is written, then repeat",
        )
    return digest_of(canonical_json(pairs)), total


def _files(folder: Path) -> Iterator[PurePosixPath]:
    """Yield the paths of all files below `folder`, sorted by their text."""
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        for name in folders:
            # Links to folders can lead in circles, and out of the folder.
            if os.path.islink(os.path.join(parent, name)):
                raise InvalidError(f"`{parent}/{name}` is a link to a folder: not followed")
        relative = os.path.relpath(parent, folder)
        found += [PurePosixPath(relative, name) for name in names]
    yield from sorted(found, key=PurePosixPath.as_posix)


def _raise(error: OSError) -> None:
    raise error


def _digest_stream(stream: Any) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return "sha256:" + digest.hexdigest(), size


# Addresses


def _digest_address(address: str) -> Data:
    # Slow to import, and only addresses need them.
    import urllib.error
    import urllib.request
    from http.client import HTTPException, InvalidURL

    shown = _without_secrets(address)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            digest, size = _digest_stream(answer)
            due = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(shown, error.code) from error
    except (ValueError, InvalidURL):  # their words repeat the query
        raise InvalidError(
            f"`{shown}` is no address: blanks are written %20, a port is a number"
        ) from None
    except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
        raise UnavailableError(f"`{shown}` did not answer: {error}") from error
    # A connection that breaks looks like the end of the file.
    if due is not None and due != str(size):
        raise UnavailableError(f"`{shown}` stopped after {size:,} of {due} bytes")
    path = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(shown).path))
    name = path.stem or urllib.parse.urlsplit(shown).netloc
    return Data(name=name, digest=digest, kind="file", size_bytes=size, source=shown)


def _without_secrets(address: str) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise InvalidError(f"`{address[:8]}…` is no address: {error}") from error
    shown = urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
    )
    if "@" in parts.netloc:
        raise InvalidError(
            f"`{shown}` was given with a user: such addresses cannot be read",
            hint="download it, or use a link that needs no password",
        )
    return shown


def _refusal(shown: str, code: int) -> Exception:
    if code in (404, 410):
        return NotFoundError(f"there is nothing at `{shown}` (HTTP {code})")
    if code in (401, 403, 407):
        return RefusedError(f"`{shown}` may not be read (HTTP {code})")
    if code in (408, 425, 429) or code >= 500:
        return UnavailableError(f"`{shown}` did not answer (HTTP {code})")
    return InvalidError(f"`{shown}` cannot be read (HTTP {code})")


# What a user passes as data


def describe_data(data: Any, *, name: str | None = None) -> tuple[Data, ...]:
    """Return what is kept of data: names, digests, sizes. Never its rows.

    Parameters
    ----------
    data : None, path, address, table, pair, dict or list
        A table is anything that `encode_table` takes, but a dict: here it gives names to data. A
        pair ``(X, y)`` is two tables. A list holds any of these; one of numbers is a table.
    name : str, optional
        What the data are called. Without it, a file has its own name and a table is ``data``.

    Returns
    -------
    tuple of Data

    Raises
    ------
    InvalidError
        If something is none of these.
    DetentError
        As `digest_source` says, for paths and addresses.

    Examples
    --------
    >>> [item.name for item in describe_data(([[1], [2]], ["a", "b"]), name="train")]
    ['train.X', 'train.y']
    """
    if data is None:
        return ()
    if isinstance(data, Data):
        return (data,)
    if isinstance(data, str | os.PathLike):
        found = digest_source(os.fspath(data))
        return (found if name is None else replace(found, name=name),)
    if isinstance(data, list) and data and all(_is_data(item) for item in data):
        return _describe_list(data, name)
    prefix = "" if name is None else f"{name}."
    if isinstance(data, dict):
        parts = (describe_data(part, name=f"{prefix}{key}") for key, part in data.items())
        return tuple(item for part in parts for item in part)
    if isinstance(data, tuple):
        if len(data) != 2:
            raise InvalidError(
                f"a tuple of {len(data)} is no data: (X, y) is",
                hint='give each a name: {"X": X, "y": y}',
            )
        # Not by describe_data: a list of texts is here the labels, not paths.
        return tuple(
            _describe_table(part, prefix + key)
            for key, part in zip("Xy", data, strict=True)
            if part is not None
        )
    return (_describe_table(data, name or "data"),)


def _is_data(item: Any) -> bool:
    """Tell a list of data from one of numbers, which is a table itself."""
    if isinstance(item, str | os.PathLike | Data | tuple | dict):
        return True
    return getattr(item, "ndim", 0) > 0 or hasattr(item, "__arrow_c_stream__")


def _describe_list(data: list[Any], name: str | None) -> tuple[Data, ...]:
    described: list[Data] = []
    for place, item in enumerate(data):
        has_own_name = name is None and isinstance(item, str | os.PathLike)
        described += describe_data(
            item, name=None if has_own_name else f"{name or 'data'}[{place}]"
        )
    return tuple(described)


def _describe_table(data: Any, name: str) -> Data:
    # NumPy is loaded for a table only: a digest of a file does not need it.
    from detent.data.table import column_names, digest_table, n_rows

    return Data(
        name=name,
        digest=digest_table(data),
        kind="table",
        n_rows=n_rows(data),
        columns=column_names(data),
    )
