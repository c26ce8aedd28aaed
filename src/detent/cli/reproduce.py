"""The command that rebuilds a version."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from detent.cli.output import number
from detent.cli.running import Call, Command

if TYPE_CHECKING:
    import argparse

    from detent.domain.reproduction import Reproduction, ReproductionPlan


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="churn/7, churn@production")
    parser.add_argument(
        "--repository", default=".", metavar="PATH", help="a git repository that has its commit"
    )
    parser.add_argument("--folder", metavar="DIR", help="work in this new folder, and keep it")
    parser.add_argument("--here", action="store_true", help="with the packages installed here")
    parser.add_argument("--trusted", action="store_true", help="run whatever the files carry")


def _reproduce(call: Call) -> int:
    registry = call.registry
    plan = registry.plan_reproduction(call.reference)
    command = shlex.join(plan.command)
    if call.dry_run:
        call.output.fields(plan=plan, dry_run=True)
        _show_plan(call, plan)
        return 0
    changed = " with the changes that were kept" if plan.patch else ""
    call.confirm(
        plan.version, f"The code of commit {plan.commit[:12]}{changed} will run here: `{command}`."
    )
    found = registry.reproduce(
        call.reference,
        repository=call.repository,
        folder=call.folder,
        here=call.here,
        trusted=call.trusted,
        tell=lambda what: call.output.aside(f"{what} …"),
    )
    call.output.fields(reproduction=found)
    _show(call, found)
    return 0 if found.is_same else 7


def _show_plan(call: Call, plan: ReproductionPlan) -> None:
    line = call.output.line
    line(f"{plan.version} would be rebuilt: nothing was done")
    patch = " and the uncommitted changes that were kept" if plan.patch else ""
    line(f"  code         commit {plan.commit[:12]}{patch}")
    line(f"  command      {shlex.join(plan.command)}")
    line(f"  python       {plan.python or 'not recorded'}")
    if plan.packages:
        line(f"  packages     {len(plan.packages)} differ from those here: a new environment")
        for text in plan.packages:
            line(f"               {text}")
    else:
        line("  packages     as installed here")
    for doubt in plan.doubts:
        line(f"  doubt        {doubt}")


def _show(call: Call, found: Reproduction) -> None:
    took = f"({found.seconds:.0f} s)"
    rows = f"{found.n_rows} stored rows"
    apart = ""
    if found.largest_difference is not None:
        apart = f" (largest difference {number(found.largest_difference)})"
    if not found.is_same:
        call.output.line(f"✗ {found.version} differs: {found.difference}{apart} {took}")
        if found.causes:
            call.output.line("  likely causes, the likeliest first:")
    elif found.n_rows:
        call.output.good(f"{found.version}: same predictions on {rows}{apart} {took}")
        if found.causes:
            call.output.line("  the files differ, for one of these reasons:")
    else:
        call.output.good(f"{found.version}: same bytes {took}")
    for cause in found.causes:
        call.output.line(f"    {cause}")
    if found.folder:
        call.output.aside(f"  code, environment and output are in {found.folder}")


COMMANDS = {
    "reproduce": Command(
        _reproduce,
        arguments=_arguments,
        changes=True,
        final=True,
        examples="""
detent reproduce churn/7
detent reproduce churn/7 --dry-run
detent reproduce churn@production --repository ~/src/churn --yes
""",
    )
}
