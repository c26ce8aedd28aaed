"""Doing again what trained a version: its code, its packages, its command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath

from detent.domain.manifest import Data, Lineage
from detent.errors import InvalidError, NotFoundError
from detent.lineage.code import git_environment

Tell = Callable[[str], None]  # what is being done now

_LAST_LINES = 20


def find_repository(commit: str, folder: Path) -> Path:
    """Return the top folder of a git repository that has a commit.

    Raises
    ------
    NotFoundError
        If the folder is in no repository, or that does not have the commit.
    """
    if _git(folder, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise NotFoundError(
            f"there is no commit {commit[:12]} in a git repository at {folder}; nothing was done",
            hint="fetch it, or name the repository: `--repository PATH`",
        )
    return Path(_git(folder, "rev-parse", "--show-toplevel").stdout.strip())


def check_out(commit: str, patch: bytes | None, repository: Path, folder: Path) -> None:
    """Put the code of a commit, and what was changed in it, into a new folder.

    The repository is read, and not changed.

    Raises
    ------
    InvalidError
        If the commit cannot be checked out, or the changes cannot be applied.
    """
    for arguments in (
        ("clone", "--quiet", "--shared", "--no-checkout", str(repository), str(folder)),
        ("-C", str(folder), "checkout", "--quiet", "--detach", commit),
    ):
        _checked(_git(repository, *arguments), "the code cannot be checked out")
    if patch is not None:
        applied = _git(folder, "apply", "--binary", "-", input=patch)
        _checked(applied, "the uncommitted changes that were kept cannot be applied")


def find_place(command: Sequence[str], code: Path) -> tuple[Path, list[str]]:
    """Return the folder to run a command in, and its arguments, with the script as called there.

    The folder of the first run is not recorded; its script is in the commit.

    Raises
    ------
    InvalidError
        If it is not.
    """
    arguments = list(command[1:])
    scripts = [argument for argument in arguments if argument.endswith(".py")]
    if not scripts or "-m" in arguments:
        return code, arguments
    script = PurePath(scripts[0])
    parts = script.parts[1:] if script.is_absolute() else script.parts
    tracked = _git(code, "ls-files").stdout.splitlines()
    for start in range(len(parts) if script.is_absolute() else 1):
        tail = "/".join(parts[start:])
        found = [path for path in tracked if path == tail or path.endswith(f"/{tail}")]
        if found:
            nearest = min(found, key=lambda path: (path.count("/"), path))
            folder = code / nearest[: len(nearest) - len(tail)]
            return folder, [tail if argument == scripts[0] else argument for argument in arguments]
    raise InvalidError(
        f"the commit has no `{script}`, which the recorded command runs",
        hint="it was in no commit when the version was trained",
    )


def bring_data(lineage: Lineage, repository: Path, code: Path, place: Path) -> None:
    """Link the data files that a commit does not hold, from where they lie in the repository."""
    for data in lineage.data:
        source = _relative(data)
        if source is None:
            continue
        wanted = place / source
        for base in (repository / place.relative_to(code), repository, Path.cwd()):
            if (base / source).exists() and not wanted.exists() and not wanted.is_symlink():
                wanted.parent.mkdir(parents=True, exist_ok=True)
                wanted.symlink_to((base / source).resolve())


def make_environment(lineage: Lineage, folder: Path, tell: Tell) -> Path:
    """Install the recorded packages into a new environment; return its Python.

    A package that was installed from a folder or an address is taken from there, if it is still
    the recorded version.

    Raises
    ------
    InvalidError
        If the environment cannot be made, or a package is not to be had.
    """
    wanted = [_requirement(name, version) for name, version in sorted(lineage.packages.items())]
    minor = ".".join((lineage.python or "").split(".")[:2])
    tell(f"installing {len(wanted)} packages")
    uv = shutil.which("uv")
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    what = "the recorded packages cannot be installed"
    if uv is not None:
        version = ("--python", minor) if minor else ()
        _checked(_run([uv, "venv", "--quiet", *version, str(folder)]), what)
        _checked(_run([uv, "pip", "install", "--quiet", "--python", str(python), *wanted]), what)
    else:
        base = shutil.which(f"python{minor}") or sys.executable
        _checked(_run([base, "-m", "venv", str(folder)]), what)
        _checked(_run([str(python), "-m", "pip", "install", "--quiet", *wanted]), what)
    return python


def run_command(python: Path, arguments: Sequence[str], *, place: Path, registry: Path) -> None:
    """Run what trained a version, so that it registers into a registry of its own.

    What it says goes to ``output.txt`` beside that registry.

    Raises
    ------
    InvalidError
        If it fails.
    """
    output = registry.parent / "output.txt"
    environment = os.environ | {"DETENT_REPRODUCING": str(registry)}
    with open(output, "wb") as stream:
        process = subprocess.Popen(
            [str(python), *arguments],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            ended_with = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
    if ended_with:
        lines = output.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        raise InvalidError(
            f"the recorded command ended with {ended_with}: {' '.join(['python', *arguments])}\n"
            + "\n".join(f"  {line}" for line in lines),
            hint=f"all that it said is in {output}; it ran in {place}",
        )


def _relative(data: Data) -> str | None:
    if data.kind != "file" or not data.source or "://" in data.source:
        return None
    return None if os.path.isabs(data.source) or ".." in data.source.split("/") else data.source


def _requirement(name: str, version: str) -> str:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return f"{name}=={version}"
    direct = found.read_text("direct_url.json")
    if found.version == version and direct:
        return f"{name} @ {json.loads(direct)['url']}"
    return f"{name}=={version}"


def _git(
    folder: Path, *arguments: str, input: bytes | None = None
) -> subprocess.CompletedProcess[str]:
    # Names of files may be in any encoding; the patch is bytes.
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=git_environment(),
            input=input,
            capture_output=True,
        )
    except OSError as error:
        raise InvalidError(
            f"git cannot be run in {folder}: {error.strerror or error}; nothing was done",
            hint="install git, or name the repository: `--repository PATH`",
        ) from error
    stdout, stderr = (
        text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr)
    )
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )


def _checked(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_LAST_LINES:]
        raise InvalidError("\n".join([what + ":", *(f"  {line}" for line in lines)]))
