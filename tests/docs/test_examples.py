"""The examples in README.md and docs/ run, and print what the page says.

A page is one story in one empty folder: its blocks run in their order.

- ``python`` blocks share their variables. A block that begins with ``>>>`` is compared with
  what it prints; any other only has to run.
- In ``console`` blocks each line ``$ command`` runs in a terminal of 100 columns, as the user
  ``ana``, the commands of a block in one shell. What is shown under a command is compared with
  what it prints; where nothing is shown, it may print anything. It has to succeed, unless the
  page shows its ``error: …`` or asks with ``echo $?``.
- ``...`` stands for any text, a time for any time, a digest for any digest, and white space
  for any other.

A block in any other language is only shown.
"""

import doctest
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.example import SybilFailure
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

SURROUNDINGS = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "COLUMNS": "100",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "DETENT_USER": "ana",
}

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
COMMAND = re.compile(r"^\$ (?P<typed>(?:.*\\\n)*.*)\n?(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?")
ERASED = re.compile(r"[^\n\x1e]*\r\x1b\[K")  # of a line: progress, on a machine that is busy
DIGEST = re.compile(r"sha256:[0-9a-f]{8,64}")


def parse(page: Path) -> Document:
    return Document.parse(
        str(page),
        PythonCodeBlockParser(doctest_optionflags=FLAGS),
        CodeBlockParser("console", check_console),
    )


def check_console(example: Example) -> str | None:
    """Run a block; return what is wrong with it."""
    commands = [(found["typed"], found["shown"]) for found in COMMAND.finditer(example.parsed)]
    results = run_in_terminal([typed for typed, _ in commands])
    checker = doctest.OutputChecker()
    asked = [typed for typed, _ in commands[1:]] + [""]
    for (typed, shown), (printed, status), then in zip(commands, results, asked, strict=True):
        # A command may only fail where the page shows its error, or asks for its exit code.
        if status != 0 and "error: " not in shown and then != "echo $?":
            return f"$ {typed}\nended with exit code {status}:\n{printed}"
        if shown.strip() and not checker.check_output(unvaried(shown), unvaried(printed), FLAGS):
            return f"$ {typed}\nshown:\n{shown}\nprinted:\n{printed}"
    return None


def run_in_terminal(commands: list[str]) -> list[tuple[str, int]]:
    """Run commands in one shell; return what each printed, and its exit code."""
    # After each command the shell prints its exit code between two separators, and restores it.
    mark = r"code=$?; printf '\036%d\036' $code; (exit $code)"
    script = "".join(f"{command}\n{mark}\n" for command in commands)
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    ):
        os.close(terminal)
        output = b"".join(iter(lambda: read(screen), b"")).decode().replace("\r\n", "\n")
    # A progress bar that was wiped, which a slow machine shows, is not there in the end.
    output = re.sub(r"[^\n\036]*\r\x1b\[K", "", output)
    os.close(screen)
    output = ERASED.sub("", output)
    *parts, _ = output.split("\036")
    return list(zip(parts[0::2], map(int, parts[1::2]), strict=True))


def read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # how Linux says that the last writer has closed the terminal
        return b""


def unvaried(text: str) -> str:
    return DIGEST.sub("DIGEST", TIME.sub("TIME", text))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if list(parse(page))], ids=name_of)
def test_examples_run(page: Path) -> None:
    for example in parse(page):
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_stand_in_blocks_that_run(page: Path) -> None:
    elsewhere = re.sub(r"(?ms)^ *```(python|console)$.*?^ *```$", "", page.read_text())
    assert re.findall(r"(?m)^ *(?:\$|>>>) .*", elsewhere) == []


def test_a_page_may_leave_open_what_varies(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        r"""
```python
answer = 42
```
```python
>>> answer, "now"
(42, ...)
```
```console
$ export WHEN="2026-03-02 14:02:11"
$ echo "at $WHEN: \
    sha256:9f2c41d07a3e" >&2; false
at 1999-12-31 23:59:59: sha256:000000000000
$ echo $?
1
$ test -t 1 && echo $DETENT_USER   has a terminal
ana has ...
$ printf '\r\033[K7 of 9\r\033[K8 of 9\r\033[Kdone\n'
done
```
"""
    )
    examples = list(parse(page))
    assert len(examples) == 3
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize(
    "block",
    [
        "```python\n>>> 1 + 1\n3\n```",
        "```console\n$ echo 2\n3\n```",
        "```console\n$ true\ndone\n```",
        "```console\n$ false\n```",
    ],
)
def test_a_wrong_page_is_noticed(block: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{block}\n")
    [example] = parse(page)
    with pytest.raises(SybilFailure, match=r"page\.md, line"):
        example.evaluate()
