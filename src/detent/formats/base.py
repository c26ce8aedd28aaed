"""What a format is: how an estimator becomes files, and back.

A format is found by its name through the entry-point group ``detent.formats``. Trust is an
argument of the loader and never comes from the files.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol


class FileSink(Protocol):
    """Where a format puts its files. What is written is hashed and stored as it comes."""

    def create(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a new file for writing. `path` is relative, ``/`` between its parts."""
        ...


class FileSource(Protocol):
    """The files of one version. Bytes are checked against their digests before they are read."""

    def paths(self) -> Sequence[str]:
        """Return the paths of the files, in the manifest's order."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a verified file for reading (seekable)."""
        ...


class Format(Protocol):
    """How one kind of model becomes files and back. Instances hold no state.

    ``runs_code`` says whether loading can run code that the files carry: such a format loads
    only with ``trusted=True``.
    """

    name: str
    runs_code: bool

    def accepts(self, model: Any) -> bool:
        """Say whether `register` may choose this format for `model` by itself."""
        ...

    def save(self, model: Any, files: FileSink) -> dict[str, Any]:
        """Write `model` as files; return options (JSON types) that `load` needs, or {}.

        Raises
        ------
        InvalidError
            If the model cannot be saved in this format; the message says which part and why.
        """
        ...

    def load(
        self, files: FileSource, *, options: Mapping[str, Any], trusted: bool | Sequence[str]
    ) -> Any:
        """Read the model back.

        `trusted` is True (everything), or the names of the types that the caller trusts.

        Raises
        ------
        RefusedError
            If the files need trust that was not given; the message names what.
        CorruptError
            If the files are not what this format writes.
        """
        ...
