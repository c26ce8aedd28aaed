"""What a person sees on a terminal: colours, columns, questions, completion; in real processes."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import detent

DETENT = str(Path(sys.executable).with_name("detent"))


def on_terminal(*arguments: str, answer: str = "", **environment: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; type an answer when it asks. Return code and screen."""
    screen, terminal = pty.openpty()
    surroundings = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [DETENT, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=surroundings | {"DETENT_USER": "ana"} | environment,
    )
    os.close(terminal)
    shown = b""
    while True:
        ready, _, _ = select.select([screen], [], [], 60)
        if not ready:
            process.kill()
            raise TimeoutError(shown)
        try:
            part = os.read(screen, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
        if answer and shown.rstrip().endswith((b"on:", b"(Enter to skip)", b"[y/N]")):
            os.write(screen, answer.encode() + b"\n")
            answer = ""
    os.close(screen)
    return process.wait(), shown.decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def few_versions(folder: detent.Registry) -> detent.Registry:
    return folder


def test_columns_are_aligned_and_bold() -> None:
    code, shown = on_terminal("status")
    assert code == 0
    header, row = shown.splitlines()
    assert header.startswith("\x1b[1mMODEL  ALIAS")
    assert row.startswith("churn  production  v2      20")
    assert re.search(r"\(\d+ s\)", row)


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"]
)
def test_no_colour_where_it_is_not_wanted(environment: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal("status", **environment)[1]
    assert "\x1b" not in on_terminal("status", "--no-color")[1]


def test_force_color_reaches_a_pipe_but_not_its_data() -> None:
    environment = os.environ | {"FORCE_COLOR": "1"}
    result = subprocess.run(
        [DETENT, "status"], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[0].split("\t")[0] == "MODEL"


def test_a_narrow_terminal_cuts_the_widest_column() -> None:
    shown = on_terminal("history", "churn@production", COLUMNS="70", NO_COLOR="1")[1]
    assert max(map(len, shown.splitlines())) <= 70
    assert "…" in shown


def test_rollback_acts_first_and_asks_afterwards(folder: detent.Registry) -> None:
    code, shown = on_terminal("rollback", "churn@production", answer="error rate doubled")
    assert code == 0
    assert shown.index("v2 → v1 (rollback)") < shown.index("why?")
    assert folder.status("churn@production").activation.reason == "error rate doubled"


def test_a_confirmation_has_to_be_typed(folder: detent.Registry) -> None:
    code, shown = on_terminal("delete", "churn/3", answer="no")
    assert (code, "it was not confirmed; nothing was changed" in shown) == (2, True)
    code, _ = on_terminal("delete", "churn/3", answer="churn/3")
    assert code == 0
    with pytest.raises(detent.NotFoundError):
        folder.version("churn/3")


def test_completion_offers_what_is_there() -> None:
    def offered(*words: str) -> list[str]:
        result = subprocess.run(
            [DETENT, "__complete", *words], capture_output=True, text=True, check=True
        )
        assert result.stderr == ""
        return result.stdout.split()

    assert offered("rollb") == ["rollback"]
    assert offered("rollout", "st") == ["start", "status", "stop"]
    assert offered("rollout", "start", "churn/3", "p") == ["production"]
    assert offered("rollback", "ch") == ["churn@production"]
    assert offered("show", "ch") == ["churn@production", "churn/"]
    assert offered("show", "churn/") == ["churn/3", "churn/2", "churn/1"]
    assert offered("activate", "churn/3", "p") == ["production"]
    assert offered("versions", "") == ["churn"]
    assert "--override" in offered("activate", "--")
    assert offered("show", "nothing") == []
    assert offered("no-such-command", "x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_whole(shell: str) -> None:
    script = subprocess.run(
        [DETENT, "completion", shell], capture_output=True, text=True, check=True
    ).stdout
    assert "detent __complete" in script
    if shell == "bash":
        program = f"""{script}
        COMP_WORDS=(detent rollback ch); COMP_CWORD=2; _detent; echo "${{COMPREPLY[@]}}"
        """
        result = subprocess.run(
            ["bash", "-c", program],
            env=os.environ | {"PATH": f"{Path(DETENT).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == "churn@production"


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    result = subprocess.run(
        f"{DETENT} audit | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("SEQ")
    assert result.stderr == ""


def test_stopped_by_the_user(tmp_path: Path, folder: detent.Registry) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as stream:
        stream.truncate(2_000_000_000)  # sparse: it takes no room until it is stored
    # Tests in the background of a shell ignore it, and so would what they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [DETENT, "register", "churn", str(large)], stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    unfinished = tmp_path / ".detent" / "blobs" / "unfinished"
    while not any(unfinished.glob("*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "whole or not there at all" in errors
    assert "Traceback" not in errors
    assert not any(unfinished.glob("*"))
    assert folder.models()[0].newest == 3


def test_a_defect_is_told_apart_from_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from detent.cli import main
    from detent.facade import Registry

    def broken(self: Registry) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Registry, "models", broken)
    assert main(["models"]) == 1
