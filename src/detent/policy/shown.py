"""Rules that ask what the rows show: not worse, better, and limits of what may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detent.domain.evidence import Difference, Evaluation, Outcome, RuleResult, Verdict
from detent.errors import InvalidError
from detent.policy.rules import Evidence, no_common_rows, same_rows

if TYPE_CHECKING:
    from detent.comparison.measures import Measure
    from detent.comparison.outcomes import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule compares: both evaluations, the rows, the metric, and the level of this use."""

    ours: Evaluation
    theirs: Evaluation
    pair: Pair
    measure: Measure
    use: int
    alpha: float

    def facts(self) -> dict[str, Any]:
        """Return what an answer is bound to."""
        return {
            "evaluations": [self.theirs.id, self.ours.id],
            "outcomes": [self.theirs.outcomes, self.ours.outcomes],
            "dataset": self.ours.dataset,
            "dataset_digest": self.ours.dataset_digest,
            "use": self.use,
        }


def not_worse(
    evidence: Evidence,
    *,
    metric: str | None = None,
    margin: float | None = None,
    relative: bool | None = None,
    alpha: float = 0.05,
    dataset: str | None = None,
    allow_worse_within_margin: bool = False,
) -> RuleResult:
    """Demand that the rows show the candidate to be not worse by more than a margin.

    Shown against the active version, and against the anchor: the version last shown to be better,
    or chosen by a person, so that losses within the margin do not add up. The rule that a
    protected alias has by default.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate, baseline and anchor.
    metric : str, optional
        By default the first that the candidate was evaluated in.
    margin : float, optional
        The loss that is allowed: by default 0.01, one point of a share.
    relative : bool, optional
        Whether the margin is a share of the baseline's value; by default for losses.
    alpha : float, default=0.05
        Allowed probability of passing a candidate that is worse by exactly the margin, at the
        first use of the rows.
    dataset : str, optional
        The name of the dataset; by default the newest that both were evaluated on.
    allow_worse_within_margin : bool, default=False
        Pass a candidate that is shown to be worse, by less than the margin.
    """
    name = "not_worse"
    if evidence.baseline is None:
        return _nothing_active(name)
    results = []
    for against in _against(evidence):
        found = _find(name, against, metric=metric, dataset=dataset, alpha=alpha)
        if isinstance(found, RuleResult):
            results.append(found)
            continue
        difference = _difference(name, found, margin=margin, relative=relative)
        if isinstance(difference, RuleResult):
            results.append(difference)
            continue
        match difference.verdict:
            case Verdict.BETTER | Verdict.NOT_WORSE:
                outcome = Outcome.PASS
            case Verdict.WORSE_WITHIN_MARGIN if allow_worse_within_margin:
                outcome = Outcome.PASS
            case Verdict.WORSE | Verdict.WORSE_WITHIN_MARGIN:
                outcome = Outcome.FAIL
            case _:
                outcome = Outcome.INCONCLUSIVE
        results.append(_answer(name, outcome, found, difference, against, evidence))
    return _worst(results)


def better(
    evidence: Evidence,
    *,
    metric: str | None = None,
    alpha: float = 0.05,
    dataset: str | None = None,
) -> RuleResult:
    """Demand that the rows show the candidate to be better, by however little.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    metric, alpha, dataset
        As for `not_worse`; alpha is of passing a candidate that is not better.
    """
    name = "better"
    if evidence.baseline is None:
        return _nothing_active(name)
    found = _find(name, evidence, metric=metric, dataset=dataset, alpha=alpha)
    if isinstance(found, RuleResult):
        return found
    difference = _difference(name, found, margin=None, relative=None)
    if isinstance(difference, RuleResult):
        return difference
    p_better, p_worse = difference.p_better, difference.p_worse
    if p_better is not None and p_better <= found.alpha:
        outcome = Outcome.PASS
    elif p_worse is not None and p_worse <= found.alpha:
        outcome = Outcome.FAIL
    else:
        outcome = Outcome.INCONCLUSIVE
    return _answer(name, outcome, found, difference, evidence, evidence)


def slices_not_worse(
    evidence: Evidence,
    *,
    metric: str | None = None,
    slices: list[str] | None = None,
    margin: float | None = None,
    relative: bool | None = None,
    alpha: float = 0.05,
    dataset: str | None = None,
) -> RuleResult:
    """Refuse a candidate that is shown to be worse on a slice, corrected for their number.

    That no slice got worse can never be shown; so without a margin only evidence of harm blocks.
    Slices that are critical are named and given a margin: each has to be shown not worse by it.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    slices : list of str, optional
        Names of slices (``region``) or of parts (``region=north``); by default all.
    margin : float, optional
        The loss that is allowed on each; without it, only harm that is shown blocks.
    metric, relative, alpha, dataset
        As for `not_worse`.
    """
    from detent.comparison.compare import slice_differences
    from detent.comparison.differences import find_difference
    from detent.comparison.words import interval_text, number_text

    name = "slices_not_worse"
    if evidence.baseline is None:
        return _nothing_active(name)
    found = _find(name, evidence, metric=metric, dataset=dataset, alpha=alpha)
    if isinstance(found, RuleResult):
        return found
    every = slice_differences(found.pair, found.measure, alpha=found.alpha)
    known = {one.slice for one in every} | set(found.pair.candidate.slices)
    lacking = [one for one in slices or [] if one not in known]
    if lacking or not every:
        which = f"`{lacking[0]}`" if lacking else "any slice"
        return RuleResult(
            rule=name,
            outcome=Outcome.INCONCLUSIVE,
            text=f"`{evidence.candidate}` was not evaluated on {which} of {found.ours.dataset}",
            evidence=found.facts(),
        )
    parts = [
        part
        for slice_name, column in found.pair.candidate.slices.items()
        for part in sorted(set(column.tolist()))
        if not slices or slice_name in slices or part in slices
    ]
    chosen = [one for one in every if one.slice in parts]
    if margin is None:
        bad = [one for one in chosen if one.is_worse]
        outcome = Outcome.FAIL if bad else Outcome.PASS
        text = "; ".join(
            f"{one.slice}: {interval_text(one.difference)} ({one.n:,} rows, corrected for"
            f" {len(every)} slices)"
            for one in bad
            if one.difference is not None
        )
        telling = sum(one.can_tell for one in chosen)
        text = text or f"none of {telling} slices is shown to be worse"
        if telling < len(chosen):
            text += f"; {len(chosen) - telling} have too few disagreements to tell"
        return RuleResult(
            rule=name,
            outcome=outcome,
            text=text,
            evidence=found.facts() | {"worse": [one.slice for one in bad], "slices": len(every)},
        )
    outcomes: list[tuple[Outcome, str]] = []
    for one in chosen:
        rows = found.pair.take(
            next(c == one.slice for c in found.pair.candidate.slices.values() if one.slice in c)
        )
        try:
            difference = find_difference(
                rows, found.measure, alpha=found.alpha, margin=margin, is_relative=relative
            )
        except InvalidError as error:
            outcomes.append((Outcome.INCONCLUSIVE, f"{one.slice}: {error.message}"))
            continue
        shown = {
            Verdict.BETTER: Outcome.PASS,
            Verdict.NOT_WORSE: Outcome.PASS,
            Verdict.UNDECIDED: Outcome.INCONCLUSIVE,
        }.get(difference.verdict or Verdict.UNDECIDED, Outcome.FAIL)
        allowed = number_text(difference.margin or 0.0)
        outcomes.append(
            (shown, f"{one.slice}: {interval_text(difference)}, allowed loss {allowed}")
        )
    outcome = _worst_outcome([shown for shown, _ in outcomes])
    texts = [text for shown, text in outcomes if shown is outcome]
    if outcome is Outcome.PASS:
        texts = [f"each of {len(outcomes)} slices is shown not to be worse by the margin"]
    return RuleResult(
        rule=name,
        outcome=outcome,
        text="; ".join(texts),
        evidence=found.facts() | {"slices": len(outcomes), "margin": margin},
    )


def _nothing_active(name: str) -> RuleResult:
    return RuleResult(
        rule=name, outcome=Outcome.PASS, text="nothing is active: nothing to compare with"
    )


def _against(evidence: Evidence) -> list[Evidence]:
    """Return the evidence beside the active version, and beside the anchor where it is another."""
    from dataclasses import replace

    found = [evidence]
    if evidence.anchor is not None and evidence.anchor.number not in (
        evidence.candidate.number,
        evidence.baseline.number if evidence.baseline else None,
    ):
        found.append(
            replace(
                evidence,
                baseline=evidence.anchor,
                baseline_evaluations=evidence.anchor_evaluations,
            )
        )
    return found


def _find(
    name: str, evidence: Evidence, *, metric: str | None, dataset: str | None, alpha: float
) -> Found | RuleResult:
    """Return what is to be compared, or the answer that it cannot be."""
    from detent.comparison.measures import MEASURES, own_measure
    from detent.comparison.outcomes import Pair
    from detent.comparison.verdict import level_of_use

    def cannot(text: str, **facts: Any) -> RuleResult:
        return RuleResult(rule=name, outcome=Outcome.INCONCLUSIVE, text=text, evidence=facts)

    both = same_rows(evidence, dataset)
    if both is None or evidence.read is None:
        return cannot(no_common_rows(evidence, dataset))
    ours, theirs = both
    metric = metric or ours.metrics[0].name
    for evaluation in both:
        if metric not in {one.name for one in evaluation.metrics}:
            version = f"{evaluation.model}/{evaluation.version}"
            return cannot(
                f"`{metric}` was not computed for `{version}` on {ours.dataset}",
                evaluations=[theirs.id, ours.id],
            )
    pair = Pair(baseline=evidence.read(theirs), candidate=evidence.read(ours))
    measure = MEASURES.get(metric) or own_measure(
        metric, pair.candidate, greater_is_better=ours[metric].greater_is_better
    )
    if measure.greater_is_better is None:
        return cannot(f"`{metric}` declares no direction: whether more is better is not known")
    use = evidence.count_uses(ours, dataset is not None) if evidence.count_uses else 1
    return Found(
        ours=ours,
        theirs=theirs,
        pair=pair,
        measure=measure,
        use=use,
        alpha=level_of_use(use, alpha=alpha),
    )


def _difference(
    name: str, found: Found, *, margin: float | None, relative: bool | None
) -> Difference | RuleResult:
    from detent.comparison.differences import find_difference

    try:
        return find_difference(
            found.pair, found.measure, alpha=found.alpha, margin=margin, is_relative=relative
        )
    except InvalidError as error:
        return RuleResult(
            rule=name,
            outcome=Outcome.INCONCLUSIVE,
            text=error.message,
            evidence=found.facts(),
        )


def _answer(
    name: str,
    outcome: Outcome,
    found: Found,
    difference: Difference,
    against: Evidence,
    evidence: Evidence,
) -> RuleResult:
    from detent.comparison.words import difference_text

    assert against.baseline is not None
    text = difference_text(difference, dataset=found.ours.dataset, use=found.use)
    if against is not evidence:
        text = f"against v{against.baseline.number}, which was chosen last on evidence: {text}"
    return RuleResult(
        rule=name,
        outcome=outcome,
        text=text,
        evidence=found.facts()
        | {
            "baseline_digest": against.baseline.digest,
            "candidate_digest": evidence.candidate.digest,
            "metric": difference.metric,
            "n": difference.n,
            "baseline": difference.baseline,
            "candidate": difference.candidate,
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "confidence": difference.confidence,
            "at_worst": difference.at_worst,
            "margin": difference.margin,
            "alpha": difference.alpha,
            "verdict": str(difference.verdict),
            "rows_needed": difference.rows_needed,
            "method": difference.method,
            "counts": list(difference.counts) if difference.counts else None,
        },
    )


def _worst(results: list[RuleResult]) -> RuleResult:
    outcome = _worst_outcome([result.outcome for result in results])
    return next(result for result in results if result.outcome is outcome)


def _worst_outcome(outcomes: list[Outcome]) -> Outcome:
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS
