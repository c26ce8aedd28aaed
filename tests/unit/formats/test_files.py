import errno
import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from detent.errors import InvalidError, NotFoundError
from detent.formats.files import Files, FilesFormat
from detent.testing.formats import MemoryFiles


def saved(path: str | Path) -> MemoryFiles:
    files = MemoryFiles()
    assert FilesFormat().save(path, files) == {}
    return files


def loaded(files: MemoryFiles) -> Files:
    return FilesFormat().load(files, options={}, trusted=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "bundle"
    (top / "b").mkdir(parents=True)
    (top / "b" / "z.bin").write_bytes(b"z")
    (top / "b" / "ä b.bin").write_bytes(b"a")
    (top / "a.txt").write_bytes(b"")
    return top


def test_a_folder_is_kept_with_sorted_paths(folder: Path) -> None:
    files = saved(folder)
    assert files.content == {"a.txt": b"", "b/z.bin": b"z", "b/ä b.bin": b"a"}
    assert list(files.paths()) == sorted(files.paths())


def test_a_file_is_kept_by_its_own_name(folder: Path) -> None:
    assert saved(str(folder / "b" / "z.bin")).content == {"z.bin": b"z"}


def test_what_is_loaded_is_a_mapping_that_reads_when_asked(folder: Path) -> None:
    files = loaded(saved(folder))
    assert list(files) == ["a.txt", "b/z.bin", "b/ä b.bin"]
    assert (len(files), files["b/z.bin"], "b" in files) == (3, b"z", False)
    assert files.get("b") is None
    with files.open("b/z.bin") as file:
        assert file.read(1) == b"z"
    assert repr(files) == "<Files a.txt, b/z.bin, b/ä b.bin>"


def test_an_unknown_path_lists_those_there_are(folder: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no file `c`; there are: a\.txt"):
        loaded(saved(folder)).open("c")


def test_a_link_within_the_folder_is_kept_as_a_file(folder: Path) -> None:
    (folder / "link").symlink_to("b/z.bin")
    assert saved(folder).content["link"] == b"z"


def test_the_path_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("bundle")
    assert saved(tmp_path / "current").content == saved(folder).content
    (tmp_path / "model.onnx").symlink_to("bundle/b/z.bin")
    assert saved(tmp_path / "model.onnx").content == {"model.onnx": b"z"}


def link_out(folder: Path) -> None:
    (folder.parent / "secret").write_text("secret")
    (folder / "x").symlink_to("../secret")


def link_out_by_folder(folder: Path) -> None:
    (folder / "x").symlink_to("/etc")


def link_to_folder(folder: Path) -> None:
    (folder / "x").symlink_to("b")


def link_in_a_circle(folder: Path) -> None:
    (folder / "x").symlink_to("x")


def link_to_nothing(folder: Path) -> None:
    (folder / "x").symlink_to("gone")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "x")


def unix_socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket may have about 100 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x")
    finally:
        os.chdir(here)


def backslash(folder: Path) -> None:
    (folder / "..\\x").touch()


def newline(folder: Path) -> None:
    (folder / "x\n").touch()


def not_utf8(folder: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/x\xff")).touch()
    except OSError:
        pytest.skip("this file system has no such names")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (link_out, "is a link that leads out of the folder"),
        (link_out_by_folder, "is a link that leads out of the folder"),
        (link_to_folder, "is neither a file nor a folder of its own"),
        (link_in_a_circle, "is a link to nothing"),
        (link_to_nothing, "is a link to nothing"),
        (pipe, "is neither a file nor a folder of its own"),
        (unix_socket, "is neither a file nor a folder of its own"),
        (backslash, "has a name that other systems cannot write"),
        (newline, "has a name that other systems cannot write"),
        (not_utf8, "has a name that other systems cannot write"),
    ],
)
def test_a_folder_with_more_than_files_is_refused_whole(
    folder: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(folder)
    files = MemoryFiles()
    with pytest.raises(InvalidError, match=f"x.* {reason}.*; nothing was registered"):
        FilesFormat().save(folder, files)
    assert not files.content


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(InvalidError, match="is a folder without files"):
        saved(tmp_path)


@pytest.mark.parametrize("path", ["", "gone", "gone/deeper", "a\nb"])
def test_nothing_at_the_path_is_said(path: str) -> None:
    with pytest.raises(NotFoundError, match="no file or folder"):
        saved(path)


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(InvalidError, match="takes a path, not a `int`"):
        FilesFormat().save(3, MemoryFiles())  # type: ignore[arg-type]


def test_a_file_that_cannot_be_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so a mode is not enough
    with pytest.raises(InvalidError, match=r"a\.txt` cannot be read \(Permission denied\)"):
        saved(folder)


def test_a_folder_that_cannot_be_read_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InvalidError, match=r"b` cannot be read \(Permission denied\)"):
        saved(folder)


def test_a_large_file_is_copied_in_parts(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(64 << 20)

    class Counter(MemoryFiles):
        def create(self, path: str):  # type: ignore[no-untyped-def]
            return open(os.devnull, "wb")

    tracemalloc.start()
    FilesFormat().save(large, Counter())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20  # bytes
