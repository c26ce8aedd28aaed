"""What a page says when a change was not made: what is true instead, above the state it is in."""

from dataclasses import replace
from typing import Any

from detent.domain.alias import Activation
from detent.domain.evidence import Decision, Outcome
from detent.errors import ConflictError, DetentError, InconclusiveError
from detent.web.site import Page, Visit
from detent.web.words import trying

_HISTORY = 100  # entries in which the one that a page had seen is looked for


def alert(page: Page, error: DetentError, text: str | None = None) -> Page:
    """Return a page that says on top why nothing was changed, with the status of the error."""
    told = {"text": text or error.message, "hint": None if text else error.hint}
    return replace(page, values=page.values | {"alert": told}, status=error.http_status)


def meanwhile(visit: Visit, alias: str, error: ConflictError) -> str | None:
    """Return where an alias has gone since the page was opened; None if it is where it was."""
    status, _ = trying(lambda: visit.registry.status(alias))
    if status is None or visit.expected is None or visit.expected == status.activation.entry:
        return None
    newest: Activation = status.activation
    entries = visit.registry.history(alias, limit=_HISTORY)
    seen = [e for e in entries if isinstance(e, Activation) and e.entry == visit.expected]
    before = f"from {_held(seen[0])} " if seen else ""
    return (
        f"{newest.alias} moved {before}to {_held(newest)} at {newest.at:%H:%M:%S} UTC"
        f" ({newest.by}) while this page was open. Nothing was changed."
    )


def not_activated(
    decision: Decision, error: DetentError, active: Activation | None
) -> dict[str, Any]:
    """Return the decision of a gate that did not let a version pass, and the sentence above it."""
    failed = [one for one in decision.results if one.outcome is Outcome.FAIL]
    n = len(decision.results)
    if isinstance(error, InconclusiveError):
        why = "these rows decide neither way"
    else:
        why = f"{len(failed)} of {n} rule{'s' if n > 1 else ''} failed"
    still = f" {_held(active)} is still active." if active else ""
    text = f"Not activated: {why}.{still}"
    return {"decision": decision, "alert": {"text": text, "hint": None}}


def _held(entry: Activation) -> str:
    return f"v{entry.version}" if entry.version else "no version"
