"""Looking: status, history, models, versions, audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.cli.output import Cell, number, reason_or_none, since, when
from detent.cli.running import Call, Command
from detent.cli.servers import describe, find_servers, say_problems
from detent.domain.alias import Activation
from detent.domain.clock import format_time, lasting, parse_time, utc_now

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from detent.domain.alias import AliasStatus
    from detent.domain.evidence import Evaluation
    from detent.domain.rollout import Rollout
    from detent.domain.server import Server
    from detent.domain.version import Version

SHOWN_VERSIONS = 20  # on a terminal, unless --limit says otherwise


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="MODEL[@ALIAS]", help="a model or an alias")
    parser.add_argument("--at", metavar="WHEN", help='"2026-02-20 08:00" (UTC), 3d, yesterday')


def _status(call: Call) -> None:
    found = call.registry.list_status(call.name, at=call.at)
    servers = find_servers(call, call.name) if call.at is None else []
    rollouts = call.registry.rollouts(call.name, running=True) if call.at is None and found else []
    call.output.fields(aliases=found, servers=servers, rollouts=rollouts)
    if call.at is not None and call.name and "@" in call.name:
        _say_then(call, found[0])
        return
    now = utc_now()
    if found or not call.output.is_terminal:
        call.output.table(
            ("MODEL", "ALIAS", "ACTIVE", "SINCE", "BY", "WHY", "HOLD", "SERVERS", "ROLLOUT"),
            [_status_row(item, servers, rollouts, now) for item in found],
        )
    say_problems(call, servers or [])
    if not found:
        call.output.aside("no alias holds a version yet: `detent activate MODEL/1 production`")


def _status_row(
    item: AliasStatus, servers: list[Server] | None, rollouts: list[Rollout], now: datetime
) -> tuple[Cell, ...]:
    entry = item.activation
    following = servers and [s for s in servers if (s.model, s.alias) == (item.model, item.alias)]
    return (
        item.model,
        item.alias,
        _version(entry.version),
        since(entry.at, now),
        entry.by,
        _why(entry),
        "on hold" if item.hold else "-",
        describe(following, entry, now),
        next((f"v{r.candidate} {r.where}" for r in rollouts if r.name == item.name), "-"),
    )


def _say_then(call: Call, item: AliasStatus) -> None:
    entry = item.activation
    held = f"v{entry.version}" if entry.version else "without a version"
    asked = parse_time(call.at, now=utc_now())
    until = f"to {format_time(item.until)}" if item.until else "until now"
    call.output.line(f"{item.name} was {held} at {format_time(asked)} UTC")
    call.output.line(
        f"  from {format_time(entry.at)} {until}, {_VERBS[str(entry.kind)]} by {entry.by}:"
        f" {_why(entry)}"
    )


_VERBS = {"activate": "activated", "rollback": "rolled back to", "deactivate": "deactivated"}


def _why(entry: Activation) -> str:
    parts = []
    if entry.decision is not None:
        answer = "override, " if entry.override else "gate passed, "
        asked_no_gate = str(entry.kind) == "rollback"
        parts.append(f"{'' if asked_no_gate else answer}decision {entry.decision}")
    parts.append(reason_or_none(entry.reason))
    return ": ".join(parts)


def _version(number: int | None) -> str:
    return f"v{number}" if number else "-"


def _history_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="MODEL@ALIAS")
    parser.add_argument("--limit", type=int, metavar="N", help="the newest N")


def _history(call: Call) -> None:
    items = call.registry.history(call.alias, limit=call.limit)
    call.output.fields(
        entries=[item for item in items if isinstance(item, Activation)],
        refusals=[item for item in items if not isinstance(item, Activation)],
    )
    rows: list[tuple[Cell, ...]] = []
    ended: datetime | None = None
    for item in items:
        if isinstance(item, Activation):
            lasted = lasting((ended or utc_now()) - item.at) + ("" if ended else ", active")
            ended = item.at
            seq, how, why = str(item.entry), str(item.kind), _why(item)
        else:
            seq, how, lasted = "-", "refused", "-"
            why = f"decision {item.decision}: {item.why}"
        at = (format_time(item.at), when(item.at)[1])
        rows.append((seq, at, _version(item.version), item.by, how, why, lasted))
    call.output.table(("ENTRY", "WHEN (UTC)", "VERSION", "BY", "HOW", "WHY", "LASTED"), rows)


def _models(call: Call) -> None:
    models = call.registry.models()
    call.output.fields(models=models)
    call.output.table(
        ("MODEL", "VERSIONS", "NEWEST", "SINCE", "BY"),
        [
            (m.name, f"{m.n_versions:,}", _version(m.newest), when(m.created_at), m.created_by)
            for m in models
        ],
    )
    if not models:
        call.output.aside("no model yet: `detent register MODEL FILE`")


def _versions_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--search", metavar="TEXT", help="whole words of note, code, data, creator")
    parser.add_argument("--since", metavar="WHEN", help="registered then or later: 3d, 2026-03-02")
    parser.add_argument("--limit", type=int, metavar="N", help="the newest N (20 on a terminal)")


def _versions(call: Call) -> None:
    from detent.domain.version import newest_of_each

    limit = call.limit
    if limit is None and call.output.is_terminal:
        limit = SHOWN_VERSIONS
    versions = call.registry.versions(call.model, search=call.search, since=call.since, limit=limit)
    evaluations = call.registry.evaluations(call.model)
    call.output.fields(versions=versions)
    newest = newest_of_each(evaluations)
    now = utc_now()
    call.output.table(
        (
            *("VERSION", "REGISTERED", "BY", "FORMAT", "SIZE", "METRIC", "DATA", "CODE"),
            *("ACTIVE IN", "NOTE"),
        ),
        [_version_row(version, newest.get(version.number), now) for version in versions],
    )
    if len(versions) == limit and call.limit is None:
        call.output.aside(f"the newest {limit} are shown: --limit N shows more")


def _version_row(
    version: Version, evaluation: Evaluation | None, now: datetime
) -> tuple[Cell, ...]:
    from detent.domain.version import format_size

    metric = "-"
    if evaluation is not None and evaluation.metrics:
        first = evaluation.metrics[0]
        metric = f"{first.name} {number(first.value)} ({evaluation.dataset})"
    return (
        f"v{version.number}" + (" (withdrawn)" if version.withdrawn else ""),
        (f"{lasting(now - version.created_at)} ago", when(version.created_at)[1]),
        version.created_by,
        version.format,
        (format_size(version.size_bytes), str(version.size_bytes)),
        metric,
        version.data or "-",
        version.code or "-",
        ", ".join(version.active_in) or "-",
        version.note or "-",
    )


def _audit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verify", action="store_true", help="check that none was tampered with")
    parser.add_argument("--since", metavar="WHEN", help="then or later: 30d, 2026-03-02")
    parser.add_argument("--until", metavar="WHEN", help="then or earlier")
    parser.add_argument("--by", metavar="NAME", help="of one actor")
    parser.add_argument("--type", metavar="TYPE", help="of one type: AliasRolledBack")
    parser.add_argument("--limit", type=int, metavar="N", help="the newest N")


def _audit(call: Call) -> int | None:
    if call.verify:
        return _verify_journal(call)
    events = call.registry.audit(
        since=call.since, until=call.until, by=call.by, type=call.type, limit=call.limit
    )
    call.output.fields(events=events)
    rows: list[tuple[Cell, ...]] = []
    for event in events:
        at = (format_time(event.at), when(event.at)[1])
        body = event.body
        model, version, alias = body.get("model"), body.get("version"), body.get("alias")
        about = str(model or "-") + (f"@{alias}" if alias else "")
        what = _version(version or body.get("candidate"))
        why = str(body.get("reason") or body.get("note") or body.get("override") or "-")
        rows.append((str(event.seq), at, event.actor, str(event.type), about, what, why))
    call.output.table(("SEQ", "WHEN (UTC)", "BY", "EVENT", "ABOUT", "VERSION", "WHY"), rows)
    return None


def _verify_journal(call: Call) -> int:
    report = call.registry.audit(verify=True)
    call.output.fields(report=report)
    began = f" since {report.since:%Y-%m-%d}" if report.since else ""
    if report.is_unbroken:
        call.output.good(f"{report.n_events:,} events, chain unbroken{began}")
        call.output.line(f"  head {report.head}")
        return 0
    found = len(report.problems)
    call.output.line(f"{report.n_events:,} events{began}: {found} not as the journal wrote them")
    for problem in report.problems:
        call.output.line(f"  {problem}")
    return 7


COMMANDS = {
    "status": Command(
        _status,
        arguments=_status_arguments,
        examples="""
detent status
detent status churn@production --at "2026-03-02 14:00"
""",
    ),
    "history": Command(
        _history,
        arguments=_history_arguments,
        examples="""
detent history churn@production
detent history churn@production --limit 5 --json
""",
    ),
    "models": Command(_models, examples="detent models"),
    "versions": Command(
        _versions,
        arguments=_versions_arguments,
        examples="""
detent versions churn
detent versions churn --search "more rows" --since 30d
""",
    ),
    "audit": Command(
        _audit,
        arguments=_audit_arguments,
        examples="""
detent audit --since 30d --by ana
detent audit --verify
""",
    ),
}
