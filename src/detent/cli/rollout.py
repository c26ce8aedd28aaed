"""Rolling out: start, look, advance, pause, resume, stop; which labels are wanted; feedback."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from detent.cli.output import Cell
from detent.cli.running import Call, Command
from detent.cli.servers import find_servers, followed, say_behind
from detent.domain.clock import format_time, lasting, utc_now
from detent.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    import argparse

    from detent.domain.rollout import Drift, Rollout, Signal

_ACTIONS = ("start", "status", "advance", "pause", "resume", "stop", "labels-wanted")
_LOOK_EVERY_S = 0.5
ROLLED_BACK = 6  # the exit code of `--watch`: a rule said no
_UNDECIDED = 9
_MARKS = {"harm": "✗", "safe": "✓", "broken": "✗", "drift": "!", "open": "·"}

# option, part of the plan, what it takes, help
_PLAN = (
    ("--shadow", "shadow_s", "TIME", "answer unseen so long at least (default: 1h; 0: not at all)"),
    ("--canary", "canary", "SHARES", "then answer these shares (default: 1%%,10%%,50%%)"),
    ("--step", "step_s", "TIME", "each share so long at least (default: 15min)"),
    ("--step-requests", "step_requests", "N", "and so many requests at least (default: 100)"),
    ("--guard", "guard_s", "TIME", "watch the active candidate so long (default: 1d)"),
    ("--sample", "sample", "SHARE", "of requests that the shadow answers (default: 100%%)"),
    ("--guard-sample", "guard_sample", "SHARE", "of them once it is active (default: 10%%)"),
    ("--labels", "labels", "WHICH", "all, disagreements, or none (default: all)"),
    ("--label-window", "label_window_s", "TIME", "labels are there after so long (default: 1h)"),
    ("--margin", "margin", "SHARE", "allowed loss of right answers (default: 1%%)"),
    ("--alpha", "alpha", "SHARE", "allowed probability of error (default: 5%%)"),
    ("--max-labels", "max_labels", "N", "end undecided after so many (default: 200000)"),
    ("--loss-bound", "loss_bound", "X", "numbers: the largest absolute error that counts"),
    ("--error-limit", "error_limit", "SHARE", "so many more may fail (default: 1%%)"),
    ("--slo", "slo_s", "TIME", "slower than this is slow (default: not watched)"),
    ("--slow-limit", "slow_limit", "SHARE", "so many more may be slow (default: 1%%)"),
    ("--timeout", "timeout_s", "TIME", "slower than this has failed (default: 1s)"),
    ("--features", "features", "N", "inputs whose drift is watched, at most (default: 50)"),
    ("--drift-limit", "drift_limit", "X", "an input that moved further rolls back (default: none)"),
    ("--unlabelled", "unlabelled", "WHAT", "when scores drift: show, roll-back (default: show)"),
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=_ACTIONS)
    parser.add_argument("name", nargs="?", metavar="REF", help="churn/8, or churn@production")
    parser.add_argument("alias", nargs="?", metavar="ALIAS", help="production (start)")
    parser.add_argument("--watch", action="store_true", help="drive it, and print until it ends")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="labels-wanted: rows")
    plan = parser.add_argument_group("the plan of `start`")
    for option, name, metavar, text in _PLAN:
        plan.add_argument(option, dest=f"plan_{name}", metavar=metavar, help=text)


def _rollout(call: Call) -> int:
    if call.action == "status":
        return _status(call)
    if call.name is None:
        raise InvalidError(f"`detent rollout {call.action}` needs a name; nothing was changed")
    if call.alias is not None and call.action != "start":
        raise InvalidError(
            f"`{call.alias}` is one name too many; nothing was changed",
            hint=f"detent rollout {call.action} MODEL@ALIAS",
        )
    if call.dry_run and call.action != "start":
        raise InvalidError(f"`detent rollout {call.action}` has no --dry-run; nothing was changed")
    if call.action == "start":
        return _start(call)
    if call.action == "labels-wanted":
        return _labels_wanted(call)
    if call.action == "stop":
        return _stop(call)
    if call.action == "pause":
        rollout = call.registry.pause_rollout(call.name, reason=call.reason)
    elif call.action == "resume":
        rollout = call.registry.resume_rollout(call.name)
    else:
        rollout = call.registry.advance_rollout(call.name)
    call.output.fields(rollout=rollout)
    call.output.good(_headline(rollout))
    return 0


def _start(call: Call) -> int:
    if call.alias is None:
        raise InvalidError(
            "`detent rollout start` needs a version and an alias; nothing was started",
            hint="detent rollout start churn/8 production",
        )
    plan = {
        name: value
        for _, name, _, _ in _PLAN
        if (value := getattr(call, f"plan_{name}")) is not None
    }
    for name in ("step_requests", "max_labels", "features", "loss_bound", "drift_limit"):
        if name in plan:
            plan[name] = _number(plan[name], name)
    rollout: Rollout = call.registry.start_rollout(
        call.name, call.alias, dry_run=call.dry_run, **plan
    )
    call.output.fields(rollout=rollout, dry_run=call.dry_run)
    if call.watch and not call.dry_run:
        return _watch(call, rollout.id)
    would = "would start" if call.dry_run else "started"
    call.output.good(f"{would}: {_headline(rollout)}")
    if not call.dry_run:
        servers = find_servers(call, rollout.name)
        n = 0 if servers is None else len(servers)
        if n:
            verb = "follow" if n > 1 else "follows"
            call.output.aside(
                f"  {n} process{'es' if n > 1 else ''} {verb} {rollout.name}: servers take"
                " part, processes of your own if they said `follow(…, rollouts=True)`"
            )
        elif servers is not None:
            call.output.aside(f"  no server answers {rollout.name} yet: `detent serve`")
        call.output.aside(f"  see it: detent rollout status {rollout.name}")
        call.output.aside(f"  undo: detent rollout stop {rollout.name}")
    return 0


def _status(call: Call) -> int:
    if call.name is not None:
        rollout = call.registry.rollout(call.name)
        if call.watch:
            return _watch(call, rollout.id)
        call.output.fields(rollout=rollout)
        _print(call, rollout)
        return 0
    rollouts = call.registry.rollouts()
    call.output.fields(rollouts=rollouts)
    now = utc_now()
    rows: list[tuple[Cell, ...]] = [
        (
            str(r.id),
            r.name,
            f"v{r.baseline} → v{r.candidate}",
            r.where,
            lasting((r.ended_at or now) - r.at),
            r.by,
            r.why or "; ".join(r.waits_for) or "-",
        )
        for r in rollouts
    ]
    if rows or not call.output.is_terminal:
        call.output.table(("ROLLOUT", "ALIAS", "VERSIONS", "PHASE", "LASTED", "BY", "WHY"), rows)
    else:
        call.output.aside("nothing was ever rolled out: `detent rollout start MODEL/2 production`")
    return 0


def _stop(call: Call) -> int:
    rollout, entry = call.registry.stop_rollout(call.name, reason=call.reason)
    call.output.fields(rollout=rollout, activation=entry)
    servers = f"; {followed(entry)}" if entry is not None and followed(entry) else ""
    active = entry.version if entry is not None else rollout.baseline
    call.output.good(f"{_headline(rollout)}; {rollout.name} is v{active}{servers}")
    return say_behind(call, entry) if entry is not None else 0


def _labels_wanted(call: Call) -> int:
    wanted = call.registry.labels_wanted(call.name, limit=call.limit)
    call.output.fields(wanted=wanted)
    call.output.table(
        ("ID", "ROW", "WHEN (UTC)", "ANSWERS"),
        [
            (
                one.request_id,
                str(one.row),
                (format_time(one.at), one.at.isoformat()),
                ", ".join(f"v{number}: {answer}" for number, answer in one.answers.items()),
            )
            for one in wanted
        ],
    )
    if not wanted:
        call.output.aside("no row without a label was answered differently")
    return 0


def _watch(call: Call, id: int) -> int:
    """Drive a rollout, and print what is new, until it ends."""
    before = None
    while True:
        rollout = call.registry.drive_rollout(id)
        call.output.fields(rollout=rollout)
        seen = (rollout.where, rollout.counts, rollout.waits_for, rollout.why)
        if seen != before:
            before = seen
            if call.output.as_json:
                call.output.finish("rollout")
            else:
                _print(call, rollout)
            sys.stdout.flush()
        if rollout.has_ended:
            call.output.is_finished = True
            return {"rolled_back": ROLLED_BACK, "stopped": _UNDECIDED}.get(str(rollout.status), 0)
        time.sleep(_LOOK_EVERY_S)


def _print(call: Call, rollout: Rollout) -> None:
    call.output.line(_headline(rollout))
    for signal in rollout.signals:
        call.output.line(f"  {_MARKS.get(signal.verdict, '·')} {_said(signal)}")
    if rollout.drift is not None and rollout.drift.n_moved:
        _print_drift(call, rollout.drift)
    for wait in rollout.waits_for if not rollout.has_ended else ():
        call.output.line(f"  waits for {wait}")
    if rollout.has_ended and rollout.ended_at is not None:
        decision = f"; decision {rollout.decision}" if rollout.decision else ""
        call.output.line(f"  ended {format_time(rollout.ended_at)} UTC: {rollout.why}{decision}")
    elif rollout.why:
        call.output.line(f"  paused: {rollout.why}")


def _print_drift(call: Call, drift: Drift) -> None:
    call.output.table(
        ("INPUT", "DISTANCE", "BY CHANCE", "MOVED MOST"),
        [
            (
                one.name,
                (f"{one.distance:.2f}", str(one.distance)),
                (f"{one.chance:.2f}", str(one.chance)),
                one.most,
            )
            for one in drift.features
        ],
    )


def _said(signal: Signal) -> str:
    return f"{signal.phase}: {signal.text}"


def _headline(rollout: Rollout) -> str:
    counts = rollout.counts or {}
    answered = ", ".join(
        f"{counts[name]:,} {what}"
        for name, what in (
            ("by_candidate", f"requests answered by v{rollout.candidate}"),
            ("in_shadow", "in the shadow"),
            ("n_labels", "labels"),
        )
        if counts.get(name)
    )
    text = f"rollout {rollout.id}  {rollout.model}/{rollout.candidate} into {rollout.alias}"
    took = lasting((rollout.ended_at or utc_now()) - rollout.at)
    return f"{text}  {rollout.where}  {took}" + (f"  {answered}" if answered else "")


def _number(text: str, name: str) -> float | int:
    try:
        return float(text) if name in ("loss_bound", "drift_limit") else int(text)
    except ValueError:
        raise InvalidError(f"{text[:40]!a} is not a number ({name}); nothing was started") from None


def _feedback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="CSV, or JSON lines; - reads lines from stdin")
    parser.add_argument("--model", metavar="MODEL", help="of labels that name none")


def _feedback(call: Call) -> int:
    joined = call.registry.feedback(call.file, model=call.model)
    call.output.fields(joined=joined)
    known = f", {joined.known:,} were there already" if joined.known else ""
    waiting = f", {joined.waiting:,} wait for other machines" if joined.waiting else ""
    call.output.good(f"{joined.joined:,} labels joined{known}{waiting}")
    for place, problem in joined.refused[:20]:
        call.output.warn(f"line {place}: {problem}")
    if joined.refused:
        call.output.warn(f"{len(joined.refused):,} labels were not joined")
    return NotFoundError.exit_code if joined.refused else 0


COMMANDS = {
    "rollout": Command(
        _rollout,
        arguments=_arguments,
        changes=True,
        reason=True,
        examples="""
detent rollout start churn/8 production
detent rollout start churn/8 production --shadow 1h --canary 1%,10%,50% --watch
detent rollout start price/3 production --loss-bound 500 --label-window 2d
detent rollout status churn@production
detent rollout labels-wanted churn@production --limit 50
detent rollout stop churn@production --reason "too many calls"
""",
    ),
    "feedback": Command(
        _feedback,
        arguments=_feedback_arguments,
        examples="""
detent feedback labels.csv --model churn
detent feedback labels.jsonl
""",
    ),
}
