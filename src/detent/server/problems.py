"""Errors as problem details (RFC 9457), whoever found them."""

from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from detent.errors import ConflictError, DetentError, UnavailableError

_STATUS_TYPES = {
    401: "RefusedError",
    403: "RefusedError",
    404: "NotFoundError",
    405: "InvalidError",
    408: "UnavailableError",
    413: "InvalidError",
    421: "RefusedError",
}


def problem_of(error: Exception, *, has_expected: bool = False) -> dict[str, Any]:
    """Return the problem that an error is; with `has_expected`, a conflict is a precondition."""
    if isinstance(error, HTTPException):
        return plain_problem(error.status_code, error.detail or "the request cannot be answered")
    if not isinstance(error, DetentError):
        return plain_problem(500, "this is a defect in detent; the server's log says more")
    problem = error.to_problem()
    if has_expected and isinstance(error, ConflictError):
        problem["status"] = 412
    decision = getattr(error, "decision", None)
    if decision is not None:
        problem["decision"] = msgspec.to_builtins(decision)
    return problem


def plain_problem(status: int, detail: str, hint: str | None = None) -> dict[str, Any]:
    """Return the problem of a request that never reached an operation."""
    title = _STATUS_TYPES.get(status, "DetentError" if status >= 500 else "InvalidError")
    problem = {"type": f"about:blank#{title}", "title": title, "status": status, "detail": detail}
    return problem | ({"hint": hint} if hint else {})


def respond(problem: dict[str, Any]) -> Response:
    """Return a problem as a response."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="detent"'
    if problem["title"] == UnavailableError.__name__:
        headers["Retry-After"] = "1"
    return Response(
        msgspec.json.encode(problem),
        status_code=problem["status"],
        media_type="application/problem+json",
        headers=headers,
    )
