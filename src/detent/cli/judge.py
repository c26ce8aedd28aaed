"""Judging: evaluate, compare, gate, policy, approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detent.cli.card import print_results
from detent.cli.output import Cell, number, signed
from detent.cli.progress import Progress
from detent.cli.running import Call, Command
from detent.domain.clock import format_time
from detent.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from detent.domain.evidence import Comparison, Difference, Metric, Policy, Ranking


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "references", nargs="+", metavar="REF", help="several are asked in one pass over the rows"
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="FILE|FOLDER|URL",
        help="Parquet, which may be larger than memory; or CSV, Arrow, JSON lines",
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the true values")
    parser.add_argument("--dataset", metavar="NAME", help="default: the file's name")
    parser.add_argument(
        "--metrics", metavar="A,B", help="the main one first; default: the usual ones of the task"
    )
    parser.add_argument("--slices", metavar="A,B", help="columns; ranges as tenure:30:90")
    parser.add_argument("--groups", metavar="COLUMN", help="whose rows: they are one unit")
    parser.add_argument("--id", dest="ids", metavar="COLUMN", help="names of rows")
    parser.add_argument("--weight", metavar="COLUMN", help="how much a row counts")
    parser.add_argument("--on", metavar="ENGINE", help="ray; default: this process")
    parser.add_argument("--trusted", action="store_true", help="run whatever the files carry")


def _evaluate(call: Call) -> None:
    with Progress(call.output, "evaluating", unit="rows") as progress:
        evaluations = call.registry.evaluate(
            call.references,
            data=call.data,
            target=call.target,
            dataset=call.dataset,
            metrics=call.metrics.split(",") if call.metrics else None,
            slices=_slices(call.slices) if call.slices else None,
            groups=call.groups,
            ids=call.ids,
            sample_weight=call.weight,
            on=call.on,
            trusted=call.trusted,
            progress=progress.reach,
        )
    # One has its name, as it had when there could be no more.
    call.output.fields(
        **({"evaluation": evaluations[0]} if len(evaluations) == 1 else {}),
        evaluations=evaluations,
    )
    for evaluation in evaluations:
        call.output.good(
            f"{evaluation.model}/{evaluation.version} on {evaluation.dataset}"
            f" ({evaluation.n_rows:,} rows): {', '.join(map(_metric, evaluation.metrics))};"
            f" evaluation {evaluation.id}"
        )


def _metric(metric: Metric) -> str:
    text = f"{metric.name} {number(metric.value)}"
    if metric.low is None or metric.high is None:
        return text
    return f"{text} [{number(metric.low)}, {number(metric.high)}]"


def _slices(text: str) -> list[str] | dict[str, object]:
    """Read ``region,tenure:30:90``: names of columns, some with the edges of ranges."""
    parts = [part.split(":") for part in text.split(",") if part]
    if all(len(part) == 1 for part in parts):
        return [part[0] for part in parts]
    if any(len(part) == 1 for part in parts):
        raise InvalidError(
            "columns with and without ranges were named; nothing was recorded",
            hint="give ranges to all, or evaluate twice",
        )
    try:
        return {name: [float(edge) for edge in edges] for name, *edges in parts}
    except ValueError as error:
        raise InvalidError(f"{error}; nothing was recorded", hint="tenure:30:90") from None


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("baseline", metavar="BASELINE")
    parser.add_argument("candidates", nargs="+", metavar="CANDIDATE")
    parser.add_argument(
        "--dataset", metavar="NAME", help="default: the newest both were evaluated on"
    )
    parser.add_argument("--metrics", metavar="A,B", help="the main one first; default: all")
    parser.add_argument("--html", metavar="FILE", help="write one page with charts; - for stdout")
    parser.add_argument(
        "--markdown", metavar="FILE", help="write it for a pull request; - for stdout"
    )


def _compare(call: Call) -> None:
    if "-" in (call.html, call.markdown) and (call.json or call.html == call.markdown):
        raise InvalidError("stdout can hold only one answer", hint="name a file in place of `-`")
    if len(call.candidates) > 1:
        ranking = call.registry.rank(call.baseline, call.candidates, dataset=call.dataset)
        call.output.fields(ranking=ranking)
        _answer(call, ranking, print_ranking)
        return
    comparison = call.registry.compare(
        call.baseline,
        call.candidates[0],
        dataset=call.dataset,
        metrics=call.metrics.split(",") if call.metrics else (),
    )
    call.output.fields(comparison=comparison)
    _answer(call, comparison, print_comparison)


def _answer(call: Call, judged: Any, show: Callable[[Call, Any], None]) -> None:
    """Write the reports that were asked for, and print the answer unless one of them is it."""
    written = _write_reports(call, judged)
    if "-" not in (call.html, call.markdown):
        show(call, judged)
    for line in written:
        call.output.aside(line)


def print_comparison(call: Call, comparison: Comparison) -> None:
    """Print what two versions answered on the same rows."""
    from detent.comparison.words import headline, mark, verdict_text

    old, new = f"v{comparison.baseline}", f"v{comparison.candidate}"
    call.output.aside(
        f"baseline {old}, candidate {new}; the same {comparison.n_rows:,} rows of"
        f" {comparison.dataset}"
    )
    call.output.table(
        ("METRIC", old, new, "DIFFERENCE", "95% INTERVAL", "VERDICT"),
        [
            (
                d.metric,
                (number(d.baseline), repr(d.baseline)),
                (number(d.candidate), repr(d.candidate)),
                (signed(d.value), repr(d.value)),
                _interval(d),
                (f"{mark(d)} {verdict_text(d)}", str(d.verdict or "-")),
            )
            for d in comparison.differences
        ],
    )
    call.output.line(headline(comparison))
    for line in _remarks(comparison):
        call.output.aside(line)


def _interval(difference: Difference) -> Cell:
    if difference.low is None or difference.high is None:
        return "-"
    low, high = difference.low, difference.high
    return f"[{signed(low)}, {signed(high)}]", f"{low!r} {high!r}"


def _remarks(comparison: Comparison) -> list[str]:
    from detent.comparison.words import changed_text, unmatched_text

    lines = [changed_text(comparison)]
    if comparison.newly_wrong_rows:
        shown = ", ".join(comparison.newly_wrong_rows[:10])
        more = (
            ", …" if (comparison.newly_wrong or 0) > len(comparison.newly_wrong_rows[:10]) else ""
        )
        lines.append(f"newly wrong rows: {shown}{more}")
    left_out = unmatched_text(comparison)
    lines += [left_out] if left_out else []
    worse = [one for one in comparison.slices if one.is_worse and one.difference is not None]
    if comparison.slices:
        telling = sum(one.can_tell for one in comparison.slices)
        lines.append(
            f"slices: {len(worse)} of {len(comparison.slices)} shown to be worse;"
            f" {len(comparison.slices) - telling} have too few disagreements to tell"
        )
    lines += [
        f"  ▼ {one.slice} {signed(one.difference.value)} ({one.n:,} rows, corrected for"
        f" {len(comparison.slices)} slices)"
        for one in worse
        if one.difference is not None
    ]
    if comparison.calibration_errors is not None:
        old_error, new_error = (number(error) for error in comparison.calibration_errors)
        lines.append(
            f"calibration error {old_error} to {new_error}: how far the probabilities of answers"
            " lie from how often they are right; shown only, no rule uses it"
        )
    size = comparison.candidate_size_bytes / max(comparison.baseline_size_bytes, 1)
    lines.append(f"size × {number(size)}")
    if comparison.baseline_one_row_s and comparison.candidate_one_row_s:
        time = comparison.candidate_one_row_s / comparison.baseline_one_row_s
        lines[-1] += f", time for one row × {number(time)}"
    methods = dict.fromkeys(
        f"{d.metric}: {d.method}" for d in comparison.differences if d.method is not None
    )
    if methods:
        lines.append("method  " + "; ".join(methods))
    caveats = dict.fromkeys(
        f"{d.metric}: {caveat}" for d in comparison.differences for caveat in d.caveats
    )
    lines += [f"note    {caveat}" for caveat in caveats]
    return lines


def _write_reports(call: Call, judged: Comparison | Ranking) -> list[str]:
    """Write the reports that were asked for; return what to say of them after the answer."""
    if call.html is None and call.markdown is None:
        return []
    from detent.charts.draw import can_draw

    report = call.registry.report(judged)
    said = []
    if call.html is not None:
        said += _write(call.html, report.to_html())
        if not can_draw():
            said.append(
                "  tables stand in place of the charts: pip install 'detent[charts]' draws them"
            )
    if call.markdown is not None:
        said += _write(call.markdown, report.to_markdown())
    return said


def _write(path: str, text: str) -> list[str]:
    import sys

    if path == "-":
        sys.stdout.write(text)
        return []
    try:
        with open(path, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise InvalidError(f"{path} cannot be written: {error.strerror}") from None
    return [f"report: {path}"]


def print_ranking(call: Call, ranking: Ranking) -> None:
    """Print how several candidates compare with one baseline, the preferred one first."""
    from detent.comparison.words import mark, verdict_text

    first = ranking.comparisons[0]
    call.output.aside(
        f"baseline v{first.baseline}; {len(ranking.comparisons)} candidates on {first.dataset},"
        " corrected for their number"
    )
    call.output.table(
        ("CANDIDATE", "METRIC", "DIFFERENCE", "95% INTERVAL", "VERDICT"),
        [
            (
                f"v{one.candidate}",
                one.differences[0].metric,
                (signed(one.differences[0].value), repr(one.differences[0].value)),
                _interval(one.differences[0]),
                (
                    f"{mark(one.differences[0])} {verdict_text(one.differences[0])}",
                    str(one.verdict),
                ),
            )
            for one in ranking.comparisons
        ],
    )
    best = f"v{ranking.best} would be preferred" if ranking.best else "none is shown to be as good"
    call.output.line(best)


def _gate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF")
    parser.add_argument("alias", metavar="ALIAS")


def _gate(call: Call) -> int:
    decision = call.registry.gate(call.reference, call.alias)
    call.output.fields(decision=decision)
    held = sum(str(result.outcome) == "pass" for result in decision.results)
    rules = f"{held} of {len(decision.results)} rules hold" if decision.results else "no rule"
    call.output.line(f"{decision.outcome}: {rules}")
    print_results(call, decision)
    return {"pass": 0, "fail": 6, "inconclusive": 9}[str(decision.outcome)]


def _policy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("show", "set", "check"))
    parser.add_argument("alias", metavar="MODEL@ALIAS")
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="TOML; - reads stdin; set without a file demands not_worse",
    )


def _policy(call: Call) -> int:
    if call.action == "check":
        return _check(call)
    if call.action == "set":
        content = None if call.file is None else _read_toml(call.file)
        policy: Policy | None = call.registry.set_policy(call.alias, content, dry_run=call.dry_run)
        call.output.good(f"{call.alias} {'would have' if call.dry_run else 'has'} a policy")
    else:
        policy = call.registry.policy(call.alias)
    call.output.fields(policy=policy)
    if policy is None or policy.is_empty:
        call.output.line(f"{call.alias} has no policy: every version passes")
        return 0
    if policy.reason_required:
        call.output.line("  a reason is required")
    if policy.approvals:
        people = "person approves" if policy.approvals == 1 else "people approve"
        call.output.line(f"  {policy.approvals} other {people} of it first")
    for rule in policy.rules:
        parameters = ", ".join(f"{key} {value}" for key, value in rule.parameters.items())
        call.output.line(f"  {rule.name}  {parameters}".rstrip())
    return 0


def _check(call: Call) -> int:
    """Say what a policy would have said to past changes."""
    if call.file is None:
        raise InvalidError("no policy was given to check", hint="FILE, or - for stdin")
    trials = call.registry.try_policy(call.alias, _read_toml(call.file))
    call.output.fields(trials=trials)
    call.output.table(
        ("WHEN (UTC)", "VERSION", "THEN", "WOULD BE", "WHY"),
        [
            (
                (format_time(trial.at), trial.at.isoformat()),
                f"v{trial.version}",
                "activated" if trial.activated else "refused",
                str(trial.outcome),
                "; ".join(r.text for r in trial.results if r.outcome == trial.outcome) or "-",
            )
            for trial in trials
        ],
    )
    activated = [trial for trial in trials if trial.activated]
    stopped = sum(trial.outcome != "pass" for trial in activated)
    call.output.line(
        f"would have stopped {stopped} of the last {len(activated)} activations of {call.alias}"
    )
    return 0


def _approve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF")
    parser.add_argument("alias", metavar="ALIAS")
    parser.add_argument("-m", "--reason", metavar="TEXT", help="why")


def _approve(call: Call) -> None:
    approval = call.registry.approve(
        call.reference, call.alias, reason=call.reason, dry_run=call.dry_run
    )
    call.output.fields(approval=approval, dry_run=call.dry_run)
    verb = "would be" if call.dry_run else "is"
    call.output.good(
        f"{approval.model}/{approval.version} {verb} approved for {approval.model}@{approval.alias}"
        f" by {approval.by}"
    )
    call.output.aside(
        f"  next: detent activate {approval.model}/{approval.version} {approval.alias}"
    )


def _read_toml(path: str) -> dict[str, object]:
    import sys
    import tomllib

    try:
        if path == "-":
            return tomllib.loads(sys.stdin.read())
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}; nothing was changed") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidError(f"{path} is not TOML: {error}; nothing was changed") from error


COMMANDS = {
    "evaluate": Command(
        _evaluate,
        arguments=_evaluate_arguments,
        examples="""
detent evaluate churn/8 --data holdout.csv --target churned
detent evaluate churn/8 --data holdout.parquet --target churned --metrics roc_auc,log_loss
detent evaluate churn/8 --data rows.csv --target churned --slices region --groups customer
detent evaluate churn/7 churn/8 --data s3://lake/2026-02/ --target churned --on ray
""",
    ),
    "compare": Command(
        _compare,
        arguments=_compare_arguments,
        examples="""
detent compare churn@production churn/8
detent compare churn@production churn/8 churn/9 churn/10
detent compare churn@production churn/8 --html report.html
detent compare churn@production churn/8 --markdown - >> pull-request.md
""",
    ),
    "approve": Command(
        _approve,
        arguments=_approve_arguments,
        changes=True,
        examples="detent approve churn/8 production --reason 'looked at the slices'",
    ),
    "gate": Command(_gate, arguments=_gate_arguments, examples="detent gate churn/8 production"),
    "policy": Command(
        _policy,
        arguments=_policy_arguments,
        changes=True,
        examples="""
detent policy show churn@production
detent policy set churn@production
detent policy set churn@production policy.toml
detent policy check churn@production policy.toml
""",
    ),
}
