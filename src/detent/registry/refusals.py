"""What is said where an activation is refused, and what is kept of a gate's answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.domain.alias import Activation
from detent.domain.version import Version
from detent.errors import DetentError, RefusedError

if TYPE_CHECKING:
    from detent.domain.evidence import Decision, Policy


def check_reason(policy: Policy | None, reason: str | None, version: Version) -> None:
    """Refuse an activation without a reason where the policy demands one."""
    if policy is None or not policy.reason_required or reason:
        return
    raise RefusedError(
        f"`{version}` was not activated as `{policy.model}@{policy.alias}`: its policy demands a"
        " reason; nothing was changed",
        hint=f"detent activate {version} {policy.alias} --reason TEXT",
    )


def refusal(
    decision: Decision, version: Version, name: str, current: Activation | None, *, is_kept: bool
) -> DetentError | None:
    """Return what is raised for a decision, which is kept or was only tried; None for a pass."""
    from dataclasses import replace

    from detent.domain.evidence import Outcome
    from detent.errors import InconclusiveError

    if decision.outcome is Outcome.PASS:
        return None
    lines = [f"  {result.rule}: {result.text}" for result in decision.failed]
    counted = f"{len(decision.failed)} of {len(decision.results)} rules"
    way_out = (
        "to activate all the same, give a reason:"
        f" `detent activate {version} {decision.alias} --override REASON`"
    )
    if version.withdrawn is not None:
        way_out = f"choose another: `detent versions {version.model}`"
    error: RefusedError | InconclusiveError
    if decision.outcome is Outcome.FAIL:
        message = f"`{version}` was not activated as `{name}`: {counted} failed; {_still(current)}"
        error = RefusedError(
            "\n".join([message, *lines]),
            hint=f"see `detent decision {decision.id}`; {way_out}" if is_kept else way_out,
        )
    else:
        message = (
            f"`{version}` was not activated as `{name}`: {counted} could not be decided;"
            f" {_still(current)}"
        )
        error = InconclusiveError("\n".join([message, *lines]), hint=_evidence_hint(decision))
    error.decision = decision if is_kept else replace(decision, id=None)
    error.details["decision"] = error.decision.id
    return error


def _evidence_hint(decision: Decision) -> str:
    versions = f"{decision.model}/{decision.baseline} and {decision.model}/{decision.candidate}"
    needed = [result.evidence.get("rows_needed") for result in decision.failed if result.evidence]
    more = [number for number in needed if number]
    if more:
        return (
            f"evaluate {versions} on about {max(more):,} rows; see `detent gate"
            f" {decision.model}/{decision.candidate} {decision.alias}`"
        )
    return (
        f"evaluate {versions} on the same data:"
        " `detent evaluate VERSION --data FILE --target COLUMN`"
    )


def _still(current: Activation | None) -> str:
    if current is None or current.version is None:
        return "nothing is active"
    return f"version {current.version} is still active"


def decision_body(decision: Decision, reason: str | None) -> dict[str, Any]:
    """Return what the journal keeps of a decision."""
    return {
        "decision": decision.id,
        "model": decision.model,
        "alias": decision.alias,
        "candidate": decision.candidate,
        "baseline": decision.baseline,
        "outcome": str(decision.outcome),
        "policy": decision.policy_digest,
        "override": decision.override,
        "reason": reason,
        "results": [
            {
                "rule": result.rule,
                "outcome": str(result.outcome),
                "text": result.text,
                "evidence": result.evidence,
            }
            for result in decision.results
        ],
    }
