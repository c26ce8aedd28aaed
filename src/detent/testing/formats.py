"""What every format promises, as tests; and a place in memory for the files of a version.

A package that adds a format makes a subclass of `FormatContract` in its own tests, gives it the two
fixtures and the attributes that differ, and runs pytest::

    class TestTorch(FormatContract):
        @pytest.fixture
        def format(self):
            return TorchFormat()

        @pytest.fixture
        def model(self):
            return torch.nn.Linear(3, 1)

        def is_equal(self, model, loaded):
            return torch.equal(model.weight, loaded.weight)
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, BinaryIO, ClassVar

import pytest

from detent.domain.digest import canonical_json
from detent.errors import DetentError, InvalidError, RefusedError
from detent.formats.base import Format


class MemoryFiles:
    """The files of one version in memory: a sink and a source for formats.

    Like a real sink it cannot seek, and keeps nothing of a file that was not finished.
    """

    def __init__(self, content: dict[str, bytes] | None = None) -> None:
        self.content: dict[str, bytes] = dict(content or {})

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """Open a new file for writing."""
        file = _ForwardOnly()
        yield file
        self.content[path] = file.getvalue()

    def paths(self) -> Sequence[str]:
        """Return the paths of the files, in the order in which they were written."""
        return tuple(self.content)

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading."""
        return io.BytesIO(self.content[path])


class _ForwardOnly(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("seek")


class FormatContract:
    """Tests that every format passes; subclasses give `format`, `model` and what differs."""

    trusted: ClassVar[bool | list[str]] = False  # what loading `model` needs
    notices_damage: ClassVar[bool] = True  # False where any bytes are a model

    @pytest.fixture
    def format(self) -> Format:
        """Return the format."""
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> Any:
        """Return a model that the format can save."""
        raise NotImplementedError

    def is_equal(self, model: Any, loaded: Any) -> bool:
        """Say whether the model that was loaded is as good as the one saved."""
        raise NotImplementedError

    @pytest.fixture
    def unsavable(self) -> Any:
        """Return something that the format cannot save."""
        return object()

    @pytest.fixture
    def stranger(self) -> Any:
        """Return a model whose load needs trust; None when no model of this format does."""
        return None

    def test_what_is_loaded_equals_what_was_saved(self, format: Format, model: Any) -> None:
        """What is loaded is as good as what was saved."""
        files = MemoryFiles()
        options = format.save(model, files)
        loaded = format.load(files, options=options, trusted=self.trusted)
        assert self.is_equal(model, loaded)

    def test_saving_twice_gives_the_same_bytes(self, format: Format, model: Any) -> None:
        """The same model gives the same bytes and the same options."""
        first, second = MemoryFiles(), MemoryFiles()
        assert format.save(model, first) == format.save(model, second)
        assert first.content == second.content

    def test_options_have_a_canonical_json(self, format: Format, model: Any) -> None:
        """The options can stand in a manifest."""
        canonical_json(format.save(model, MemoryFiles()))

    def test_paths_are_relative_and_plain(self, format: Format, model: Any) -> None:
        """No path is absolute or leads elsewhere."""
        files = MemoryFiles()
        format.save(model, files)
        assert files.content
        for path in files.paths():
            parts = PurePosixPath(path).parts
            assert str(PurePosixPath(*parts)) == path
            assert not {"/", ".", ".."} & set(parts)

    def test_damaged_files_are_refused(self, format: Format, model: Any) -> None:
        """A file cut short or replaced gives an error of detent's."""
        if not self.notices_damage:
            pytest.skip("any bytes are a model of this format; the store checks their digests")
        files = MemoryFiles()
        options = format.save(model, files)
        for path, data in files.content.items():
            for damaged in (b"", data[:1], data[: len(data) // 2], data[:-1], b"\0" * 100):
                broken = MemoryFiles({**files.content, path: damaged})
                with pytest.raises(DetentError):
                    format.load(broken, options=options, trusted=True)

    def test_no_files_are_refused(self, format: Format, model: Any) -> None:
        """So does a version without files."""
        if not self.notices_damage:
            pytest.skip("no files are a model of this format")
        options = format.save(model, MemoryFiles())
        with pytest.raises(DetentError):
            format.load(MemoryFiles(), options=options, trusted=True)

    def test_nothing_is_kept_of_what_cannot_be_saved(self, format: Format, unsavable: Any) -> None:
        """A model that cannot be saved leaves no file behind."""
        files = MemoryFiles()
        with pytest.raises(InvalidError, match="nothing was registered"):
            format.save(unsavable, files)
        assert not files.content

    def test_trust_is_asked_for(self, format: Format, stranger: Any) -> None:
        """What needs trust is not loaded without it."""
        if stranger is None:
            pytest.skip("no model of this format needs trust")
        files = MemoryFiles()
        options = format.save(stranger, files)
        for trusted in (False, [], ["some.Other"]):
            with pytest.raises(RefusedError, match="was not loaded"):
                format.load(files, options=options, trusted=trusted)
        assert format.load(files, options=options, trusted=True) is not None
