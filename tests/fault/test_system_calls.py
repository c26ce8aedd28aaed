"""Each call of the system that an operation makes fails once, or is the last before a kill.

`strace` counts the calls and makes them fail, also those that SQLite makes.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault.conftest import Check, Child, Starter

WRITING = ("pwrite64", "fdatasync", "fsync", "ftruncate", "rename", "mkdir", "openat")
OPERATIONS = ("activate", "rollback", "register")
FEW = [("activate", "fdatasync", 2), ("rollback", "pwrite64", 5), ("register", "fsync", 3)]
ALL = [
    pytest.param(operation, call, 1, marks=pytest.mark.slow)
    for operation in OPERATIONS
    for call in WRITING
]


def _can_trace() -> bool:
    command = ["strace", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-f", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not _can_trace(), reason="NOT TESTED: no strace here, or it may not trace; install it"
)


class Traced:
    """Runs an operation on copies of a registry under strace."""

    def __init__(self, folder: Path, start: Starter, operation: str) -> None:
        self.folder = folder
        self.copy = folder.with_name("copy")
        self.model = folder.with_name("model.bin")
        self.model.write_bytes(b"third version" * 1000)
        self._start = start
        self._operation = operation

    def run(self, trace: str, *options: str, log: Path | str = "/dev/null") -> Child:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder, self.copy)
        arguments = [self.model] if self._operation == "register" else []
        # With a filter the process stops only at the calls traced: four times as fast.
        filtered = ("-f", "--seccomp-bpf", "-e", f"trace={trace}")
        before = ("strace", "-qq", "-o", str(log), *filtered, *options)
        child = self._start(self._operation, self.copy, *arguments, before=before)
        child.go()
        return child.finish()

    def steps(self, call: str, every: int) -> Iterator[int]:
        """Yield which calls of this name the operation makes, counted from the process's start."""
        log = self.folder.with_name("calls")
        self.run(f"access,{call}", log=log)
        before, during = 0, 0
        lines = iter(log.read_text().splitlines())
        for line in lines:
            if "the operation begins" in line:
                break
            before += _is_call(line, call)
        for line in lines:
            if "the operation ends" in line:
                break
            during += _is_call(line, call)
        yield from range(before + 1, before + during + 1, every)


def _is_call(line: str, call: str) -> bool:
    return re.match(rf"(\d+\s+)?{call}\(", line) is not None


def _state(folder: Path, check: Check) -> tuple[int, int]:
    registry = check(folder)
    try:
        entry = registry.status("fraud@production").activation.entry
        return entry, registry.versions("fraud", limit=1)[0].number
    finally:
        registry.close()


@pytest.mark.parametrize(("operation", "call", "every"), [*FEW, *ALL])
class TestSteps:
    """An operation that was disturbed leaves the state before or the state after."""

    @pytest.mark.parametrize("code", ["EIO", "ENOSPC"])
    def test_a_call_that_fails(
        self,
        folder: Path,
        start: Starter,
        check: Check,
        operation: str,
        call: str,
        every: int,
        code: str,
    ) -> None:
        traced = Traced(folder, start, operation)
        before = _state(folder, check)
        for step in traced.steps(call, every):
            child = traced.run(call, "-e", f"inject={call}:error={code}:when={step}")
            after = _state(traced.copy, check)
            last = child.said[-1]
            assert child.process.returncode == 0, f"{call} {step}: a traceback"
            if last[0] == "done":
                assert after != before
            else:
                assert last[:2] == ["error", "UnavailableError"], f"{call} {step}: {last}"
                assert after == before, f"{call} {step}"

    def test_killed_at_a_call(
        self, folder: Path, start: Starter, check: Check, operation: str, call: str, every: int
    ) -> None:
        traced = Traced(folder, start, operation)
        before = _state(folder, check)
        for step in traced.steps(call, every):
            child = traced.run(call, "-e", f"inject={call}:signal=KILL:when={step}")
            after = _state(traced.copy, check)
            moved = after[0] - before[0], after[1] - before[1]
            assert moved in ((0, 0), (0, 1) if operation == "register" else (1, 0))
            assert not child.done or moved != (0, 0)
