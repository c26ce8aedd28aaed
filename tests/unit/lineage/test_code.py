"""The code is recorded from real repositories, whatever state they are in."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from detent.domain.digest import digest_of
from detent.domain.manifest import Code
from detent.lineage import code as code_module
from detent.lineage.code import describe_changes, record_code

NOTHING = Code(commit=None, is_clean=False)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


def git(folder: Path, *arguments: str) -> str:
    settings = ["user.name=ana", "user.email=ana@example.org", "protocol.file.allow=always"]
    command = ["git", *(part for item in settings for part in ("-c", item)), *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit_all(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a change")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "src" / "train.py").write_text("fit()\n")
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    (folder / ".gitignore").write_text("*.key\n")
    commit_all(folder)
    return folder


def test_a_clean_tree(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    recorded = record_code(repository / "src")
    assert recorded.code == Code(commit=commit, is_clean=True)
    assert recorded.blobs == ()
    assert describe_changes(recorded.code, "wine/1") is None
    assert describe_changes(NOTHING, "wine/1") is None


def test_a_patch_gives_the_changed_files_back(repository: Path, tmp_path: Path) -> None:
    (repository / "src" / "train.py").write_text("fit(again=True)\n")
    (repository / "weights.bin").write_bytes(bytes(range(256)) * 2)
    (repository / "staged é.py").write_text("new\n")
    git(repository, "add", "staged é.py")
    git(repository, "rm", "--quiet", ".gitignore")
    recorded = record_code(repository)
    (patch,) = recorded.blobs
    assert recorded.code == Code(
        commit=git(repository, "rev-parse", "HEAD"),
        is_clean=False,
        n_changed=4,
        patch=digest_of(patch),
    )
    assert describe_changes(recorded.code, "wine/1") == (
        "the code has uncommitted changes: wine/1 keeps a patch of them (4 files)"
    )
    copy = tmp_path / "copy"
    git(tmp_path, "clone", "--quiet", str(repository), str(copy))
    (tmp_path / "patch").write_bytes(patch)
    git(copy, "apply", "--index", str(tmp_path / "patch"))
    for path in ("src/train.py", "weights.bin", "staged é.py"):
        assert (copy / path).read_bytes() == (repository / path).read_bytes()
    assert not (copy / ".gitignore").exists()


def test_a_users_settings_do_not_change_the_patch(repository: Path) -> None:
    (repository / "src" / "train.py").write_text("fit(again=True)\n")
    (patch,) = record_code(repository).blobs
    for name, value in {
        "color.ui": "always",
        "core.fsmonitor": "false; touch ran",
        "diff.external": "touch ran",
        "diff.mnemonicPrefix": "true",
        "diff.noprefix": "true",
        "diff.context": "0",
        "diff.algorithm": "patience",
        "diff.orderFile": "no-such-file",
        "diff.relative": "true",
        "status.showUntrackedFiles": "no",
    }.items():
        git(repository, "config", name, value)
    (repository / "new.py").touch()
    again = record_code(repository / "src")
    assert again.blobs == (patch,)
    assert again.code.untracked == ("new.py",)
    assert not list(repository.rglob("ran"))


def test_of_untracked_files_only_names_are_kept(repository: Path) -> None:
    (repository / "notes.txt").write_text("the password")
    (repository / "deploy.key").write_text("the password")
    (repository / "out").mkdir()
    (repository / "out" / "run.log").write_text("the password")
    (repository / "src" / "train.py").write_text("changed\n")
    recorded = record_code(repository)
    assert recorded.code.untracked == ("notes.txt", "out/")
    assert b"password" not in b"".join(recorded.blobs)


def test_untracked_files_alone_do_not_make_a_tree_unclean(repository: Path) -> None:
    (repository / "notes.txt").touch()
    assert record_code(repository).code.is_clean


def test_at_most_100_untracked_names_are_kept(repository: Path) -> None:
    for number in range(120):
        (repository / f"{number:03}.txt").touch()
    assert record_code(repository).code.untracked == tuple(f"{n:03}.txt" for n in range(100))


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems want names in UTF-8")
def test_a_name_that_is_no_text_is_still_json(repository: Path) -> None:
    Path(os.fsdecode(os.fsencode(repository) + b"/\xff.txt")).touch()
    assert record_code(repository).code.untracked == ("\\xff.txt",)


def test_a_patch_above_the_limit_is_left_out(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_module, "MAX_PATCH_BYTES", 1_000)
    (repository / "src" / "train.py").write_text("x = 1\n" * 1_000)
    recorded = record_code(repository)
    assert (recorded.code.n_changed, recorded.code.patch, recorded.blobs) == (1, None, ())
    assert not recorded.code.is_clean
    assert "(1 file), and wine/1 keeps no patch" in str(describe_changes(recorded.code, "wine/1"))


def test_a_detached_head_and_a_shallow_clone_have_their_commit(
    repository: Path, tmp_path: Path
) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "more.py").touch()
    second = commit_all(repository)
    git(repository, "checkout", "--quiet", first)
    assert record_code(repository).code == Code(commit=first, is_clean=True)
    git(repository, "checkout", "--quiet", "main")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(shallow))
    assert record_code(shallow).code == Code(commit=second, is_clean=True)


def test_a_linked_worktree_has_its_own_commit(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "-b", "try", str(tmp_path / "tree"))
    (tmp_path / "tree" / "more.py").touch()
    commit = commit_all(tmp_path / "tree")
    assert record_code(tmp_path / "tree").code == Code(commit=commit, is_clean=True)


def test_a_change_inside_a_submodule_is_seen(repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "--quiet")
    (library / "lib.py").write_text("1\n")
    commit_all(library)
    git(repository, "submodule", "--quiet", "add", str(library), "library")
    commit_all(repository)
    assert record_code(repository).code.is_clean
    (repository / "library" / "lib.py").write_text("2\n")
    recorded = record_code(repository)
    assert (recorded.code.is_clean, recorded.code.n_changed) == (False, 1)
    assert recorded.blobs == ()
    assert "inside a submodule" in str(describe_changes(recorded.code, "wine/1"))


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "train.py").touch()
    git(tmp_path, "add", "train.py")
    assert record_code(tmp_path).code == NOTHING


def test_a_bare_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare")
    assert record_code(tmp_path).code == NOTHING


def test_no_repository_and_no_folder(tmp_path: Path) -> None:
    assert record_code(tmp_path).code == NOTHING
    assert record_code(tmp_path / "none").code == NOTHING


def test_a_current_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert record_code().code == NOTHING


def test_a_damaged_repository(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("not a head")
    assert record_code(repository).code == NOTHING


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_repository_of_another_user_that_git_refuses(repository: Path) -> None:
    os.chown(repository, 12345, 12345)
    os.chown(repository / ".git", 12345, 12345)
    assert record_code(repository).code == NOTHING


def test_no_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert record_code(repository).code == NOTHING


def test_a_git_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    fake = tmp_path / "git"
    # Both processes keep the pipe open: it ends when both have ended.
    fake.write_text(f"#!/bin/sh\nexec 3>{started}\nsleep 600 &\nsleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(code_module, "TIMEOUT_S", 0.5)
    reader = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    assert record_code(tmp_path).code == NOTHING
    try:
        ended = os.read(reader, 1)
    except BlockingIOError:  # a moment passes until the system has closed it
        assert select.select([reader], [], [], 60)[0]
        ended = os.read(reader, 1)
    assert ended == b""
    os.close(reader)


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_a_hook_of_another_repository_does_not_mislead(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    paths = {"GIT_DIR": ".git", "GIT_WORK_TREE": ".", "GIT_INDEX_FILE": ".git/index"}
    monkeypatch.setenv(name, str(other / paths[name]))
    assert record_code(repository).code == Code(commit=commit, is_clean=True)


# Where the code is looked for

RECORD = """
import json, sys
from dataclasses import asdict
from detent.lineage.code import record_code
print(json.dumps(asdict(record_code().code)))
"""


def run(*arguments: str, cwd: Path) -> dict[str, Any]:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_is_that_of_the_script_which_runs(repository: Path, tmp_path: Path) -> None:
    script = repository / "src" / "train.py"
    script.write_text(RECORD)
    commit = commit_all(repository)
    found = run(str(script), cwd=tmp_path)
    assert (found["commit"], found["is_clean"]) == (commit, True)


def test_it_is_that_of_the_current_folder_when_no_script_runs(repository: Path) -> None:
    assert run("-c", RECORD, cwd=repository)["commit"] == git(repository, "rev-parse", "HEAD")


def test_it_is_that_of_the_current_folder_when_an_installed_tool_runs(
    repository: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "lib" / "site-packages" / "tool.py"
    tool.parent.mkdir(parents=True)
    tool.write_text(RECORD)
    assert run(str(tool), cwd=repository)["commit"] == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["train_too.py", "ignored.key"])
def test_a_tree_without_the_script_is_not_clean(repository: Path, name: str) -> None:
    (repository / name).write_text(RECORD)
    found = run(name, cwd=repository)
    assert (found["n_changed"], found["is_clean"]) == (0, False)
    del found["untracked"]
    assert describe_changes(Code(**found), "wine/1") == (
        "the script that made wine/1 is in no commit: `git add` and commit it"
    )


# Notebooks


def in_notebook(monkeypatch: pytest.MonkeyPatch, cells: list[str]) -> None:
    shell = SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_in_a_notebook_without_a_commit_the_cells_are_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_notebook(monkeypatch, ["", "import sklearn", "é = fit()\n\ud800"])
    recorded = record_code(tmp_path)
    (cells,) = recorded.blobs
    assert cells.decode() == "# In [1]:\nimport sklearn\n\n# In [2]:\né = fit()\n\\ud800\n"
    assert recorded.code == Code(commit=None, is_clean=False, cells=digest_of(cells))


def test_in_a_notebook_with_a_commit_the_cells_are_not_kept(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_notebook(monkeypatch, ["", "import sklearn"])
    assert record_code(repository).code.cells is None
    assert record_code(repository).blobs == ()


def test_a_shell_of_ipython_that_has_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert record_code(tmp_path).code == NOTHING
