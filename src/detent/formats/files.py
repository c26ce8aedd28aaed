"""The format `files`: a file, or all files of a folder, kept as they are."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from detent.errors import InvalidError, NotFoundError
from detent.formats.base import FileSink, FileSource

_CHUNK = 1 << 20  # bytes copied at once: a file of any size needs no more memory


class Files(Mapping[str, bytes]):
    """The files of a version: a mapping from path to bytes, read when asked for.

    ``files["model.onnx"]`` reads one whole; ``files.open("model.onnx")`` gives a file object to
    read it in parts. Bytes are checked each time they are opened.
    """

    def __init__(self, source: FileSource) -> None:
        self._source = source

    def __getitem__(self, path: str) -> bytes:
        """Return the bytes of one file; KeyError when there is none."""
        if path not in self:
            raise KeyError(path)
        with self.open(path) as file:
            return file.read()

    def __contains__(self, path: object) -> bool:
        """Say whether there is such a file, without reading it."""
        return path in self._source.paths()

    def __iter__(self) -> Iterator[str]:
        """Yield the paths, sorted."""
        return iter(self._source.paths())

    def __len__(self) -> int:
        """Return how many files there are."""
        return len(self._source.paths())

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Files {', '.join(self)}>"

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading (binary, seekable).

        Raises
        ------
        NotFoundError
            If there is no such path.
        CorruptError
            If its bytes are not those that were registered.
        """
        if path not in self:
            raise NotFoundError(
                f"there is no file `{path}`; there are: {', '.join(self)}",
                details={"paths": list(self)},
            )
        return self._source.open(path)


class FilesFormat:
    """Any files: an ONNX model, weights, a folder that another tool wrote."""

    name = "files"
    runs_code = False

    def accepts(self, model: Any) -> bool:
        """Say whether it is a path."""
        return isinstance(model, str | os.PathLike)

    def save(self, model: str | os.PathLike[str], files: FileSink) -> dict[str, Any]:
        """Copy a file, or every file of a folder and the folders in it.

        Raises
        ------
        NotFoundError
            If there is nothing at the path.
        InvalidError
            If it is no path, the folder holds no file, or something in it is neither file nor
            folder, is a link that leads out of it, or has a name that other systems cannot write.
        """
        if not self.accepts(model):
            raise InvalidError(
                f"the format `files` takes a path, not a `{type(model).__name__}`; nothing was"
                " registered",
                hint="write the files first, then register their path",
            )
        top = Path(model)
        if not os.fspath(model) or not top.exists():
            raise NotFoundError(f"there is no file or folder `{top}`; nothing was registered")
        found = sorted(_walk(top), key=lambda item: item[0])
        if not found:
            raise _refuse(top, "is a folder without files")
        for name, path in found:
            with _open(path) as source, files.create(name) as target:
                shutil.copyfileobj(source, target, _CHUNK)
        return {}

    def load(
        self, files: FileSource, *, options: Mapping[str, Any], trusted: bool | Sequence[str]
    ) -> Files:
        """Return the files as a mapping from path to bytes; nothing is read yet.

        Parameters
        ----------
        files : FileSource
            The files of a version; it is read from later, too.
        options : mapping
            Nothing is read from it.
        trusted : bool or sequence of str
            Without a meaning: bytes run no code.
        """
        return Files(files)


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file under `top` with the name it is kept by."""
    if not top.is_dir():
        yield _check(top.name, top.resolve(), top.resolve().parent), top
        return
    root = top.resolve()
    for folder, folders, names in os.walk(root, onerror=_give_up):
        for name in [*names, *folders]:
            path = Path(folder, name)
            if path.is_dir() and not path.is_symlink():
                continue
            yield _check(path.relative_to(root).as_posix(), path, root), path


def _check(name: str, path: Path, root: Path) -> str:
    """Return the name of a file when it may be kept."""
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise _refuse(path, "is a link that leads out of the folder")
    if not path.exists():
        raise _refuse(path, "is a link to nothing")
    if not stat.S_ISREG(path.stat().st_mode):
        raise _refuse(path, "is neither a file nor a folder of its own")
    if "\\" in name or not name.isprintable():
        raise _refuse(path, "has a name that other systems cannot write")
    return name


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _cannot_read(error) from error


def _refuse(path: Path, reason: str) -> InvalidError:
    shown = ascii(str(path))[1:-1]
    return InvalidError(f"`{shown}` {reason}; nothing was registered", details={"path": shown})


def _cannot_read(error: OSError) -> InvalidError:
    return _refuse(Path(error.filename), f"cannot be read ({error.strerror})")


def _give_up(error: OSError) -> None:
    raise _cannot_read(error) from error
