"""The pages of rollouts: how one goes, what may be done to it, and the form that starts one.

A page decides nothing and drives nothing. What somebody asks for here is written into the registry;
the processes that serve the alias see it there and act, as they do when it was asked for elsewhere.
"""

from dataclasses import replace
from typing import Any

from starlette.responses import RedirectResponse, Response

from detent.charts.rollouts import course
from detent.domain.alias import Activation
from detent.domain.clock import from_us, lasting, utc_now
from detent.domain.reference import parse_number
from detent.domain.rollout import Phase, Plan, Rollout, RolloutStatus, Signal
from detent.domain.version import Version
from detent.errors import ConflictError, DetentError, InconclusiveError, NotFoundError, RefusedError
from detent.registry.manifest import read_manifest
from detent.rollout.drift import SCORE_DRIFT
from detent.rollout.plan import duration_text
from detent.rollout.words import onward_text, percent, phase_text, role_text
from detent.web.requests import example_request
from detent.web.site import HEADERS, Answer, Page, Visit
from detent.web.told import alert, meanwhile, not_activated
from detent.web.words import count_servers, following, trying

_CHOICES = 6  # versions that may be chosen in the form, the newest
_MOST_DRIFTS = 10
_PLAN = (
    *("shadow", "canary", "step", "step_requests", "guard", "labels", "label_window", "margin"),
    *("error_limit", "slo", "slow_limit", "loss_bound", "unlabelled"),
)
ACTIONS = ("pause", "resume", "advance", "stop")


def rollout(visit: Visit) -> Answer:
    """Show how a rollout goes, or how it ended."""
    return _show(visit, _find(visit))


def rollout_now(visit: Visit) -> Answer:
    """Show the part of the page that changes while it is looked at."""
    return replace(_show(visit, _find(visit)), template="rollout_now", is_part=True)


def _find(visit: Visit) -> Rollout:
    name, number = visit.path["model"], visit.path["number"]
    found, _ = trying(lambda: visit.registry.rollout(number))
    if found is None or found.model != name:
        others = visit.registry.rollouts(name, limit=1)
        newest = f"; the newest is {others[0].id}" if others else ", and never had one"
        raise NotFoundError(f"{name} has no rollout {number}{newest}")
    assert isinstance(found, Rollout)
    return found


def _show(visit: Visit, found: Rollout) -> Page:
    registry, now = visit.registry, utc_now()
    readings = registry.rollout_course(found.id)
    here = [s for s in found.signals if s.phase is found.phase and not _is_drift(s)]
    before = [s for s in found.signals if s.phase is not found.phase and not _is_drift(s)]
    status, _ = trying(lambda: registry.status(found.name))
    servers, _ = trying(lambda: registry.servers(found.name))
    counts = found.counts or {}
    values: dict[str, Any] = {
        "model": found.model,
        "rollout": found,
        "where": found.where,
        "lasted": lasting((found.ended_at or now) - found.at),
        "phase_text": phase_text(found),
        "onward": onward_text(found),
        "signals": here,
        "signals_before": before,
        "charts": [course(found, signal, readings) for signal in here],
        "drifts": _drifts(found),
        "requests": _requests(found, counts),
        "status": status,
        "follows": following(servers or [], status.activation, now) if status else None,
        "took": visit.asked("took"),
    }
    if not any(row["n"] for row in values["requests"]):
        values |= _no_requests(visit, found)
    return Page(template="rollout", values=values)


def _is_drift(signal: Signal) -> bool:
    return signal.name.endswith("_drift")


def _drifts(found: Rollout) -> list[dict[str, Any]]:
    """Return what has moved, the most moved first: how far, and how far chance alone goes."""
    rows: list[dict[str, Any]] = []
    if found.drift is not None:
        rows = [
            {
                "name": one.name,
                "amount": one.distance,
                "chance": one.chance,
                "n": found.drift.n,
                "most": one.most,
            }
            for one in found.drift.features
        ]
    for signal in found.signals:
        if signal.name == SCORE_DRIFT and signal.evidence is not None:
            amount, chance = (signal.evidence[name] for name in ("value", "threshold"))
            rows.append(
                {"name": "scores", "amount": amount, "chance": chance, "n": signal.n, "most": None}
            )
    return sorted(rows, key=lambda row: -row["amount"])[:_MOST_DRIFTS]


def _requests(found: Rollout, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return how many requests each version answered, how many unseen, and its share of a step."""
    n = {
        found.baseline: counts.get("by_baseline", 0),
        found.candidate: counts.get("by_candidate", 0),
    }
    step = {
        found.baseline: counts.get("step_baseline", 0),
        found.candidate: counts.get("step_candidate", 0),
    }
    total = sum(step.values()) if found.phase is Phase.CANARY else 0
    shadow = found.candidate if found.phase is not Phase.FULL else found.baseline
    return [
        {
            "version": version,
            "role": role_text(found, version),
            "n": n[version],
            "share": step[version] / total if total else None,
            "unseen": counts.get("in_shadow", 0) if version == shadow else 0,
        }
        for version in (found.baseline, found.candidate)
    ]


def _no_requests(visit: Visit, found: Rollout) -> dict[str, Any]:
    """Return when the last request of the alias came, and how one is sent."""
    ids = [r.id for r in visit.registry.rollouts(found.name)]
    last, _ = trying(lambda: visit.stores.predictions.newest_time(ids))
    version = visit.registry.version(f"{found.model}/{found.baseline}")
    manifest, _ = trying(
        lambda: read_manifest(visit.stores.blobs, version.digest, what=version.name)
    )
    return {
        "last_request": from_us(last) if last else None,
        "example": example_request(found.model, manifest.signature if manifest else None),
    }


# Forms ----------------------------------------------------------------------------------------


def ask(visit: Visit, *, action: str) -> Answer:
    """Say what an action on a rollout would do, and ask whether to."""
    found = _find(visit)
    if found.has_ended:
        error = ConflictError(f"rollout {found.id} has ended: {found.where}; nothing was changed")
        return alert(_show(visit, found), error)
    values = {"model": found.model, "rollout": found, "action": action}
    values |= {"onward": onward_text(found), "has_answered": found.phase is not Phase.SHADOW}
    values["servers"] = count_servers(visit.registry, found.name)
    return Page(template="rollout_ask", values=values)


def do(visit: Visit, *, action: str) -> Answer:
    """Pause, resume, advance or stop a rollout, and show what the registry holds then."""
    found, registry = _find(visit), visit.registry
    reason = visit.form.get("reason")
    entry: Activation | None = None
    try:
        if action == "pause":
            registry.pause_rollout(found.id, reason=reason, expected=visit.expected)
        elif action == "resume":
            registry.resume_rollout(found.id, expected=visit.expected)
        elif action == "advance":
            registry.advance_rollout(found.id, expected=visit.expected)
        else:
            _, entry = registry.stop_rollout(found.id, reason=reason, expected=visit.expected)
    except ConflictError as error:
        now = _find(visit)
        text = f"Rollout {now.id} is {_where(now)} meanwhile. Nothing was changed."
        return alert(_show(visit, now), error, text)
    except (RefusedError, InconclusiveError) as error:
        if error.decision is None:
            raise
        status, _ = trying(lambda: registry.status(found.name))
        values = not_activated(error.decision, error, status.activation if status else None)
        values |= {"model": found.model, "rollout": found}
        return Page(template="decision", values=values, status=error.http_status)
    took = ""
    if entry is not None and entry.confirmation and entry.confirmation.servers:
        took = f"?took={entry.confirmation.seconds:.1f}" if entry.confirmation.is_complete else ""
    return _see(found, took)


def _where(found: Rollout) -> str:
    at = found.ended_at or found.phase_at
    state = found.where if not found.has_ended else f"over ({found.where})"
    return f"{state} since {at:%H:%M:%S} UTC"


def _see(found: Rollout, query: str = "") -> Response:
    there = f"/models/{found.model}/rollouts/{found.id}{query}"
    return RedirectResponse(there, 303, headers=HEADERS)


def ask_start(visit: Visit) -> Answer:
    """Ask which version to roll out into an alias, and how."""
    model, alias = visit.path["model"], visit.path["alias"]
    name = f"{model}@{alias}"
    status = visit.registry.status(name)
    asked = visit.form.get("version") or visit.asked("version")
    chosen = parse_number(asked) if asked else None
    running = visit.registry.rollouts(name, running=True)
    values = {
        "model": model,
        "status": status,
        "running": running[0] if running else None,
        "choices": _choices(visit, model, status.version, chosen),
        "chosen": chosen,
        "plan": _defaults() | {n: visit.form[n] for n in _PLAN if n in visit.form},
        "servers": count_servers(visit.registry, name),
    }
    return Page(template="rollout_start", values=values)


def _choices(visit: Visit, model: str, active: Version | None, chosen: int | None) -> list[Version]:
    """Return the newest versions that may be rolled out, and the one that is asked for."""
    found: list[Version] = []
    for version in visit.registry.versions(model, limit=10 * _CHOICES):
        is_active = active is not None and version.number == active.number
        if not is_active and version.withdrawn is None and len(found) < _CHOICES:
            found.append(version)
    if chosen is not None and all(version.number != chosen for version in found):
        found.append(visit.registry.version(f"{model}/{chosen}"))
    return found


def _defaults() -> dict[str, str]:
    """Return the plan that is followed where nothing else is asked for, as people write it."""
    plan = Plan()
    return {
        "shadow": duration_text(plan.shadow_s),
        "canary": ", ".join(percent(share) for share in plan.canary),
        "step": duration_text(plan.step_s),
        "step_requests": str(plan.step_requests),
        "guard": duration_text(plan.guard_s),
        "labels": str(plan.labels),
        "label_window": duration_text(plan.label_window_s),
        "margin": percent(plan.margin),
        "error_limit": percent(plan.error_limit),
        "slo": "",
        "slow_limit": percent(plan.slow_limit),
        "loss_bound": "",
        "unlabelled": str(plan.unlabelled),
    }


def do_start(visit: Visit) -> Answer:
    """Start a rollout, and show it."""
    model, alias = visit.path["model"], visit.path["alias"]
    plan: dict[str, Any] = {
        name: text for name in _PLAN if (text := visit.form.get(name, "").replace(" ", ""))
    }
    number = visit.form.get("version", "")
    try:
        started = visit.registry.start_rollout(
            f"{model}/{parse_number(number)}", alias, expected=visit.expected, **plan
        )
    except ConflictError as error:
        return alert(_again(visit), error, meanwhile(visit, f"{model}@{alias}", error))
    except DetentError as error:
        if isinstance(error, NotFoundError):
            raise
        return alert(_again(visit), error)
    return _see(started)


def _again(visit: Visit) -> Page:
    page = ask_start(visit)
    assert isinstance(page, Page)
    return page


def banner(found: Rollout) -> dict[str, Any]:
    """Return a rollout that goes on, as the pages of its model show it."""
    return {
        "id": found.id,
        "candidate": found.candidate,
        "where": found.where,
        "text": phase_text(found),
        "is_paused": found.status is RolloutStatus.PAUSED,
        "waits_for": found.waits_for,
    }
