"""Server processes of tests and benchmarks: as another user where needed, ended for sure."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

OTHER_USER = "nobody"  # some servers do not run as root


class NoServerError(Exception):
    """A real server is not there, and cannot be started; the text says what is missing."""


def as_other_user(command: Sequence[str | Path]) -> list[str]:
    """Return a command that runs as a user without rights, when we are root."""
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    entry = pwd.getpwnam(OTHER_USER)
    return [
        "setpriv",
        f"--reuid={entry.pw_uid}",
        f"--regid={entry.pw_gid}",
        "--clear-groups",
        *words,
    ]


def make_folder(prefix: str) -> Path:
    """Make a folder with a short name (sockets need that), of the user that servers run as."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    if os.geteuid() == 0:
        entry = pwd.getpwnam(OTHER_USER)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    return folder


def run(command: Sequence[str | Path], *, folder: Path) -> str:
    """Run a command to its end and return what it printed.

    Raises
    ------
    NoServerError
        If it fails.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise NoServerError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        text = (done.stderr or done.stdout).strip()
        raise NoServerError(f"{Path(command[0]).name} failed: {text[-500:]}")
    return done.stdout


def start(command: Sequence[str | Path], *, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], *, patience_s: float = 10.0) -> None:
    """End a server and all its children: politely first."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a server and all its children at once: they have no time for anything."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def remove(folder: Path) -> None:
    """Remove a folder that a server has used."""
    shutil.rmtree(folder, ignore_errors=True)
