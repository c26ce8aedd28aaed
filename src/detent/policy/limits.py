"""Rules that limit what a candidate may cost or change, whatever its metrics say."""

from __future__ import annotations

from typing import Any

from detent.domain.evidence import Evaluation, Outcome, RuleResult
from detent.policy.rules import Evidence, no_common_rows, same_rows


def size(
    evidence: Evidence, *, max_bytes: int | None = None, max_ratio: float | None = None
) -> RuleResult:
    """Limit the size of the candidate's files.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    max_bytes : int, optional
        All files together, in bytes.
    max_ratio : float, optional
        Times the active version's size.
    """
    baseline = evidence.baseline.size_bytes if evidence.baseline else None
    return _limited(
        "size",
        float(evidence.candidate.size_bytes),
        None if baseline is None else float(baseline),
        most=None if max_bytes is None else float(max_bytes),
        max_ratio=max_ratio,
        unit="bytes",
    )


def latency(
    evidence: Evidence, *, max_ms: float | None = None, max_ratio: float | None = None
) -> RuleResult:
    """Limit the time that predicting one row took when the candidate was evaluated.

    The median, on the machine that evaluated. With `max_ratio` both versions should have been
    evaluated on one machine.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    max_ms : float, optional
        In milliseconds.
    max_ratio : float, optional
        Times the active version's time.
    """
    ours = _newest_time(evidence.candidate_evaluations)
    theirs = _newest_time(evidence.baseline_evaluations)
    if ours is None:
        return RuleResult(
            rule="latency",
            outcome=Outcome.INCONCLUSIVE,
            text=f"`{evidence.candidate}` was not evaluated: its time for one row is not known",
        )
    return _limited(
        "latency",
        ours * 1000,
        None if theirs is None else theirs * 1000,
        most=max_ms,
        max_ratio=max_ratio,
        unit="ms",
    )


def churn(
    evidence: Evidence, *, max: float, alpha: float = 0.05, dataset: str | None = None
) -> RuleResult:
    """Limit the share of rows that are answered otherwise than the active version does.

    Parameters
    ----------
    evidence : Evidence
        What is known of candidate and baseline.
    max : float
        A share, between 0 and 1.
    alpha : float, default=0.05
        Allowed probability of error.
    dataset : str, optional
        The name of the dataset; by default the newest that both were evaluated on.
    """
    import numpy as np

    if evidence.baseline is None:
        return RuleResult(
            rule="churn", outcome=Outcome.PASS, text="nothing is active: nothing can change"
        )
    both = same_rows(evidence, dataset)
    if both is None or evidence.read is None:
        return RuleResult(
            rule="churn", outcome=Outcome.INCONCLUSIVE, text=no_common_rows(evidence, dataset)
        )
    ours, theirs = both
    changed = evidence.read(ours).y_pred != evidence.read(theirs).y_pred
    return _share(
        "churn",
        int(np.count_nonzero(changed)),
        ours,
        max,
        alpha,
        "of the answers change",
        [theirs.id, ours.id],
    )


def error_rate(
    evidence: Evidence, *, max: float, alpha: float = 0.05, dataset: str | None = None
) -> RuleResult:
    """Limit the share of rows that the candidate answers wrongly.

    Parameters
    ----------
    evidence : Evidence
        What is known of the candidate.
    max : float
        A share, between 0 and 1.
    alpha : float, default=0.05
        Allowed probability of error.
    dataset : str, optional
        The name of the dataset; by default the newest that it was evaluated on.
    """
    import numpy as np

    for ours in evidence.candidate_evaluations:
        if evidence.read is not None and dataset in (None, ours.dataset):
            wrong = ~evidence.read(ours).is_right
            n_wrong = int(np.count_nonzero(wrong))
            text = "of the answers are wrong"
            return _share("error_rate", n_wrong, ours, max, alpha, text, [ours.id])
    on = f" on {dataset}" if dataset else ""
    return RuleResult(
        rule="error_rate",
        outcome=Outcome.INCONCLUSIVE,
        text=f"`{evidence.candidate}` was not evaluated{on}",
    )


def approvals(evidence: Evidence, *, number: int) -> RuleResult:
    """Demand that people other than the one who activates approved of it."""
    others = sorted(set(evidence.approvers) - {evidence.actor})
    by = f" ({', '.join(others)})" if others else ""
    return RuleResult(
        rule="approvals",
        outcome=Outcome.PASS if len(others) >= number else Outcome.FAIL,
        text=f"{len(others)} of {number} approvals by others than {evidence.actor}{by}",
        evidence={"by": others, "number": number},
    )


def _newest_time(evaluations: tuple[Evaluation, ...]) -> float | None:
    return next((e.one_row_s for e in evaluations if e.one_row_s is not None), None)


def _limited(
    rule: str,
    ours: float,
    theirs: float | None,
    *,
    most: float | None,
    max_ratio: float | None,
    unit: str,
) -> RuleResult:
    shown = f"{ours:,.0f} {unit}" if unit == "bytes" else f"{ours:.3g} {unit}"
    facts: dict[str, Any] = {"candidate": ours, "baseline": theirs}
    texts, holds = [], True
    if most is not None:
        holds = ours <= most
        texts.append(
            f"{shown}, limit {most:,.0f}" if unit == "bytes" else f"{shown}, limit {most:g}"
        )
    if max_ratio is not None:
        if theirs is None or theirs <= 0:
            return RuleResult(
                rule=rule,
                outcome=Outcome.PASS if holds else Outcome.FAIL,
                text="; ".join([*texts, "nothing to compare with"]),
                evidence=facts,
            )
        ratio = ours / theirs
        holds = holds and ratio <= max_ratio
        texts.append(f"{ratio:.3g} times that of the active version, limit {max_ratio:g}")
    return RuleResult(
        rule=rule,
        outcome=Outcome.PASS if holds else Outcome.FAIL,
        text="; ".join(texts),
        evidence=facts,
    )


def _share(
    rule: str,
    count: int,
    evaluation: Evaluation,
    most: float,
    alpha: float,
    what: str,
    evaluations: list[int],
) -> RuleResult:
    from detent.stats.proportions import wilson_interval

    n = evaluation.n_rows
    low, high = wilson_interval(count, n, confidence=1 - 2 * alpha)
    outcome = Outcome.INCONCLUSIVE
    if high <= most or low > most:
        outcome = Outcome.PASS if high <= most else Outcome.FAIL
    return RuleResult(
        rule=rule,
        outcome=outcome,
        text=f"{count / n:.2%} {what} [{low:.2%}, {high:.2%}] on {n:,} rows of"
        f" {evaluation.dataset}, limit {most:.2%}",
        evidence={
            "evaluations": evaluations,
            "count": count,
            "n": n,
            "low": low,
            "high": high,
            "limit": most,
        },
    )
