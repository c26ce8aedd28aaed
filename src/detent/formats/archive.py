"""Writing a skops archive whose bytes depend on the model alone.

skops names the members of its archive after addresses in memory and stamps them with the time, so
that no two of its files are equal. Here members are numbered in the order they come and carry no
time. Large arrays go to the file from where they lie: skops would hold two more copies of them.
Any skops reads the result.

It uses four names that skops does not publish (imported below); `tests/contract/test_formats.py`
notices when a release of skops changes what they do.
"""

import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, KeysView
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import skops
import skops.io
from skops.io._numpy import ndarray_get_state
from skops.io._utils import SaveContext, _get_state, get_state

from detent.errors import DetentError, InvalidError

_CHUNK = 1 << 20  # bytes: small enough to stay in the processor's cache on their way
_ZIP64_FROM = 1 << 30  # bytes; the format needs it from 4 GiB

# What these nodes stand for cannot be changed. Whether two that are equal are one object makes no
# difference, but it differs between processes that made the same model: they count as one.
_VALUES = {"JsonNode", "TypeNode", "FunctionNode"}

_ADDRESS = "_stop_words_id"

# These are found again by the name of their type (or by their own name).
_NAMED_THEMSELVES = {"FunctionNode", "TypeNode"}
_NAMED = _NAMED_THEMSELVES | {
    "ConstructorFromReduceNode",
    "DictNode",
    "ListNode",
    "ObjectNode",
    "SetNode",
    "TupleNode",
}


def write_archive(model: Any, file: BinaryIO) -> None:
    """Write `model` to a file that can be written and need not seek.

    Raises
    ------
    InvalidError
        If a part of the model cannot be saved, or could not be loaded again.
    """
    try:
        with _Members(file) as members:
            members.writestr("schema.json", _schema(model, members))
    except (DetentError, OSError, MemoryError):
        raise  # of the file, not of the model
    except Exception as error:
        raise _unsavable(model, error) from error


class _Members:
    """The archive's members, as skops writes them: the part of `zipfile.ZipFile` that it uses."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._pipe = _Pipe(file)
        self._zip = zipfile.ZipFile(self._pipe, "w")  # type: ignore[call-overload]  # write is all it needs
        self.names: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is not None:
            self._pipe.file = None
        self._zip.close()

    def namelist(self) -> KeysView[str]:
        """Return skops' names of what was written."""
        return self.names.keys()

    def writestr(self, name: str, data: bytes | memoryview) -> None:
        """Write a member whole."""
        with self._open(name, len(data)) as member:
            _write(member, data)

    def add_array(self, array: np.ndarray[Any, Any]) -> str:
        """Write an array, once, and return skops' name of it."""
        name = f"{id(array)}.npy"
        if name not in self.names:
            with self._open(name, array.nbytes) as member:
                _write_array(member, np.asarray(array))
        return name

    def _open(self, name: str, size: int) -> Any:
        number = f"{len(self.names)}.{name.rpartition('.')[2]}"
        self.names[name] = name if name == "schema.json" else number
        info = zipfile.ZipInfo(self.names[name])  # its time is 1980-01-01
        return self._zip.open(info, "w", force_zip64=size >= _ZIP64_FROM)


class _Pipe:
    """A file that cannot seek, so that the zip is the same wherever it goes.

    After a failure it swallows what zipfile writes to round the archive off: it would hide the
    first error behind a second.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        self.file = file

    def write(self, data: bytes | memoryview) -> int:
        file, self.file = self.file, None
        if file is not None:
            file.write(data)
            self.file = file
        return len(data)

    def flush(self) -> None:
        pass


def _schema(model: Any, members: _Members) -> bytes:
    """Write the model's arrays to `members` and return the JSON of all the rest."""
    context = SaveContext(zip_file=members)
    state = get_state(model, context)
    nodes = list(_nodes(state))
    _check_names(nodes, context.memo)
    _settle(nodes, members.names)
    state |= {"protocol": context.protocol, "_skops_version": skops.__version__}
    return json.dumps(state, separators=(",", ":")).encode()


def _array_state(array: np.ndarray[Any, Any], context: Any) -> dict[str, Any]:
    if not isinstance(context.zip_file, _Members) or array.dtype.hasobject:
        state: dict[str, Any] = ndarray_get_state(array, context)
        return state
    # An array mapped from a file is saved as the array it stands for.
    kind = np.ndarray if isinstance(array, np.memmap) else type(array)
    return {
        "__class__": kind.__name__,
        "__module__": kind.__module__,
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": context.zip_file.add_array(array),
    }


# skops asks this table how to save a type. Archives other than ours are written as before.
_get_state.register(np.ndarray)(_array_state)


def _write_array(member: Any, array: np.ndarray[Any, Any]) -> None:
    """Do what `numpy.save` does: records without what lies between them, the rest uncopied."""
    if array.dtype.names is not None:
        np.lib.format.write_array(member, _without_gaps(array), allow_pickle=False)
        return
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(member, header)
    in_order = array.T if header["fortran_order"] else np.ascontiguousarray(array)
    _write(member, in_order.reshape(-1).view(np.uint8))


def _write(member: Any, data: Any) -> None:
    view = memoryview(data)
    for start in range(0, len(view), _CHUNK):
        member.write(view[start : start + _CHUNK])


def _without_gaps(records: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # The bytes between the fields of a record (a tree's node has seven) hold whatever was in
    # memory before.
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names or ():
        clean[name] = records[name]
    return clean


def _nodes(state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a schema in the order of the text, each of them steadied."""
    todo: list[Any] = [state]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if isinstance(item.get("__loader__"), str):
                _steady(item)
                yield item
            todo.extend(reversed(item.values()))
        elif isinstance(item, list | tuple):
            todo.extend(reversed(item))


def _steady(node: dict[str, Any]) -> None:
    """Sort a set; drop the one attribute in which scikit-learn keeps an address in memory."""
    loader, content = node["__loader__"], node.get("content")
    if loader == "SetNode":
        _sort(node["content"])
    elif (node["__class__"], loader) == ("frozenset", "ConstructorFromReduceNode"):
        _sort(node["content"]["content"][0]["content"])
    elif node["__module__"] == "sklearn.feature_extraction.text" and content is not None:
        names = list(content["content"])
        if _ADDRESS in names:  # it only saves a check from being made twice
            del content["content"][_ADDRESS]
            del content["key_types"]["content"][names.index(_ADDRESS)]


def _sort(items: list[dict[str, Any]]) -> None:
    items.sort(key=lambda item: str(item.get("content")))


def _check_names(nodes: Iterable[dict[str, Any]], objects: dict[int, Any]) -> None:
    """Refuse functions and classes that nobody could find again by their name."""
    for node in nodes:
        if node["__loader__"] not in _NAMED:
            continue
        found = objects[node["__id__"]]
        if node["__loader__"] not in _NAMED_THEMSELVES:
            found = type(found)
        module, name = node["__module__"], node["__class__"]
        if module == "__main__":
            raise _NameError(f"`{name}` is defined in the script or notebook that runs")
        home = sys.modules.get(module)
        if getattr(home, name, None) is not found:
            kind = _NameError if hasattr(home, "__file__") else TypeError
            raise kind(f"`{module}.{name}` cannot be imported")


class _NameError(Exception):
    """Something is defined where no other process can import it from."""


def _settle(nodes: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Replace all that differs from one process to the next."""
    uses = Counter(_identity(node) for node in nodes)
    numbers: dict[Any, int] = {}
    for node in nodes:
        identity = _identity(node)
        del node["__id__"]
        if uses[identity] > 1:  # a number tells skops that it has read this one before
            node["__id__"] = numbers.setdefault(identity, len(numbers) + 1)
        if "file" in node:
            node["file"] = names[node["file"]]
        elif node["__loader__"] == "DictNode":
            node["content"] = _with_text_keys(node["content"])


def _identity(node: dict[str, Any]) -> Any:
    if node["__loader__"] in _VALUES:
        return node["__module__"], node["__class__"], node.get("content")
    return node["__id__"]


def _with_text_keys(content: dict[Any, Any]) -> dict[str, Any]:
    # skops calls the key's type with the key's text: bool("") is False, bool("False") is not.
    texts = {"" if key is False else str(key): value for key, value in content.items()}
    if len(texts) < len(content):
        raise ValueError("two of its keys have the same text")
    for key in content:
        if not isinstance(key, str | int | float):
            raise TypeError(f"its key {key!r} is neither text nor a number")
    return texts


def _unsavable(model: Any, error: Exception) -> InvalidError:
    path, part, reason = _blame(model, type(model).__name__, error, set())
    hint = (
        "define it with `def` or `class` in a module, and import it from there"
        if isinstance(reason, _NameError)
        else 'take it out of the model, use format="joblib" if it can be pickled, or write files'
        " yourself and register their folder"
    )
    return InvalidError(
        f"the model cannot be saved as skops because of `{path}`"
        f" ({type(part).__name__}): {_text(reason)}; nothing was registered",
        hint=hint,
        details={"part": path, "type": type(part).__name__},
    )


def _text(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it leads back to itself, or is nested too deeply"
    return str(error).partition("\n")[0].rstrip(".")


def _blame(part: Any, path: str, error: Exception, seen: set[int]) -> tuple[str, Any, Exception]:
    """Find the smallest part that cannot be saved by itself."""
    seen.add(id(part))
    for step, child in _parts(part):
        if id(child) in seen:
            continue
        try:
            with _Members(None) as members:
                _schema(child, members)
        except Exception as deeper:
            if _text(deeper) == _text(error):
                return _blame(child, path + step, deeper, seen)
    return path, part, error


def _parts(whole: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(whole, dict):
        yield from ((f"[{key!r}]", value) for key, value in whole.items())
    elif isinstance(whole, list | tuple):
        yield from ((f"[{i}]", value) for i, value in enumerate(whole))
    elif hasattr(whole, "__dict__") and not isinstance(whole, type):
        yield from ((f".{name}", value) for name, value in vars(whole).items())
