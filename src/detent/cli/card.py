"""Looking closely: the card of a version, a diff of two, a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.cli.output import number, printable, reason_or_none
from detent.cli.running import Call, Command
from detent.domain.clock import format_time
from detent.domain.digest import short_digest
from detent.domain.version import format_size

if TYPE_CHECKING:
    import argparse

    from detent.domain.evidence import Decision
    from detent.domain.manifest import Code, Compiled, Data, Signature
    from detent.domain.report import VersionCard

Section = tuple[str, list[str]]


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF", help="churn/7, churn@production")
    parser.add_argument("--card", action="store_true", help="as Markdown: a model card")
    parser.add_argument("--signature", action="store_true", help="inputs and outputs only")


def _show(call: Call) -> None:
    card = call.registry.show(call.reference)
    call.output.fields(card=card)
    if call.signature:
        for line in _signature_lines(card.manifest.signature):
            call.output.line(line)
        return
    version = card.version
    if call.card:
        call.output.line(f"# {version.name}")
        for title, lines in _sections(card):
            call.output.line()
            call.output.line(f"## {title.capitalize()}")
            call.output.line()
            for line in lines:
                call.output.line(f"- {line}")
        return
    active = f", active in {', '.join(version.active_in)}" if version.active_in else ""
    call.output.line(f"{version.name}{active}")
    for title, lines in _sections(card):
        for i, line in enumerate(lines):
            call.output.line(f"{title if i == 0 else '':<12}{line}")


def _sections(card: VersionCard) -> list[Section]:
    version, manifest, lineage = card.version, card.manifest, card.manifest.lineage
    took = f", trained in {number(card.duration_s)} s" if card.duration_s is not None else ""
    sections: list[Section] = [
        ("registered", [f"{format_time(version.created_at)} UTC by {version.created_by}{took}"]),
        ("withdrawn", [version.withdrawn] if version.withdrawn else []),
        ("note", [version.note] if version.note else []),
        ("estimator", [lineage.estimator] if lineage.estimator else []),
        ("params", _wrap(f"{key}={value}" for key, value in lineage.parameters.items())),
        ("seed", [str(lineage.seed)] if lineage.seed is not None else []),
        ("data", [_data_line(data) for data in lineage.data]),
        ("code", _code_lines(lineage.code)),
        ("recipe", [" ".join(lineage.recipe)] if lineage.recipe else []),
        ("packages", _wrap(f"{name} {v}" for name, v in lineage.packages.items())),
        ("machine", [f"Python {lineage.python}, {lineage.platform}"] if lineage.python else []),
        ("parents", list(lineage.parents)),
        ("inputs", _signature_lines(manifest.signature)[:6]),
        (
            "files",
            [
                f"{file.path}  {format_size(file.size_bytes)}  {short_digest(file.digest)}"
                for file in manifest.files
            ],
        ),
        ("compiled", _compiled_lines(manifest.compiled)),
        ("digest", [version.digest]),
        ("evaluated", _evaluation_lines(card)),
        ("active", _activation_lines(card)),
        ("decisions", [f"{d.id}: {d.outcome} as {d.alias}, by {d.by}" for d in card.decisions]),
    ]
    return [(title, lines) for title, lines in sections if lines]


def _compiled_lines(compiled: Compiled | None) -> list[str]:
    if compiled is None:
        return []
    file = compiled.file
    return [
        f"{compiled.compiler}  {format_size(file.size_bytes)}  {short_digest(file.digest)}",
        f"answers as the original within {compiled.tolerance:g}, seen on"
        f" {compiled.n_checked:,} rows; servers answer with it",
    ]


def _wrap(items: Any) -> list[str]:
    import textwrap

    return textwrap.wrap(", ".join(items), 86, break_long_words=False)


def _data_line(data: Data) -> str:
    rows = f", {data.n_rows:,} rows" if data.n_rows is not None else ""
    columns = f", {len(data.columns)} columns" if data.columns else ""
    source = f", from {data.source}" if data.source else ""
    return f"{data.name}{rows}{columns}, {short_digest(data.digest)}{source}"


def _code_lines(code: Code | None) -> list[str]:
    if code is None or code.commit is None:
        return ["the cells of a notebook are kept"] if code and code.cells else []
    state = "clean" if code.is_clean else f"{code.n_changed} changed files"
    return [f"{code.commit} ({state}{', patch kept' if code.patch else ''})"]


def _signature_lines(signature: Signature | None) -> list[str]:
    if signature is None:
        return ["not recorded: register with sample="]
    lines = [f"{f.name}: {f.dtype} {_shape(f.shape)}".rstrip() for f in signature.inputs]
    return lines + [f"→ {f.name}: {f.dtype} {_shape(f.shape)}".rstrip() for f in signature.outputs]


def _shape(shape: tuple[int, ...]) -> str:
    if shape in ((), (-1,)):
        return ""
    return "(" + ", ".join("n" if size < 0 else str(size) for size in shape) + ")"


def _evaluation_lines(card: VersionCard) -> list[str]:
    return [
        f"{e.dataset} ({e.n_rows:,} rows): "
        + ", ".join(f"{metric.name} {number(metric.value)}" for metric in e.metrics)
        for e in card.evaluations
    ]


def _activation_lines(card: VersionCard) -> list[str]:
    return [
        f"{a.alias} from {format_time(a.at)} UTC by {a.by}: {reason_or_none(a.reason)}"
        for a in card.activations
    ]


def _diff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="REF")
    parser.add_argument("after", metavar="REF")


def _diff(call: Call) -> None:
    changes = call.registry.diff(call.before, call.after)
    call.output.fields(changes=changes)
    if not call.output.is_terminal:
        call.output.table(("PART", "CHANGE"), [(change.part, change.text) for change in changes])
        return
    if not changes:
        call.output.line("the same data, code, parameters and packages went into both")
    part = ""
    for change in changes:
        call.output.line(f"{change.part if change.part != part else '':<10}{change.text}")
        part = change.part


def _decision_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, metavar="N")


def _decision(call: Call) -> None:
    decision = call.registry.decision(call.id)
    call.output.fields(decision=decision)
    baseline = f"v{decision.baseline} was active" if decision.baseline else "nothing was active"
    call.output.line(
        f"decision {decision.id}: {decision.outcome}; v{decision.candidate} as"
        f" {decision.model}@{decision.alias}, while {baseline}"
    )
    call.output.line(f"  {format_time(decision.at)} UTC by {decision.by}")
    if decision.override:
        call.output.line(f"  overridden: {decision.override}")
    print_results(call, decision)


def print_results(call: Call, decision: Decision) -> None:
    """Print the answer of each rule of a decision."""
    marks = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
    for result in decision.results:
        outcome = str(result.outcome)
        mark = marks[outcome] if call.output.is_terminal else outcome
        call.output.line(f"  {mark} {result.rule}  {printable(result.text)}")


COMMANDS = {
    "show": Command(
        _show,
        arguments=_show_arguments,
        examples="""
detent show churn/7
detent show churn@production --signature
detent show churn/7 --card > MODEL_CARD.md
""",
    ),
    "diff": Command(_diff, arguments=_diff_arguments, examples="detent diff churn/7 churn/8"),
    "decision": Command(_decision, arguments=_decision_arguments, examples="detent decision 31"),
}
