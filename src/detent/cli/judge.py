"""Judging: evaluate, compare, gate, policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detent.cli.card import print_results
from detent.cli.output import number, signed
from detent.cli.running import Call, Command
from detent.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    import argparse

    from detent.domain.evidence import Comparison, Difference, Policy


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REF")
    parser.add_argument("--data", required=True, metavar="FILE", help="CSV, Parquet or JSON lines")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the true values")
    parser.add_argument("--dataset", metavar="NAME", help="default: the file's name")
    parser.add_argument("--metrics", metavar="A,B", help="default: the usual ones of the task")
    parser.add_argument("--trusted", action="store_true", help="run whatever the files carry")


def _evaluate(call: Call) -> None:
    from pathlib import Path

    from detent.data.load import read_rows

    X, y = read_rows(call.data, call.target)
    evaluation = call.registry.evaluate(
        call.reference,
        X,
        y,
        dataset=call.dataset or Path(call.data).stem,
        metrics=call.metrics.split(",") if call.metrics else None,
        trusted=call.trusted,
    )
    call.output.fields(evaluation=evaluation)
    metrics = ", ".join(f"{m.name} {number(m.value)}" for m in evaluation.metrics)
    call.output.good(
        f"{evaluation.model}/{evaluation.version} on {evaluation.dataset}"
        f" ({evaluation.n_rows:,} rows): {metrics}; evaluation {evaluation.id}"
    )


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("baseline", metavar="BASELINE")
    parser.add_argument("candidate", metavar="CANDIDATE")
    parser.add_argument(
        "--dataset", metavar="NAME", help="default: the newest both were evaluated on"
    )


def _compare(call: Call) -> None:
    comparison = call.registry.compare(call.baseline, call.candidate, dataset=call.dataset)
    call.output.fields(comparison=comparison)
    old, new = f"v{comparison.baseline}", f"v{comparison.candidate}"
    call.output.aside(
        f"baseline {old}, candidate {new}; the same {comparison.n_rows:,} rows of"
        f" {comparison.dataset}"
    )
    call.output.table(
        ("METRIC", old, new, "DIFFERENCE", ""),
        [
            (
                d.metric,
                (number(d.baseline), repr(d.baseline)),
                (number(d.candidate), repr(d.candidate)),
                (signed(d.value), repr(d.value)),
                _direction(d),
            )
            for d in comparison.differences
        ],
    )
    for line in _remarks(comparison):
        call.output.aside(line)


def _direction(difference: Difference) -> str:
    if difference.value == 0:
        return "● the same number"
    if difference.greater_is_better is None:
        return "higher" if difference.value > 0 else "lower"
    better = (difference.value > 0) == difference.greater_is_better
    return "▲ better on these rows" if better else "▼ worse on these rows"


def _remarks(comparison: Comparison) -> list[str]:
    changed = f"they answer {comparison.n_changed:,} of {comparison.n_rows:,} rows differently"
    if comparison.newly_wrong is not None:
        changed += (
            f": {comparison.newly_wrong:,} newly wrong, {comparison.newly_right:,} newly right"
        )
    lines = [changed]
    size = comparison.candidate_size_bytes / max(comparison.baseline_size_bytes, 1)
    lines.append(f"size × {number(size)}")
    if comparison.baseline_one_row_s and comparison.candidate_one_row_s:
        time = comparison.candidate_one_row_s / comparison.baseline_one_row_s
        lines[-1] += f", time for one row × {number(time)}"
    lines.append("a difference without an interval says nothing about other rows")
    return lines


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
    parser.add_argument("action", choices=("show", "set"))
    parser.add_argument("alias", metavar="MODEL@ALIAS")
    parser.add_argument("file", nargs="?", metavar="FILE", help="TOML; - reads stdin")


def _policy(call: Call) -> None:
    if call.action == "set":
        if call.file is None:
            raise InvalidError(
                "no file was given; nothing was changed", hint="FILE, or - for stdin"
            )
        policy: Policy | None = call.registry.set_policy(
            call.alias, _read_toml(call.file), dry_run=call.dry_run
        )
        call.output.good(f"{call.alias} {'would have' if call.dry_run else 'has'} a policy")
    else:
        policy = call.registry.policy(call.alias)
    call.output.fields(policy=policy)
    if policy is None:
        call.output.line(f"{call.alias} has no policy: every version passes")
    else:
        if policy.reason_required:
            call.output.line("  a reason is required")
        for rule in policy.rules:
            parameters = ", ".join(f"{key} {value}" for key, value in rule.parameters.items())
            call.output.line(f"  {rule.name}  {parameters}".rstrip())


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
""",
    ),
    "compare": Command(
        _compare,
        arguments=_compare_arguments,
        examples="detent compare churn@production churn/8",
    ),
    "gate": Command(_gate, arguments=_gate_arguments, examples="detent gate churn/8 production"),
    "policy": Command(
        _policy,
        arguments=_policy_arguments,
        changes=True,
        examples="""
detent policy show churn@production
detent policy set churn@production policy.toml
""",
    ),
}
