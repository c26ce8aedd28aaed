"""Every error a user of detent can meet.

An error says what is true (``message``), what to do next (``hint``) and carries the full
values (``details``). The command line prints the first two and ends with ``exit_code``;
the HTTP API sends all three as problem details (RFC 9457) with ``http_status``.

Exit code 1 is not here: it stands for a defect in detent itself, with a traceback.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class DetentError(Exception):
    """Base of all errors that detent raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, with names and values, and whether anything was changed. Starts in
        lower case and ends without a full stop.
    hint : str, optional
        What to do next, ready to copy.
    details : mapping, optional
        The full values behind the message, JSON types only.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(
        self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    def to_problem(self) -> dict[str, Any]:
        """Return the error as a problem object (RFC 9457), as ``--json`` and the API print it."""
        problem: dict[str, Any] = {
            "type": f"about:blank#{type(self).__name__}",
            "title": type(self).__name__,
            "status": self.http_status,
            "exit_code": self.exit_code,
            "detail": self.message,
        }
        if self.hint:
            problem["hint"] = self.hint
        if self.details:
            problem["details"] = self.details
        return problem


class NotFoundError(DetentError, LookupError):
    """The thing named does not exist."""

    exit_code = 4
    http_status = 404


class InvalidError(DetentError, ValueError):
    """What was asked can never succeed as written."""

    exit_code = 2
    http_status = 422


class ConflictError(DetentError):
    """The state moved since it was read: read again, then repeat."""

    exit_code = 5
    http_status = 409


class RefusedError(DetentError):
    """A rule said no. ``decision`` is the recorded answer, where a gate gave one."""

    exit_code = 6
    http_status = 403
    decision: Any = None


class CorruptError(DetentError):
    """Stored bytes are not what their digest says. Never retried."""

    exit_code = 7
    http_status = 500


class UnavailableError(DetentError):
    """A store did not answer, or has no room. Trying again may help."""

    exit_code = 8
    http_status = 503


class InconclusiveError(DetentError):
    """The evidence decides neither way. ``decision`` is the recorded answer."""

    exit_code = 9
    http_status = 409
    decision: Any = None
