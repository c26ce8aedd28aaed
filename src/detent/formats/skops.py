"""The format `skops`: scikit-learn estimators and pipelines as data that runs no code."""

import io
import json
import pickle
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, BinaryIO

from detent.domain.version import format_size
from detent.errors import CorruptError, DetentError, InvalidError, RefusedError
from detent.formats.base import FileSink, FileSource
from detent.formats.trust import find_harmless, find_uses, trusted_names

FILE = "model.skops"
MOST_INFLATED = 100  # times the size of a file: what it may unpack to, unless its writer is trusted
_SMALL = 16 << 20  # bytes that any file may unpack to

# What zipfile, zlib and json raise on bytes that are not what they seem.
_NOT_WHAT_IT_SEEMS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,  # no such member
    NotImplementedError,  # a compression that we never write
    RuntimeError,  # an encrypted member
    ValueError,  # no JSON, no UTF-8
    RecursionError,
)


class SkopsFormat:
    """One file, ``model.skops``, that every skops can read.

    The same model gives the same bytes, in another process too. scikit-learn's own types are
    trusted, by a list in detent; all others must be named by whoever loads.
    """

    name = "skops"
    runs_code = False

    def accepts(self, model: Any) -> bool:
        """Say whether it is an estimator derived from scikit-learn's."""
        # A model cannot be one while its base class is not even imported.
        base = sys.modules.get("sklearn.base")
        return base is not None and isinstance(model, base.BaseEstimator)

    def save(self, model: Any, files: FileSink) -> dict[str, Any]:
        """Write an estimator as ``model.skops``.

        Raises
        ------
        InvalidError
            If a part of it cannot be saved; the message names it.
        """
        from detent.formats.archive import write_archive

        with files.create(FILE) as file:
            write_archive(model, file)
        return {}

    def load(
        self, files: FileSource, *, options: Mapping[str, Any], trusted: bool | Sequence[str]
    ) -> Any:
        """Read an estimator back.

        Parameters
        ----------
        files : FileSource
            The files of a version.
        options : mapping
            Nothing is read from it.
        trusted : bool or sequence of str
            True, or the full names of types (``shop.Encoder``) that may be made besides
            scikit-learn's own.

        Raises
        ------
        RefusedError
            If the file holds types that nobody has trusted, or unpacks to very much more than it
            is.
        CorruptError
            If it is no skops file, or cut short.
        InvalidError
            If it cannot be rebuilt with the packages installed here.
        """
        if FILE not in files.paths():
            raise CorruptError(f"the model was not loaded: it has no file `{FILE}`")
        with files.open(FILE) as file:
            return _read(file, trusted)


def _read(file: BinaryIO, trusted: bool | Sequence[str]) -> Any:
    from skops.io import load
    from skops.io.exceptions import UntrustedTypesFoundException

    from detent.formats.trees import check_trees

    if trusted is not True:
        _check_size(file)
    schema, members = _outline(file)
    uses = find_uses(schema)
    known = find_harmless(uses) | trusted_names(trusted)
    try:
        if trusted is True:
            known |= _list_types(schema, members)
        model = load(file, trusted=sorted(known))
    except UntrustedTypesFoundException as error:
        raise _refused(sorted(_list_types(schema, members) - known)) from error
    except (DetentError, OSError, MemoryError):
        raise  # of the store or the machine, not of the file
    except Exception as error:
        raise _not_rebuilt(error) from error
    check_trees(model, uses)
    return model


def _check_size(file: BinaryIO) -> None:
    """Raise `RefusedError` where few bytes would fill the memory: what detent writes is not packed.

    No member unpacks to more than it says.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except _NOT_WHAT_IT_SEEMS as error:
        raise _not_skops(file, f"{type(error).__name__}: {error}") from error
    if unpacked > max(MOST_INFLATED * size, _SMALL):
        raise RefusedError(
            f"the model was not loaded: the {format_size(size)} of `{FILE}` unpack to"
            f" {format_size(unpacked)}, more than {MOST_INFLATED} times as much",
            hint="if you know who wrote it, pass trusted=True (in a command: `--trusted`)",
        )


def _outline(file: BinaryIO) -> tuple[dict[str, Any], set[str]]:
    """Return the schema of a skops file and the names of its members; no arrays are read."""
    try:
        with zipfile.ZipFile(file) as archive:
            schema = json.loads(archive.read("schema.json"))
            members = set(archive.namelist())
    except _NOT_WHAT_IT_SEEMS as error:
        raise _not_skops(file, f"{type(error).__name__}: {error}") from error
    if not isinstance(schema, dict) or "__loader__" not in schema:
        raise _not_skops(file, "its schema.json describes no object")
    return schema, members


def _list_types(schema: dict[str, Any], members: set[str]) -> set[str]:
    """Return the types that skops does not trust by itself."""
    from skops.io import get_untrusted_types

    # skops reads every array to tell. It need not: it is given the file with empty ones.
    outline = io.BytesIO()
    with zipfile.ZipFile(outline, "w") as archive:
        for member in members:
            archive.writestr(member, json.dumps(schema) if member == "schema.json" else b"")
    return set(get_untrusted_types(data=outline.getvalue()))


def _not_skops(file: BinaryIO, reason: str) -> CorruptError:
    file.seek(0)
    start = file.read(2)
    if start[:1] == pickle.PROTO and start[1:] <= bytes([pickle.HIGHEST_PROTOCOL]):
        return CorruptError(
            f"the model was not loaded: `{FILE}` is a pickle, not a skops file; nothing of it ran",
            hint='if you know who wrote it, register it again with format="joblib"',
        )
    return CorruptError(f"the model was not loaded: `{FILE}` is not a whole skops file ({reason})")


def _refused(names: list[str]) -> RefusedError:
    count = "a type" if len(names) == 1 else f"{len(names)} types"
    listed = ", ".join(f"`{name}`" for name in names)
    return RefusedError(
        f"the model was not loaded: its skops file holds {count} that nobody has trusted: {listed}",
        hint=f"review them, then pass trusted={json.dumps(names)} (in a command: `--trusted`)",
        details={"untrusted": names},
    )


def _not_rebuilt(error: Exception) -> DetentError:
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError, KeyError)):
        return CorruptError(f"the model was not loaded: `{FILE}` is damaged ({text})")
    is_missing = isinstance(error, ImportError) or (
        isinstance(error, AttributeError) and isinstance(error.obj, ModuleType)
    )
    return InvalidError(
        f"the model was not loaded: it cannot be rebuilt with the packages installed here: {text}",
        hint="install the package that has it"
        if is_missing
        else "compare the installed versions with those that were recorded",
    )
