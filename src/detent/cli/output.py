"""Printing: for people on a terminal, full values for programs, or one JSON object."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from detent.domain.clock import lasting

Cell = str | tuple[str, str]  # what people see; with a second text: the full value for programs

_NARROWEST = 10  # a column is not cut below this
_BOLD, _GREEN, _PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[0m"


class Output:
    """Where a command's answer goes.

    Only one of text and JSON is printed: `line` and `table` are for text, `fields` for JSON.
    What is said besides the answer goes to stderr.
    """

    def __init__(self, *, as_json: bool, color: bool) -> None:
        self.as_json = as_json
        self.is_terminal = sys.stdout.isatty() and not as_json
        self.color = color and _wants_color(self.is_terminal)
        self.is_finished = False  # a command that prints one object after the other does it itself
        self._fields: dict[str, Any] = {}
        self._warnings: list[str] = []

    def fields(self, **values: Any) -> None:
        """Set fields of the JSON object: domain values, or JSON types."""
        self._fields |= values

    def line(self, text: str = "") -> None:
        """Print a line of the answer."""
        if not self.as_json:
            print(printable(text))

    def good(self, text: str) -> None:
        """Print that something was done."""
        mark = f"{_GREEN}✓{_PLAIN} " if self.color else ("✓ " if self.is_terminal else "")
        if not self.as_json:
            print(mark + printable(text))

    def aside(self, text: str) -> None:
        """Print what is not the answer: what to do next, how to undo it."""
        if not self.as_json:
            print(printable(text), file=sys.stderr)

    def warn(self, text: str) -> None:
        """Print a warning, or keep it for the JSON object."""
        if self.as_json:
            self._warnings.append(text)
        else:
            print(f"warning: {printable(text)}", file=sys.stderr)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print rows: aligned and cut to the width on a terminal, tab-separated otherwise."""
        if self.as_json:
            return
        if not self.is_terminal:
            for row in (header, *rows):
                print("\t".join(printable(_full(cell)).replace("\t", " ") for cell in row))
            return
        shown = [[printable(_shown(cell)) for cell in row] for row in (header, *rows)]
        widths = _fit([max(len(row[i]) for row in shown) for i in range(len(header))])
        for i, row in enumerate(shown):
            cells = (_cut(cell, width) for cell, width in zip(row, widths, strict=True))
            text = "  ".join(cells).rstrip()
            print(f"{_BOLD}{text}{_PLAIN}" if i == 0 and self.color else text)

    def finish(self, command: str) -> None:
        """Print the JSON object."""
        if self.as_json and not self.is_finished:
            import msgspec

            body = {"schema": f"detent.{command}/1", **self._fields, "warnings": self._warnings}
            print(msgspec.json.encode(body, order="deterministic").decode())


def _fit(widths: list[int]) -> list[int]:
    """Take from the widest column until a row fits the terminal."""
    room = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size().columns or 80
    while sum(widths) + 2 * len(widths) - 2 > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"


def printable(text: str) -> str:
    """Return a text on one line without control characters: a note must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def when(at: datetime) -> Cell:
    """Return a time: to the minute for people, RFC 3339 for programs."""
    return f"{at:%Y-%m-%d %H:%M}", rfc3339(at)


def since(at: datetime, now: datetime) -> Cell:
    """Return a time with how long ago it was."""
    return f"{at:%Y-%m-%d %H:%M} ({lasting(now - at)})", rfc3339(at)


def rfc3339(at: datetime) -> str:
    """Return a time in UTC for programs."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def number(value: float) -> str:
    """Return a number with three significant digits.

    Examples
    --------
    >>> number(0.8713), number(12480), number(-0.002)
    ('0.871', '12,480', '−0.002')
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def signed(value: float) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(0.00712), signed(-0.03), signed(0)
    ('+0.00712', '−0.03', '0')
    """
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def reason_or_none(reason: str | None) -> str:
    """Return a reason, or that there is none."""
    return reason or "(no reason given)"


def _shown(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _full(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[1]


def _wants_color(is_terminal: bool) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal or bool(os.environ.get("FORCE_COLOR"))
