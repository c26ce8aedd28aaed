"""Tending a registry: verify, repair, copy, prune, doctor, completion, demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.cli.output import Cell
from detent.cli.progress import Progress
from detent.cli.running import Call, Command
from detent.domain.version import format_size

if TYPE_CHECKING:
    import argparse


def _verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", nargs="?", metavar="REF", help="default: everything")


def _verify(call: Call) -> int:
    with Progress(call.output, "hashing") as progress:
        report = call.registry.verify(call.reference, progress=progress)
    call.output.fields(report=report)
    what = f"{report.n_versions:,} versions, {report.n_blobs:,} blobs"
    size = format_size(report.size_bytes)
    if not report.problems:
        call.output.good(f"{what}, {size}: every byte is what was registered")
        return 0
    call.output.line(f"{what}, {size}: {_counted(len(report.problems), 'problem')}")
    for problem in report.problems:
        call.output.line(
            f"  {problem.needed_by} {problem.path}: {problem.digest} {problem.problem}"
        )
    call.output.aside("hint: restore them from good copies: `detent repair --from FOLDER`")
    return 7


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n != 1 else ''}"


def _repair_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", nargs="?", metavar="REF", help="default: everything")
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="FOLDER",
        help="files that may be good copies",
    )


def _repair(call: Call) -> int:
    report = call.registry.repair(call.source, call.reference, dry_run=call.dry_run)
    call.output.fields(report=report, dry_run=call.dry_run)
    verb = "can be restored" if call.dry_run else "restored"
    if report.restored or not report.missing:
        call.output.good(f"{len(report.restored)} blobs {verb}")
    for problem in report.missing:
        call.output.line(
            f"  no good copy: {problem.needed_by} {problem.path}: {problem.digest}"
            f" {problem.problem}"
        )
    return 7 if report.missing else 0


def _copy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="a registry's URL or folder")
    parser.add_argument("target", metavar="DST", help="a new place, or an earlier copy")


def _copy(call: Call) -> None:
    from detent.opening import connect

    source, target = (connect(url, user=call.user) for url in (call.source, call.target))
    plan = source.copy_to(target, dry_run=True)
    report = plan
    if not call.dry_run:
        with Progress(call.output, "copying", total=plan.size_bytes) as progress:
            report = source.copy_to(target, progress=progress)
    call.output.fields(
        report=report, source=source.location, target=target.location, dry_run=call.dry_run
    )
    verb = "would be copied" if call.dry_run else "copied"
    call.output.good(
        f"{_counted(report.n_versions, 'version')} {verb} to {target.location}:"
        f" {_counted(report.n_blobs, 'blob')} ({format_size(report.size_bytes)}),"
        f" {_counted(report.n_events, 'event')}"
    )
    if report.n_known_blobs or report.n_known_events:
        call.output.line(
            f"  {_counted(report.n_known_blobs, 'blob')} and"
            f" {_counted(report.n_known_events, 'event')} were there already"
        )
    if not call.dry_run:
        call.output.line(f"  the chain is the source's: head {report.head}")


def _prune_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--older-than",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="keep what is younger: it may be about to be registered (default 3600)",
    )


def _prune(call: Call) -> None:
    plan = call.registry.prune(grace_s=call.older_than, dry_run=True)
    found = plan.n_blobs + plan.n_unfinished
    if found:
        size = format_size(plan.size_bytes)
        call.confirm("prune", f"{found:,} blobs ({size}) that nothing uses will be removed.")
    report = plan if call.dry_run else call.registry.prune(grace_s=call.older_than)
    call.output.fields(report=report, dry_run=call.dry_run)
    verb = "would be removed" if call.dry_run else "removed"
    call.output.good(
        f"{report.n_blobs:,} blobs and {report.n_unfinished:,} unfinished writes {verb},"
        f" {format_size(report.size_bytes)}"
    )
    if report.kept_young:
        call.output.aside(f"  {report.kept_young:,} younger ones were kept")


def _doctor(call: Call) -> int:
    from detent.settings import read_settings

    settings = read_settings(url=call.url, user=call.user)
    rows: list[tuple[str, str, str]] = [
        ("url", settings.url, settings.origins["url"]),
        ("user", settings.user, settings.origins["user"]),
    ]
    if settings.blobs:
        rows += [("blobs", settings.blobs, settings.origins["blobs"])]
    n_settings = len(rows)
    rows += [(name, value, "") for name, value in _versions()]
    checks, code = _checks(call)
    rows += [(name, value, "") for name, value in checks]
    call.output.fields(
        settings=settings, facts={name: value for name, value, _ in rows[n_settings:]}
    )
    cells: list[tuple[Cell, ...]] = [(name, value, origin or "-") for name, value, origin in rows]
    call.output.table(("WHAT", "IS", "FROM"), cells)
    return code


def _versions() -> list[tuple[str, str]]:
    import platform
    import sqlite3
    from importlib.metadata import PackageNotFoundError, version

    found = [("python", platform.python_version()), ("sqlite", sqlite3.sqlite_version)]
    names = "detent numpy scikit-learn skops pandas pyarrow psycopg obstore"
    for name in names.split():
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def _checks(call: Call) -> tuple[list[tuple[str, str]], int]:
    import os
    import shutil

    from detent.errors import DetentError

    location = call.registry.location
    try:
        report = call.registry.audit(verify=True)
    except DetentError as error:
        return [("registry", error.message)], error.exit_code
    found = [("registry", f"{len(call.registry.models()):,} models")]
    state = "unbroken" if report.is_unbroken else _counted(len(report.problems), "problem")
    found.append(("journal", f"{report.n_events:,} events, {state}"))
    if os.path.isdir(location):
        found.append(("writable", "yes" if os.access(location, os.W_OK) else "no"))
        found.append(("free space", format_size(shutil.disk_usage(location).free)))
    return found, 0 if report.is_unbroken else 7


def _completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _completion(call: Call) -> None:
    from detent.cli.complete import SCRIPTS

    call.output.fields(shell=call.shell, script=SCRIPTS[call.shell])
    if not call.output.as_json:
        print(SCRIPTS[call.shell], end="")


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", metavar="DIR", help="keep its registry in a new folder")


def _demo(call: Call) -> int:
    from pathlib import Path

    from detent.cli.demo import main

    return main(Path(call.keep) if call.keep else None)


COMMANDS = {
    "verify": Command(
        _verify, arguments=_verify_arguments, examples="detent verify\ndetent verify churn/7"
    ),
    "repair": Command(
        _repair,
        arguments=_repair_arguments,
        changes=True,
        examples="detent repair --from /backup/registry\ndetent repair churn/7 --from old-models",
    ),
    "copy": Command(
        _copy,
        arguments=_copy_arguments,
        changes=True,
        examples="""
detent copy ./registry "postgresql://db.example/models?blobs=s3://bucket/models"
detent copy .detent /backup/registry --dry-run
""",
    ),
    "prune": Command(
        _prune,
        arguments=_prune_arguments,
        changes=True,
        final=True,
        examples="detent prune --dry-run\ndetent prune",
    ),
    "doctor": Command(_doctor, examples="detent doctor"),
    "completion": Command(
        _completion,
        arguments=_completion_arguments,
        examples="""
detent completion bash > ~/.local/share/bash-completion/completions/detent
detent completion zsh > ~/.zfunc/_detent
detent completion fish > ~/.config/fish/completions/detent.fish
""",
    ),
    "demo": Command(
        _demo, arguments=_demo_arguments, examples="detent demo\ndetent demo --keep try-it"
    ),
}
