"""Interleaved measurements, and the table that they become."""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was measured, beside which peer, and the limit of their ratio."""

    what: str
    peer: str
    ours: float
    theirs: float
    limit: float | None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "met" if self.ratio <= self.limit else "MISSED"


def interleave(
    ours: Callable[[], object], theirs: Callable[[], object], *, repeats: int, inner: int = 1
) -> tuple[float, float]:
    """Return the median times of both, in seconds per call, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for function in (ours, theirs):
        function()  # the first call pays for imports and caches
    gc.disable()
    try:
        for _ in range(repeats):
            for function, taken in ((ours, times[0]), (theirs, times[1])):
                started = time.perf_counter()
                for _ in range(inner):
                    function()
                taken.append((time.perf_counter() - started) / inner)
    finally:
        gc.enable()
    return statistics.median(times[0]), statistics.median(times[1])


def process(*arguments: str) -> Callable[[], object]:
    """Return a function that runs a process to its end."""

    def run() -> object:
        return subprocess.run(
            arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
        )

    return run


def peak_memory(source: str) -> float:
    """Return the largest resident size of a Python process that runs `source`, in MB."""
    # Linux's ru_maxrss of a child begins at its parent's: /proc tells of this process alone.
    report = """
import pathlib, resource
status = pathlib.Path("/proc/self/status")
if status.exists():
    print(next(l for l in status.read_text().splitlines() if l.startswith("VmHWM")).split()[1])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    result = subprocess.run(
        [sys.executable, "-c", source + report], capture_output=True, text=True, check=True
    )
    return float(result.stdout.split()[-1]) / 1024


def show(rows: list[Row]) -> None:
    """Print the table."""
    header = ("WHAT", "OURS", "PEER", "RATIO", "LIMIT", "", "BESIDE")
    lines = [
        (
            row.what,
            _number(row.ours, row.unit),
            _number(row.theirs, row.unit),
            f"{row.ratio:.2f}",
            "-" if row.limit is None else f"{row.limit:g}",
            row.verdict,
            row.peer,
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    for line in (header, *lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
    sys.stdout.flush()


def _number(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:.0f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"
