"""Changing what is active, and what may be: each prints what then is, and how to undo it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from detent.cli.card import print_results
from detent.cli.running import Call, Command
from detent.cli.servers import add_wait, followed, say_behind
from detent.domain.alias import Activation
from detent.domain.reference import parse_number, parse_reference

if TYPE_CHECKING:
    import argparse


def _activate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="churn/8, or another alias that holds it")
    parser.add_argument("alias", metavar="ALIAS", help="production")
    _add_gate(parser)


def _promote_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="MODEL@ALIAS", help="where the version is active now")
    parser.add_argument("alias", metavar="ALIAS", help="where it is to be active too")
    _add_gate(parser)


def _add_gate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--override", metavar="REASON", help="go past the gate; recorded")
    _add_expected(parser)


def _add_expected(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expected",
        type=int,
        metavar="ENTRY",
        help="change nothing unless this is the newest entry of the history (0: none)",
    )
    add_wait(parser)


def _activate(call: Call) -> int:
    return _go_live(call, call.registry.activate)


def _promote(call: Call) -> int:
    return _go_live(call, call.registry.promote)


def _go_live(call: Call, verb: object) -> int:
    if call.override is not None:
        model = parse_reference(call.reference).model
        alias = f"{model}@{call.alias}"
        call.confirm(alias, f"The gate of `{alias}` will be passed over.")
    before = _newest(call)
    entry: Activation = verb(  # type: ignore[operator]  # activate or promote
        call.reference,
        call.alias,
        reason=call.reason,
        override=call.override,
        expected=call.expected,
        wait_s=call.wait,
        dry_run=call.dry_run,
    )
    call.output.fields(activation=entry, dry_run=call.dry_run)
    if entry.entry == before:
        servers = f"; {followed(entry)}" if followed(entry) else ""
        call.output.line(f"{entry.name} is v{entry.version} already; nothing was changed{servers}")
        return say_behind(call, entry)
    gate = ""
    if entry.decision is not None and not call.dry_run:
        decision = call.registry.decision(entry.decision)
        held = sum(str(result.outcome) == "pass" for result in decision.results)
        rules = f"{held} of {len(decision.results)} rules"
        gate = f", decision {decision.id}: {decision.outcome} ({rules})"
    _say(call, entry, gate)
    if call.dry_run:
        decision = call.registry.gate(call.reference, entry.alias)
        if decision.results:
            print_results(call, decision)
    elif entry.previous is not None:
        call.output.aside(f"  undo: detent rollback {entry.name}")
    return say_behind(call, entry)


def _newest(call: Call) -> int | None:
    """Return the entry that the alias has before the change, to tell whether there was one."""
    from detent.errors import DetentError

    try:
        alias = call.alias.partition("@")[2] or call.alias
        name = f"{parse_reference(call.reference).model}@{alias}"
        newest: int = call.registry.status(name).activation.entry
        return newest
    except DetentError:  # what is wrong is said by the change itself
        return None


def _say(call: Call, entry: Activation, more: str = "") -> None:
    before = f"v{entry.previous} → " if entry.previous else ""
    after = f"v{entry.version}" if entry.version else "no version"
    if call.dry_run:
        call.output.line(f"{entry.name} would be {before}{after}{more}; nothing was changed")
    else:
        servers = f"; {followed(entry)}" if followed(entry) else ""
        call.output.good(f"{entry.name}: {before}{after}{more}{servers}")


def _rollback_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="MODEL@ALIAS")
    parser.add_argument("--to", metavar="N", help="a version held earlier, in one step")
    parser.add_argument("--hold", action="store_true", help="no further activations until released")
    _add_expected(parser)


def _rollback(call: Call) -> int:
    entry = call.registry.rollback(
        call.alias,
        to=parse_number(call.to) if call.to is not None else None,
        reason=call.reason,
        hold=call.hold,
        expected=call.expected,
        wait_s=call.wait,
        dry_run=call.dry_run,
    )
    call.output.fields(activation=entry, dry_run=call.dry_run)
    _say(call, entry, " (rollback)" + (", on hold" if call.hold else ""))
    if call.dry_run:
        return 0
    code = say_behind(call, entry)
    if entry.previous is not None:
        call.output.aside(
            f"  v{entry.previous} will not be activated here again without an override; undo:"
            f" detent activate {entry.model}/{entry.previous} {entry.alias} --override REASON"
        )
    # First back, then the question: nobody who is in a hurry has to think of a reason.
    if call.reason is None and call.output.is_terminal and sys.stdin.isatty():
        print("why? (Enter to skip) ", end="", file=sys.stderr, flush=True)
        if answer := sys.stdin.readline().strip():
            call.registry.note(call.alias, answer)
    return code


def _alias_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="MODEL@ALIAS")


def _deactivate_arguments(parser: argparse.ArgumentParser) -> None:
    _alias_arguments(parser)
    _add_expected(parser)


def _deactivate(call: Call) -> int:
    entry = call.registry.deactivate(
        call.alias,
        reason=call.reason,
        expected=call.expected,
        wait_s=call.wait,
        dry_run=call.dry_run,
    )
    call.output.fields(activation=entry, dry_run=call.dry_run)
    _say(call, entry)
    if not call.dry_run:
        call.output.aside(f"  undo: detent rollback {entry.name}")
    return say_behind(call, entry)


def _hold(call: Call) -> None:
    held = call.registry.hold(call.alias, reason=call.reason, dry_run=call.dry_run)
    call.output.fields(hold=held, dry_run=call.dry_run)
    verb = "would be" if call.dry_run else "is"
    call.output.good(f"{call.alias} {verb} on hold: no activation until released")
    call.output.aside(f"  undo: detent release {call.alias}")


def _release(call: Call) -> None:
    held = call.registry.release(call.alias, reason=call.reason, dry_run=call.dry_run)
    call.output.fields(hold=held, dry_run=call.dry_run)
    verb = "would be" if call.dry_run else "was"
    call.output.good(f"{call.alias} {verb} released: on hold since {held.at:%Y-%m-%d %H:%M} UTC")


def _reference_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF")


def _withdraw(call: Call) -> None:
    version = call.registry.version(call.reference)
    call.confirm(version.name, f"{version.name} will never be activated again, anywhere.")
    version = call.registry.withdraw(version, reason=call.reason or "", dry_run=call.dry_run)
    call.output.fields(version=version, dry_run=call.dry_run)
    verb = "would be" if call.dry_run else "is"
    call.output.good(f"{version.name} {verb} withdrawn: {version.withdrawn or call.reason}")
    for alias in version.active_in:
        name = f"{version.model}@{alias}"
        call.output.aside(f"  it is still active in {alias}: detent rollback {name}")


def _delete(call: Call) -> None:
    version = call.registry.version(call.reference)
    call.confirm(version.name, f"{version.name} will be deleted.")
    version = call.registry.delete(version, reason=call.reason, dry_run=call.dry_run)
    call.output.fields(version=version, dry_run=call.dry_run)
    verb = "would be" if call.dry_run else "was"
    call.output.good(f"{version.name} {verb} deleted; its number is not given again")
    if not call.dry_run:
        call.output.aside("  its bytes go with `detent prune`")


def _note_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="a version, or an alias: why it changed")
    parser.add_argument("text", metavar="TEXT")


def _note(call: Call) -> None:
    call.registry.note(call.reference, call.text, dry_run=call.dry_run)
    call.output.fields(reference=call.reference, note=call.text, dry_run=call.dry_run)
    call.output.good(f"{call.reference}: {call.text}")


COMMANDS = {
    "activate": Command(
        _activate,
        arguments=_activate_arguments,
        changes=True,
        reason=True,
        final=True,
        examples="""
detent activate churn/8 production --reason "weekly retrain"
detent activate churn/8 production --dry-run
""",
    ),
    "promote": Command(
        _promote,
        arguments=_promote_arguments,
        changes=True,
        reason=True,
        final=True,
        examples="detent promote churn@staging production",
    ),
    "rollback": Command(
        _rollback,
        arguments=_rollback_arguments,
        changes=True,
        reason=True,
        examples="""
detent rollback churn@production
detent rollback churn@production --to 5 --hold --reason "error rate doubled"
""",
    ),
    "deactivate": Command(
        _deactivate,
        arguments=_deactivate_arguments,
        changes=True,
        reason=True,
        examples="detent deactivate churn@production",
    ),
    "hold": Command(
        _hold,
        arguments=_alias_arguments,
        changes=True,
        reason=True,
        examples='detent hold churn@production --reason "until the data is mended"',
    ),
    "release": Command(
        _release,
        arguments=_alias_arguments,
        changes=True,
        reason=True,
        examples="detent release churn@production",
    ),
    "withdraw": Command(
        _withdraw,
        arguments=_reference_arguments,
        changes=True,
        reason=True,
        final=True,
        examples='detent withdraw churn/8 --reason "trained on leaked labels"',
    ),
    "delete": Command(
        _delete,
        arguments=_reference_arguments,
        changes=True,
        reason=True,
        final=True,
        examples="detent delete churn/3",
    ),
    "note": Command(
        _note,
        arguments=_note_arguments,
        changes=True,
        examples="""
detent note churn/8 "more rows"
detent note churn@production "error rate doubled after 13:40"
""",
    ),
}
