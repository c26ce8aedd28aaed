"""The rules: one pure function each, from parameters and evidence to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detent.domain.alias import Activation, Hold
from detent.domain.clock import format_time
from detent.domain.evidence import Evaluation, Outcome, RuleResult
from detent.domain.version import Version

if TYPE_CHECKING:
    from detent.comparison.outcomes import Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a gate may look at, read in the transaction of the activation.

    The evaluations are newest first. ``anchor`` is the version that was last shown to be better,
    or chosen by a person: losses that are allowed one by one must not add up unseen. ``read``
    gives what an evaluation kept (its digest is in the row, so the answer is always the same);
    ``count_uses`` says the how-many-th use of its rows judging the candidate on them is.
    """

    candidate: Version
    baseline: Version | None
    alias: str
    candidate_evaluations: tuple[Evaluation, ...] = ()
    baseline_evaluations: tuple[Evaluation, ...] = ()
    anchor: Version | None = None
    anchor_evaluations: tuple[Evaluation, ...] = ()
    rolled_back: Activation | None = None
    hold: Hold | None = None
    approvers: tuple[str, ...] = ()
    actor: str = ""
    read: Callable[[Evaluation], Outcomes] | None = None
    count_uses: Callable[[Evaluation, bool], int] | None = None


def not_withdrawn(evidence: Evidence) -> RuleResult:
    """Refuse a version that was withdrawn: always in force, and nothing overrides it."""
    name = "not_withdrawn"
    reason = evidence.candidate.withdrawn
    if reason is None:
        return RuleResult(rule=name, outcome=Outcome.PASS, text="was not withdrawn")
    return RuleResult(rule=name, outcome=Outcome.FAIL, text=f"it was withdrawn: {reason}")


def not_rolled_back(evidence: Evidence) -> RuleResult:
    """Refuse a version that this alias was rolled back from: always in force."""
    name = "not_rolled_back"
    if evidence.rolled_back is None:
        return RuleResult(rule=name, outcome=Outcome.PASS, text="was not rolled back from here")
    entry = evidence.rolled_back
    reason = f": {entry.reason}" if entry.reason else ""
    return RuleResult(
        rule=name,
        outcome=Outcome.FAIL,
        text=f"`{entry.name}` was rolled back from version {entry.previous} at"
        f" {format_time(entry.at)} UTC by {entry.by}{reason}",
        evidence={"entry": entry.entry},
    )


def not_on_hold(evidence: Evidence) -> RuleResult:
    """Refuse while the alias is on hold: always in force."""
    name = "not_on_hold"
    if evidence.hold is None:
        return RuleResult(rule=name, outcome=Outcome.PASS, text="is not on hold")
    hold = evidence.hold
    reason = f": {hold.reason}" if hold.reason else ""
    return RuleResult(
        rule=name,
        outcome=Outcome.FAIL,
        text=f"on hold since {format_time(hold.at)} UTC by {hold.by}{reason}",
    )


def at_least_as_good(
    evidence: Evidence, *, metric: str | None = None, dataset: str | None = None
) -> RuleResult:
    """Demand that the candidate's number is at least the active version's, on the same rows.

    The rule of the plain recipe. It compares two numbers and knows nothing about chance: a tie,
    or a small difference on few rows, is no evidence that the candidate is as good on other rows.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    metric : str, optional
        The name of a metric that both evaluations have; by default the candidate's first.
    dataset : str, optional
        The name of the dataset; by default the newest that both were evaluated on.
    """
    name = "at_least_as_good"
    if evidence.baseline is None:
        return RuleResult(
            rule=name, outcome=Outcome.PASS, text="nothing is active: nothing to compare with"
        )
    pair = same_rows(evidence, dataset)
    if pair is None:
        return RuleResult(
            rule=name, outcome=Outcome.INCONCLUSIVE, text=no_common_rows(evidence, dataset)
        )
    ours, theirs = pair
    metric = metric or ours.metrics[0].name
    try:
        new, old = ours[metric], theirs[metric]
    except KeyError:
        return RuleResult(
            rule=name,
            outcome=Outcome.INCONCLUSIVE,
            text=f"`{metric}` was not computed for both on {ours.dataset}",
            evidence={"evaluations": [theirs.id, ours.id]},
        )
    if new.greater_is_better is None:
        return RuleResult(
            rule=name,
            outcome=Outcome.INCONCLUSIVE,
            text=f"`{metric}` declares no direction: whether more of it is better is not known",
            evidence={"evaluations": [theirs.id, ours.id]},
        )
    holds = new.value >= old.value if new.greater_is_better else new.value <= old.value
    sign = "at least" if new.greater_is_better else "at most"
    verb = "is" if holds else "is not"
    where = f"on {new.n:,} rows of {ours.dataset}"
    text = f"{metric} {new.value:.4g} {verb} {sign} {old.value:.4g} {where}"
    if holds:
        text += " (two numbers: chance is not considered)"
    return RuleResult(
        rule=name,
        outcome=Outcome.PASS if holds else Outcome.FAIL,
        text=text,
        evidence={
            "evaluations": [theirs.id, ours.id],
            "dataset_digest": ours.dataset_digest,
            "baseline": old.value,
            "candidate": new.value,
            "n": new.n,
        },
    )


def same_rows(
    evidence: Evidence, dataset: str | None = None
) -> tuple[Evaluation, Evaluation] | None:
    """Return the newest evaluations of candidate and baseline on the same rows, if any."""
    baseline = {e.dataset_digest: e for e in reversed(evidence.baseline_evaluations)}
    for evaluation in evidence.candidate_evaluations:
        if dataset is not None and evaluation.dataset != dataset:
            continue
        if evaluation.dataset_digest in baseline:
            return evaluation, baseline[evaluation.dataset_digest]
    return None


def no_common_rows(evidence: Evidence, dataset: str | None) -> str:
    """Say which of the two was not evaluated on the rows of the other."""
    candidate, baseline = evidence.candidate, evidence.baseline
    assert baseline is not None
    on = f" on {dataset}" if dataset else ""
    if not evidence.candidate_evaluations:
        return f"`{candidate}` was not evaluated{on}"
    if not evidence.baseline_evaluations:
        return f"`{baseline}` was not evaluated{on}"
    return f"`{baseline}` and `{candidate}` were not evaluated on the same rows{on}"
