"""The code that trained a version: its commit, and a patch of what was not committed.

Only names of untracked files are recorded, never what is in them: they may hold secrets.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from detent.domain.digest import digest_of
from detent.domain.manifest import Code
from detent.lineage.recipe import running_script

TIMEOUT_S = 10.0  # for one call of git: a file system that hangs must not stop a registration
MAX_PATCH_BYTES = 10_000_000
MAX_UNTRACKED = 100

_MAX_STATUS_BYTES = 100_000_000
# Whatever a user has configured: the same change gives the same patch, and no watcher is started.
_GIT = (
    *("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.quotePath=true"),
    *("-c", "diff.suppressBlankEmpty=false", "-c", f"diff.orderFile={os.devnull}"),
)
_STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch"),
    *("--untracked-files=normal", "--no-renames", "--ignore-submodules=none"),
)
_DIFF = (
    *("diff", "HEAD", "--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--no-renames", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--unified=3"),
    *("--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic"),
    *("--submodule=short", "--ignore-submodules=dirty"),
)
_HARMLESS = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCode:
    """The code, and the bytes that it names by their digests."""

    code: Code
    blobs: tuple[bytes, ...] = ()


def record_code(folder: Path | None = None) -> RecordedCode:
    """Record the commit that holds the training code, and what is not in it.

    Parameters
    ----------
    folder : Path, optional
        Any folder of the repository. Without it: that of the script which runs, if it is not
        an installed one, else the current folder.

    Returns
    -------
    RecordedCode
        ``code.commit`` is None where no commit can be found, for whatever reason: recording never
        fails. ``code.is_clean`` says that all tracked files, and the script which runs, are as in
        the commit. ``blobs`` has the patch (``git diff HEAD --binary``, of tracked files only) when
        they are not, and in a notebook without a commit the cells run so far.

    Examples
    --------
    >>> record_code(Path("/")).code.is_clean
    False
    """
    script = running_script() if folder is None else None
    where = folder or (script.parent if script else Path("."))
    status = _git(where, _STATUS, limit=_MAX_STATUS_BYTES)
    if status is None:
        return _record_cells()
    commit, n_changed, untracked = _parse_status(status)
    if commit is None:
        return _record_cells()
    patch = _git(where, _DIFF, limit=MAX_PATCH_BYTES) if n_changed else None
    code = Code(
        commit=commit,
        is_clean=n_changed == 0 and (script is None or _is_tracked(script)),
        n_changed=n_changed,
        patch=digest_of(patch) if patch else None,
        untracked=untracked[:MAX_UNTRACKED],
    )
    return RecordedCode(code=code, blobs=(patch,) if patch else ())


def describe_changes(code: Code, version: str) -> str | None:
    """Say what a user should know about code that is in no commit; None when all is.

    Examples
    --------
    >>> code = Code(commit="3fa9c1e", is_clean=False, n_changed=3, patch="sha256:9f2c")
    >>> describe_changes(code, "wine/8")
    'the code has uncommitted changes: wine/8 keeps a patch of them (3 files)'
    """
    if code.commit is None or code.is_clean:
        return None
    if code.n_changed == 0:
        return f"the script that made {version} is in no commit: `git add` and commit it"
    files = f"{code.n_changed} file{'s' if code.n_changed > 1 else ''}"
    if code.patch is not None:
        return f"the code has uncommitted changes: {version} keeps a patch of them ({files})"
    return (
        f"the code has uncommitted changes ({files}), and {version} keeps no patch of them: it"
        f" would be above {MAX_PATCH_BYTES // 1_000_000} MB, or they are inside a submodule"
    )


def _parse_status(status: bytes) -> tuple[str | None, int, tuple[str, ...]]:
    """Return commit (None before the first), number of changed files, untracked names."""
    commit, n_changed, untracked = None, 0, []
    for line in status.split(b"\0"):
        if line.startswith(b"# branch.oid ") and not line.endswith(b"(initial)"):
            commit = line.split()[-1].decode()
        elif line[:2] in (b"1 ", b"2 ", b"u "):
            n_changed += 1
        elif line.startswith(b"? "):
            untracked.append(line[2:].decode("utf-8", "backslashreplace"))
    return commit, n_changed, tuple(sorted(untracked))


def _is_tracked(script: Path) -> bool:
    # Also false for a file that git ignores, which its status would not tell.
    found = _git(script.parent, ("ls-files", "--error-unmatch", "--", script.name), limit=100_000)
    return found is not None


def _git(folder: Path, arguments: Sequence[str], *, limit: int) -> bytes | None:
    """Return what git says; None when it fails, says more than `limit` bytes, or takes too long."""
    try:
        process = subprocess.Popen(
            [*_GIT, *arguments],
            cwd=folder,
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # no terminal to ask on, and one group to end
        )
    except OSError:  # no git, no such folder
        return None
    timer = Timer(TIMEOUT_S, _end, [process])
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as stdout:
            output = stdout.read(limit + 1)
        if len(output) > limit:
            _end(process)
        return output if process.wait() == 0 and len(output) <= limit else None
    finally:
        timer.cancel()


def _end(process: "subprocess.Popen[bytes]") -> None:
    # The whole group: a filter that git has started would keep the pipe open.
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def git_environment() -> dict[str, str]:
    """Return the environment that git is run in: it asks nothing, and speaks English."""
    # GIT_DIR and its like, set by a hook that runs the training, would name another repository.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _HARMLESS or not name.startswith("GIT_")
    }
    return kept | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _record_cells() -> RecordedCode:
    """Return the cells that ran in a notebook as the code; nothing elsewhere."""
    cells = _cells()
    if not cells:
        return RecordedCode(code=Code(commit=None, is_clean=False))
    text = "\n".join(f"# In [{number}]:\n{cell}\n" for number, cell in cells)
    data = text.encode("utf-8", "backslashreplace")
    code = Code(commit=None, is_clean=False, cells=digest_of(data))
    return RecordedCode(code=code, blobs=(data,))


def _cells() -> list[tuple[int, str]]:
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return []
    found = shell.user_ns.get("In", [])
    return [(number, str(cell)) for number, cell in enumerate(found) if cell]
